"""Asks devices over the HTTP control channel, from another process."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from ipg_emulator.control.fields import is_get
from ipg_emulator.control.operation import Operation, OperationError, answer_type, name_of

A = TypeVar("A")

_SAYS_WHAT_CANNOT_BE_DONE = {400, 409}


class ControlUnreachable(Exception):
    """The control channel does not answer, or refuses whoever asks; the text says which, and what to do."""


class RemoteControl:
    """One device of a control channel."""

    def __init__(self, url: str, token: str, device: int = 0, *, timeout_seconds: float = 3600) -> None:
        """A timeout of an hour: an operation may let much of a device's time pass."""
        self._url = url.rstrip("/")
        self._token = token
        self._device = device
        self._timeout_seconds = timeout_seconds
        self._opener = build_opener(ProxyHandler({}))

    def ask(self, operation: Operation[A]) -> A:
        """Have the device run an operation.

        Raises:
            OperationError: it cannot be done.
            ControlUnreachable: see there.
        """
        answer: A = msgspec.json.decode(self.ask_for_json(operation), type=answer_type(type(operation)))
        return answer

    def ask_for_json(self, operation: Operation[Any]) -> bytes:
        """The same, as JSON; `null` for what answers nothing."""
        kind = type(operation)
        path, body = f"/v1/devices/{self._device}/{name_of(kind)}", None
        if is_get(kind):
            given = {name: value for name, value in msgspec.to_builtins(operation).items() if value is not None}
            path += f"?{urlencode({name: _query_text(value) for name, value in given.items()})}" if given else ""
        else:
            body = msgspec.json.encode(operation)
        return self._fetch(path, body) or b"null"

    def _fetch(self, path: str, body: bytes | None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            request = Request(self._url + path, body, headers)
            with self._opener.open(request, timeout=self._timeout_seconds) as response:
                answer: bytes = response.read()
                return answer
        except HTTPError as error:
            with error:
                raise _refusal(error) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise ControlUnreachable(f"{self._url} does not answer: {reason}") from None


def _query_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _refusal(error: HTTPError) -> Exception:
    try:
        detail = str(msgspec.json.decode(error.read())["detail"])
    except (msgspec.DecodeError, LookupError, TypeError):
        detail = error.reason
    kind = OperationError if error.code in _SAYS_WHAT_CANNOT_BE_DONE else ControlUnreachable
    return kind(detail)
