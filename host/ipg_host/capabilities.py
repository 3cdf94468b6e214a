"""What a device has and can do, read once: the pages of GET_CAPABILITIES as one typed object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from ipg_protocol.commands.link import Capability, CapabilityRow
from ipg_protocol.commands.programs import CASE_CONTACT, Waveform


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


class Capabilities(msgspec.Struct, frozen=True):
    """What a device has and can do. Ranges come in segments of rising value, each with its own step."""

    contacts: tuple[Contact, ...]
    waveforms: tuple[WaveformTiming, ...]
    opcodes: tuple[int, ...]
    program_slots: int
    areas_per_program: int
    amplitude_microamps: tuple[Segment, ...]
    pulse_width_us: tuple[Segment, ...]
    rate_millihertz: tuple[Segment, ...]
    ramp_seconds: tuple[Segment, ...]
    cycle_on_seconds: tuple[Segment, ...]
    cycle_off_seconds: tuple[Segment, ...]
    charge_per_phase_nanocoulombs: int
    contact_current_microamps: int
    sum_of_rates_millihertz: int
    compliance_millivolts: int
    open_above_ohms: int
    short_below_ohms: int
    stop_ramp_ms: int
    log_entries: int
    rechargeable_battery: bool

    @property
    def has_case(self) -> bool:
        return any(contact.contact == CASE_CONTACT for contact in self.contacts)


def _contact(row: CapabilityRow) -> Contact:
    return Contact(row.index, row.minimum, row.maximum, row.step / 100)


def _waveform(row: CapabilityRow) -> WaveformTiming:
    return WaveformTiming(Waveform(row.index), row.minimum, row.maximum)


def _segments(rows: Sequence[CapabilityRow]) -> tuple[Segment, ...]:
    return tuple(Segment(row.minimum, row.maximum, row.step) for row in rows)


def _figure(rows: Sequence[CapabilityRow]) -> int:
    return rows[0].maximum if rows else 0


def capabilities_from(rows: Iterable[CapabilityRow]) -> Capabilities:
    """The rows, sorted by what they speak of. What a device does not list is empty or 0."""
    by_kind: dict[Capability, list[CapabilityRow]] = {kind: [] for kind in Capability}
    for row in rows:
        by_kind[row.capability].append(row)
    return Capabilities(
        contacts=tuple(_contact(row) for row in by_kind[Capability.CONTACT]),
        waveforms=tuple(_waveform(row) for row in by_kind[Capability.WAVEFORM]),
        opcodes=tuple(row.index for row in by_kind[Capability.COMMAND]),
        program_slots=_figure(by_kind[Capability.PROGRAM_SLOTS]),
        areas_per_program=_figure(by_kind[Capability.AREAS_PER_PROGRAM]),
        amplitude_microamps=_segments(by_kind[Capability.AMPLITUDE_MICROAMPS]),
        pulse_width_us=_segments(by_kind[Capability.PULSE_WIDTH_US]),
        rate_millihertz=_segments(by_kind[Capability.RATE_MILLIHERTZ]),
        ramp_seconds=_segments(by_kind[Capability.RAMP_SECONDS]),
        cycle_on_seconds=_segments(by_kind[Capability.CYCLE_ON_SECONDS]),
        cycle_off_seconds=_segments(by_kind[Capability.CYCLE_OFF_SECONDS]),
        charge_per_phase_nanocoulombs=_figure(by_kind[Capability.CHARGE_PER_PHASE_NANOCOULOMBS]),
        contact_current_microamps=_figure(by_kind[Capability.CONTACT_CURRENT_MICROAMPS]),
        sum_of_rates_millihertz=_figure(by_kind[Capability.SUM_OF_RATES_MILLIHERTZ]),
        compliance_millivolts=_figure(by_kind[Capability.COMPLIANCE_MILLIVOLTS]),
        open_above_ohms=_figure(by_kind[Capability.OPEN_ABOVE_OHMS]),
        short_below_ohms=_figure(by_kind[Capability.SHORT_BELOW_OHMS]),
        stop_ramp_ms=_figure(by_kind[Capability.STOP_RAMP_MS]),
        log_entries=_figure(by_kind[Capability.LOG_ENTRIES]),
        rechargeable_battery=bool(_figure(by_kind[Capability.RECHARGEABLE_BATTERY])),
    )
