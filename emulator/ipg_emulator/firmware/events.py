"""Events: numbered over the device's life, sent while a session is open, and sent again until acknowledged."""

from __future__ import annotations

import msgspec
from ipg_protocol import encode_frame, event_frame
from ipg_protocol.wire import Message

from ipg_emulator.firmware.memory import Memory

RESEND_US = 1_000_000
SENDS = 5


class Sending(msgspec.Struct):
    """How often an event is still sent, and when next, in microseconds."""

    at: int
    left: int = SENDS


class EventQueue:
    """Sends what the memory keeps: the last events not yet acknowledged. One that is pushed out leaves a gap in the numbers."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._sending: dict[int, Sending] = {}

    def __len__(self) -> int:
        return len(self._memory.events)

    @property
    def acknowledged(self) -> int:
        """The highest event that was acknowledged."""
        return self._memory.acknowledged_event

    def add(self, event: Message, now: int) -> bytes:
        """Keep an event, and send it; the frame that it has pushed out, if one."""
        number = self._memory.last_event + 1
        oldest, frame = next(iter(self._memory.events.items()), (number, b""))
        self._memory.add_event(number, encode_frame(event_frame(event, number)))
        self._sending[number] = Sending(now)
        self._drop_gone()
        return b"" if oldest in self._memory.events else frame

    def acknowledge(self, number: int) -> None:
        """Drop every event up to `number`; a number never used acknowledges nothing."""
        self._memory.acknowledge(number)
        self._drop_gone()

    def revive(self, now: int) -> None:
        """Send every event anew, as often as a fresh one."""
        self._sending = {number: Sending(now) for number in self._memory.events}

    def next_send(self) -> int | None:
        """When the next event wants to be sent, None if none does."""
        return min((sending.at for sending in self._sending.values() if sending.left), default=None)

    def take_due(self, now: int) -> list[bytes]:
        """The frames to send now, oldest first; each is counted as sent."""
        due = [number for number, sending in self._sending.items() if sending.left and sending.at <= now]
        for number in due:
            self._sending[number] = Sending(now + RESEND_US, self._sending[number].left - 1)
        return [self._memory.events[number] for number in due]

    def _drop_gone(self) -> None:
        for number in self._sending.keys() - self._memory.events.keys():
            del self._sending[number]
