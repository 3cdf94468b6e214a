"""The vocabulary of the protocol and its catalogue: `@command` and `@event` declare, everything else is derived.

Importing `ipg_protocol.commands` fills `CATALOGUE` and `EVENTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import IntEnum, IntFlag, unique
from functools import cache
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar, cast, get_args

import msgspec

from ipg_protocol import wire
from ipg_protocol.frame import Frame, Kind
from ipg_protocol.wire import I32, U8, U16, U32, Message


@unique
class Role(IntEnum):
    """Who speaks. A role may do all that the roles below it may."""

    OBSERVER = 0
    PATIENT = 1
    CLINICIAN = 2
    SERVICE = 3


@unique
class State(IntEnum):
    """What the device is doing."""

    SHELF = 0
    BOOT = 1
    IDLE = 2
    RAMPING = 3
    THERAPY = 4
    MEASURING = 5
    FAULT = 6
    EOS = 7


ANY_STATE = frozenset(State)
AWAKE = ANY_STATE - {State.SHELF, State.BOOT}
BOOTED = ANY_STATE - {State.BOOT}


@unique
class Status(IntEnum):
    """How a request was answered: OK, or the reason it was refused."""

    OK = 0x00
    UNKNOWN_COMMAND = 0x01
    MALFORMED = 0x02
    NOT_PERMITTED = 0x03
    NO_SESSION = 0x04
    WRONG_STATE = 0x05
    OUT_OF_RANGE = 0x06
    OFF_GRID = 0x07
    UNSAFE_COMBINATION = 0x08
    BUSY = 0x09
    NOT_SUPPORTED = 0x0A
    CONFLICT = 0x0B
    ID_REUSED = 0x0C
    STALE = 0x0D
    PENDING = 0x0E
    ABORTED = 0x0F
    TOO_LATE = 0x10
    COMPLIANCE = 0x11
    OPEN_CIRCUIT = 0x12
    SHORT_CIRCUIT = 0x13
    BATTERY_TOO_LOW = 0x14
    FAULT_LATCHED = 0x15
    STORAGE_FAILED = 0x16


class ResponseFlag(IntFlag):
    """Flags of a response."""

    REPLAYED = 1


@unique
class FaultCode(IntEnum):
    """A latched fault. It blocks START_THERAPY until it is cleared."""

    SHORT_CIRCUIT = 0
    OVER_TEMPERATURE = 1
    OUTPUT_STAGE = 2


@unique
class BatteryTier(IntEnum):
    """Where the battery stands: ERI is the elective replacement indicator, EOS the end of service."""

    OK = 0
    LOW = 1
    ERI = 2
    EOS = 3


WHOLE_MESSAGE = 0xFF
"""The `field` of a detail that concerns no single field."""


class Done(Message, frozen=True):
    """Nothing to report but that it was done."""


class MalformedDetail(Message, frozen=True):
    """`field` counts the request's declared fields from 0, or is 255 when the length is wrong; `expected_size` in bytes."""

    field: U8
    expected_size: U8
    received_size: U8


class RoleDetail(Message, frozen=True):
    """The lowest role that may."""

    required: Role


class BootDetail(Message, frozen=True):
    """The boot counter: a session does not outlive a boot."""

    boot_counter: U32


class StateDetail(Message, frozen=True):
    """The state that the device is in."""

    state: State


class RangeDetail(Message, frozen=True):
    """What field `field` (counted from 0) may hold, in the field's unit, and the nearest value that would be taken."""

    field: U8
    minimum: I32
    maximum: I32
    step: U32
    nearest: I32


@unique
class SafetyRule(IntEnum):
    """What made a combination unsafe; the unit of value and limit stands in the name."""

    CATHODES_PERMILLE = 0
    ANODES_PERMILLE = 1
    CONTACT_REPEATED = 2
    PULSE_EXCEEDS_PERIOD_US = 3
    CHARGE_PER_PHASE_NANOCOULOMBS = 4
    CONTACT_CURRENT_MICROAMPS = 5
    PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS = 6
    CYCLE_ON_WITHOUT_OFF_SECONDS = 7
    BLOCKS_MISSING = 8
    BLOCKS_CHECKSUM = 9
    SUM_OF_RATES_MILLIHERTZ = 10


class SafetyDetail(Message, frozen=True):
    """The rule that was broken, the area it was broken in (255: the whole program), the value found and the limit."""

    rule: SafetyRule
    area: U8
    value: U32
    limit: U32


class BusyDetail(Message, frozen=True):
    """When to ask again, in milliseconds."""

    retry_after_ms: U32


class FieldDetail(Message, frozen=True):
    """The field (counted from 0) that asks for what this model does not have, or 255 for the whole command."""

    field: U8


class RevisionDetail(Message, frozen=True):
    """The configuration revision that stands."""

    revision: U32


class RequestDetail(Message, frozen=True):
    """The request id that the refusal speaks of."""

    request_id: U32


class ComplianceDetail(Message, frozen=True):
    """The contact that limits, and the most that can be delivered through it, in microamperes."""

    contact: U8
    deliverable_microamps: U32


class CircuitDetail(Message, frozen=True):
    """The contact, and what was measured there, in ohms."""

    contact: U8
    ohms: U32


class BatteryDetail(Message, frozen=True):
    """The battery's tier and voltage, and the voltage it would take."""

    tier: BatteryTier
    millivolts: U16
    required_millivolts: U16


class FaultDetail(Message, frozen=True):
    """The fault to clear first."""

    fault: FaultCode


REFUSAL_DETAIL: dict[Status, type[Message]] = {
    Status.UNKNOWN_COMMAND: Done,
    Status.MALFORMED: MalformedDetail,
    Status.NOT_PERMITTED: RoleDetail,
    Status.NO_SESSION: BootDetail,
    Status.WRONG_STATE: StateDetail,
    Status.OUT_OF_RANGE: RangeDetail,
    Status.OFF_GRID: RangeDetail,
    Status.UNSAFE_COMBINATION: SafetyDetail,
    Status.BUSY: BusyDetail,
    Status.NOT_SUPPORTED: FieldDetail,
    Status.CONFLICT: RevisionDetail,
    Status.ID_REUSED: RequestDetail,
    Status.STALE: RequestDetail,
    Status.PENDING: RequestDetail,
    Status.ABORTED: RequestDetail,
    Status.TOO_LATE: RequestDetail,
    Status.COMPLIANCE: ComplianceDetail,
    Status.OPEN_CIRCUIT: CircuitDetail,
    Status.SHORT_CIRCUIT: CircuitDetail,
    Status.BATTERY_TOO_LOW: BatteryDetail,
    Status.FAULT_LATCHED: FaultDetail,
    Status.STORAGE_FAILED: Done,
}


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
    request: type[Request[Any]], role: Role | None, states: frozenset[State], own: Collection[Status]
) -> tuple[Status, ...]:
    implied = {Status.MALFORMED}
    if issubclass(request, Change):
        implied.add(Status.OUT_OF_RANGE)  # transaction 0
    if role is not None:
        implied |= {Status.NO_SESSION, Status.ID_REUSED, Status.STALE}
    if role:
        implied.add(Status.NOT_PERMITTED)
    if states != ANY_STATE:
        implied.add(Status.WRONG_STATE)
    return tuple(sorted(implied | set(own)))


def command(
    opcode: int, *, role: Role | None, states: frozenset[State] = AWAKE, refusals: Collection[Status] = ()
) -> Callable[[type[Q]], type[Q]]:
    """Declare a request: who may send it (None: anyone, without a session), in which states, and how it may be refused.

    Refusals that follow from the rest (malformed, no session, role, state, transaction 0) need not be named.
    """

    def declare(cls: type[Q]) -> type[Q]:
        if opcode in CATALOGUE:
            raise ValueError(f"opcode {opcode:#06x} is {CATALOGUE[opcode].name} already, so it cannot be {cls.__name__}")
        response = cast("type[Message]", get_args(cast("Any", cls).__orig_bases__[0])[0])
        entry = Command(opcode, _wire_name(cls), cls, response, role, states, _refusals(cls, role, states, refusals))
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
