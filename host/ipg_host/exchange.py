"""One request on its way: which window it goes through, what is needed to retry it, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, unique
from typing import Generic, TypeVar, cast

from ipg_protocol import CATALOGUE, Command, Message, Request
from ipg_protocol.commands.link import SelfTest
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import BeginProgramWrite, WriteProgramBlock
from ipg_protocol.commands.sensing import StartEcapStream, StopEcapStream
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import StopTherapy

from ipg_host.errors import IpgError

R = TypeVar("R", bound=Message)


@unique
class Lane(IntEnum):
    """How a request shares the link with others."""

    READ = 0
    """Up to four at a time."""
    ACT = 1
    """One at a time."""
    OPEN = 2
    """Alone."""
    STOP = 3
    """At once, whatever else is outstanding."""


_LANE_OF: dict[type[Message], Lane] = {
    OpenSession: Lane.OPEN,
    StopTherapy: Lane.STOP,
    CloseSession: Lane.ACT,
    BeginProgramWrite: Lane.ACT,
    WriteProgramBlock: Lane.ACT,
    MeasureImpedance: Lane.ACT,
    SelfTest: Lane.ACT,
    StartEcapStream: Lane.ACT,
    StopEcapStream: Lane.ACT,
}


def _lane(command: Command) -> Lane:
    return Lane.ACT if command.is_change else _LANE_OF.get(command.request, Lane.READ)


_ENTRY_OF: dict[type[Message], tuple[Command, Lane]] = {entry.request: (entry, _lane(entry)) for entry in CATALOGUE.values()}


class Exchange(Generic[R]):
    """One request and what became of it: when `done`, `result` returns the answer or raises what went wrong."""

    request_id: int
    wire: bytes
    sent_at: int
    timeout_us: int
    deadline: int
    bytes_before: int
    frames_before: int

    def __init__(self, request: Request[R], on_done: Callable[[], None] | None) -> None:
        self.request = request
        self.command, self.lane = _ENTRY_OF[type(request)]
        self.on_done = on_done
        self.done = False
        self.sends = 0
        self.answer: Message | None = None
        self.error: IpgError | None = None

    @property
    def acts(self) -> bool:
        """Whether the device may have done something even if no answer came."""
        return self.lane in (Lane.ACT, Lane.STOP)

    def result(self) -> R:
        """The answer.

        Raises:
            IpgError: the device refused, or no answer came.
        """
        if self.error is not None:
            raise self.error
        return cast("R", self.answer)
