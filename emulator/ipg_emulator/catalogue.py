"""Renders the device catalogue as text. A figure that nobody has verified is never shown without saying so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ipg_emulator.model import Confidence, DeviceModel, Figure, Figures, Provenance, Range, VoltagePoint, load, names

_RANGE_COLUMNS = ("PARAMETER", "MINIMUM", "MAXIMUM", "STEP", "CONFIDENCE", "SOURCE")
_FIGURE_COLUMNS = ("FIGURE", "VALUE", "CONFIDENCE", "SOURCE")
_SECTIONS = ("timing", "impedance", "output", "battery", "electrode", "safety")

Row = Sequence[str]


def summary() -> str:
    """One line for each model that is shipped."""
    rows = [("NAME", "CONTACTS", "PROGRAMS", "TITLE")]
    for model in map(load, names()):
        rows.append((model.name, str(len(model.contacts)), str(model.program_slots), model.title))
    return _aligned(rows)


def describe(model: DeviceModel) -> str:
    """Everything about a model, each range and figure with its source."""
    facts = [
        ("name", model.name),
        ("title", model.title),
        ("therapy", model.therapy),
        ("contacts", f"{len(model.contacts)}{' and the case' if model.has_case else ''}"),
        ("programs", f"{model.program_slots} slots of up to {model.areas_per_program} areas"),
        ("waveforms", ", ".join(model.waveforms)),
        ("defaults", ", ".join(program.name for program in model.programs)),
    ]
    ranges = [_RANGE_COLUMNS, *_range_rows(model)]
    figures = [_FIGURE_COLUMNS, *_limit_rows(model), *_lead_rows(model), *_section_rows(model)]
    tables: list[Sequence[Row]] = [facts, ranges, figures]
    return "\n\n".join(_aligned(table) for table in tables)


def _range_rows(model: DeviceModel) -> Iterator[Row]:
    for name in model.ranges.__struct_fields__:
        grid: Range = getattr(model.ranges, name)
        for s in grid.segments:
            yield name, str(s.minimum), str(s.maximum), str(s.step), *_origin(Provenance(grid.source, grid.confidence))


def _limit_rows(model: DeviceModel) -> Iterator[Row]:
    for name in model.limits.__struct_fields__:
        figure: Figure = getattr(model.limits, name)
        yield f"limits.{name}", str(figure.value), *_origin(Provenance(figure.source, figure.confidence))


def _lead_rows(model: DeviceModel) -> Iterator[Row]:
    for number, lead in enumerate(model.leads):
        yield from _figure_rows(f"leads[{number}]", lead)


def _section_rows(model: DeviceModel) -> Iterator[Row]:
    for section in _SECTIONS:
        yield from _figure_rows(section, getattr(model, section))


def _figure_rows(section: str, figures: Figures) -> Iterator[Row]:
    for name in figures.__struct_fields__:
        if name not in Figures.__struct_fields__:
            yield f"{section}.{name}", _text(getattr(figures, name)), *_origin(figures.origin(name))


def _origin(origin: Provenance) -> Row:
    unverified = origin.confidence is Confidence.UNVERIFIED
    return "UNVERIFIED" if unverified else origin.confidence.value, origin.source


def _text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return _list_text(msgspec.convert(value, tuple[float | VoltagePoint, ...]))
        case _:
            return str(value)


def _list_text(values: Iterable[float | VoltagePoint]) -> str:
    return " ".join(f"{v.depth_permille}:{v.millivolts}" if isinstance(v, VoltagePoint) else f"{v:g}" for v in values)


def _aligned(rows: Iterable[Row]) -> str:
    table = list(rows)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]) - 1)]
    return "\n".join("  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in table)
