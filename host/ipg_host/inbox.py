"""Which events have come: each is delivered once, and what may be acknowledged is the highest number without a gap below."""

from __future__ import annotations

import logging

GAP_PATIENCE_US = 6_000_000
"""The device sends an event five times, a second apart: a number still missing after that will not come in this session."""

EVENTS_KEPT = 32
"""The device keeps no more; what it says is acknowledged lags behind by less, though a reset may have lost the last of it."""

_MOST_BEYOND_A_GAP = 64

_log = logging.getLogger("ipg_host")


class Inbox:
    """The event numbers of one device, which count on over its life."""

    def __init__(self) -> None:
        self.highest = 0
        self.missed = 0
        """How many events went by: others acknowledged them, or the device dropped them."""
        self._begun = False
        self._boot_counter = 0
        self._beyond: set[int] = set()
        self._gap_seen_at = 0

    def begin(self, acknowledged: int, boot_counter: int, now: int) -> None:
        """Go on behind the highest event that anyone acknowledged, or behind the highest delivered here if that is higher."""
        if self._counts_anew(acknowledged, boot_counter):
            _log.warning("the device counts its events anew from %d; here the last was %d", acknowledged + 1, self.highest)
            self.highest, self._beyond = acknowledged, set()
        self._boot_counter = boot_counter
        self._pass(acknowledged)
        self._begun = True
        self._advance(now)

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
        self._pass(min(self._beyond) - 1)
        self._begun = True
        self._advance(now)
        return True

    def _counts_anew(self, acknowledged: int, boot_counter: int) -> bool:
        """Whether the device has lost its memory: its boots count from the start again, or its events lag too far behind."""
        went_back = boot_counter < self._boot_counter
        lags = boot_counter != self._boot_counter and acknowledged < self.highest - EVENTS_KEPT
        return self._begun and (went_back or lags)

    def _pass(self, number: int) -> None:
        """Take everything up to `number` for settled. What others had before the first session here is not missed."""
        if number <= self.highest:
            return
        missed = number - self.highest - sum(beyond <= number for beyond in self._beyond)
        if self._begun and missed:
            self.missed += missed
            _log.warning("%d of the events %d to %d were missed", missed, self.highest + 1, number)
        self.highest = number
        self._beyond = {beyond for beyond in self._beyond if beyond > self.highest}

    def _advance(self, now: int) -> None:
        while self.highest + 1 in self._beyond:
            self.highest += 1
            self._beyond.remove(self.highest)
            self._gap_seen_at = now
