"""Group 00: the link, the device's identity and capabilities, its clock, resets, and the fate of transactions."""

from __future__ import annotations

from enum import IntEnum, IntFlag, unique

from ipg_protocol.command import Change, Request, command, event
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import ANY_STATE, BOOTED, BatteryTier, Role, State, Status
from ipg_protocol.wire import I32, U8, U16, U32, U64, Message, Text16, Text32


class Pong(Message, frozen=True):
    """The token of the PING."""

    token: U32


@command(0x0001, role=None, states=ANY_STATE)
class Ping(Request[Pong], frozen=True):
    """Ask whether anyone is there."""

    token: U32


class Identity(Message, frozen=True):
    """Who the device is. `firmware_version` is text such as `1.0.0`; `boot_counter` counts every boot of its life."""

    protocol_major: U8
    protocol_minor: U8
    boot_counter: U32
    model: Text32
    serial: Text16
    firmware_version: Text16


@command(0x0002, role=None, states=ANY_STATE)
class Identify(Request[Identity], frozen=True):
    """Read the device's identity."""


class Alert(IntFlag):
    """What a host should know at a glance."""

    SESSION_OPEN = 1
    FAULT_LATCHED = 2
    COMPLIANCE_LIMITED = 4
    CLOCK_NOT_SET = 8
    CYCLE_OFF = 16
    CHARGE_DENSITY_HIGH = 32
    MAGNET_PRESENT = 64
    MRI_MODE = 128
    CHARGING = 256
    CLOSED_LOOP = 512


class DeviceStatus(Message, frozen=True):
    """The device at a glance. `active_program` is 255 when none is selected."""

    state: State
    active_program: U8
    battery_tier: BatteryTier
    unacknowledged_events: U8
    alerts: Alert
    revision: U32
    boot_counter: U32
    uptime_seconds: U32


@command(0x0003, role=None, states=ANY_STATE)
class GetStatus(Request[DeviceStatus], frozen=True):
    """Read the state, the active program, the battery tier, alerts, and the configuration revision."""


@unique
class Capability(IntEnum):
    """What a capability row speaks of. Ranges of one kind may stand in several rows, each with its own step."""

    CONTACT = 0
    WAVEFORM = 1
    COMMAND = 2
    PROGRAM_SLOTS = 3
    AREAS_PER_PROGRAM = 4
    AMPLITUDE_MICROAMPS = 5
    PULSE_WIDTH_US = 6
    RATE_MILLIHERTZ = 7
    RAMP_SECONDS = 8
    CYCLE_ON_SECONDS = 9
    CYCLE_OFF_SECONDS = 10
    CHARGE_PER_PHASE_NANOCOULOMBS = 11
    CONTACT_CURRENT_MICROAMPS = 12
    SUM_OF_RATES_MILLIHERTZ = 13
    COMPLIANCE_MILLIVOLTS = 14
    OPEN_ABOVE_OHMS = 15
    SHORT_BELOW_OHMS = 16
    STOP_RAMP_MS = 17
    RECHARGEABLE_BATTERY = 18
    LOG_ENTRIES = 19
    BURST_PULSES = 20
    INTRA_BURST_MILLIHERTZ = 21
    DOSE_SECONDS = 22
    CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE = 23
    SHANNON_K_PERMILLE = 24
    AMPLITUDE_UNIT = 25
    HOST_SILENCE_MS = 26
    SCHEDULE_ROWS = 27
    DOSES_PER_DAY = 28
    DOSE_CHARGE_MICROCOULOMBS = 29
    USE_PERIOD_DAYS = 30
    FEEDBACK_TARGET_MICROVOLTS = 31
    FEEDBACK_GAIN_PERMILLE = 32
    MRI_MINUTES = 33
    INDEPENDENT_LEADS = 34
    CHECKPOINTS = 35
    THERAPY_AFTER_RESET = 36


class CapabilityRow(Message, frozen=True):
    """One row. What `index`, `minimum`, `maximum` and `step` hold depends on `capability`: see the table in SPEC.md."""

    capability: Capability
    index: U16
    minimum: I32
    maximum: I32
    step: U32


class CapabilityPage(Message, frozen=True):
    """Rows from the one asked for on, and how many there are in all."""

    total: U16
    rows: tuple[CapabilityRow, ...]


@command(0x0004, role=None, states=ANY_STATE)
class GetCapabilities(Request[CapabilityPage], frozen=True):
    """Read what the device has and can do, a page at a time, from row `first` (counted from 0) on."""

    first: U16


class DeviceTime(Message, frozen=True):
    """The device's clock (milliseconds since 1970-01-01 UTC; 0 counts from the boot until it is set) and its uptime."""

    unix_milliseconds: U64
    uptime_milliseconds: U64


@command(0x0005, role=None, states=BOOTED)
class GetTime(Request[DeviceTime], frozen=True):
    """Read the clock and the uptime."""


@command(0x0006, role=Role.CLINICIAN)
class SetTime(Change[DeviceTime], frozen=True):
    """Set the clock. The daily schedule runs by it; nothing else does."""

    unix_milliseconds: U64


class LinkStatistics(Message, frozen=True):
    """What the link has seen since the boot; all counts."""

    bytes_received: U32
    frames_received: U32
    frames_sent: U32
    noise_oversize: U32
    noise_bad_cobs: U32
    noise_bad_length: U32
    noise_bad_crc: U32
    noise_bad_kind: U32
    noise_timed_out: U32
    requests_executed: U32
    requests_refused: U32
    requests_replayed: U32
    events_sent: U32
    output_dropped: U32


@command(0x0007, role=None, states=BOOTED)
class GetLinkStatistics(Request[LinkStatistics], frozen=True):
    """Read what the link has seen, noise by its kind."""


@command(0x0008, role=Role.CLINICIAN, states=BOOTED)
class Reset(Change[Done], frozen=True):
    """Restart the firmware once the answer is sent. Therapy stops at once; the session ends; SHELF is left."""


class SelfTestItem(IntFlag):
    """What a self-test looks at."""

    PROGRAM_STORAGE = 1
    BATTERY = 2
    OUTPUT_STAGE = 4
    TEMPERATURE = 8


class SelfTestReport(Message, frozen=True):
    """Every item looked at stands in one of the two."""

    passed: SelfTestItem
    failed: SelfTestItem


@command(
    0x0009,
    role=Role.CLINICIAN,
    states=frozenset({State.IDLE, State.FAULT, State.EOS}),
    refusals={Status.BUSY, Status.PENDING, Status.ABORTED},
)
class SelfTest(Request[SelfTestReport], frozen=True):
    """Check storage, battery, output stage and temperature. It is answered when the test is over; BUSY while another runs."""


@command(0x000A, role=Role.SERVICE, states=frozenset({State.IDLE, State.FAULT}))
class EnterShelfMode(Change[Done], frozen=True):
    """Hibernate for storage: no therapy, lowest consumption, only identity and status answered. RESET leaves it."""


class Revision(Message, frozen=True):
    """The configuration revision after the change; it rises by one with each."""

    revision: U32


@command(0x000B, role=Role.SERVICE, states=frozenset({State.IDLE, State.FAULT, State.EOS}))
class FactoryReset(Change[Revision], frozen=True):
    """Put programs, limits and selection back to the model's defaults. Log, counters and faults stay."""


@unique
class TransactionOutcome(IntEnum):
    """What became of a transaction of this session's host."""

    NOT_SEEN = 0
    COMMITTED = 1
    FORGOTTEN = 2


class TransactionReport(Message, frozen=True):
    """The outcome; when COMMITTED, also the command's opcode and its answer's bytes."""

    outcome: TransactionOutcome
    opcode: U16
    answer: bytes


@command(0x000C, role=Role.OBSERVER, states=BOOTED)
class TransactionStatus(Request[TransactionReport], frozen=True):
    """Ask what became of the change that carried `transaction`. The last 32 of a host are kept."""

    transaction: U32


@command(0x000D, role=Role.OBSERVER, states=BOOTED, refusals={Status.OUT_OF_RANGE, Status.TOO_LATE})
class Abort(Request[Done], frozen=True):
    """See to it that an earlier request of this session takes no effect. OK: it has none, and never will have; if it comes yet,
    it is refused ABORTED. TOO_LATE: it has taken effect.
    """

    target: U32


@unique
class ResetCause(IntEnum):
    """Why the device booted."""

    POWER_ON = 0
    COMMAND = 1
    POWER_RESTORED = 2
    BROWN_OUT = 3
    WATCHDOG = 4


@event(0x8001)
class ResetHappened(Message, frozen=True):
    """The device has booted."""

    cause: ResetCause
    boot_counter: U32
