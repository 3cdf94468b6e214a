"""The leads as a map: each contact a band with what was measured at it, open and short ones marked."""

from __future__ import annotations

from collections.abc import Sequence

from ipg_protocol.commands.measurement import Impedance, ImpedanceVerdict
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_emulator.model import Contact
from ipg_emulator.plot.sheet import BAND, INK, Axes, rounded_box, sheet

LEAD_INCHES, MARGIN_INCHES = 2.6, 0.8
CONTACT_INCHES = 0.5
_BODY_WIDTH, _BAND_HEIGHT = 0.34, 0.62
_LOOKS = {
    ImpedanceVerdict.OK: ("#ffffff", ""),
    ImpedanceVerdict.COMPLIANCE: (BAND, ".."),
    ImpedanceVerdict.OPEN: ("#ffffff", "xxxx"),
    ImpedanceVerdict.SHORT: ("#9a9a9a", "////"),
}
_WORDS = {ImpedanceVerdict.OPEN: "OPEN", ImpedanceVerdict.SHORT: "SHORT", ImpedanceVerdict.COMPLIANCE: "not in full"}


def draw(contacts: Sequence[Contact], rows: Sequence[Impedance], title: str, path: str) -> None:
    """Draw the map of what was measured, each contact against one and the same other.

    Args:
        contacts: The device's contacts in the order of their numbers.
        rows: The measured pairs.
        title: What it is a map of.
        path: Where to write it.

    Raises:
        PlotError: matplotlib is missing, or the file's name has no known suffix.
    """
    leads = sorted({contact.lead for contact in contacts})
    longest = max(contact.position for contact in contacts) + 1
    size = MARGIN_INCHES + LEAD_INCHES * len(leads), 1.3 + CONTACT_INCHES * longest
    with sheet(path, *size) as figure:
        figure.suptitle(f"{title}\n{_against(rows)}", fontsize=11)
        for lead, axes in zip(leads, figure.subplots(1, len(leads), squeeze=False)[0], strict=True):
            _draw_lead(axes, f"lead {lead}", longest)
            for number, contact in enumerate(contacts):
                if contact.lead == lead:
                    _draw_contact(axes, number, contact.position, next((row for row in rows if row.cathode == number), None))


def _against(rows: Sequence[Impedance]) -> str:
    others = sorted({row.anode for row in rows})
    names = ["the case" if other == CASE_CONTACT else f"contact {other}" for other in others]
    return f"measured against {' or '.join(names)}" if names else "nothing measured"


def _draw_lead(axes: Axes, name: str, longest: int) -> None:
    axes.set(xlim=(-0.75, 1.25), ylim=(longest + 0.1, -0.9))
    axes.axis("off")
    rounded_box(axes, (-_BODY_WIDTH / 2, -0.55), _BODY_WIDTH, longest + 0.4)
    axes.text(0, -0.62, f"{name}, tip", ha="center", va="bottom", fontweight="bold")


def _draw_contact(axes: Axes, number: int, position: int, row: Impedance | None) -> None:
    verdict = row.verdict if row else ImpedanceVerdict.OK
    colour, hatch = _LOOKS[verdict]
    axes.barh(
        position, _BODY_WIDTH * 1.25, _BAND_HEIGHT, -_BODY_WIDTH * 0.625, color=colour, edgecolor=INK, hatch=hatch, zorder=3
    )
    axes.text(-0.32, position, str(number), ha="right", va="center", fontsize=11)
    axes.text(0.32, position, _reading(row), ha="left", va="center", fontsize=11, fontweight="bold" if verdict else None)


def _reading(row: Impedance | None) -> str:
    if row is None:
        return "reference"
    word = _WORDS.get(row.verdict)
    return f"{row.ohms:,} ohm" if word is None else f"{word}, {row.ohms:,} ohm"
