"""The device's time as it passes for the tester: as real time does, or N times as fast, as of `ipg-emulator run --speed N`."""

from __future__ import annotations

from collections.abc import Callable

FRAME_SECONDS = 0.2
"""A frame that has begun is waited for in real time, at most so long (REQ-FRM-007)."""


class Clock:
    """Seconds since whenever, `speed` of them in a second of real time; while a frame is half written, one at most."""

    def __init__(self, real: Callable[[], float], speed: float) -> None:
        self.real = real
        """The seconds that really pass, or what the port calls so."""
        self._speed = speed
        self._slow_speed = min(1.0, speed)
        self._now = self._noted_at = self._slow_until = real()

    def __call__(self) -> float:
        passed = self.real() - self._noted_at
        slowly = min(passed, self._slow_until - self._noted_at)
        return self._now + slowly * self._slow_speed + (passed - slowly) * self._speed

    def wrote(self, data: bytes) -> None:
        """Take note of what was written just now: whether it ends in the middle of a frame."""
        self._now, self._noted_at = self(), self.real()
        self._slow_until = self._noted_at + (0.0 if data.endswith(b"\0") else FRAME_SECONDS)

    def real_seconds(self, seconds: float) -> float:
        """How long it takes in real time until so much time has passed, if nothing is written meanwhile."""
        slowly = max(0.0, self._slow_until - self.real())
        if seconds <= slowly * self._slow_speed:
            return seconds / self._slow_speed
        return slowly + (seconds - slowly * self._slow_speed) / self._speed
