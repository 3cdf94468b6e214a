"""Group 03: therapy. Start, stop and change ramp; limits hold whatever the role."""

from __future__ import annotations

from enum import IntEnum, IntFlag, unique

from ipg_protocol.command import Change, Request, command, event
from ipg_protocol.vocabulary import ANY_STATE, AWAKE, Role, State, Status
from ipg_protocol.wire import I8, U8, U16, U32, U64, Message

ADJUSTABLE = frozenset({State.IDLE, State.RAMPING, State.THERAPY})


class TherapyState(Message, frozen=True):
    """The state after the request, and how long the ramp that it began will take, in milliseconds."""

    state: State
    ramp_ms: U32


@command(
    0x0301,
    role=Role.PATIENT,
    states=ADJUSTABLE | {State.FAULT, State.EOS},
    refusals={
        Status.FAULT_LATCHED,
        Status.BATTERY_TOO_LOW,
        Status.OPEN_CIRCUIT,
        Status.UNSAFE_COMBINATION,
    },
)
class StartTherapy(Change[TherapyState], frozen=True):
    """Start the active program with its ramp. OPEN_CIRCUIT when one of its contacts was last measured open."""


@unique
class StopMode(IntEnum):
    """How therapy ends: with the model's stop ramp, or at once."""

    RAMP = 0
    IMMEDIATE = 1


@command(0x0302, role=None, states=ANY_STATE)
class StopTherapy(Request[TherapyState], frozen=True):
    """Stop therapy, and a measurement that suspended it. Always accepted; needs no session and no role."""

    mode: StopMode


class Amplitude(Message, frozen=True):
    """The programmed amplitude of an area, in microamperes."""

    area: U8
    amplitude_microamps: U32
    revision: U32


@command(
    0x0303,
    role=Role.PATIENT,
    states=ADJUSTABLE,
    refusals={Status.OUT_OF_RANGE, Status.OFF_GRID, Status.UNSAFE_COMBINATION},
)
class SetAmplitude(Change[Amplitude], frozen=True):
    """Set the amplitude of one area of the active program. A PATIENT stays within the area's patient range."""

    area: U8
    amplitude_microamps: U32


@command(
    0x0304,
    role=Role.PATIENT,
    states=ADJUSTABLE,
    refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION, Status.CONFLICT},
)
class StepAmplitude(Change[Amplitude], frozen=True):
    """Move the amplitude of one area of the active program by whole steps of its grid; CONFLICT unless at that revision."""

    area: U8
    steps: I8
    expected_revision: U32


class PulseWidth(Message, frozen=True):
    """The programmed pulse width of an area, in microseconds."""

    area: U8
    pulse_width_us: U16
    revision: U32


@command(
    0x0305,
    role=Role.CLINICIAN,
    states=ADJUSTABLE,
    refusals={Status.OUT_OF_RANGE, Status.OFF_GRID, Status.UNSAFE_COMBINATION},
)
class SetPulseWidth(Change[PulseWidth], frozen=True):
    """Set the pulse width of one area of the active program."""

    area: U8
    pulse_width_us: U16


class Rate(Message, frozen=True):
    """The programmed pulse rate of an area, in millihertz."""

    area: U8
    rate_millihertz: U32
    revision: U32


@command(
    0x0306,
    role=Role.CLINICIAN,
    states=ADJUSTABLE,
    refusals={Status.OUT_OF_RANGE, Status.OFF_GRID, Status.UNSAFE_COMBINATION},
)
class SetRate(Change[Rate], frozen=True):
    """Set the pulse rate of one area of the active program."""

    area: U8
    rate_millihertz: U32


class Limits(Message, frozen=True):
    """The most that any area of any program may ask for."""

    amplitude_microamps: U32
    pulse_width_us: U16
    rate_millihertz: U32
    charge_per_phase_nanocoulombs: U32
    revision: U32


@command(0x0307, role=Role.OBSERVER)
class ReadLimits(Request[Limits], frozen=True):
    """Read the clinician's limits."""


@command(
    0x0308,
    role=Role.CLINICIAN,
    states=AWAKE - {State.RAMPING},
    refusals={Status.OUT_OF_RANGE, Status.OFF_GRID},
)
class WriteLimits(Change[Limits], frozen=True):
    """Set the clinician's limits: not above the model's, not below what a stored program uses, not during a ramp."""

    amplitude_microamps: U32
    pulse_width_us: U16
    rate_millihertz: U32
    charge_per_phase_nanocoulombs: U32


class TherapyFlag(IntFlag):
    """What an area's output is doing."""

    RUNNING = 1
    RAMPING = 2
    CYCLE_OFF = 4
    COMPLIANCE_LIMITED = 8
    CLOSED_LOOP = 16
    DOSE_OVER = 32


class AreaTherapy(Message, frozen=True):
    """What one area of the active program is told to deliver, and what it delivers at this moment.

    `delivered_microamps` is 0 while therapy is off. `deliverable_microamps` is the compliance limit at this pulse width.
    Charge (of stimulating phases), on-time, pulses, and energy (into the load) count from the last start.
    `residual_nanocoulombs` is the charge that recharge leaves behind at the contacts, with pulses of this moment's size.
    """

    area: U8
    pulse_width_us: U16
    flags: TherapyFlag
    programmed_microamps: U32
    delivered_microamps: U32
    deliverable_microamps: U32
    rate_millihertz: U32
    on_time_seconds: U32
    charge_microcoulombs: U64
    pulses: U64
    energy_microjoules: U64
    residual_nanocoulombs: U32


@command(0x0309, role=Role.OBSERVER, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION})
class ReadTherapy(Request[AreaTherapy], frozen=True):
    """Read what one area of the active program is programmed to and what it delivers."""

    area: U8


class ScheduleRow(Message, frozen=True):
    """Once a day at `minute_of_day` (UTC, 0 to 1439), select `program` and deliver it for `duration_minutes`."""

    minute_of_day: U16
    duration_minutes: U16
    program: U8


class Schedule(Message, frozen=True):
    """The daily schedule, its rows by time of day; without rows there is none."""

    revision: U32
    rows: tuple[ScheduleRow, ...]


@command(0x030A, role=Role.OBSERVER, optional=True)
class ReadSchedule(Request[Schedule], frozen=True):
    """Read the daily schedule."""


@command(
    0x030B, role=Role.CLINICIAN, states=ADJUSTABLE, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION}, optional=True
)
class WriteSchedule(Change[Schedule], frozen=True):
    """Replace the daily schedule. It runs once the clock is set. Rows that overlap are UNSAFE_COMBINATION."""

    rows: tuple[ScheduleRow, ...]


@unique
class TherapyCause(IntEnum):
    """What changed the state of therapy."""

    COMMAND = 0
    RAMP_FINISHED = 1
    MEASUREMENT = 2
    FAULT = 3
    BATTERY = 4
    SCHEDULE = 5
    DOSE_OVER = 6
    MAGNET = 7
    MRI_MODE = 8
    HOST_SILENT = 9
    RESET = 10


@event(0x8301)
class TherapyStateChanged(Message, frozen=True):
    """The state went from `previous` to `state`."""

    previous: State
    state: State
    cause: TherapyCause


@event(0x8302)
class AmplitudeChanged(Message, frozen=True):
    """An amplitude of the active program was changed, in microamperes."""

    area: U8
    amplitude_microamps: U32
    revision: U32
