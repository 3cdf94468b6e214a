"""Refusals: each status but OK has one layout of detail that a program can act on."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.vocabulary import BatteryTier, FaultCode, Role, State, Status
from ipg_protocol.wire import I32, U8, U16, U32, Message

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
    CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE = 11
    SHANNON_K_PERMILLE = 12
    AREAS_OVERLAP_US = 13
    BURST_WITHOUT_RATE_MILLIHERTZ = 14
    DOSE_CHARGE_MICROCOULOMBS = 15
    DOSES_PER_DAY = 16
    SCHEDULE_OVERLAP_MINUTES = 17
    IMPEDANCE_NOT_MEASURED = 18
    FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS = 19


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
