"""Runs devices on real ports: one loop on `selectors`, asleep whenever nothing is due.

Ports live in real time; each device in its own, which a clock makes of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from math import ceil
from selectors import EVENT_READ, DefaultSelector
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ipg_emulator.agenda import Agenda, Sleeper
from ipg_emulator.clock import MANUAL_SPEED, TURN_US, advance, clock_at
from ipg_emulator.ports import Port
from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_emulator.snapshot import Snapshot

PARENT_POLL_US = 1_000_000


class ParentGone(Exception):
    """The process that started this one has ended."""


class ParentWatch:
    """Notices the end of the parent process: by a descriptor where the system has one, else by asking every second."""

    def __init__(self, selector: DefaultSelector) -> None:
        self._parent = os.getppid()
        self._next: int | None = 0
        with suppress(OSError, AttributeError):
            selector.register(os.pidfd_open(self._parent), EVENT_READ, (self, None))
            self._next = None
        self._check()  # it may have ended before it could be watched

    def wake_at(self) -> int | None:
        return self._next

    def wake(self, real: int) -> None:
        self._next = real + PARENT_POLL_US
        self._check()

    def receive(self, _ready: object, _real: int, /) -> NoReturn:
        raise ParentGone

    def _check(self) -> None:
        if os.getppid() != self._parent:
            raise ParentGone


def real_time() -> int:
    """Microseconds of a clock that never goes backwards."""
    return time.monotonic_ns() // 1000


class Station:
    """A device at its port, and the clock between them."""

    def __init__(self, ipg: VirtualIpg, port: Port, *, started_at: int, speed: float = 1) -> None:
        """The device's time goes on from `started_at` microseconds, at a speed of `clock_at`."""
        self.ipg = ipg
        self.port = port
        self.due_changed: Callable[[Station], None] = _unheeded
        """Called when something else than its port or the time has changed when it is due."""
        self._speed = speed
        self._clock = clock_at(speed, started_at=started_at, real_clock=real_time)
        self._due_at: int | None = 0

    def open(self, selector: DefaultSelector) -> None:
        """Open the port.

        Raises:
            PortError: it cannot be had.
        """
        self.port.open(selector, self)

    def close(self) -> None:
        self.port.close()
        self.ipg.power_off(self._clock.read(real_time()))

    def wake_at(self) -> int | None:
        return self._due_at

    def wake(self, real: int) -> None:
        self.live_on(self.port.wake(real), real)

    def receive(self, ready: object, real: int) -> None:
        """Take what has arrived where the port says that something is `ready`."""
        self.live_on(self.port.wake(real) + self.port.receive(ready, real), real)

    @property
    def passes_by_itself(self) -> bool:
        """Whether time goes on without anybody's doing."""
        return self._speed != MANUAL_SPEED

    def exclusively(self) -> AbstractContextManager[object]:
        """Nothing to keep away: whoever asks is in the thread of the runner."""
        return nullcontext()

    def present(self) -> int:
        """Bring the device up to the present of its clock, in microseconds of its time; what it has to say goes out."""
        now = self.live_on(b"", real_time())
        self.due_changed(self)
        return now

    def advance(self, seconds: float) -> None:
        """Let so much of the device's time pass at once, deadline by deadline, whatever its clock."""
        now = self.present()
        until = now + round(seconds * 1_000_000)
        for at, output in advance(self.ipg, now, until):
            if output:
                self._say(output, at, real_time())
        self._clock.set(until, real_time())
        self.present()

    def snapshot(self) -> Snapshot:
        """The device as it is at the present."""
        from ipg_emulator.snapshot import take

        return take(self.ipg, self.present())

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this device, at its time.

        Raises:
            SnapshotError: it is of another device, or no snapshot; nothing has changed.
        """
        self._clock.set(self.ipg.restore(snapshot), real_time())
        self.present()

    def _say(self, output: bytes, now: int, real: int) -> None:
        if not self.port.send(output, real):
            self.ipg.output_lost(output, now)

    def live_on(self, data: bytes, real: int) -> int:
        """Let the device live up to `real`, when `data` reaches it; the device's time then."""
        ipg, clock = self.ipg, self._clock
        now, output = clock.pass_time(ipg, real)
        if data:
            ipg.receive(data, now)
        else:
            ipg.wake(now)
        output += ipg.take_output(now)
        if output:
            self._say(output, now, real)
        if data or output:
            clock.talked(data, real)
        sleep_us = clock.sleep_us(ipg, real)
        port_at = self.port.wake_at()
        at = None if sleep_us is None else real + ceil(sleep_us)
        self._due_at = port_at if at is None else at if port_at is None else min(at, port_at)
        return now


def _unheeded(_: Station) -> None:
    """Nobody runs the station yet."""


class Served(Sleeper, Protocol):
    """What waits for descriptors and for times: a station, or a channel by which stations are asked for something."""

    def open(self, selector: DefaultSelector, /) -> None:
        """Register what is waited on, with `(self, what is ready)` as the selector's key data."""
        ...

    def receive(self, ready: Any, real: int, /) -> object:
        """Deal with what is ready."""
        ...

    def close(self) -> None: ...


class Runner:
    """Stations, served in turn: each turn reads once from every port that has bytes, and wakes whoever is due."""

    def __init__(self, stations: Sequence[Station]) -> None:
        self._served: list[Served] = []
        self._agenda = Agenda()
        for station in stations:
            station.due_changed = self._agenda.note
            self.serve(station)

    def serve(self, served: Served) -> None:
        """Serve something else beside the stations, from the same loop."""
        self._served.append(served)
        self._agenda.note(served)

    def watch(self, watcher: Sleeper) -> None:
        """Wake something else beside the devices, such as a status line."""
        self._agenda.note(watcher)

    def run(self, ready: Callable[[], None], *, outlive_parent: bool = False) -> None:
        """Serve until a signal or the parent's end stops it; `ready` is called once every port answers.

        Raises:
            PortError: a port cannot be had.
        """
        with DefaultSelector() as selector, ExitStack() as ending, suppress(ParentGone):
            for served in self._served:
                ending.callback(served.close)
            _exit_on_signals()
            if not outlive_parent:
                self.watch(ParentWatch(selector))
            for served in self._served:
                served.open(selector)
            ready()
            while True:
                self._turn(selector)

    def _turn(self, selector: DefaultSelector) -> None:
        for key, _ in selector.select(self._seconds_to_sleep()):
            served, what = key.data
            served.receive(what, real_time())
            self._agenda.note(served)
        self._wake_due(real_time())

    def _wake_due(self, real: int) -> None:
        """Wake those who are due at `real`, the longest due first; after a while the ports come before the rest of them."""
        now = real
        while now - real < TURN_US and (sleeper := self._agenda.pop_due(real)) is not None:
            at = sleeper.wake_at()
            if at is not None and at <= now:
                sleeper.wake(now)
            self._agenda.note(sleeper)
            now = real_time()

    def _seconds_to_sleep(self) -> float | None:
        at = self._agenda.next_at()
        return None if at is None else max(0, at - real_time()) / 1_000_000


_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _exit_on_signals() -> None:
    def leave(number: int, _: FrameType | None) -> NoReturn:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(130 if number == signal.SIGINT else 0)

    for number in _ENDING:
        signal.signal(number, leave)
