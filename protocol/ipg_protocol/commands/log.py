"""Group 07: log, counters and faults. The log is read by cursor and only ever grows at its end."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Change, Request, command, event
from ipg_protocol.refusal import StateDetail
from ipg_protocol.vocabulary import BOOTED, FaultCode, Role, State, Status
from ipg_protocol.wire import I32, U8, U16, U32, U64, Message


class LogExtent(Message, frozen=True):
    """Numbers of the oldest and newest entry kept (both 0: none), how many fit, and how many were dropped as too old."""

    oldest: U32
    newest: U32
    capacity: U16
    dropped: U32


@command(0x0701, role=Role.OBSERVER, states=BOOTED)
class LogInfo(Request[LogExtent], frozen=True):
    """Read how far the log reaches."""


@unique
class LogCode(IntEnum):
    """What happened; SPEC.md says what `argument` holds with each."""

    BOOT = 0  # the reset's cause
    SESSION_OPENED = 1  # role
    SESSION_CLOSED = 2  # role
    THERAPY_STARTED = 3  # program
    THERAPY_STOPPED = 4  # cause
    PROGRAM_SELECTED = 5  # program
    PROGRAM_WRITTEN = 6  # program
    PROGRAM_ERASED = 7  # program
    AMPLITUDE_SET = 8  # microamperes
    PULSE_WIDTH_SET = 9  # microseconds
    RATE_SET = 10  # millihertz
    LIMITS_WRITTEN = 11  # revision
    IMPEDANCE_MEASURED = 12  # pairs
    FAULT_RAISED = 13  # fault
    FAULT_CLEARED = 14  # fault
    BATTERY_TIER = 15  # tier
    COMPLIANCE_REACHED = 16  # area
    SHELF_ENTERED = 17  # 0
    FACTORY_RESET = 18  # revision
    CLOCK_SET = 19  # change in seconds, clamped
    CHARGE_DENSITY_WARNED = 20  # area
    SCHEDULE_WRITTEN = 21  # rows
    MAGNET = 22  # 1 present, 0 gone
    MRI_MODE = 23  # 1 entered, 0 left
    CHARGING = 24  # charging state
    CLOSED_LOOP = 25  # feedback mode
    HOST_SILENT = 26  # milliseconds of silence
    DOSE_OVER = 27  # area
    STORAGE_RECOVERED = 28  # changes that could not be read any more, at least
    STORAGE_LOST = 29  # 0
    CHECKPOINT_SAVED = 30  # checkpoint
    CHECKPOINT_RESTORED = 31  # checkpoint


class LogEntry(Message, frozen=True):
    """One entry. Numbers rise by one over the device's life."""

    number: U32
    boot_counter: U32
    uptime_ms: U64
    code: LogCode
    argument: I32


class LogPage(Message, frozen=True):
    """Entries from the cursor on, and the cursor to go on with (equal to the one asked for: nothing more)."""

    next_cursor: U32
    rows: tuple[LogEntry, ...]


@command(0x0702, role=Role.OBSERVER, states=BOOTED)
class ReadLog(Request[LogPage], frozen=True):
    """Read entries numbered `cursor` and above; 0 begins at the oldest kept."""

    cursor: U32


class Counters(Message, frozen=True):
    """Totals over the device's life."""

    boots: U32
    sessions: U32
    therapy_starts: U32
    therapy_seconds: U32
    measurements: U32
    faults: U32
    changes_committed: U32
    requests_refused: U32
    compliance_reached: U32
    doses: U32
    magnet_uses: U32
    chargings: U32
    feedback_fallbacks: U32


@command(0x0703, role=Role.OBSERVER, states=BOOTED)
class ReadCounters(Request[Counters], frozen=True):
    """Read the counters."""


@unique
class Latch(IntEnum):
    """Whether a fault still stands."""

    CLEARED = 0
    LATCHED = 1


class FaultRecord(Message, frozen=True):
    """A fault that was raised: where (contact, or 255), when last (uptime), the value that raised it, how often."""

    fault: FaultCode
    latch: Latch
    contact: U8
    times: U16
    value: U32
    uptime_ms: U64


class FaultList(Message, frozen=True):
    """Every kind of fault ever raised."""

    rows: tuple[FaultRecord, ...]


@command(0x0704, role=Role.OBSERVER, states=BOOTED)
class ReadFaults(Request[FaultList], frozen=True):
    """Read the faults."""


@command(
    0x0705,
    role=Role.CLINICIAN,
    states=frozenset(State) - {State.SHELF, State.BOOT, State.MEASURING},
    refusals={Status.SHORT_CIRCUIT, Status.FAULT_LATCHED},
)
class ClearFault(Change[StateDetail], frozen=True):
    """Clear a latched fault. SHORT_CIRCUIT while the short is still there, FAULT_LATCHED while another cause persists."""

    fault: FaultCode


@event(0x8701)
class FaultRaised(Message, frozen=True):
    """A fault was latched: at which contact (255: none), and the value that raised it."""

    fault: FaultCode
    contact: U8
    value: U32


@event(0x8702)
class FaultCleared(Message, frozen=True):
    """A latched fault was cleared."""

    fault: FaultCode
