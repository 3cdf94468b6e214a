"""What is answered in place of a result: RFC 9457 problem details, one shape for every refusal."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ipg_emulator.control.channel import ChannelClosed
from ipg_emulator.control.operation import OperationError

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused (RFC 9457); nothing has changed."""

    title: str
    """The status in words."""
    status: int
    detail: str
    """What was wrong, and what would be right."""


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """The answer that tells of a problem."""
    body = msgspec.json.encode(Problem(HTTPStatus(status).phrase, status, detail))
    return Response(body, status, headers, MEDIA_TYPE)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = error.status_code not in {404, 405} or error.detail != HTTPStatus(error.status_code).phrase
    detail = error.detail if known else f"there is no {request.method} {request.url.path}; /openapi.json lists what there is"
    return problem(error.status_code, detail, dict(error.headers or {}))


async def _not_done(_: Request, error: Exception) -> Response:
    return problem(409, str(error))


async def _gone(_: Request, error: Exception) -> Response:
    return problem(503, str(error))


async def _failed(_: Request, error: Exception) -> Response:
    return problem(500, f"a bug of this program, not of the request: {type(error).__name__}")


HANDLERS: dict[Any, Any] = {
    HTTPException: _refused,
    OperationError: _not_done,
    ChannelClosed: _gone,
    Exception: _failed,
}
"""What is answered to each kind of error."""
