"""A device model: everything that makes one device differ from another, as data."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, Waveform

from ipg_emulator.model.hardware import (
    AfterReset,
    BatteryCell,
    Charging,
    ElectrodeFigures,
    ImpedanceTest,
    Magnet,
    MriMode,
    NerveFigures,
    OutputStage,
    Safety,
    Sensing,
    Shape,
    Supply,
    Timing,
)
from ipg_emulator.model.ranges import (
    Confidence,
    Count,
    Figure,
    Figures,
    Positive,
    PositiveFloat,
    Range,
    Segment,
    Source,
    Table,
)

CASE = "case"
"""How a model file names the case where it names a contact."""


class Contact(Table, frozen=True):
    """One electrode contact: the lead it is on, its place on it counted from the tip (0), its area."""

    lead: int
    position: int
    area_square_millimetres: float


class Lead(Figures, frozen=True):
    """So many leads alike: the area of each contact of one of them, from the tip on."""

    contact_areas_square_millimetres: Annotated[tuple[PositiveFloat, ...], msgspec.Meta(min_length=1)]
    count: Positive = 1


def _only(value: int) -> Range:
    return Range((Segment(value, value, 1),), "a device without this feature", Confidence.DESIGN)


class Ranges(Table, frozen=True):
    """What may be programmed. Cycle values exclude 0; both 0 means continuous and is always allowed. So does a dose of 0."""

    amplitude_microamps: Range
    pulse_width_us: Range
    rate_millihertz: Range
    ramp_seconds: Range
    cycle_on_seconds: Range
    cycle_off_seconds: Range
    burst_pulses: Range = _only(1)
    intra_burst_millihertz: Range = _only(0)
    dose_seconds: Range = _only(0)


class HardLimits(Table, frozen=True):
    """What no role and no program can exceed."""

    charge_per_phase_nanocoulombs: Figure
    charge_density_nanocoulombs_per_square_millimetre: Figure
    """Through any one contact, in one phase."""
    shannon_warn_permille: Figure
    """Shannon's k times 1000, above which the device warns; a contact's k is log10 of density (uC/cm2) times charge (uC)."""
    shannon_block_permille: Figure
    """Above this, a program is refused."""
    contact_current_microamps: Figure
    sum_of_rates_millihertz: Figure
    residual_charge_nanocoulombs: Figure
    """What recharge may leave behind at a contact."""
    dose_charge_microcoulombs: Figure | None = None
    """Of direct current: amplitude times dose."""
    doses_per_day: Figure | None = None
    use_period_days: Figure | None = None
    """How long after the first start of therapy the device may be used."""


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
    burst_pulses: Positive = 1
    intra_burst_millihertz: Count = 0
    cycle_on_seconds: Count = 0
    cycle_off_seconds: Count = 0
    dose_seconds: Count = 0

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
            burst_pulses=self.burst_pulses,
            intra_burst_millihertz=self.intra_burst_millihertz,
            cycle_on_seconds=self.cycle_on_seconds,
            cycle_off_seconds=self.cycle_off_seconds,
            dose_seconds=self.dose_seconds,
            patient_minimum_microamps=self.patient_minimum_microamps,
            patient_maximum_microamps=self.patient_maximum_microamps,
            contacts=shares,
        )


class DefaultProgram(Table, frozen=True):
    """A program the device leaves the factory with, and where its settings come from."""

    name: Annotated[str, msgspec.Meta(max_length=16)]
    source: Source
    confidence: Confidence
    areas: Annotated[tuple[DefaultArea, ...], msgspec.Meta(min_length=1, max_length=4)]


_RECOVERY = {
    Waveform.TONIC_ACTIVE_RECHARGE: "recharge_phases",
    Waveform.TONIC_ASYMMETRIC_RECHARGE: "recharge_phases",
    Waveform.TONIC_PASSIVE_RECHARGE: "recharge_us",
    Waveform.BURST_PASSIVE_RECHARGE: "recharge_us",
}
"""What says how a waveform recovers its charge; the others recover it by themselves, or not at all."""


def _shape_problems(shape: Shape, path: str) -> Iterator[str]:
    if shape.name not in Waveform.__members__:
        yield f"{path}.name: {shape.name!r} is none of {', '.join(Waveform.__members__)}"
        return
    needed = _RECOVERY.get(Waveform[shape.name])
    if needed and not getattr(shape, needed):
        yield f"{path}.{needed}: at least 1, as {shape.name} recovers its charge by it"


class DeviceModel(Figures, frozen=True, dict=True):
    """A whole device model. Its own source is that of what stands beside the tables: slots, areas, log, case, and
    what is said of schedule and resets.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9-]{1,32}$")]
    title: str
    therapy: str
    has_case: bool
    program_slots: Annotated[int, msgspec.Meta(ge=1, le=254)]
    areas_per_program: Annotated[int, msgspec.Meta(ge=1, le=4)]
    log_entries: Positive
    therapy_after_reset: AfterReset
    waveforms: Annotated[tuple[Shape, ...], msgspec.Meta(min_length=1)]
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
    schedule_rows: Annotated[int, msgspec.Meta(ge=0, le=32)] = 0
    charging: Charging | None = None
    magnet: Magnet | None = None
    mri: MriMode | None = None
    sensing: Sensing | None = None
    nerve: NerveFigures | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for problem in self._problems():
            raise ValueError(problem)

    @cached_property
    def contacts(self) -> tuple[Contact, ...]:
        """Every contact; its place here is its number."""
        return tuple(
            Contact(number, position, area)
            for number, lead in enumerate(lead for alike in self.leads for lead in [alike] * alike.count)
            for position, area in enumerate(lead.contact_areas_square_millimetres)
        )

    def shape(self, waveform: Waveform) -> Shape:
        """How this device makes a waveform that it has."""
        return self._shapes[waveform.name]

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return {shape.name: shape for shape in self.waveforms}

    @property
    def is_magnetic(self) -> bool:
        """Whether the output is a coil, and amplitudes are permille of its maximum."""
        return any(shape.name == Waveform.MAGNETIC_BIPHASIC.name for shape in self.waveforms)

    def _problems(self) -> Iterator[str]:
        """What is wrong between the tables, each as `field: what is allowed`."""
        count = len(self.contacts)
        if not 2 <= count <= 253:
            yield f"leads: 2 to 253 contacts, got {count}"
        for index, shape in enumerate(self.waveforms):
            yield from _shape_problems(shape, f"waveforms[{index}]")
        if self.battery.supply is Supply.RECHARGEABLE and self.charging is None:
            yield "charging: a rechargeable device says how it is charged"
        if self.sensing is not None and self.nerve is None:
            yield "nerve: a device that senses says how the nerve answers"
        if self.limits.shannon_warn_permille.value > self.limits.shannon_block_permille.value:
            yield f"limits.shannon_warn_permille: at most shannon_block_permille ({self.limits.shannon_block_permille.value})"
        if self.magnet is not None:
            yield from self._boost_problems(self.magnet)
        if len(self.programs) > self.program_slots:
            yield f"programs: at most program_slots ({self.program_slots}), got {len(self.programs)}"
        for index, program in enumerate(self.programs):
            if len(program.areas) > self.areas_per_program:
                yield f"programs[{index}].areas: at most areas_per_program ({self.areas_per_program}), got {len(program.areas)}"
            for place, area in enumerate(program.areas):
                yield from self._area_problems(area, f"programs[{index}].areas[{place}]")

    def _boost_problems(self, magnet: Magnet) -> Iterator[str]:
        if not magnet.boosts:
            return
        if magnet.boost_program >= len(self.programs):
            yield f"magnet.boost_program: 0 to {len(self.programs) - 1}, got {magnet.boost_program}"
        elif not all(area.dose_seconds for area in self.programs[magnet.boost_program].areas):
            yield f"programs[{magnet.boost_program}].areas: dose_seconds, as the magnet's boost ends with the dose"

    def _area_problems(self, area: DefaultArea, path: str) -> Iterator[str]:
        names = [shape.name for shape in self.waveforms]
        if area.waveform not in names:
            yield f"{path}.waveform: {area.waveform!r} is none of {', '.join(names)}"
        count = len(self.contacts)
        allowed = [str(number) for number in range(count)] + [CASE] * self.has_case
        for name in area.contacts:
            if name not in allowed:
                yield f"{path}.contacts: {name!r} is none of 0 to {count - 1}{' or case' if self.has_case else ''}"
