"""What the device tells a host of itself, so that a host needs no catalogue of its own."""

from __future__ import annotations

from ipg_protocol.command import CATALOGUE
from ipg_protocol.commands.link import Capability, CapabilityRow
from ipg_protocol.commands.programs import CASE_CONTACT, Waveform

from ipg_emulator.model import DeviceModel

_RANGES = {
    Capability.AMPLITUDE_MICROAMPS: "amplitude_microamps",
    Capability.PULSE_WIDTH_US: "pulse_width_us",
    Capability.RATE_MILLIHERTZ: "rate_millihertz",
    Capability.RAMP_SECONDS: "ramp_seconds",
    Capability.CYCLE_ON_SECONDS: "cycle_on_seconds",
    Capability.CYCLE_OFF_SECONDS: "cycle_off_seconds",
}


def capability_rows(model: DeviceModel) -> tuple[CapabilityRow, ...]:
    """Every row: contacts, choices, ranges, single figures."""
    return (*_contacts(model), *_choices(model), *_ranges(model), *_figures(model))


def _contacts(model: DeviceModel) -> list[CapabilityRow]:
    rows = [
        CapabilityRow(Capability.CONTACT, number, contact.lead, contact.position, round(contact.area_square_millimetres * 100))
        for number, contact in enumerate(model.contacts)
    ]
    return rows + [CapabilityRow(Capability.CONTACT, CASE_CONTACT, 0, 0, 0)] * model.has_case


def _choices(model: DeviceModel) -> list[CapabilityRow]:
    output = model.output
    waveforms = [
        CapabilityRow(Capability.WAVEFORM, Waveform[name], output.recharge_phases, output.interphase_us, 0)
        for name in model.waveforms
    ]
    commands = [CapabilityRow(Capability.COMMAND, opcode, 0, 0, 0) for opcode in sorted(CATALOGUE)]
    return waveforms + commands


def _ranges(model: DeviceModel) -> list[CapabilityRow]:
    return [
        CapabilityRow(capability, number, segment.minimum, segment.maximum, segment.step)
        for capability, name in _RANGES.items()
        for number, segment in enumerate(getattr(model.ranges, name).segments)
    ]


def _figures(model: DeviceModel) -> list[CapabilityRow]:
    limits, test = model.limits, model.impedance
    figures = {
        Capability.PROGRAM_SLOTS: model.program_slots,
        Capability.AREAS_PER_PROGRAM: model.areas_per_program,
        Capability.CHARGE_PER_PHASE_NANOCOULOMBS: limits.charge_per_phase_nanocoulombs.value,
        Capability.CONTACT_CURRENT_MICROAMPS: limits.contact_current_microamps.value,
        Capability.SUM_OF_RATES_MILLIHERTZ: limits.sum_of_rates_millihertz.value,
        Capability.COMPLIANCE_MILLIVOLTS: model.output.compliance_millivolts,
        Capability.OPEN_ABOVE_OHMS: test.open_above_ohms,
        Capability.SHORT_BELOW_OHMS: test.short_below_ohms,
        Capability.STOP_RAMP_MS: model.timing.stop_ramp_ms,
        Capability.RECHARGEABLE_BATTERY: int(model.battery.rechargeable),
        Capability.LOG_ENTRIES: model.log_entries,
    }
    return [CapabilityRow(capability, 0, 0, value, 1) for capability, value in figures.items()]
