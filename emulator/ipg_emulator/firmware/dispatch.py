"""Handlers by the request they serve. A device whose catalogue and handlers disagree refuses to start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ipg_protocol.command import COMMAND_OF, Request
from ipg_protocol.vocabulary import Role
from ipg_protocol.wire import Message

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device
    from ipg_emulator.firmware.link import Link


class Context(NamedTuple):
    """What a handler works with beside its request. `role` is the session's, OBSERVER where there is none; `request_id` names
    the request in its session.
    """

    device: Device
    link: Link
    role: Role
    request_id: int
    now: int


Handler = Callable[[Any, Context], Message | None]
Q = TypeVar("Q", bound=Request[Any])
A = TypeVar("A", bound=Message | None)

Handlers = dict[type[Message], Handler]

HANDLERS: Handlers = {}
"""What a sound device has; each firmware has a copy of its own."""


def handles(request: type[Q]) -> Callable[[Callable[[Q, Context], A]], Callable[[Q, Context], A]]:
    """Register the handler of a request. It validates, commits, and answers, or raises `Refused` with nothing changed.

    A handler that returns None has begun something that takes time; `Link.answer_awaited` is called when that is over.
    """

    def register(handler: Callable[[Q, Context], A]) -> Callable[[Q, Context], A]:
        if request in HANDLERS:
            raise ValueError(f"{request.__name__} has a handler already")
        HANDLERS[request] = handler
        return handler

    return register


class NotYet(Exception):
    """Raised by a handler that is held up, with nothing done: it is asked again at `until`, and nothing is handled before."""

    def __init__(self, until: int) -> None:
        super().__init__(f"held up until {until} us")
        self.until = until


class CatalogueMismatch(Exception):
    """The catalogue declares a command that nothing handles."""


def check_handlers() -> None:
    """Compare catalogue and handlers.

    Raises:
        CatalogueMismatch: names every command without a handler.
    """
    missing = sorted(entry.name for request, entry in COMMAND_OF.items() if request not in HANDLERS)
    if missing:
        raise CatalogueMismatch(f"no handler for {', '.join(missing)}: add one with @handles in ipg_emulator.firmware.handlers")
