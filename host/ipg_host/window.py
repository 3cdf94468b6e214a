"""What is under way and what waits in line: one change, up to four reads, an opening alone, STOP at once."""

from __future__ import annotations

from collections import deque
from typing import Any

from ipg_host.exchange import Exchange, Lane, Sort

READS_OUTSTANDING = 4

_WIDTH = {Lane.READ: READS_OUTSTANDING, Lane.ACT: 1}


class Window:
    """The exchanges of a session, each in its lane from its first send until its outcome is known."""

    def __init__(self) -> None:
        self.waiting: deque[Exchange[Any]] = deque()
        self.outstanding: dict[int, Exchange[Any]] = {}
        """What awaits an answer, by request id. A change that is being asked about does not, but keeps its lane."""
        self._in_lane = [0] * len(Lane)

    @property
    def is_opening(self) -> bool:
        """Whether an OPEN_SESSION awaits its answer."""
        return self._in_lane[Lane.OPEN] > 0

    def admits(self, exchange: Exchange[Any]) -> bool:
        """Whether a request may be sent now. The session's own opening need not wait for the change that it is needed for."""
        in_lane, lane = self._in_lane, exchange.lane
        if lane is Lane.OPEN:
            return not self.outstanding and (exchange.sort is Sort.OWN or not in_lane[Lane.ACT])
        return not in_lane[Lane.OPEN] and in_lane[lane] < _WIDTH[lane]

    def admits_at_once(self, exchange: Exchange[Any]) -> bool:
        """Whether a new request needs no place in the line."""
        return not self.waiting and self.admits(exchange)

    def enter(self, exchange: Exchange[Any]) -> None:
        """Take a place in the lane."""
        self._in_lane[exchange.lane] += 1

    def leave(self, exchange: Exchange[Any]) -> None:
        """Give the place up."""
        self.outstanding.pop(exchange.request_id, None)
        self._in_lane[exchange.lane] -= 1

    def put_first(self, exchange: Exchange[Any]) -> None:
        """Put a request at the head of the line, but behind the session's own opening, which it needs."""
        head = self.waiting[0] if self.waiting else exchange
        is_opening = head.lane is Lane.OPEN and head.sort is Sort.OWN
        self.waiting.insert(1 if is_opening else 0, exchange)

    def withdraw(self, exchange: Exchange[Any]) -> bool:
        """Take a request out, wherever it is; whether it had been sent."""
        if exchange in self.waiting:
            self.waiting.remove(exchange)
            return False
        self.leave(exchange)
        return True
