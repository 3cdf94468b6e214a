"""Runs a device on a real port in real time: one loop on `selectors`, asleep whenever nothing is due."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from types import FrameType
from typing import NoReturn, Protocol

from ipg_emulator.firmware import Firmware
from ipg_emulator.ports import Port

PARENT_POLL_US = 1_000_000


class Watcher(Protocol):
    """Something that wants to be called now and then, such as a status line."""

    def wake_at(self) -> int | None: ...
    def wake(self, now: int) -> None: ...


class ParentGone(Exception):
    """The process that started this one has ended."""


class ParentWatch:
    """Notices the end of the parent process: by a descriptor where the system has one, else by asking every second."""

    def __init__(self, selector: DefaultSelector) -> None:
        self._parent = os.getppid()
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):
            descriptor = os.pidfd_open(self._parent)
            selector.register(descriptor, EVENT_READ, self)
            self.check()  # a parent that ended before it could be watched
            self._descriptor = descriptor

    def check(self) -> None:
        """Raise `ParentGone` once the parent is another."""
        if self._descriptor is None and os.getppid() != self._parent:
            raise ParentGone

    def wake_at(self, now: int) -> int | None:
        return None if self._descriptor is not None else now + PARENT_POLL_US


class Runner:
    """A firmware, its port, and the clock between them."""

    def __init__(self, firmware: Firmware, port: Port, *, started_at: int) -> None:
        """The device's time goes on from `started_at` microseconds."""
        self._firmware = firmware
        self._port = port
        self._origin = time.monotonic_ns() // 1000 - started_at
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

    def now(self) -> int:
        """The device's time in microseconds."""
        return time.monotonic_ns() // 1000 - self._origin

    def run(self, ready: Callable[[], None], *, outlive_parent: bool = False) -> None:
        """Serve until a signal or the parent's end stops it; `ready` is called once the port answers.

        Raises:
            PortError: the port cannot be had.
        """
        with DefaultSelector() as selector:
            parent = None if outlive_parent else ParentWatch(selector)
            self._port.open(selector)
            try:
                _exit_on_signals()
                ready()
                while True:
                    self._turn(selector, parent)
            except ParentGone:
                return
            finally:
                self._port.close()
                self._firmware.power_off(self.now())

    def _turn(self, selector: DefaultSelector, parent: ParentWatch | None) -> None:
        ready = selector.select(self._seconds_to_sleep(parent))
        now = self.now()
        for key, _ in ready:
            if key.data is parent:
                raise ParentGone
            self._exchange(self._port.receive(key.data, now), now)
        self._exchange(self._port.wake(now), now)
        for watcher in self._watchers:
            watcher.wake(now)
        if parent:
            parent.check()

    def _exchange(self, data: bytes, now: int) -> None:
        if data:
            self._firmware.receive(data, now)
        else:
            self._firmware.wake(now)
        output = self._firmware.take_output(now)
        if output:
            self._port.send(output, now)

    def _seconds_to_sleep(self, parent: ParentWatch | None) -> float | None:
        times = [self._firmware.wake_at(), self._port.wake_at(), *[watcher.wake_at() for watcher in self._watchers]]
        if parent:
            times.append(parent.wake_at(self.now()))
        earliest = min([at for at in times if at is not None], default=None)
        return None if earliest is None else max(0, earliest - self.now()) / 1_000_000


def _exit_on_signals() -> None:
    def leave(number: int, _: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(130 if number == signal.SIGINT else 0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)
