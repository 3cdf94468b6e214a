"""What all pictures share: matplotlib, the sheet they are drawn on, and marks that grey and colour-blind eyes tell apart."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

from ipg_emulator.plot import check_target

Axes: TypeAlias = Any
"""A set of axes of matplotlib, whose own types are not complete."""

Dashes: TypeAlias = str | tuple[int, tuple[float, ...]]

INK = "#222222"
FAINT = "#8a8a8a"
BAND = "#e4e4e4"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
"""Okabe and Ito's palette, which colour-blind eyes tell apart."""
DASHES: tuple[Dashes, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (7, 2, 1.5, 2)), (0, (1, 1)), (0, (4, 1.5, 1, 1.5, 1, 1.5)))
"""The same lines by their dashes, for eyes and printers that see no colour."""
CATHODE, ANODE = COLOURS[4], COLOURS[5]

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "virtual-ipg",
}
_UNDATED = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


@contextmanager
def sheet(path: str, width: float, height: float) -> Generator[Any]:
    """A figure of `width` by `height` inches, which is written to `path` at the end. The same picture gives the same bytes."""
    check_target(path)
    matplotlib: Any = import_module("matplotlib")
    with matplotlib.rc_context(_STYLE):
        figure = import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(path, dpi=120, metadata=_UNDATED[os.path.splitext(path)[1]])


def mark_level(axes: Axes, height: float, text: str) -> None:
    """A level across the axes, named beyond its right end."""
    axes.axhline(height, color=FAINT, linewidth=0.9, linestyle=DASHES[2])
    place = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    axes.annotate(text, (1.01, height), fontsize=9, color=INK, **place)


def rounded_box(axes: Axes, corner: tuple[float, float], width: float, height: float) -> None:
    """A body with round corners, in data units."""
    shape = "round,pad=0,rounding_size=0.16"
    box = import_module("matplotlib.patches").FancyBboxPatch
    axes.add_patch(box(corner, width, height, boxstyle=shape, facecolor="#f4f4f4", edgecolor=INK, linewidth=0.9))
