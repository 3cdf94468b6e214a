"""Deadlines by name, each with what is to be done when it comes. Nothing here knows what time it is."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto, unique


@unique
class Timer(Enum):
    """What the firmware waits for."""

    BOOT = auto()
    RAMP = auto()
    MEASUREMENT = auto()
    SELF_TEST = auto()
    BATTERY_CHECK = auto()
    SESSION_IDLE = auto()
    EVENT_RESEND = auto()
    CHARGING = auto()
    DOSE = auto()
    SCHEDULE = auto()
    MRI_MODE = auto()
    HOST_SILENCE = auto()
    USE_PERIOD = auto()
    FEEDBACK = auto()
    ECAP_STREAM = auto()
    STANDSTILL = auto()
    FRAME = auto()


class Timers:
    """At most one deadline a name; times are microseconds."""

    def __init__(self) -> None:
        self.next: int | None = None
        """The earliest deadline, None if there is none."""
        self._actions: dict[Timer, Callable[[int], None]] = {}
        self._deadlines: dict[Timer, int] = {}

    def on(self, timer: Timer, action: Callable[[int], None]) -> None:
        """Have `action` called with the deadline when it has come."""
        self._actions[timer] = action

    def set(self, timer: Timer, at: int) -> None:
        self._deadlines[timer] = at
        self.next = min(self._deadlines.values())

    def cancel(self, timer: Timer) -> None:
        self._deadlines.pop(timer, None)
        self.next = min(self._deadlines.values(), default=None)

    def deadline(self, timer: Timer) -> int | None:
        return self._deadlines.get(timer)

    def delay(self, until: int) -> None:
        """Let what was due before `until` be due then, in its order."""
        in_order = sorted(self._deadlines, key=self._deadlines.__getitem__)
        self._deadlines = {timer: max(self._deadlines[timer], until) for timer in in_order}
        self.next = min(self._deadlines.values(), default=None)

    def run_due(self, now: int) -> bool:
        """Act on each deadline that has come, earliest first, among them those set meanwhile; whether there was one."""
        happened = False
        while self.next is not None and self.next <= now:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            at = self._deadlines[timer]
            self.cancel(timer)
            self._actions[timer](at)
            happened = True
        return happened
