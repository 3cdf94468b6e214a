"""One request on its way: which window it goes through, what is needed to retry it, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, IntEnum, auto, unique
from typing import Generic, TypeVar, cast

from ipg_protocol import CATALOGUE, Command, Message, Request, WireError
from ipg_protocol.commands.link import Abort, SelfTest
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import BeginProgramWrite, WriteProgramBlock
from ipg_protocol.commands.sensing import StartEcapStream, StopEcapStream
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import StopTherapy

from ipg_host.errors import GarbageAnswer, IpgError, NoAnswer, OutcomeUnknown

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


@unique
class Sort(Enum):
    """How a request bears being sent once more after trouble."""

    REPEATABLE = auto()
    """It changes nothing that is kept, so that twice does no harm."""
    CHANGE = auto()
    """Its transaction is to be asked about first."""
    OWN = auto()
    """The session's own, sent to get over trouble."""
    SINGLE = auto()
    """Whoever sent it is told, and decides."""


@unique
class Trouble(Enum):
    """What a request can meet that says nothing of what became of it."""

    SILENCE = auto()
    """No answer to all its sends."""
    NO_SESSION = auto()
    """The device has no session any more, so that the answers it kept are gone as well."""
    STALE = auto()
    """The device has answered so many requests since that it keeps no answer to this one."""


_LANE_OF: dict[type[Message], Lane] = {
    OpenSession: Lane.OPEN,
    StopTherapy: Lane.STOP,
    Abort: Lane.STOP,
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


def _sort(command: Command) -> Sort:
    if command.is_change:
        return Sort.CHANGE
    return Sort.REPEATABLE if _lane(command) in (Lane.READ, Lane.ACT) else Sort.SINGLE


_ENTRY_OF: dict[type[Message], tuple[Command, Lane, Sort]] = {
    entry.request: (entry, _lane(entry), _sort(entry)) for entry in CATALOGUE.values()
}


class Exchange(Generic[R]):
    """One request and what became of it: when `done`, `result` returns the answer or raises what went wrong."""

    request_id: int
    wire: bytes
    sent_at: int
    timeout_us: int
    """How long the first send waits; each further one waits twice as long as the one before."""
    deadline: int
    sends: int
    """How often it was sent since the device last gave a sign of life about it."""
    repeated: bool
    """Whether an answer may be to any of several sends, and so tells nothing of the round trip."""
    bytes_before: int
    frames_before: int

    def __init__(self, request: Request[R], on_done: Callable[[], None] | None = None, *, is_own: bool = False) -> None:
        self.request = request
        self.command, self.lane, self.sort = _ENTRY_OF[type(request)]
        if is_own:
            self.sort = Sort.OWN
        self.on_done = on_done
        self.done = False
        self.troubles: tuple[Trouble, ...] = ()
        self.answer: Message | None = None
        self.error: IpgError | None = None

    @property
    def acts(self) -> bool:
        """Whether the device may have done something even if no answer came."""
        return self.lane in (Lane.ACT, Lane.STOP)

    def unanswered(self, bytes_received: int, frames_received: int) -> OutcomeUnknown:
        """The error for silence, given what the link has received in all so far."""
        tried = f"no answer to {self.sends} sends"
        received = bytes_received - self.bytes_before
        is_garbage = received > 0 and frames_received == self.frames_before
        if is_garbage:
            tried += f", though {received} bytes came that hold no frame"
        if self.acts:
            return OutcomeUnknown(self.request, tried)
        return (GarbageAnswer if is_garbage else NoAnswer)(self.request, tried)

    def stale(self, error: IpgError) -> IpgError:
        """The error where the device has no answer any more: it refuses to tell, so what it did before is unknown."""
        return OutcomeUnknown(self.request, str(error)) if self.acts else error

    def unreadable(self, error: WireError) -> OutcomeUnknown:
        """The error for an answer that does not fit its layout."""
        return (OutcomeUnknown if self.acts else GarbageAnswer)(self.request, f"the answer cannot be read: {error}")

    def result(self) -> R:
        """The answer.

        Raises:
            IpgError: the device refused, or no answer came.
        """
        if self.error is not None:
            raise self.error
        return cast("R", self.answer)
