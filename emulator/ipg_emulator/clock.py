"""The device's time while real time passes: as fast, so many times as fast, from deadline to deadline, or not at all.

However fast, each deadline is met in its order and at its own time. And a host is never outrun: what would follow from its
silence in a session waits until it has been silent that long in real time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Protocol

MAXIMUM_SPEED = math.inf
"""From deadline to deadline, whenever nobody talks and once somebody has, until the battery is at its end: beyond it the device
would soon be dead, and nobody could ask it anything any more.
"""
MANUAL_SPEED = 0.0
"""Time stands still, but for what it is told to pass."""

QUIET_US = 50_000
"""At maximum speed, time goes on in real time for so long after each byte, so that the host can answer."""
FRAME_US = 200_000
"""A frame that has begun is waited for in real time, at most so long."""
TURN_US = 10_000
"""How long the device may be busy with the passing of time before it looks at its port again."""
LAST_US = 100 * 31_557_600_000_000
"""After 100 years, time goes on in real time: seconds are 32 bits on the wire."""


class Living(Protocol):
    """What lives in a time of its own: a firmware, or a whole virtual device."""

    @property
    def is_at_end(self) -> bool: ...
    def wake_at(self) -> int | None: ...
    def wake(self, now: int, /) -> None: ...
    def take_output(self, now: int, /) -> bytes: ...
    def host_awaited_until(self) -> int | None: ...


class Clock(Protocol):
    """How the device's time follows real time. All times are microseconds; `real` never goes backwards."""

    def pass_time(self, device: Living, real: int) -> tuple[int, bytes]:
        """Bring the device up to `real`, or on the way there: the device's time now, and what it said meanwhile."""
        ...

    def read(self, real: int) -> int:
        """The device's time, as far as steady passing has brought it."""
        ...

    def set(self, now: int, real: int) -> None:
        """Go on from another time of the device."""
        ...

    def talked(self, heard: bytes, real: int) -> None:
        """Take note that the host or the device has said something."""
        ...

    def sleep_us(self, device: Living, real: int) -> float | None:
        """How long nothing is due, in real time; None while only the host can change anything."""
        ...


class RealTime:
    """A microsecond for a microsecond."""

    def __init__(self, *, started_at: int, real: int) -> None:
        self._ahead = started_at - real

    def pass_time(self, device: Living, real: int) -> tuple[int, bytes]:  # noqa: ARG002 - it is woken once, by the caller
        return self.read(real), b""

    def read(self, real: int) -> int:
        return real + self._ahead

    def set(self, now: int, real: int) -> None:
        self._ahead = now - real

    def talked(self, heard: bytes, real: int) -> None:
        """Nothing is faster than the host."""

    def sleep_us(self, device: Living, real: int) -> float | None:
        at = device.wake_at()
        return None if at is None else max(0, at - real - self._ahead)


class ManualTime:
    """Time stands still until it is set. What arrives is answered at once, as far as that takes no time."""

    def __init__(self, *, started_at: int) -> None:
        self._now = started_at

    def pass_time(self, device: Living, real: int) -> tuple[int, bytes]:  # noqa: ARG002 - it does not pass
        return self._now, b""

    def read(self, real: int) -> int:  # noqa: ARG002
        return self._now

    def set(self, now: int, real: int) -> None:  # noqa: ARG002
        self._now = now

    def talked(self, heard: bytes, real: int) -> None:
        """That changes no time."""

    def sleep_us(self, device: Living, real: int) -> float | None:  # noqa: ARG002
        return None


class ScaledTime:
    """Time at another speed. At MAXIMUM_SPEED it does not fly before a host has talked: the first to come would be too late."""

    def __init__(self, speed: float, *, started_at: int, real: int, real_clock: Callable[[], int]) -> None:
        """The device's time goes on from `started_at` when the real time is `real`, which `real_clock` tells from then on."""
        self._speed = speed
        self._now = started_at
        self._real = real
        self._real_clock = real_clock
        self._in_real_time_until = sys.maxsize if speed == MAXIMUM_SPEED else real
        self._is_at_end = False
        self._awaited: int | None = None
        self._awaited_until_real = real

    def pass_time(self, device: Living, real: int) -> tuple[int, bytes]:
        self._await_host(device, real)
        self._is_at_end = device.is_at_end
        paced, skip_to = self._reach(real)
        self._real = real
        said = b""
        for at, output in advance(device, self._now, max(paced, skip_to)):
            self._now = at
            said += output
            if (output and at > paced) or device.is_at_end or self._real_clock() - real > TURN_US:
                return at, said
        self._now = max(self._now, paced)
        return self._now, said

    def read(self, real: int) -> int:
        return self._reach(real)[0]

    def set(self, now: int, real: int) -> None:
        self._now, self._real, self._is_at_end = now, real, False
        self._awaited, self._awaited_until_real = None, real

    def talked(self, heard: bytes, real: int) -> None:
        mid_frame = heard and not heard.endswith(b"\0")
        patience = FRAME_US if mid_frame else QUIET_US if self._speed == MAXIMUM_SPEED else 0
        self._in_real_time_until = real + patience

    def sleep_us(self, device: Living, real: int) -> float | None:
        self._await_host(device, real)
        at = device.wake_at()
        if at is None:
            return None
        paced, skip_to = self._reach(real)
        if at <= max(paced, skip_to):
            return 0
        if at > self._ceiling(real):
            return self._awaited_until_real - real
        if real < self._in_real_time_until:
            return min(at - paced, self._in_real_time_until - real)
        return (at - paced) / self._pace

    @property
    def _pace(self) -> float:
        """How fast time goes where it goes steadily: at maximum speed, between jumps."""
        return 1 if self._speed == MAXIMUM_SPEED or self._now >= LAST_US else self._speed

    def _reach(self, real: int) -> tuple[int, int]:
        """Where the pace has led by `real`, and up to where deadlines may be jumped to."""
        ceiling = self._ceiling(real)
        slowly_until = max(self._real, min(real, self._in_real_time_until))
        paced = self._now + (slowly_until - self._real) * min(1, self._pace) + (real - slowly_until) * self._pace
        may_jump = self._speed == MAXIMUM_SPEED and real >= self._in_real_time_until and not self._is_at_end
        return max(self._now, min(int(paced), ceiling)), min(ceiling, LAST_US) if may_jump else 0

    def _ceiling(self, real: int) -> int:
        """What the device's time must not pass yet."""
        return sys.maxsize if self._awaited is None or real >= self._awaited_until_real else self._awaited - 1

    def _await_host(self, device: Living, real: int) -> None:
        deadline = device.host_awaited_until()
        if deadline != self._awaited:
            self._awaited = deadline
            self._awaited_until_real = real if deadline is None else real + deadline - self._now


def clock_at(speed: float, *, started_at: int, real_clock: Callable[[], int]) -> Clock:
    """The clock for a speed; the device's time goes on from `started_at`."""
    real = real_clock()
    if speed == MANUAL_SPEED:
        return ManualTime(started_at=started_at)
    if speed == 1:
        return RealTime(started_at=started_at, real=real)
    return ScaledTime(speed, started_at=started_at, real=real, real_clock=real_clock)


def advance(device: Living, now: int, until: int) -> Iterator[tuple[int, bytes]]:
    """Let time pass from `now` until there is nothing due by `until`: the time of each deadline, and what the device said."""
    while (at := device.wake_at()) is not None and at <= until:
        now = max(now, at)
        device.wake(now)
        yield now, device.take_output(now)
