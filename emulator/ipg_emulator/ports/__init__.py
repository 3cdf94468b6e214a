"""The edges: where the device's bytes meet a PTY, a TCP socket, or a pyserial program in the same process."""

from __future__ import annotations

from selectors import BaseSelector
from typing import Protocol

OUTPUT_QUEUE_BYTES = 65_536
READ_BYTES = 256
"""How much is read from one port in a turn, about the longest frame: who floods a device leaves the others their share."""


class PortError(Exception):
    """A port cannot be had; the text says which, why, and what to do."""


class Immediate:
    """What a port that has nothing to do by the clock inherits."""

    def wake_at(self) -> int | None:
        return None

    def wake(self, _: int, /) -> bytes:
        return b""


class Port(Protocol):
    """One end of a link, never blocking."""

    @property
    def address(self) -> str:
        """What a pyserial program opens to get here."""
        ...

    def open(self, selector: BaseSelector, owner: object) -> None:
        """Register what is waited on, with `(owner, what is ready)` as the selector's key data."""
        ...

    def receive(self, ready: object, now: int, /) -> bytes:
        """The bytes behind what is ready; empty when there are none after all."""
        ...

    def send(self, data: bytes, now: int, /) -> bool:
        """Send, or queue what does not fit; once the queue is full, what comes is dropped whole: False."""
        ...

    def wake_at(self) -> int | None:
        """When the port itself has something to do, in microseconds; None if only its descriptors matter."""
        ...

    def wake(self, now: int, /) -> bytes:
        """Do what is due; the bytes that have arrived by it."""
        ...

    def close(self) -> None: ...
