"""One line of a table: what was published, what the emulator makes of it, and how far the two may lie apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Result(NamedTuple):
    """A figure beside its published one. It is held from `lowest` to `highest`; None: no such bound."""

    what: str
    unit: str
    published: str
    emulated: float
    lowest: float | None
    highest: float | None
    source: str
    reference: float | None = None
    """What the difference is taken from, if the published figure is one number."""

    @property
    def is_held(self) -> bool:
        """Whether the figure lies within its gate."""
        return (self.lowest is None or self.emulated >= self.lowest) and (self.highest is None or self.emulated <= self.highest)


def within(what: str, unit: str, published: float, emulated: float, *, tolerance: float, source: str) -> Result:
    """A figure that may differ by a part of the published one, such as 0.1."""
    bounds = sorted((published * (1 - tolerance), published * (1 + tolerance)))
    return Result(what, unit, f"{published:g}", emulated, bounds[0], bounds[1], source, published)


HEADINGS = ("what", "published", "emulated", "difference", "gate", "", "source")


def _cells(result: Result) -> tuple[str, ...]:
    difference = "" if result.reference is None else f"{100 * (result.emulated / result.reference - 1):+.1f} %"
    bounds = [f"{word} {bound:.4g}" for word, bound in ((">=", result.lowest), ("<=", result.highest)) if bound is not None]
    return (
        result.what,
        f"{result.published} {result.unit}",
        f"{result.emulated:.4g} {result.unit}",
        difference,
        ", ".join(bounds),
        "held" if result.is_held else "MISSED",
        result.source,
    )


def table(results: Iterable[Result]) -> str:
    """The results in columns."""
    lines = [HEADINGS, *map(_cells, results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
