"""A device model: everything that makes one device differ from another, as data read from TOML and checked on the way in."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from enum import StrEnum, unique
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, Waveform

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


class ModelError(ValueError):
    """A model file cannot be used; the text names the file, the field, and what is allowed."""


@unique
class Confidence(StrEnum):
    """Where a figure comes from: read in the named source, computed from such figures, our own design, or unverified."""

    READ = "read"
    COMPUTED = "computed"
    DESIGN = "design"
    UNVERIFIED = "unverified"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TOML table whose keys are all known."""


class Segment(Table, frozen=True):
    """A stretch of a range with one step."""

    minimum: Count
    maximum: Count
    step: Positive

    def __post_init__(self) -> None:
        if self.maximum < self.minimum or (self.maximum - self.minimum) % self.step:
            raise ValueError(f"maximum {self.maximum} is not minimum {self.minimum} plus whole steps of {self.step}")


class Range(Table, frozen=True):
    """The values a parameter may take, in segments of rising value, and where the figures come from."""

    segments: Annotated[tuple[Segment, ...], msgspec.Meta(min_length=1)]
    source: str
    confidence: Confidence

    def __post_init__(self) -> None:
        for below, above in zip(self.segments, self.segments[1:], strict=False):
            if above.minimum <= below.maximum:
                raise ValueError(f"segment from {above.minimum} overlaps the one up to {below.maximum}")

    @property
    def minimum(self) -> int:
        return self.segments[0].minimum

    @property
    def maximum(self) -> int:
        return self.segments[-1].maximum

    def values(self) -> Iterator[int]:
        """Every value of the grid, rising."""
        for segment in self.segments:
            yield from range(segment.minimum, segment.maximum + 1, segment.step)

    def step_at(self, value: int) -> int:
        """The step of the segment that `value` is in or, between segments, of the one above."""
        return next((s.step for s in self.segments if value <= s.maximum), self.segments[-1].step)

    def nearest(self, value: int) -> int:
        """The value of the grid nearest to `value`; the lower one of two equally near."""
        candidates: list[int] = []
        for s in self.segments:
            inside = min(max(value, s.minimum), s.maximum)
            below = inside - (inside - s.minimum) % s.step
            candidates += [below, min(below + s.step, s.maximum)]
        return min(candidates, key=lambda candidate: (abs(candidate - value), candidate))

    def step_from(self, value: int, steps: int) -> int | None:
        """The value `steps` places up or down the grid from `value`, or None past its end."""
        grid = list(self.values())
        place = grid.index(value) + steps
        return grid[place] if 0 <= place < len(grid) else None


class Contact(Table, frozen=True):
    """One electrode contact: the lead it is on, its place on it counted from the tip (0), its area."""

    lead: Byte
    position: Byte
    area_square_millimetres: PositiveFloat


class Ranges(Table, frozen=True):
    """What may be programmed."""

    amplitude_microamps: Range
    pulse_width_us: Range
    rate_millihertz: Range
    ramp_seconds: Range
    cycle_on_seconds: Range
    cycle_off_seconds: Range
    """Cycle values exclude 0; both 0 means continuous and is always allowed."""


class Figure(Table, frozen=True):
    """One figure and where it comes from."""

    value: Count
    source: str
    confidence: Confidence


class HardLimits(Table, frozen=True):
    """What no role and no program can exceed."""

    charge_per_phase_nanocoulombs: Figure
    contact_current_microamps: Figure
    sum_of_rates_millihertz: Figure


class Timing(Table, frozen=True):
    """How long the firmware takes."""

    boot_ms: Count
    stop_ramp_ms: Count
    measure_pair_ms: Positive
    session_idle_ms: Positive
    battery_check_ms: Positive
    source: str
    confidence: Confidence


class ImpedanceTest(Table, frozen=True):
    """The test pulse, and how its result is judged. An open pair reads `open_reads_ohms`."""

    test_current_microamps: Positive
    test_pulse_us: Positive
    noise_permille: Count
    open_above_ohms: Positive
    open_reads_ohms: Positive
    short_below_ohms: Count
    source: str
    confidence: Confidence


class OutputStage(Table, frozen=True):
    """The current source: the most voltage it has, what it drops itself, and what a pulse costs it."""

    compliance_millivolts: Positive
    headroom_millivolts: Count
    recharge_phases: Positive
    """How many pulse widths a pulse occupies beside its stimulating phase while charge is recovered."""
    interphase_us: Count
    converter_efficiency_permille: Positive
    pulse_overhead_nanocoulombs: Count
    """Battery charge that each pulse costs beside what it delivers."""
    source: str
    confidence: Confidence


class VoltagePoint(Table, frozen=True):
    """Open-circuit voltage at a depth of discharge."""

    depth_permille: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    millivolts: Positive


class BatteryCell(Table, frozen=True):
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
    source: str
    confidence: Confidence


class ElectrodeFigures(Table, frozen=True):
    """The electrode interface and what lies round it. Access resistances vary from contact to contact by the spread."""

    lead_ohms: Count
    access_ohms: Positive
    access_spread_permille: Count
    case_ohms: Count
    double_layer_microfarads_per_square_centimetre: PositiveFloat
    faradaic_ohms_square_centimetre: PositiveFloat
    source: str
    confidence: Confidence


class Safety(Table, frozen=True):
    """When firmware latches a fault by itself."""

    over_temperature_millicelsius: Positive
    source: str
    confidence: Confidence


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
            ContactShare(CASE_CONTACT if name == "case" else int(name), permille) for name, permille in self.contacts.items()
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
    waveforms: tuple[str, ...]
    contacts: tuple[Contact, ...]
    ranges: Ranges
    limits: HardLimits
    timing: Timing
    impedance: ImpedanceTest
    output: OutputStage
    battery: BatteryCell
    electrode: ElectrodeFigures
    safety: Safety
    programs: tuple[DefaultProgram, ...]


_SHIPPED = files("ipg_emulator") / "models"


def names() -> list[str]:
    """The models that are shipped, sorted."""
    return sorted(entry.name.removesuffix(".toml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".toml"))


def load(name_or_path: str) -> DeviceModel:
    """A shipped model by name, or a model file by path (anything that ends in `.toml`).

    Raises:
        ModelError: there is no such model, or the file does not describe one.
    """
    if name_or_path.endswith(".toml"):
        try:
            return parse(Path(name_or_path).read_text(), name_or_path)
        except OSError as error:
            raise ModelError(f"{name_or_path}: {error.strerror}") from error
    if name_or_path not in names():
        raise ModelError(f"unknown model {name_or_path!r}; known: {', '.join(names())}, or the path of a .toml file")
    return parse((_SHIPPED / f"{name_or_path}.toml").read_text(), f"{name_or_path}.toml")


def parse(text: str, origin: str) -> DeviceModel:
    """The model that TOML text describes; `origin` names it in errors.

    Raises:
        ModelError: names the field and what is allowed there.
    """
    try:
        return msgspec.convert(tomllib.loads(text), DeviceModel)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ModelError(f"{origin}: {error}") from error
