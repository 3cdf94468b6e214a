"""Pictures of what the library's calls return: measured impedances, streamed ECAPs. Needs matplotlib, the extra `plot`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeAlias

from ipg_protocol.commands.measurement import Impedance, ImpedanceVerdict
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.sensing import EcapSamples

from ipg_host.capabilities import Capabilities
from ipg_host.errors import InputError

Axes: TypeAlias = Any
"""A set of axes of matplotlib, whose own types are not complete."""

INK = "#222222"
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
}
_LOOKS = {
    ImpedanceVerdict.OK: ("#ffffff", ""),
    ImpedanceVerdict.COMPLIANCE: ("#e4e4e4", ".."),
    ImpedanceVerdict.OPEN: ("#ffffff", "xxxx"),
    ImpedanceVerdict.SHORT: ("#9a9a9a", "////"),
}


def draw_impedance(rows: Sequence[Impedance], capabilities: Capabilities, path: str) -> None:
    """Draw what `measure_impedance` returned: each lead with its contacts from the tip down, open and short ones hatched.

    Raises:
        InputError: matplotlib is missing, or cannot write a file of that name.
    """
    measured = {row.cathode: row for row in rows}
    leads = sorted({contact.lead for contact in capabilities.contacts if contact.contact != CASE_CONTACT})
    longest = 1 + max(contact.position for contact in capabilities.contacts if contact.contact != CASE_CONTACT)
    with _sheet(path, 0.8 + 2.6 * len(leads), 1.0 + 0.5 * longest) as figure:
        for lead, axes in zip(leads, figure.subplots(1, len(leads), squeeze=False)[0], strict=True):
            axes.set(xlim=(-0.75, 1.25), ylim=(longest - 0.4, -0.6), title=f"lead {lead}, tip above")
            axes.axis("off")
            axes.axvspan(-0.1, 0.1, color="#f0f0f0", zorder=0)
            for contact in capabilities.contacts:
                if contact.lead == lead and contact.contact != CASE_CONTACT:
                    _draw_contact(axes, contact.contact, contact.position, measured.get(contact.contact))


def _draw_contact(axes: Axes, number: int, position: int, row: Impedance | None) -> None:
    colour, hatch = _LOOKS[row.verdict if row else ImpedanceVerdict.OK]
    axes.barh(position, 0.4, 0.62, -0.2, color=colour, edgecolor=INK, hatch=hatch)
    axes.text(-0.3, position, str(number), ha="right", va="center")
    axes.text(0.3, position, _reading(row), ha="left", va="center")


def _reading(row: Impedance | None) -> str:
    if row is None:
        return "not measured"
    return f"{row.ohms:,} ohm" if row.verdict is ImpedanceVerdict.OK else f"{row.verdict.name}, {row.ohms:,} ohm"


def draw_ecap(batches: Sequence[EcapSamples], path: str, target_microvolts: int | None = None) -> None:
    """Draw the batches of a stream, as they came to `on_event`: ECAP above, and the amplitude that evoked it below.

    Raises:
        InputError: there is nothing to draw, matplotlib is missing, or cannot write a file of that name.
    """
    samples = [(batch.uptime_ms + row.after_ms, row) for batch in batches for row in batch.rows]
    if not samples:
        raise InputError("no ECAP samples to draw")
    seconds = [(at - samples[0][0]) / 1000 for at, _ in samples]
    with _sheet(path, 9, 5) as figure:
        answer, amplitude = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        answer.plot(seconds, [row.microvolts for _, row in samples], color="#00456b", linewidth=1.1)
        answer.set_ylabel("ECAP (N1 to P2), uV")
        if target_microvolts is not None:
            answer.axhline(target_microvolts, color=INK, linewidth=0.9, linestyle="--", label=f"target {target_microvolts} uV")
            answer.legend(loc="lower right", bbox_to_anchor=(1, 1))
        milliamps = [row.amplitude_microamps / 1000 for _, row in samples]
        amplitude.plot(seconds, milliamps, color="#00456b", linewidth=1.1, drawstyle="steps-post")
        amplitude.set(ylabel="amplitude, mA", xlabel="time since the first sample, s")


@contextmanager
def _sheet(path: str, width: float, height: float) -> Generator[Any]:
    """A figure of `width` by `height` inches, which is written to `path` at the end."""
    try:
        matplotlib: Any = import_module("matplotlib")
    except ModuleNotFoundError:
        raise InputError("plotting needs matplotlib: pip install 'virtual-ipg[plot]'") from None
    with matplotlib.rc_context(_STYLE):
        figure = import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
        yield figure
        try:
            figure.savefig(path, dpi=120)
        except ValueError as error:  # a suffix that no back-end knows
            raise InputError(f"{path}: {error}") from error
