"""Renders the device catalogue as text. A figure that nobody has verified is never shown without saying so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from ipg_emulator.model import (
    BatteryCell,
    Confidence,
    DefaultArea,
    DeviceModel,
    Figures,
    Magnet,
    Provenance,
    Range,
    Segment,
    Table,
    load,
    names,
)

LEGEND = """\
read: stands in the named source. computed: follows from figures that were read. design: our own choice, of no device.
UNVERIFIED: general knowledge that was checked against no source; no fact of any device."""

_BESIDE_TABLES = ("has_case", "program_slots", "areas_per_program", "schedule_rows", "log_entries", "therapy_after_reset")
_SECTIONS = ("timing", "impedance", "output", "battery", "charging", "electrode", "safety", "magnet", "mri", "sensing", "nerve")
_FACT_COLUMNS = ("FIGURE", "VALUE", "CONFIDENCE", "SOURCE")
_PROGRAM_COLUMNS = ("PROGRAM", "AREA", "CONFIDENCE", "SOURCE", "SETTINGS")
_SUMMARY_COLUMNS = ("NAME", "CONTACTS", "SUPPLY", *(confidence.name for confidence in Confidence), "THERAPY")

Row = Sequence[str]


class Fact(NamedTuple):
    """One range or figure of a model. The unit stands in the name."""

    name: str
    value: str
    origin: Provenance

    @property
    def confidence(self) -> str:
        """The confidence as it is shown: in capitals where the figure is nobody's."""
        confidence = self.origin.confidence
        return confidence.name if confidence is Confidence.UNVERIFIED else confidence.value


def facts(model: DeviceModel) -> Iterator[Fact]:
    """Every range and figure of a model but its programs' settings."""
    for name in _BESIDE_TABLES:
        yield Fact(name, _text(getattr(model, name)), model.origin(name))
    yield from _range_facts(model)
    yield from _limit_facts(model)
    for shape in model.waveforms:
        yield from _figure_facts(f"waveforms.{shape.name}", shape)
    for number, lead in enumerate(model.leads):
        yield from _figure_facts(f"leads[{number}]", lead)
    for section in _SECTIONS:
        figures: Figures | None = getattr(model, section)
        if figures is not None:
            yield from _figure_facts(section, figures)


def contacts_text(model: DeviceModel) -> str:
    """How many contacts there are, and whether the case is one."""
    return f"{len(model.contacts)}{' and case' if model.has_case else ''}"


def tally(model: DeviceModel) -> dict[Confidence, int]:
    """How many of a model's ranges, figures and programs are of each confidence."""
    origins = [fact.origin.confidence for fact in facts(model)] + [program.confidence for program in model.programs]
    counts = Counter(origins)
    return {confidence: counts[confidence] for confidence in Confidence}


def settings_text(area: DefaultArea) -> str:
    """An area's settings but those that are 0."""
    fields = {name: getattr(area, name) for name in area.__struct_fields__ if name not in ("waveform", "contacts")}
    settings = ", ".join(f"{name} {value}" for name, value in fields.items() if value)
    contacts = " ".join(f"{contact}:{permille}" for contact, permille in area.contacts.items())
    return f"{area.waveform}, {settings}, contacts (permille) {contacts}"


def summary() -> str:
    """One line for each model that is shipped: what it treats, what it lives on, and how much of it is known how well."""
    rows: list[Row] = [_SUMMARY_COLUMNS]
    for model in map(load, names()):
        counts = (str(count) for count in tally(model).values())
        rows.append((model.name, contacts_text(model), model.battery.supply.value, *counts, model.therapy))
    return f"{_aligned(rows)}\n\n{LEGEND}"


def describe(model: DeviceModel) -> str:
    """Everything about a model, each range and figure with its source."""
    head = [
        ("name", model.name),
        ("title", model.title),
        ("therapy", model.therapy),
        ("contacts", contacts_text(model)),
        ("supply", model.battery.supply.value),
    ]
    if model.is_magnetic:
        head.append(("amplitudes", "permille of the greatest output, also where a name says microamps"))
    figures = [(fact.name, fact.value, fact.confidence, fact.origin.source) for fact in facts(model)]
    tables: list[Sequence[Row]] = [head, [_FACT_COLUMNS, *figures], [_PROGRAM_COLUMNS, *_program_rows(model)]]
    return "\n\n".join([*(_aligned(table) for table in tables), LEGEND])


def _range_facts(model: DeviceModel) -> Iterator[Fact]:
    for name in model.ranges.__struct_fields__:
        grid: Range = getattr(model.ranges, name)
        yield Fact(f"ranges.{name}", "; ".join(map(_segment_text, grid.segments)), Provenance(grid.source, grid.confidence))


def _limit_facts(model: DeviceModel) -> Iterator[Fact]:
    for name in model.limits.__struct_fields__:
        figure = getattr(model.limits, name)
        if figure is not None:
            yield Fact(f"limits.{name}", _text(figure.value), Provenance(figure.source, figure.confidence))


def _figure_facts(section: str, figures: Figures) -> Iterator[Fact]:
    for name in figures.__struct_fields__:
        if name in Figures.__struct_fields__ or name == "name":
            continue
        rows = _rows(figures, name)
        for number, row in enumerate(rows):
            yield Fact(f"{section}.{name}[{number}]", _row_text(row), figures.origin(name))
        if not rows:
            yield Fact(f"{section}.{name}", _text(getattr(figures, name)), figures.origin(name))


def _rows(figures: Figures, name: str) -> Sequence[Table]:
    """The rows of a figure that has any."""
    if isinstance(figures, BatteryCell) and name == "open_circuit":
        return figures.open_circuit
    if isinstance(figures, Magnet) and name == "gestures":
        return figures.gestures
    return ()


def _program_rows(model: DeviceModel) -> Iterator[Row]:
    for program in model.programs:
        origin = Fact(program.name, "", Provenance(program.source, program.confidence))
        for number, area in enumerate(program.areas):
            yield program.name, str(number), origin.confidence, program.source, settings_text(area)


def _segment_text(segment: Segment) -> str:
    if segment.minimum == segment.maximum:
        return str(segment.minimum)
    return f"{segment.minimum} to {segment.maximum} by {segment.step}"


def _row_text(row: Table) -> str:
    return ", ".join(f"{name} {value}" for name, value in msgspec.structs.asdict(row).items())


def _text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return " ".join(f"{part:g}" for part in msgspec.convert(value, tuple[float, ...])) or "none"
        case _:
            return str(value)


def _aligned(rows: Iterable[Row]) -> str:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    return "\n".join("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in table)
