"""When a request is sent again: after four round trips, then after twice as long each time, spread by jitter."""

from __future__ import annotations

from collections.abc import Callable

FIRST_TIMEOUT_US = 150_000
MAXIMUM_SENDS = 5
TOTAL_TIMEOUT_US = FIRST_TIMEOUT_US * (2**MAXIMUM_SENDS - 1)
"""How long all sends of one request wait, each twice as long as the one before; jitter and slow links add to it."""

JITTER = 0.5
"""A wait after the first is up to this part longer than twice the one before."""

_ROUND_TRIPS = 4
_SMOOTHING = 8


class Timing:
    """The waits of one link, which follow the round trips seen on it. All times are microseconds."""

    def __init__(self, jitter: Callable[[], float], first_timeout_us: int) -> None:
        """`jitter` gives a fraction from 0 to 1 each time; `first_timeout_us` is the shortest first wait."""
        self.smoothed_round_trip_us: float | None = None
        self._jitter = jitter
        self._first_timeout_us = first_timeout_us

    def first(self) -> int:
        """How long to wait for the answer to a first send."""
        if self.smoothed_round_trip_us is None:
            return self._first_timeout_us
        return max(self._first_timeout_us, int(_ROUND_TRIPS * self.smoothed_round_trip_us))

    def repeated(self, first_us: int, sends: int) -> int:
        """How long to wait after one more send, when `sends` sends were in vain and the first wait was `first_us`."""
        wait_us = first_us << sends
        return wait_us + int(wait_us * self._jitter() * JITTER)

    def note(self, round_trip_us: int) -> None:
        """Take in a round trip whose answer can only be to one send."""
        smoothed = self.smoothed_round_trip_us
        self.smoothed_round_trip_us = round_trip_us if smoothed is None else smoothed + (round_trip_us - smoothed) / _SMOOTHING
