"""One stretch of the bytes' way in one direction: cut into frames while a fault watches for them, each arriving at its time."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import deque
from typing import NamedTuple

import msgspec
from ipg_protocol.frame import MAXIMUM_PAYLOAD, PARTIAL_FRAME_TIMEOUT_US

from ipg_emulator.faults.fault import Carried

_LONGEST = 2 * MAXIMUM_PAYLOAD
"""More bytes than a frame can have: without a delimiter among them, they are none."""


class Piece(NamedTuple):
    """Bytes that go on together."""

    data: bytes
    is_delimited: bool
    """Whether they are delimited as a frame; else they are bytes as they came."""


class Splitter:
    """Cuts a stream behind the delimiters that end frames. What is not ended in time is passed on unchanged."""

    def __init__(self) -> None:
        self._held = b""
        self._last_byte_us = 0

    def cut(self, data: bytes, now: int) -> list[Piece]:
        """The pieces that `data` completes, and what has been held long enough."""
        pieces = self.release() if self._held and now >= self._due_at else []
        if data:
            self._held += data
            self._last_byte_us = now
            while (end := self._end_of_frame()) > 0:
                pieces.append(Piece(self._held[:end], True))
                self._held = self._held[end:]
            if len(self._held) > _LONGEST:
                pieces += self.release()
        return pieces

    def release(self, data: bytes = b"") -> list[Piece]:
        """All that is held and `data`, as it came."""
        released, self._held = self._held + data, b""
        return [Piece(released, False)] if released else []

    def due_at(self) -> int | None:
        """When what is held will be passed on."""
        return self._due_at if self._held else None

    @property
    def _due_at(self) -> int:
        return self._last_byte_us + PARTIAL_FRAME_TIMEOUT_US

    def _end_of_frame(self) -> int:
        """The length of the first frame with its delimiters; 0 if it is not there as a whole."""
        empty = len(self._held) - len(self._held.lstrip(b"\0"))
        return self._held.find(b"\0", empty) + 1 if empty < len(self._held) else 0


class Waiting(msgspec.Struct):
    """Bytes on their way, which arrive in the order of time and then of `number`."""

    at_us: int
    number: int
    data: bytes
    overtaken_by: int | None = 0


class Queue:
    """What is on its way. Everything arrives in the order in which it was sent, but for what may be overtaken."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []
        self._sent = 0
        self._busy_until = 0

    def send(self, carried: Carried) -> None:
        """Let bytes go off."""
        if not carried.data:
            return
        if carried.overtaken_by != 0:
            self._add(carried.at_us, carried.data, carried.overtaken_by)
        elif carried.byte_us:
            for byte in carried.data:
                self._busy_until = max(self._busy_until, carried.at_us) + carried.byte_us
                self._add(self._busy_until, bytes((byte,)))
        else:
            self._busy_until = max(self._busy_until, carried.at_us)
            self._add(self._busy_until, carried.data)
        if carried.overtaken_by == 0:
            self._overtake()

    def arrived(self, now: int) -> bytes:
        """What has arrived by `now`, and is on its way no more."""
        count = bisect_right(self._waiting, now, key=_time)
        arrived = b"".join(each.data for each in self._waiting[:count])
        del self._waiting[:count]
        return arrived

    def next_at(self) -> int | None:
        """When the next bytes arrive; None if nothing is on its way."""
        return self._waiting[0].at_us if self._waiting else None

    def _add(self, at_us: int, data: bytes, overtaken_by: int | None = 0) -> None:
        self._sent += 1
        insort(self._waiting, Waiting(at_us, self._sent, data, overtaken_by), key=_order)

    def _overtake(self) -> None:
        """Take note of something that was sent behind what may be overtaken: who has waited enough follows it."""
        for each in self._waiting:
            if each.overtaken_by:
                each.overtaken_by -= 1
                if not each.overtaken_by:
                    self._sent += 1
                    each.at_us, each.number = min(each.at_us, self._busy_until), self._sent
        self._waiting.sort(key=_order)


def _time(waiting: Waiting) -> int:
    return waiting.at_us


def _order(waiting: Waiting) -> tuple[int, int]:
    return waiting.at_us, waiting.number


class Lane:
    """A stretch of the way: pieces wait to be struck, and then arrive."""

    def __init__(self) -> None:
        self.pieces: deque[Piece] = deque()
        self.queue = Queue()
        self._splitter = Splitter()

    @property
    def is_holding(self) -> bool:
        """Whether bytes are held until their frame is whole."""
        return self._splitter.due_at() is not None

    def put(self, data: bytes, now: int, *, as_frames: bool) -> None:
        """Take bytes that set out at `now`, and what has been held long enough."""
        self.pieces += self._splitter.cut(data, now) if as_frames else self._splitter.release(data)

    def next_at(self) -> int | None:
        """When something arrives, or is no longer held."""
        return min((at for at in (self.queue.next_at(), self._splitter.due_at()) if at is not None), default=None)
