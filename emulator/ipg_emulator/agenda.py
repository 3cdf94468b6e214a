"""Who is to be woken when: a heap, so that a turn of the loop costs the same however many wait."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import Protocol


class Sleeper(Protocol):
    """Something that is woken at times of its own choosing, in microseconds of real time."""

    def wake_at(self) -> int | None:
        """When; None while it waits for something else than a time."""
        ...

    def wake(self, real: int, /) -> None: ...


class Agenda:
    """Those who wait. One that puts its time off keeps its old place, and is looked at when that comes.

    So the many deadlines that only ever move on, such as the end of a session, cost nothing when they do.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Sleeper]] = []
        self._places: dict[Sleeper, list[int]] = {}
        """The times of each that stand in the heap, the earliest last."""
        self._order = count()

    def note(self, sleeper: Sleeper) -> None:
        """Look at when a sleeper wants to be woken, now that it may have changed."""
        at = sleeper.wake_at()
        if at is None:
            return
        places = self._places.setdefault(sleeper, [])
        if not places or at < places[-1]:
            places.append(at)
            heappush(self._heap, (at, next(self._order), sleeper))

    def next_at(self) -> int | None:
        """When to look at the agenda again."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, real: int) -> Sleeper | None:
        """Take out the sleeper whose place is the earliest that has come; it may want to sleep on by now."""
        if not self._heap or self._heap[0][0] > real:
            return None
        sleeper = heappop(self._heap)[2]
        self._places[sleeper].pop()
        return sleeper
