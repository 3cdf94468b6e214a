"""A pseudo-terminal: any program that opens a serial device can open it."""

from __future__ import annotations

import os
import tty
from selectors import EVENT_READ, BaseSelector

from ipg_emulator.ports import READ_BYTES, Immediate, PortError
from ipg_emulator.ports.link_path import StableLink
from ipg_emulator.ports.queue import OutputQueue


class PtyPort(Immediate):
    """A PTY in raw mode, with a symlink to it if a path is given.

    One slave descriptor stays open, so that the master does not fail with EIO while no client has it.
    """

    def __init__(self, link: str | None = None) -> None:
        self._link = StableLink(link) if link else None
        self._name = ""
        self._descriptors: tuple[int, ...] = ()

    @property
    def address(self) -> str:
        return self._link.path if self._link else self._name

    def open(self, selector: BaseSelector, owner: object) -> None:
        """Make the PTY.

        Raises:
            PortError: the system has no more, or the link's path is taken.
        """
        self._master, slave = self._descriptors = _pair()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        self._name = os.ttyname(slave)
        if self._link:
            self._link.make(self._name)
        selector.register(self._master, EVENT_READ, (owner, None))
        self._queue = OutputQueue(self._master, selector, (owner, None))

    def receive(self, _ready: object, _now: int, /) -> bytes:
        self._queue.flush()
        try:
            return os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return b""

    def send(self, data: bytes, _now: int, /) -> bool:
        return self._queue.send(data)

    def close(self) -> None:
        if self._link:
            self._link.remove()
        for descriptor in self._descriptors:
            os.close(descriptor)


def _pair() -> tuple[int, int]:
    try:
        return os.openpty()
    except OSError as error:
        raise PortError(f"no pseudo-terminal is to be had: {error.strerror or error}; --tcp needs none") from None
