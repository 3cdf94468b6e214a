"""Events: numbered over a boot, sent while a session is open, and sent again until acknowledged."""

from __future__ import annotations

from collections import deque

import msgspec
from ipg_protocol import encode_frame, event_frame
from ipg_protocol.wire import Message

RESEND_US = 1_000_000
SENDS = 5
EVENTS_KEPT = 32


class Pending(msgspec.Struct):
    """An event that no host has acknowledged; `next_send` in microseconds."""

    number: int
    frame: bytes
    next_send: int
    sends_left: int = SENDS


class EventQueue:
    """The last events not yet acknowledged; one that is pushed out leaves a gap in the numbers."""

    def __init__(self) -> None:
        self._pending: deque[Pending] = deque(maxlen=EVENTS_KEPT)
        self._last_number = 0

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, event: Message, now: int) -> None:
        self._last_number += 1
        frame = encode_frame(event_frame(event, self._last_number))
        self._pending.append(Pending(self._last_number, frame, now))

    def acknowledge(self, number: int) -> None:
        """Drop every event up to `number`; a number never used acknowledges nothing."""
        if number <= self._last_number:
            while self._pending and self._pending[0].number <= number:
                self._pending.popleft()

    def revive(self, now: int) -> None:
        """Send every event anew, as often as a fresh one."""
        for pending in self._pending:
            pending.sends_left = SENDS
            pending.next_send = now

    def next_send(self) -> int | None:
        """When the next event wants to be sent, None if none does."""
        return min((pending.next_send for pending in self._pending if pending.sends_left), default=None)

    def take_due(self, now: int) -> list[bytes]:
        """The frames to send now, oldest first; each is counted as sent."""
        due = [pending for pending in self._pending if pending.sends_left and pending.next_send <= now]
        for pending in due:
            pending.sends_left -= 1
            pending.next_send = now + RESEND_US
        return [pending.frame for pending in due]
