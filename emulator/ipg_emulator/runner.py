"""Runs a device on a real port: one loop on `selectors`, asleep whenever nothing is due.

Ports and watchers live in real time; the device in its own, which a clock makes of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from types import FrameType
from typing import NoReturn, Protocol

from ipg_emulator.clock import clock_at
from ipg_emulator.firmware import Firmware
from ipg_emulator.ports import Port

PARENT_POLL_US = 1_000_000


class Watcher(Protocol):
    """Something that wants to be called now and then, such as a status line: at `real` times, when the device's is `now`."""

    def wake_at(self) -> int | None: ...
    def wake(self, real: int, now: int) -> None: ...


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

    def wake(self, real: int, now: int) -> None:  # noqa: ARG002 - the parent lives in real time
        if self._next is not None and real >= self._next:
            self._next = real + PARENT_POLL_US
            self._check()

    def _check(self) -> None:
        if os.getppid() != self._parent:
            raise ParentGone


def real_time() -> int:
    """Microseconds of a clock that never goes backwards."""
    return time.monotonic_ns() // 1000


class Runner:
    """A firmware, its port, and the clock between them."""

    def __init__(self, firmware: Firmware, port: Port, *, started_at: int, speed: float = 1) -> None:
        """The device's time goes on from `started_at` microseconds, at a speed of `clock_at`."""
        self._firmware = firmware
        self._port = port
        self._clock = clock_at(speed, started_at=started_at, real_clock=real_time)
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        self._watchers.append(watcher)

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
                self._firmware.power_off(self._clock.read(real_time()))

    def _turn(self, selector: DefaultSelector) -> None:
        ready = selector.select(self._seconds_to_sleep())
        real = real_time()
        data = self._port.wake(real)
        for key, _ in ready:
            if isinstance(key.data, ParentWatch):
                raise ParentGone
            data += self._port.receive(key.data, real)
        now, output = self._clock.pass_time(self._firmware, real)
        if data:
            self._firmware.receive(data, now)
        else:
            self._firmware.wake(now)
        output += self._firmware.take_output(now)
        if output:
            self._port.send(output, real)
        if data or output:
            self._clock.talked(data, real)
        for watcher in self._watchers:
            watcher.wake(real, now)

    def _seconds_to_sleep(self) -> float | None:
        real = real_time()
        earliest = self._clock.sleep_us(self._firmware, real)
        for at in (self._port.wake_at(), *[watcher.wake_at() for watcher in self._watchers]):
            if at is not None and (earliest is None or at - real < earliest):
                earliest = max(0, at - real)
        return None if earliest is None else earliest / 1_000_000


_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _exit_on_signals() -> None:
    def leave(number: int, _: FrameType | None) -> NoReturn:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(130 if number == signal.SIGINT else 0)

    for number in _ENDING:
        signal.signal(number, leave)
