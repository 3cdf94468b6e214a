"""The real-time clock on the board, whose crystal may be out of tune."""

from __future__ import annotations

_MILLION = 1_000_000


class RealTimeClock:
    """Counts microseconds from time 0 on, so many parts in a million too fast or too slow. What it has gained it keeps."""

    def __init__(self) -> None:
        self._since = 0
        self._counted = 0
        self._ppm = 0

    def read(self, now: int) -> int:
        """What it has counted by `now`."""
        return self._counted + (now - self._since) * (_MILLION + self._ppm) // _MILLION

    def when(self, reading: int) -> int:
        """The first moment at which it reads so much or more, if it goes on as it does."""
        return self._since - (self._counted - reading) * _MILLION // (_MILLION + self._ppm)

    def detune(self, ppm: int, now: int) -> None:
        """From `now` on, go faster by so much more than it did; slower, if negative."""
        self._counted, self._since = self.read(now), now
        self._ppm += ppm
