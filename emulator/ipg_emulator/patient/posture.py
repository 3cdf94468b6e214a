"""Postures: how far the spinal cord is from the lead in each, as data."""

from __future__ import annotations

import msgspec

from ipg_emulator.model import Confidence

_DIRECTION = "general knowledge: nearer when supine, farther when prone, by 10 to 40 %"
_SPAN = "our design within the span of 0.62 to 1.18 that reproduces the published course of the Evoke trial (PMC11041592)"


class Posture(msgspec.Struct, frozen=True):
    """The distance from lead to cord, relative to standing, and how far steps let it sway about that."""

    name: str
    distance_permille: int
    source: str
    confidence: Confidence
    sway_permille: int = 0


_ALL = (
    Posture("standing", 1000, "the measure of the others", Confidence.DESIGN),
    Posture("walking", 1000, "our design: as standing, and swaying with the steps", Confidence.DESIGN, sway_permille=15),
    Posture("sitting", 820, _SPAN, Confidence.DESIGN),
    Posture("side", 720, _SPAN, Confidence.DESIGN),
    Posture("supine", 620, f"{_DIRECTION}; {_SPAN}", Confidence.UNVERIFIED),
    Posture("prone", 1180, f"{_DIRECTION}; {_SPAN}", Confidence.UNVERIFIED),
)

POSTURES = {posture.name: posture for posture in _ALL}


class PostureError(ValueError):
    """There is no such posture."""


def posture(name: str) -> Posture:
    """A posture by its name.

    Raises:
        PostureError: names the postures that there are.
    """
    try:
        return POSTURES[name]
    except KeyError:
        raise PostureError(f"posture {name!r} is none of {', '.join(POSTURES)}") from None
