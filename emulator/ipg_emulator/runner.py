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
        self._next: int | None = 0
        with suppress(OSError, AttributeError):
            selector.register(os.pidfd_open(self._parent), EVENT_READ, self)
            self._next = None
        self._check()  # it may have ended before it could be watched

    def wake_at(self) -> int | None:
        return self._next

    def wake(self, now: int) -> None:
        if self._next is not None and now >= self._next:
            self._next = now + PARENT_POLL_US
            self._check()

    def _check(self) -> None:
        if os.getppid() != self._parent:
            raise ParentGone


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
            try:
                _exit_on_signals()
                if not outlive_parent:
                    self.watch(ParentWatch(selector))
                self._port.open(selector)
                ready()
                while True:
                    self._turn(selector)
            except ParentGone:
                return
            finally:
                self._port.close()
                self._firmware.power_off(self.now())

    def _turn(self, selector: DefaultSelector) -> None:
        ready = selector.select(self._seconds_to_sleep())
        now = self.now()
        data = self._port.wake(now)
        for key, _ in ready:
            if isinstance(key.data, ParentWatch):
                raise ParentGone
            data += self._port.receive(key.data, now)
        if data:
            self._firmware.receive(data, now)
        else:
            self._firmware.wake(now)
        output = self._firmware.take_output(now)
        if output:
            self._port.send(output, now)
        for watcher in self._watchers:
            watcher.wake(now)

    def _seconds_to_sleep(self) -> float | None:
        earliest = self._firmware.wake_at()
        for at in (self._port.wake_at(), *[watcher.wake_at() for watcher in self._watchers]):
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return None if earliest is None else max(0, earliest - self.now()) / 1_000_000


_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _exit_on_signals() -> None:
    def leave(number: int, _: FrameType | None) -> NoReturn:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(130 if number == signal.SIGINT else 0)

    for number in _ENDING:
        signal.signal(number, leave)
