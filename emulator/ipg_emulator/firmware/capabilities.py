"""What the device tells a host of itself, so that a host needs no catalogue of its own."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol.command import CATALOGUE
from ipg_protocol.commands.link import Capability, CapabilityRow
from ipg_protocol.commands.measurement import MeasureImpedance, ReadImpedance
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode
from ipg_protocol.commands.power import GetCharging
from ipg_protocol.commands.programs import CASE_CONTACT, Waveform
from ipg_protocol.commands.sensing import (
    GetFeedbackStatus,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    StopEcapStream,
    WriteFeedback,
)
from ipg_protocol.commands.therapy import ReadSchedule, WriteSchedule
from ipg_protocol.wire import Message

from ipg_emulator.firmware.configuration import CHECKPOINTS
from ipg_emulator.model import AfterReset, DeviceModel, Supply

_RANGES = {
    Capability.AMPLITUDE_MICROAMPS: "amplitude_microamps",
    Capability.PULSE_WIDTH_US: "pulse_width_us",
    Capability.RATE_MILLIHERTZ: "rate_millihertz",
    Capability.RAMP_SECONDS: "ramp_seconds",
    Capability.CYCLE_ON_SECONDS: "cycle_on_seconds",
    Capability.CYCLE_OFF_SECONDS: "cycle_off_seconds",
    Capability.BURST_PULSES: "burst_pulses",
    Capability.INTRA_BURST_MILLIHERTZ: "intra_burst_millihertz",
    Capability.DOSE_SECONDS: "dose_seconds",
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


_OPTIONAL: dict[type[Message], Callable[[DeviceModel], object]] = {
    MeasureImpedance: lambda model: not model.is_magnetic,
    ReadImpedance: lambda model: not model.is_magnetic,
    ReadSchedule: lambda model: model.schedule_rows,
    WriteSchedule: lambda model: model.schedule_rows,
    GetCharging: lambda model: model.charging,
    RecordEcap: lambda model: model.sensing,
    ReadFeedback: lambda model: model.sensing,
    WriteFeedback: lambda model: model.sensing,
    GetFeedbackStatus: lambda model: model.sensing,
    StartEcapStream: lambda model: model.sensing,
    StopEcapStream: lambda model: model.sensing,
    EnterMriMode: lambda model: model.mri,
    LeaveMriMode: lambda model: model.mri,
}
"""What a model must have for it to take an optional command."""


def supported_commands(model: DeviceModel) -> frozenset[int]:
    """The opcodes of the commands that a model has."""
    return frozenset(opcode for opcode, entry in CATALOGUE.items() if not entry.optional or _OPTIONAL[entry.request](model))


def _choices(model: DeviceModel) -> list[CapabilityRow]:
    waveforms = [
        CapabilityRow(Capability.WAVEFORM, Waveform[s.name], s.recharge_phases, s.interphase_us, s.recharge_us)
        for s in model.waveforms
    ]
    commands = [CapabilityRow(Capability.COMMAND, opcode, 0, 0, 0) for opcode in sorted(supported_commands(model))]
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
        Capability.RECHARGEABLE_BATTERY: int(model.battery.supply is Supply.RECHARGEABLE),
        Capability.LOG_ENTRIES: model.log_entries,
        Capability.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE: (
            limits.charge_density_nanocoulombs_per_square_millimetre.value
        ),
        Capability.SHANNON_K_PERMILLE: limits.shannon_block_permille.value,
        Capability.AMPLITUDE_UNIT: int(model.is_magnetic),
        Capability.HOST_SILENCE_MS: model.timing.host_silence_ms,
        Capability.SCHEDULE_ROWS: model.schedule_rows,
        Capability.DOSES_PER_DAY: limits.doses_per_day.value if limits.doses_per_day else 0,
        Capability.DOSE_CHARGE_MICROCOULOMBS: limits.dose_charge_microcoulombs.value if limits.dose_charge_microcoulombs else 0,
        Capability.USE_PERIOD_DAYS: limits.use_period_days.value if limits.use_period_days else 0,
        Capability.FEEDBACK_TARGET_MICROVOLTS: model.sensing.maximum_target_microvolts if model.sensing else 0,
        Capability.FEEDBACK_GAIN_PERMILLE: model.sensing.maximum_gain_permille if model.sensing else 0,
        Capability.INDEPENDENT_LEADS: int(model.output.independent_leads),
        Capability.MRI_MINUTES: model.mri.maximum_minutes if model.mri else 0,
        Capability.CHECKPOINTS: CHECKPOINTS,
        Capability.THERAPY_AFTER_RESET: int(model.therapy_after_reset is AfterReset.RESUME),
    }
    return [CapabilityRow(capability, 0, 0, value, 1) for capability, value in figures.items()]
