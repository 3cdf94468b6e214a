"""What a device has and can do, read once: the pages of GET_CAPABILITIES as one typed object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from ipg_protocol.commands.link import Capability, CapabilityRow
from ipg_protocol.commands.programs import CASE_CONTACT, Waveform

from ipg_host.units import AmplitudeUnit


class Contact(msgspec.Struct, frozen=True):
    """One electrode contact: the lead it is on and its place on it, counted from the tip (0). The case is contact 255."""

    contact: int
    lead: int
    position: int
    area_square_millimetres: float


class Segment(msgspec.Struct, frozen=True):
    """A stretch of a range with one step; in the range's unit."""

    minimum: int
    maximum: int
    step: int


class WaveformTiming(msgspec.Struct, frozen=True):
    """A waveform the device has, and what its pulse occupies beside the stimulating phase."""

    waveform: Waveform
    recharge_phases: int
    interphase_us: int
    recharge_us: int


class Capabilities(msgspec.Struct, frozen=True):
    """What a device has and can do. Ranges come in segments of rising value, each with its own step.

    Each range and each figure is the capability of that name. A limit of 0 is one that the device does not have.
    """

    contacts: tuple[Contact, ...]
    waveforms: tuple[WaveformTiming, ...]
    opcodes: tuple[int, ...]
    amplitude_unit: AmplitudeUnit
    rechargeable_battery: bool
    therapy_after_reset: bool
    amplitude_microamps: tuple[Segment, ...]
    pulse_width_us: tuple[Segment, ...]
    rate_millihertz: tuple[Segment, ...]
    burst_pulses: tuple[Segment, ...]
    intra_burst_millihertz: tuple[Segment, ...]
    ramp_seconds: tuple[Segment, ...]
    cycle_on_seconds: tuple[Segment, ...]
    cycle_off_seconds: tuple[Segment, ...]
    dose_seconds: tuple[Segment, ...]
    program_slots: int
    areas_per_program: int
    charge_per_phase_nanocoulombs: int
    charge_density_nanocoulombs_per_square_millimetre: int
    shannon_k_permille: int
    contact_current_microamps: int
    sum_of_rates_millihertz: int
    dose_charge_microcoulombs: int
    doses_per_day: int
    use_period_days: int
    compliance_millivolts: int
    open_above_ohms: int
    short_below_ohms: int
    stop_ramp_ms: int
    host_silence_ms: int
    log_entries: int
    schedule_rows: int
    mri_minutes: int
    checkpoints: int
    feedback_target_microvolts: int
    feedback_gain_permille: int

    @property
    def has_case(self) -> bool:
        return any(contact.contact == CASE_CONTACT for contact in self.contacts)


def _contact(row: CapabilityRow) -> Contact:
    return Contact(row.index, row.minimum, row.maximum, row.step / 100)


def _waveform(row: CapabilityRow) -> WaveformTiming:
    return WaveformTiming(Waveform(row.index), row.minimum, row.maximum, row.step)


def _segments(rows: Sequence[CapabilityRow]) -> tuple[Segment, ...]:
    return tuple(Segment(row.minimum, row.maximum, row.step) for row in rows)


def _figure(rows: Sequence[CapabilityRow]) -> int:
    return rows[0].maximum if rows else 0


_RANGES = tuple(field.name for field in msgspec.structs.fields(Capabilities) if field.type == tuple[Segment, ...])
_FIGURES = tuple(field.name for field in msgspec.structs.fields(Capabilities) if field.type is int)


def capabilities_from(rows: Iterable[CapabilityRow]) -> Capabilities:
    """The rows, sorted by what they speak of. What a device does not list is empty or 0."""
    by_kind: dict[Capability, list[CapabilityRow]] = {kind: [] for kind in Capability}
    for row in rows:
        by_kind[row.capability].append(row)
    ranges: dict[str, Any] = {name: _segments(by_kind[Capability[name.upper()]]) for name in _RANGES}
    figures: dict[str, Any] = {name: _figure(by_kind[Capability[name.upper()]]) for name in _FIGURES}
    return Capabilities(
        contacts=tuple(_contact(row) for row in by_kind[Capability.CONTACT]),
        waveforms=tuple(_waveform(row) for row in by_kind[Capability.WAVEFORM]),
        opcodes=tuple(row.index for row in by_kind[Capability.COMMAND]),
        amplitude_unit=AmplitudeUnit(_figure(by_kind[Capability.AMPLITUDE_UNIT])),
        rechargeable_battery=bool(_figure(by_kind[Capability.RECHARGEABLE_BATTERY])),
        therapy_after_reset=bool(_figure(by_kind[Capability.THERAPY_AFTER_RESET])),
        **ranges,
        **figures,
    )
