"""What holds for all cases of a run: the seed, what may be done to the device, and how strictly it is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from ipg_conformance.ics import Statement
from ipg_conformance.line import Line
from ipg_conformance.permission import EVERYTHING, Permission
from ipg_conformance.waivers import Waivers


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a run is told besides the device and the cases."""

    seed: int = 1
    allowed: frozenset[Permission] = EVERYTHING
    is_strict: bool = False
    """Whether what a device SHOULD do counts as what it MUST."""
    speed: float = 1.0
    """How many seconds pass for the device in one of real time."""
    line: Line | None = None
    """The line to the device, where it was measured already."""
    statement: Statement | None = None
    waivers: Waivers = field(default_factory=lambda: Waivers((), date.min))
    repeat: str = ""
    """The command that repeats a case, but for the case's id, which stands behind it."""
