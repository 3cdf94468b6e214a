"""The catalogue of commands and events: `@command` and `@event` declare, everything else is derived.

Importing `ipg_protocol.commands` fills `CATALOGUE` and `EVENTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar, cast, get_args

import msgspec

from ipg_protocol import wire
from ipg_protocol.frame import Frame, Kind
from ipg_protocol.refusal import REFUSAL_DETAIL
from ipg_protocol.vocabulary import ANY_STATE, AWAKE, ResponseFlag, Role, State, Status
from ipg_protocol.wire import U32, Message

R = TypeVar("R", bound=Message)


class Request(Message, Generic[R], frozen=True):
    """A message from host to device; `R` is what answers it when it is not refused."""


class Change(Request[R], Generic[R], frozen=True):
    """A request that changes what the device keeps or delivers. `transaction` names the intent for good: see SPEC.md."""

    transaction: U32


def is_change(request: Message) -> TypeGuard[Change[Any]]:
    """Whether a request carries a transaction."""
    return isinstance(request, Change)


class Command(NamedTuple):
    """One entry of the catalogue."""

    opcode: int
    name: str
    request: type[Request[Any]]
    response: type[Message]
    role: Role | None
    states: frozenset[State]
    refusals: tuple[Status, ...]
    """Every refusal that this command can meet, in the order of their numbers."""
    optional: bool
    """Whether a model may lack the command: it then refuses it NOT_SUPPORTED, and does not name it in its capabilities."""

    @property
    def is_change(self) -> bool:
        return issubclass(self.request, Change)


class Event(NamedTuple):
    """One kind of event."""

    opcode: int
    name: str
    message: type[Message]


CATALOGUE: dict[int, Command] = {}
COMMAND_OF: dict[type[Message], Command] = {}
EVENTS: dict[int, Event] = {}
EVENT_OF: dict[type[Message], Event] = {}

Q = TypeVar("Q", bound=Request[Any])


def _wire_name(cls: type[Message]) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).upper()


def _refusals(
    request: type[Request[Any]], role: Role | None, states: frozenset[State], own: Collection[Status], optional: bool
) -> tuple[Status, ...]:
    implied = {Status.MALFORMED}
    if optional:
        implied.add(Status.NOT_SUPPORTED)
    if issubclass(request, Change):
        implied |= {Status.OUT_OF_RANGE, Status.STORAGE_FAILED}  # transaction 0; it could not be made to last
    if role is not None:
        implied |= {Status.NO_SESSION, Status.ID_REUSED, Status.STALE, Status.ABORTED}
    if role:
        implied.add(Status.NOT_PERMITTED)
    if states != ANY_STATE:
        implied.add(Status.WRONG_STATE)
    return tuple(sorted(implied | set(own)))


def command(
    opcode: int,
    *,
    role: Role | None,
    states: frozenset[State] = AWAKE,
    refusals: Collection[Status] = (),
    optional: bool = False,
) -> Callable[[type[Q]], type[Q]]:
    """Declare a request: who may send it (None: anyone, without a session), in which states, how it may be refused, and
    whether a model may lack it.

    Refusals that follow from the rest (malformed, no session, role, state, transaction 0, storage) need not be named.
    """

    def declare(cls: type[Q]) -> type[Q]:
        if opcode in CATALOGUE:
            raise ValueError(f"opcode {opcode:#06x} is {CATALOGUE[opcode].name} already, so it cannot be {cls.__name__}")
        response = cast("type[Message]", get_args(cast("Any", cls).__orig_bases__[0])[0])
        entry = Command(
            opcode, _wire_name(cls), cls, response, role, states, _refusals(cls, role, states, refusals, optional), optional
        )
        CATALOGUE[opcode] = COMMAND_OF[cls] = entry
        return cls

    return declare


E = TypeVar("E", bound=Message)


def event(opcode: int) -> Callable[[type[E]], type[E]]:
    """Declare an event."""

    def declare(cls: type[E]) -> type[E]:
        if opcode in EVENTS:
            raise ValueError(f"event {opcode:#06x} is {EVENTS[opcode].name} already, so it cannot be {cls.__name__}")
        EVENTS[opcode] = EVENT_OF[cls] = Event(opcode, _wire_name(cls), cls)
        return cls

    return declare


class Reply(msgspec.Struct, frozen=True):
    """A decoded response: `body` is the command's answer, or the refusal's detail when `status` is not OK."""

    status: Status
    flags: ResponseFlag
    body: Message


def request_frame(request: Request[Any], request_id: int) -> Frame:
    """The frame that carries a request.

    Raises:
        WireError: a value does not fit its field.
    """
    return Frame(Kind.REQUEST, COMMAND_OF[type(request)].opcode, request_id, wire.encode(request))


def reply_frame(opcode: int, request_id: int, reply: Reply) -> Frame:
    """The frame that carries a reply."""
    return Frame(Kind.RESPONSE, opcode, request_id, bytes((reply.status, reply.flags)) + wire.encode(reply.body))


def event_frame(message: Message, number: int) -> Frame:
    """The frame that carries event `number`."""
    return Frame(Kind.EVENT, EVENT_OF[type(message)].opcode, number, wire.encode(message))


_status_of = cache(Status)  # calling an enumeration takes longer than decoding all the rest of a short reply
_flags_of = cache(ResponseFlag)


def decode_reply(frame: Frame) -> Reply:
    """The reply that a RESPONSE frame holds.

    Raises:
        WireError: the opcode or status is unknown, or the rest does not fit the layout they name.
    """
    payload = frame.payload
    if len(payload) < 2:
        raise wire.WireError(f"a response holds at least 2 bytes, got {len(payload)}", expected=2)
    try:
        status = _status_of(payload[0])
        flags = _flags_of(payload[1])
        layout = CATALOGUE[frame.opcode].response if status is Status.OK else REFUSAL_DETAIL[status]
    except (ValueError, KeyError):
        raise wire.WireError(f"no such answer: opcode {frame.opcode:#06x}, status {payload[0]:#04x}") from None
    return Reply(status, flags, wire.decode(layout, payload[2:]))


def decode_event(frame: Frame) -> Message:
    """The message that an EVENT frame holds.

    Raises:
        WireError: the event is unknown, or its payload does not fit.
    """
    try:
        layout = EVENTS[frame.opcode].message
    except KeyError:
        raise wire.WireError(f"no such event: {frame.opcode:#06x}") from None
    return wire.decode(layout, frame.payload)
