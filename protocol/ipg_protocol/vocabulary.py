"""The words that commands, events and refusals share: roles, states, statuses."""

from __future__ import annotations

from enum import IntEnum, IntFlag, unique


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
    SUSPENDED = 8


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
    USE_PERIOD_OVER = 3


@unique
class BatteryTier(IntEnum):
    """Where the battery stands: ERI is the elective replacement indicator, EOS the end of service."""

    OK = 0
    LOW = 1
    ERI = 2
    EOS = 3
