"""How a conversation is written once for any client: a generator that yields requests and pauses, and returns what it found."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, TypeVar, cast

import msgspec
from ipg_protocol import Message, Request

from ipg_host.exchange import Exchange

R = TypeVar("R", bound=Message)
T = TypeVar("T")


class Pause(msgspec.Struct, frozen=True):
    """Wait before going on; events are received meanwhile."""

    milliseconds: int


Step: TypeAlias = Request[Any] | Pause
Procedure: TypeAlias = Generator[Step, Message | None, T]


def ask(request: Request[R]) -> Procedure[R]:
    """Send one request and return its answer.

    Raises:
        IpgError: the device refused it, or no answer came.
    """
    answer = yield request
    return cast("R", answer)


def pause(milliseconds: int) -> Procedure[None]:
    """Wait."""
    yield Pause(milliseconds)


def resume(procedure: Procedure[T], outcome: Exchange[Any] | None) -> Step:
    """Hand a conversation the outcome of its last step (None for a pause, or to begin) and get the next.

    Raises:
        StopIteration: the conversation is over; `value` is what it found.
    """
    if outcome is None:
        return procedure.send(None)
    if outcome.error is not None:
        return procedure.throw(outcome.error)
    return procedure.send(outcome.answer)
