"""The edges: where the device's bytes meet a PTY, a TCP socket, or a pyserial program in the same process."""

from __future__ import annotations

from selectors import BaseSelector
from typing import Protocol

OUTPUT_QUEUE_BYTES = 65_536


class PortError(Exception):
    """A port cannot be had; the text says which, why, and what to do."""


class Immediate:
    """What a port that has nothing to do by the clock inherits."""

    def wake_at(self) -> int | None:
        return None

    def wake(self, _: int, /) -> bytes:
        return b""


class Port(Protocol):
    """One end of a link, never blocking. It registers what it waits on with the selector it is opened with."""

    @property
    def address(self) -> str:
        """What a pyserial program opens to get here."""
        ...

    def open(self, selector: BaseSelector) -> None: ...

    def receive(self, ready: object, now: int, /) -> bytes:
        """The bytes behind a selector's key data; empty when there are none after all."""
        ...

    def send(self, data: bytes, now: int, /) -> None:
        """Send, or queue what does not fit; once the queue is full, what comes is dropped whole."""
        ...

    def wake_at(self) -> int | None:
        """When the port itself has something to do, in microseconds; None if only its descriptors matter."""
        ...

    def wake(self, now: int, /) -> bytes:
        """Do what is due; the bytes that have arrived by it."""
        ...

    def close(self) -> None: ...
