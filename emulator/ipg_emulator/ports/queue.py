"""Bytes that wait until a descriptor takes them, up to a bound."""

from __future__ import annotations

import os
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector

from ipg_emulator.ports import OUTPUT_QUEUE_BYTES


class OutputQueue:
    """Writes to a non-blocking descriptor, and asks the selector for write events only while something waits."""

    def __init__(self, descriptor: int, selector: BaseSelector, key: object) -> None:
        self._descriptor = descriptor
        self._selector = selector
        self._key = key
        self._waiting = bytearray()

    def send(self, data: bytes) -> bool:
        """Write what goes now; queue the rest, or drop `data` whole when the queue is full: False.

        Raises:
            OSError: the descriptor is gone.
        """
        if self._waiting:
            if len(self._waiting) + len(data) > OUTPUT_QUEUE_BYTES:
                return False
            self._waiting += data
            return True
        written = self._write(data)
        if written < len(data):
            self._waiting += data[written:]
            self._selector.modify(self._descriptor, EVENT_READ | EVENT_WRITE, self._key)
        return True

    def flush(self) -> None:
        """Write what waits, as far as it goes."""
        if not self._waiting:
            return
        del self._waiting[: self._write(bytes(self._waiting))]
        if not self._waiting:
            self._selector.modify(self._descriptor, EVENT_READ, self._key)

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
