"""Measuring in pairs: floor and figure take turns within one run, so that what slows the machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

Sample = Callable[[], Iterable[float]]
"""Measures a few times, and gives each measurement."""


class Row(NamedTuple):
    """One line of the table. `floor` None: there is none, and `hold` is for the figure itself; else it is for the ratio.

    `at_least` says that more is better.
    """

    what: str
    unit: str
    figure: float
    hold: float
    floor: float | None = None
    floor_name: str = ""
    at_least: bool = False
    holds_figure: bool = False

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.figure / self.floor

    @property
    def is_held(self) -> bool:
        value = self.figure if self.ratio is None or self.holds_figure else self.ratio
        return value >= self.hold if self.at_least else value <= self.hold


def take_turns(samples: dict[str, Sample], rounds: int) -> dict[str, float]:
    """The median of each, measured in turns. A first round warms up and is thrown away."""
    taken: dict[str, list[float]] = {name: [] for name in samples}
    for turn in range(rounds + 1):
        for name, sample in samples.items():
            measured = list(sample())
            if turn:
                taken[name] += measured
    return {name: statistics.median(values) for name, values in taken.items()}


def per_call_ns(work: Callable[[], object], calls: int) -> Sample:
    """A sample of the nanoseconds that one of `calls` calls takes."""

    def sample() -> Iterable[float]:
        began = time.perf_counter_ns()
        for _ in range(calls):
            work()
        yield (time.perf_counter_ns() - began) / calls

    return sample


HEADINGS = ("what", "floor", "figure", "ratio", "hold", "")


def _cells(row: Row) -> tuple[str, ...]:
    hold = f"{'>=' if row.at_least else '<='} {row.hold:,g}"
    return (
        row.what,
        "" if row.floor is None else f"{row.floor:,.5g} {row.unit} ({row.floor_name})",
        f"{row.figure:,.5g} {row.unit}",
        "" if row.ratio is None else f"{row.ratio:.2f}",
        f"{hold} {row.unit}" if row.floor is None or row.holds_figure else hold,
        "held" if row.is_held else "MISSED",
    )


def table(rows: Iterable[Row]) -> str:
    """The rows in columns."""
    lines = [HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
