"""The control channel as an HTTP application whose routes are the operations. Without the token, everything is refused."""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ipg_emulator.control import stream
from ipg_emulator.control.answers import SeenEvent, Whereabouts
from ipg_emulator.control.fields import alternatives, fields_of, is_get, read_value, whole
from ipg_emulator.control.misread import why_misread
from ipg_emulator.control.openapi import document
from ipg_emulator.control.operation import MISREAD, Operation
from ipg_emulator.control.operations import OPERATIONS, Events, WaitFor
from ipg_emulator.control.problem import HANDLERS, problem

Ask = Callable[[int, Operation[Any]], Any]
"""Has a device run an operation, and waits for its answer."""
Endpoint = Callable[[Request], Awaitable[Response]]

LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
LONGEST_BODY = 65_536
"""Many times what any operation takes, and less than a line of the channel may hold."""
MOST_WAITING = 50
"""How many can wait for events at a time; more wait for their turn."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


def application(ask: Ask, devices: Sequence[Whereabouts], token: str) -> ASGIApp:
    """The application over these devices, which are numbered from 0."""
    openapi, found = _json(document(len(devices))), _json(list(devices))

    async def tell_openapi(_: Request) -> Response:
        return openapi

    async def tell_devices(_: Request) -> Response:
        return found

    routes = [Route("/openapi.json", tell_openapi), Route("/v1/devices", tell_devices)]
    for name, operation in OPERATIONS.items():
        method = "GET" if is_get(operation) else "POST"
        routes.append(_route(name, _endpoint(ask, len(devices), operation), method))
    routes.append(_route("events/stream", _listening(ask, len(devices)), "GET"))
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    app.router.redirect_slashes = False
    return Guard(app, token)


class Guard:
    """Lets pass only who shows the token, and has not been led here by a name that stands for some other machine."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope))
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), self._token):
            told = "the header `Authorization: Bearer TOKEN` is missing, or its token is not the one in the token file"
            return problem(401, told, {"WWW-Authenticate": "Bearer"})
        if not LOOPBACK.fullmatch(headers.get("host", "")):
            return problem(421, "the Host header names neither localhost nor 127.0.0.1")
        return None


def _route(name: str, endpoint: Endpoint, method: str) -> Route:
    return Route(f"/v1/devices/{{device}}/{name}", endpoint, methods=[method])


def _endpoint(ask: Ask, devices: int, operation: type[Operation[Any]]) -> Endpoint:
    # Those that wait have threads of their own, or so many of them would keep everybody else waiting too.
    limiter = CapacityLimiter(MOST_WAITING) if operation is WaitFor else None

    async def answer(request: Request) -> Response:
        device = _device(request, devices)
        body = None if is_get(operation) else await _body(request)
        asked = _from_query(request, operation) if body is None else _from_body(body, operation)
        answered = await to_thread.run_sync(ask, device, asked, limiter=limiter)
        return Response(status_code=204) if answered is None else _json(answered)

    return answer


def _listening(ask: Ask, devices: int) -> Endpoint:
    async def answer(request: Request) -> Response:
        device = _device(request, devices)
        listen = _from_query(request, stream.Listen)
        after = stream.begin_after(listen, request.headers.get(stream.LAST_EVENT_ID))

        async def events_after(number: int) -> Sequence[SeenEvent]:
            return cast("Sequence[SeenEvent]", await to_thread.run_sync(ask, device, Events(after=number)))

        if after is None:
            after = max((event.number for event in await events_after(0)), default=0)
        return StreamingResponse(stream.event_stream(events_after, after), media_type=stream.MEDIA_TYPE)

    return answer


def _device(request: Request, devices: int) -> int:
    text = request.path_params["device"]
    if not _NUMBER.fullmatch(text) or int(text) >= devices:
        raise HTTPException(404, f"there is no device {text}; there are {devices}, numbered from 0")
    return int(text)


async def _body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, f"a body is at most {LONGEST_BODY} bytes long")
    return body


def _from_body(body: bytes, operation: type[Operation[Any]]) -> Operation[Any]:
    """An operation from the JSON object in a request; from nothing, if it needs nothing."""
    with _refusing(operation):
        asked: Operation[Any] = msgspec.convert(whole(msgspec.json.decode(body or b"{}")), operation)
        return asked


def _from_query(request: Request, kind: type[Any]) -> Any:
    """A structure of single values from the query of a request."""
    given = request.query_params.multi_items()
    fields = fields_of(kind)
    if len(given) != len({name for name, _ in given}):
        raise HTTPException(400, "a parameter is given twice")
    values = {name: read_value(text, alternatives(fields[name].type)) if name in fields else text for name, text in given}
    with _refusing(kind):
        return msgspec.convert(whole(values), kind)


@contextmanager
def _refusing(kind: type[Any]) -> Generator[None]:
    """Refuse values that do not fit. Those that a check of their own refuses are of the right form, as a schema can tell it."""
    try:
        yield
    except MISREAD as error:
        raise HTTPException(400 if error.__cause__ is None else 409, why_misread(kind, error)) from None


def _json(answer: object) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
