"""How a battery runs down, to ERI and EOS; several programs on one sheet, each beside what is published for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ipg_emulator.model import BatteryCell
from ipg_emulator.plot.sheet import BAND, COLOURS, DASHES, FAINT, INK, Axes, mark_level, sheet
from ipg_emulator.published import DAYS_PER_YEAR, Discharge

_GATE = 0.1
"""How far from the published life a life may be: the band beside each mark."""


class Life(msgspec.Struct, frozen=True):
    """A discharge with the program's name, and the years that are published for it, if any are."""

    name: str
    discharge: Discharge
    published_years: float | None = None


def draw(cell: BatteryCell, lives: Sequence[Life], title: str, path: str) -> None:
    """Draw voltage and charge over time; with published lives, those too, in a row above the time axis.

    Raises:
        PlotError: matplotlib is missing, or the file's name has no known suffix.
    """
    longest = max(life.discharge.days[-1] for life in lives)
    unit, days = ("years", DAYS_PER_YEAR) if longest > 2 * DAYS_PER_YEAR else ("days", 1.0)
    published = [life for life in lives if life.published_years is not None]
    heights = [3.4, 0.55 + 0.27 * len(published)] if published else [2.6, 1.8]
    with sheet(path, 8.2, sum(heights) + 1.1) as figure:
        figure.suptitle(title, fontweight="bold", x=0.02, ha="left")
        voltage, lower = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        _draw_voltage(voltage, cell, lives, days)
        if published:
            _draw_published(lower, published)
        else:
            _draw_charge(lower, lives, days)
        lower.set_xlabel(f"time since the implantation, {unit}")


def _draw_voltage(axes: Axes, cell: BatteryCell, lives: Sequence[Life], days: float) -> None:
    for number, life in enumerate(lives):
        axes.plot(
            [day / days for day in life.discharge.days],
            [millivolts / 1000 for millivolts in life.discharge.millivolts],
            label=life.name,
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[number % len(DASHES)],
        )
        for mark, marker in ((life.discharge.eri, "o"), (life.discharge.eos, "s")):
            if mark is not None:
                look = {"color": INK, "markerfacecolor": "white", "markersize": 5.5, "zorder": 5}
                axes.plot(mark.day / days, mark.millivolts / 1000, marker, **look)
    mark_level(axes, cell.eri_millivolts / 1000, f"ERI at {cell.eri_millivolts / 1000:g} V (circle)")
    mark_level(axes, cell.eos_millivolts / 1000, f"EOS at {cell.eos_millivolts / 1000:g} V (square)")
    axes.set(ylabel="cell voltage under load, V", xlim=(0, None))
    axes.margins(y=0.12)
    if len(lives) > 1:
        axes.legend(title="program", alignment="left", loc="center left", bbox_to_anchor=(1.01, 0.68))


def _draw_charge(axes: Axes, lives: Sequence[Life], days: float) -> None:
    for number, life in enumerate(lives):
        line = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
        axes.plot([day / days for day in life.discharge.days], [permille / 10 for permille in life.discharge.permille], **line)
    axes.set(ylabel="charge left, %", ylim=(0, 105))
    axes.grid(axis="y")


def _draw_published(axes: Axes, lives: Sequence[Life]) -> None:
    for row, life in enumerate(lives):
        years = life.published_years or 0.0
        axes.barh(row, 2 * _GATE * years, 0.55, (1 - _GATE) * years, color=BAND, edgecolor=FAINT, linewidth=0.6)
        axes.plot(years, row, "|", color=INK, markersize=11, markeredgewidth=2)
        text = f"published {years:g}"
        if life.discharge.eos is not None:
            lived = life.discharge.eos.day / DAYS_PER_YEAR
            axes.plot(lived, row, "s", color=COLOURS[row % len(COLOURS)], markeredgecolor=INK, markersize=6, zorder=5)
            text = f"{text}, emulated {lived:.2f}"
        axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=9, annotation_clip=False)
    axes.set(ylim=(len(lives) - 0.4, -0.6), yticks=range(len(lives)), yticklabels=[life.name for life in lives])
    axes.set_xlim(0, 1.02 * max((1 + _GATE) * (life.published_years or 0) for life in lives))
    axes.set_title("years to EOS: published (bar, and 10 % either way), emulated (square)", fontsize=10)
