"""Bytes at the speed of a UART: each takes ten bit times, one after another."""

from __future__ import annotations

from selectors import BaseSelector

from ipg_emulator.ports import OUTPUT_QUEUE_BYTES, Port

BITS_PER_BYTE = 10


class PacedBytes:
    """One direction of a line. A byte put in comes out once the line has had time to carry it.

    What is put in while a whole queue waits is lost, as in a UART that overruns.
    """

    def __init__(self, baud: int) -> None:
        self._us_per_byte = BITS_PER_BYTE * 1_000_000 / baud
        self._waiting = bytearray()
        self._line_free_at = 0.0

    def put(self, data: bytes, now: int) -> bool:
        """Whether there was room."""
        if not self._waiting:
            self._line_free_at = max(self._line_free_at, float(now))
        if len(self._waiting) + len(data) > OUTPUT_QUEUE_BYTES:
            return False
        self._waiting += data
        return True

    def take(self, now: int) -> bytes:
        """The bytes that have arrived by `now`."""
        arrived = min(len(self._waiting), int((now - self._line_free_at) / self._us_per_byte))
        if arrived <= 0:
            return b""
        taken = bytes(self._waiting[:arrived])
        del self._waiting[:arrived]
        self._line_free_at += arrived * self._us_per_byte
        return taken

    def next_at(self) -> int | None:
        """When the next byte arrives; None when none is on its way."""
        return int(self._line_free_at + self._us_per_byte) + 1 if self._waiting else None


class PacedPort:
    """Another port, held to a baud rate in both directions."""

    def __init__(self, inner: Port, baud: int) -> None:
        self._inner = inner
        self._incoming = PacedBytes(baud)
        self._outgoing = PacedBytes(baud)

    @property
    def address(self) -> str:
        return self._inner.address

    def open(self, selector: BaseSelector, owner: object) -> None:
        self._inner.open(selector, owner)

    def receive(self, ready: object, now: int) -> bytes:
        self._incoming.put(self._inner.receive(ready, now), now)
        return self._incoming.take(now)

    def send(self, data: bytes, now: int) -> bool:
        return self._outgoing.put(data, now)

    def wake_at(self) -> int | None:
        times = (self._incoming.next_at(), self._outgoing.next_at())
        return min((at for at in times if at is not None), default=None)

    def wake(self, now: int) -> bytes:
        arrived = self._outgoing.take(now)
        if arrived:
            self._inner.send(arrived, now)
        return self._incoming.take(now)

    def close(self) -> None:
        self._inner.close()
