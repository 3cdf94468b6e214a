"""Deadlines by name. Whoever owns them is told of each that has come, in the order of their times."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto, unique


@unique
class Timer(Enum):
    """What the firmware waits for."""

    BOOT = auto()
    RAMP = auto()
    MEASUREMENT = auto()
    BATTERY_CHECK = auto()
    SESSION_IDLE = auto()
    EVENT_RESEND = auto()


class Timers:
    """At most one deadline a name; times are microseconds."""

    def __init__(self) -> None:
        self._deadlines: dict[Timer, int] = {}

    def set(self, timer: Timer, at: int) -> None:
        self._deadlines[timer] = at

    def cancel(self, timer: Timer) -> None:
        self._deadlines.pop(timer, None)

    def deadline(self, timer: Timer) -> int | None:
        return self._deadlines.get(timer)

    def next(self) -> int | None:
        """The earliest deadline, None if there is none."""
        return min(self._deadlines.values(), default=None)

    def due(self, now: int) -> Iterator[tuple[Timer, int]]:
        """Take each deadline that has come, earliest first, among them those set while iterating."""
        while self._deadlines:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            at = self._deadlines[timer]
            if at > now:
                return
            del self._deadlines[timer]
            yield timer, at
