"""A device model: everything that makes one device differ from another, as data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, Waveform

from ipg_emulator.model.ranges import Count, Figure, Figures, Permille, Positive, PositiveFloat, Range, Table

CASE = "case"
"""How a model file names the case where it names a contact."""


class Contact(Table, frozen=True):
    """One electrode contact: the lead it is on, its place on it counted from the tip (0), its area."""

    lead: int
    position: int
    area_square_millimetres: float


class Lead(Figures, frozen=True):
    """One lead: the area of each of its contacts, from the tip on."""

    contact_areas_square_millimetres: Annotated[tuple[PositiveFloat, ...], msgspec.Meta(min_length=1)]


class Ranges(Table, frozen=True):
    """What may be programmed. Cycle values exclude 0; both 0 means continuous and is always allowed."""

    amplitude_microamps: Range
    pulse_width_us: Range
    rate_millihertz: Range
    ramp_seconds: Range
    cycle_on_seconds: Range
    cycle_off_seconds: Range


class HardLimits(Table, frozen=True):
    """What no role and no program can exceed."""

    charge_per_phase_nanocoulombs: Figure
    contact_current_microamps: Figure
    sum_of_rates_millihertz: Figure


class Timing(Figures, frozen=True):
    """How long the firmware takes."""

    boot_ms: Count
    stop_ramp_ms: Count
    measure_pair_ms: Positive
    session_idle_ms: Positive
    battery_check_ms: Positive


class ImpedanceTest(Figures, frozen=True):
    """The test pulse, and how its result is judged. An open pair reads `open_reads_ohms`."""

    test_current_microamps: Positive
    test_pulse_us: Positive
    noise_permille: Count
    open_above_ohms: Positive
    open_reads_ohms: Positive
    short_below_ohms: Count


class OutputStage(Figures, frozen=True):
    """The current source: the most voltage it has, what it drops itself, and what a pulse costs it."""

    compliance_millivolts: Positive
    headroom_millivolts: Count
    supply_margin_millivolts: Count
    """How far the supply is held above what the worst area needs; paid for in battery charge."""
    recharge_phases: Positive
    """How many pulse widths a pulse occupies beside its stimulating phase while charge is recovered."""
    interphase_us: Count
    converter_efficiency_permille: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    pulse_overhead_nanocoulombs: Count
    """Battery charge that each pulse costs beside what it delivers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.headroom_millivolts >= self.compliance_millivolts:
            raise ValueError(f"headroom_millivolts must be below compliance_millivolts ({self.compliance_millivolts})")


class VoltagePoint(Table, frozen=True):
    """Open-circuit voltage at a depth of discharge."""

    depth_permille: Permille
    millivolts: Positive


class BatteryCell(Figures, frozen=True):
    """The cell, its thresholds, and what the electronics take from it."""

    rechargeable: bool
    capacity_milliamp_hours: PositiveFloat
    internal_milliohms: Count
    open_circuit: Annotated[tuple[VoltagePoint, ...], msgspec.Meta(min_length=2)]
    low_millivolts: Positive
    eri_millivolts: Positive
    eos_millivolts: Positive
    consecutive_readings: Positive
    idle_nanoamps: Count
    shelf_nanoamps: Count
    telemetry_nanocoulombs_per_byte: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.eos_millivolts < self.eri_millivolts < self.low_millivolts:
            raise ValueError("thresholds must rise: eos_millivolts < eri_millivolts < low_millivolts")
        if self.open_circuit[0].depth_permille != 0 or self.open_circuit[-1].depth_permille != 1000:
            raise ValueError("open_circuit must go from depth_permille 0 to 1000")
        for before, after in pairwise(self.open_circuit):
            if after.depth_permille <= before.depth_permille or after.millivolts >= before.millivolts:
                raise ValueError(f"open_circuit must rise in depth and fall in voltage after depth {before.depth_permille}")


class ElectrodeFigures(Figures, frozen=True):
    """The electrode interface and what lies round it. Access resistances vary from contact to contact by the spread."""

    lead_ohms: Count
    access_ohms: Positive
    access_spread_permille: Count
    case_ohms: Count
    case_area_square_millimetres: PositiveFloat
    double_layer_microfarads_per_square_centimetre: PositiveFloat
    faradaic_ohms_square_centimetre: PositiveFloat


class Safety(Figures, frozen=True):
    """When firmware latches a fault by itself."""

    over_temperature_millicelsius: Positive


class DefaultArea(Table, frozen=True):
    """One area of a program the device leaves the factory with; `contacts` maps contact (or "case") to permille."""

    waveform: str
    amplitude_microamps: Count
    pulse_width_us: Positive
    rate_millihertz: Positive
    ramp_seconds: Count
    patient_minimum_microamps: Count
    patient_maximum_microamps: Count
    contacts: dict[str, int]
    cycle_on_seconds: Count = 0
    cycle_off_seconds: Count = 0

    def settings(self, area: int) -> AreaSettings:
        """The same as the protocol's message."""
        shares = tuple(
            ContactShare(CASE_CONTACT if name == CASE else int(name), permille) for name, permille in self.contacts.items()
        )
        return AreaSettings(
            area=area,
            waveform=Waveform[self.waveform],
            ramp_seconds=self.ramp_seconds,
            pulse_width_us=self.pulse_width_us,
            amplitude_microamps=self.amplitude_microamps,
            rate_millihertz=self.rate_millihertz,
            cycle_on_seconds=self.cycle_on_seconds,
            cycle_off_seconds=self.cycle_off_seconds,
            patient_minimum_microamps=self.patient_minimum_microamps,
            patient_maximum_microamps=self.patient_maximum_microamps,
            contacts=shares,
        )


class DefaultProgram(Table, frozen=True):
    """A program the device leaves the factory with."""

    name: Annotated[str, msgspec.Meta(max_length=16)]
    areas: Annotated[tuple[DefaultArea, ...], msgspec.Meta(min_length=1, max_length=4)]


class DeviceModel(Table, frozen=True):
    """A whole device model."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,32}$")]
    title: str
    therapy: str
    has_case: bool
    program_slots: Annotated[int, msgspec.Meta(ge=1, le=254)]
    areas_per_program: Annotated[int, msgspec.Meta(ge=1, le=4)]
    log_entries: Positive
    waveforms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    leads: Annotated[tuple[Lead, ...], msgspec.Meta(min_length=1)]
    ranges: Ranges
    limits: HardLimits
    timing: Timing
    impedance: ImpedanceTest
    output: OutputStage
    battery: BatteryCell
    electrode: ElectrodeFigures
    safety: Safety
    programs: Annotated[tuple[DefaultProgram, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Every contact; its place here is its number."""
        return tuple(
            Contact(number, position, area)
            for number, lead in enumerate(self.leads)
            for position, area in enumerate(lead.contact_areas_square_millimetres)
        )

    def _problems(self) -> Iterator[str]:
        """What is wrong between the tables, each as `field: what is allowed`."""
        count = len(self.contacts)
        if not 2 <= count <= 253:
            yield f"leads: 2 to 253 contacts, got {count}"
        known = list(Waveform.__members__)
        for index, waveform in enumerate(self.waveforms):
            if waveform not in known:
                yield f"waveforms[{index}]: {waveform!r} is none of {', '.join(known)}"
        if len(self.programs) > self.program_slots:
            yield f"programs: at most program_slots ({self.program_slots}), got {len(self.programs)}"
        for index, program in enumerate(self.programs):
            if len(program.areas) > self.areas_per_program:
                yield f"programs[{index}].areas: at most areas_per_program ({self.areas_per_program}), got {len(program.areas)}"
            for place, area in enumerate(program.areas):
                yield from self._area_problems(area, f"programs[{index}].areas[{place}]")

    def _area_problems(self, area: DefaultArea, path: str) -> Iterator[str]:
        if area.waveform not in self.waveforms:
            yield f"{path}.waveform: {area.waveform!r} is none of {', '.join(self.waveforms)}"
        count = len(self.contacts)
        allowed = [str(number) for number in range(count)] + [CASE] * self.has_case
        for name in area.contacts:
            if name not in allowed:
                yield f"{path}.contacts: {name!r} is none of 0 to {count - 1}{' or case' if self.has_case else ''}"
