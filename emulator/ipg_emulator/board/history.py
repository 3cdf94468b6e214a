"""What an area has delivered in its life: exact from any recent time on, and bounded in memory."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from ipg_emulator.board import Drive
from ipg_emulator.board.dose import Dose, dose

KEPT_STRETCHES = 512


class Stretch(msgspec.Struct, frozen=True):
    """The part of a drive that was really output, from `start` to `end`, and what the area had delivered `before` it."""

    drive: Drive
    start: int
    end: int
    before: Dose


class History:
    """The stretches of one area in order. The oldest are forgotten, but their dose stays in the total.

    For a time before the oldest stretch that is kept, the total is the one at that stretch's start, except that at 0,
    the start of the device's life, it is nothing.
    """

    def __init__(self) -> None:
        self._stretches: list[Stretch] = []
        self._total = Dose()

    def add(self, drive: Drive, start: int, end: int) -> None:
        """Take in what a drive output from `start` to `end`; `start` is not before the end of the stretch added last."""
        self._stretches.append(Stretch(drive, start, end, self._total))
        self._total = self._total.plus(dose(drive, start, end))
        if len(self._stretches) > 2 * KEPT_STRETCHES:
            del self._stretches[:KEPT_STRETCHES]

    def total(self, now: int) -> Dose:
        """All that was delivered up to `now`."""
        if now <= 0 or not self._stretches:
            return Dose()
        place = bisect_right(self._stretches, now, key=_start) - 1
        if place < 0:
            return self._stretches[0].before
        stretch = self._stretches[place]
        return stretch.before.plus(dose(stretch.drive, stretch.start, min(now, stretch.end)))


def _start(stretch: Stretch) -> int:
    return stretch.start
