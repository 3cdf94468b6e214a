"""Which events have come: each is delivered once, and what may be acknowledged is the highest number without a gap below."""

from __future__ import annotations

GAP_PATIENCE_US = 3_000_000
"""The device re-sends an event every second, so a number still missing after three has been dropped there."""

_MOST_BEYOND_A_GAP = 64


class Inbox:
    """The event numbers of one boot of the device, which count from 1; those that others had before are a gap."""

    def __init__(self) -> None:
        self.highest = 0
        self._beyond: set[int] = set()
        self._gap_seen_at = 0

    def accept(self, number: int, now: int) -> bool:
        """Note that event `number` came at `now` microseconds; whether it is new."""
        if number <= self.highest or number in self._beyond or len(self._beyond) >= _MOST_BEYOND_A_GAP:
            return False
        if not self._beyond:
            self._gap_seen_at = now
        self._beyond.add(number)
        self._advance(now)
        return True

    def wake_at(self) -> int | None:
        """When a gap counts as permanent; None when there is none."""
        return self._gap_seen_at + GAP_PATIENCE_US if self._beyond else None

    def wake(self, now: int) -> bool:
        """Go past a gap that has stood too long; whether there was one."""
        if not self._beyond or now < self._gap_seen_at + GAP_PATIENCE_US:
            return False
        self.highest = min(self._beyond) - 1
        self._advance(now)
        return True

    def _advance(self, now: int) -> None:
        while self.highest + 1 in self._beyond:
            self.highest += 1
            self._beyond.remove(self.highest)
            self._gap_seen_at = now
