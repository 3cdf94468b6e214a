"""What a test pays for a device of its own, in its process and in another one, and for a fork of one that is there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import load
from ipg_emulator.snapshot import fork, take
from ipg_emulator.testing.lending import lend
from ipg_emulator.testing.nursery import Nursery
from ipg_emulator.testing.wanted import wanted
from ipg_emulator.virtual import VirtualIpg
from measure import Row, Sample, take_turns

SET_UPS = 40
ROUNDS = 5
FORKS = 100
MODEL = "scs-rechargeable"


def set_ups() -> Iterable[Row]:
    """A device lent and taken back, as the fixtures do it, in this process and at a PTY in its own."""
    with Nursery() as nursery:
        in_process = {"device": _each_ms(_build), "fixture": _each_ms(lambda: _lend(nursery, "in-process"))}
        taken = take_turns(in_process, ROUNDS)
        yield Row("fixture, in-process", "ms", taken["fixture"], 10, taken["device"], "the device alone", holds_figure=True)
        own_process = {"python": _each_ms(_start_python, 4), "fixture": _each_ms(lambda: _lend(nursery, "pty"))}
        taken = take_turns(own_process, ROUNDS)
        yield Row(
            "fixture, PTY, own process", "ms", taken["fixture"], 150, taken["python"], "python -c pass", holds_figure=True
        )


def forks() -> Iterable[Row]:
    """A hundred devices from one snapshot, against a hundred built anew."""
    model = load(MODEL)
    snapshot = take(VirtualIpg(build_device(model)), boot_finished_at(model))
    samples = {
        "build": _each_ms(lambda: [_build() for _ in range(FORKS)], 1),
        "fork": _each_ms(lambda: [fork(snapshot) for _ in range(FORKS)], 1),
    }
    taken = take_turns(samples, ROUNDS)
    yield Row("100 forks of a snapshot", "ms", taken["fork"], 1000, taken["build"], "100 devices", holds_figure=True)


def _build() -> object:
    return build_device(load(MODEL))


def _start_python() -> object:
    return subprocess.run([sys.executable, "-c", "pass"], check=True)


def _lend(nursery: Nursery, transport: str) -> None:
    with ExitStack() as ending:
        lend(wanted([((), {"model": MODEL, "transport": transport})]), ending, lambda: nursery)


def _each_ms(work: Callable[[], object], times: int = SET_UPS) -> Sample:
    def sample() -> Iterable[float]:
        for _ in range(times):
            began = time.perf_counter_ns()
            work()
            yield (time.perf_counter_ns() - began) / 1e6

    return sample
