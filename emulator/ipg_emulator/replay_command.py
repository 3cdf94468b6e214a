"""`ipg-emulator replay`: a recorded device at a port, until its trace is at the end or the host departs from it."""

from __future__ import annotations

import argparse
import os
import sys
from math import inf
from selectors import DefaultSelector

from ipg_emulator.launch import NETWORK_KINDS, port_at
from ipg_emulator.ports import Port
from ipg_emulator.replay import DRAWN_BY_HOSTS, Replay, load
from ipg_emulator.runner import Runner, real_time

QUIET_US = 1_000_000
"""After the end of the trace, the host is listened to until it has sent nothing for so long."""


class ReplayOver(Exception):
    """The host has departed from the trace, or has followed it to its end and is quiet."""


class ReplayStation:
    """A recorded device at its port."""

    def __init__(self, replay: Replay, port: Port, started_at: int) -> None:
        """The replay's time begins at `started_at` microseconds of real time."""
        self._replay = replay
        self._port = port
        self._started_at = started_at
        self._quiet_since = started_at

    def open(self, selector: DefaultSelector, /) -> None:
        """Open the port.

        Raises:
            PortError: it cannot be had.
        """
        self._port.open(selector, self)

    def close(self) -> None:
        self._port.close()

    def wake_at(self) -> int | None:
        """When the next answer is due, the port has something to do, or all is over."""
        due = self._replay.wake_at()
        answer_at = inf if due is None else self._started_at + due
        port_at = self._port.wake_at()
        over_at = self._quiet_since + QUIET_US if self._replay.is_over else inf
        at = min(answer_at, inf if port_at is None else port_at, over_at)
        return None if at == inf else int(at)

    def wake(self, real: int, /) -> None:
        self._live_on(self._port.wake(real), real)

    def receive(self, ready: object, real: int, /) -> None:
        self._live_on(self._port.wake(real) + self._port.receive(ready, real), real)

    def _live_on(self, data: bytes, real: int) -> None:
        """Give the replay what has come, and the host what is due.

        Raises:
            ReplayOver: that was the last of it.
        """
        now = real - self._started_at
        self._replay.receive(data, now)
        output = self._replay.take_output(now)
        if output:
            self._port.send(output, real)
        if data or output:
            self._quiet_since = real
        is_quiet = real >= self._quiet_since + QUIET_US
        if self._replay.departure is not None or (self._replay.is_over and is_quiet):
            raise ReplayOver


def run(options: argparse.Namespace) -> int:
    """Replay a trace; returns the exit code.

    Raises:
        TraceError: there is no trace that can be read.
        PortError: the port cannot be had.
    """
    started_at = real_time()
    replay = Replay(load(options.trace), ignore=DRAWN_BY_HOSTS | set(options.ignore))
    port = port_at(options.link, options.tcp, options.rfc2217)
    runner = Runner([])
    runner.serve(ReplayStation(replay, port, started_at))
    kind = next((kind for kind in NETWORK_KINDS if getattr(options, kind) is not None), "pty")
    try:
        runner.run(lambda: print(f"READY {kind} {port.address}", flush=True), outlive_parent=options.outlive_parent)
    except (ReplayOver, SystemExit):
        replay.end()
    return _told(replay, options.trace)


def _told(replay: Replay, path: str) -> int:
    name = os.path.basename(path)
    if replay.departure is not None:
        print(f"ipg-emulator: {name}: the host departs from the trace at {replay.departure}", file=sys.stderr)
        return 1
    print(f"ipg-emulator: {name}: the host has followed all {replay.requests} requests", file=sys.stderr)
    return 0
