"""What the nerve answers: how the ECAP grows with the pulse in each posture, and a closed loop beside an open one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ipg_emulator.plot.sheet import BAND, COLOURS, DASHES, INK, Axes, sheet
from ipg_emulator.posture_trial import Trace

GROWTH_INCHES, LOOP_INCHES = 3.4, 5.0
_LIGHT_AND_DARK = ("#e69f00", "#00456b")


class Growth(msgspec.Struct, frozen=True):
    """ECAP by charge of the pulse, in one posture."""

    posture: str
    microcoulombs: Sequence[float]
    microvolts: Sequence[float]


class Stretch(msgspec.Struct, frozen=True):
    """A part of the session in one posture, in seconds."""

    posture: str
    start: float
    end: float


class Course(msgspec.Struct, frozen=True):
    """What the patient does meanwhile: postures, and the seconds of coughs."""

    stretches: Sequence[Stretch]
    coughs: Sequence[float]


def draw(curves: Sequence[Growth], traces: Mapping[str, Trace], course: Course, target_microvolts: float, path: str) -> None:
    """Draw growth curves, if there are any, and below them ECAP and charge of each trace over the same course.

    Raises:
        PlotError: matplotlib is missing, or the file's name has no known suffix.
    """
    heights = [GROWTH_INCHES] * bool(curves) + [LOOP_INCHES * 0.6, LOOP_INCHES * 0.4]
    with sheet(path, 9, sum(heights)) as figure:
        *growth, answer, charge = figure.subplots(len(heights), 1, height_ratios=heights)
        for axes in growth:
            _draw_growth(axes, curves, target_microvolts)
        _draw_answers(answer, traces, target_microvolts)
        for trace, colour in zip(traces.values(), _LIGHT_AND_DARK, strict=True):
            charge.plot(trace.seconds, trace.microcoulombs, color=colour, linewidth=1.2)
        charge.set(ylabel="charge of the pulse, uC", xlabel="time, s")
        _draw_course(answer, charge, course)


def _draw_growth(axes: Axes, curves: Sequence[Growth], target_microvolts: float) -> None:
    for number, curve in enumerate(curves):
        line = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
        axes.plot(curve.microcoulombs, curve.microvolts, label=curve.posture, **line)
    axes.axhline(target_microvolts, color=INK, linewidth=0.9)
    place = {"xycoords": ("axes fraction", "data"), "ha": "left", "va": "bottom"}
    axes.annotate(f"target {target_microvolts:g} uV", (0.01, target_microvolts), **place)
    axes.set(xlabel="charge of the pulse, uC", ylabel="ECAP (N1 to P2), uV", title="Growth of the ECAP by posture")
    axes.set_xlim(0, curves[0].microcoulombs[-1])
    axes.legend(title="posture", alignment="left", loc="upper left")


def _draw_answers(axes: Axes, traces: Mapping[str, Trace], target_microvolts: float) -> None:
    for (name, trace), colour in zip(traces.items(), _LIGHT_AND_DARK, strict=True):
        label = f"{name}: mean deviation {trace.mean_deviation_microvolts:.1f} uV"
        axes.plot(trace.seconds, trace.microvolts, color=colour, linewidth=0.8, label=label)
    axes.axhline(target_microvolts, color=INK, linewidth=0.9)
    axes.set(ylabel="ECAP (N1 to P2), uV", title=f"ECAP with the target of {target_microvolts:g} uV")
    axes.legend(loc="upper right", ncols=len(traces))
    axes.set_ylim(top=1.25 * max(max(trace.microvolts) for trace in traces.values()))
    axes.tick_params(labelbottom=False)


def _draw_course(answer: Axes, charge: Axes, course: Course) -> None:
    """The postures as bands, named below the lower curve, and each cough as a mark above it."""
    low, high = charge.get_ylim()
    charge.set_ylim(low - 0.22 * (high - low), high + 0.22 * (high - low))
    for axes in (answer, charge):
        axes.set_xlim(0, course.stretches[-1].end)
        for stretch in course.stretches[1::2]:
            axes.axvspan(stretch.start, stretch.end, color=BAND, linewidth=0, zorder=0)
    words = [((stretch.start + stretch.end) / 2, 0.03, "bottom", stretch.posture) for stretch in course.stretches]
    words += [(second, 0.97, "top", "cough") for second in course.coughs]
    for second, height, side, word in words:
        charge.annotate(word, (second, height), xycoords=("data", "axes fraction"), ha="center", va=side, fontsize=8.5)
