"""Round trips over a pseudo-terminal: bytes ready made, and through the host library, each against an echo of the same size.

Measured as the scheduler places the processes, which makes the floor jump by a factor of four with what else is running, and
with client and device each held to a processor of its own, which is repeatable.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from device import echo, emulator, round_trips_us, terminal
from ipg_host import Client, connect, procedures
from ipg_protocol import Reply, ResponseFlag, State, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.commands.link import Alert, DeviceStatus, GetStatus
from ipg_protocol.vocabulary import BatteryTier
from measure import Row, Sample, take_turns

ROUND_TRIPS = 200
ROUNDS = 20
REQUEST = encode_frame(request_frame(GetStatus(), 1))
STATUS = DeviceStatus(State.IDLE, 1, BatteryTier.OK, 0, Alert(0), 0, 1, 1)
ANSWER_SIZE = len(encode_frame(reply_frame(0x0003, 1, Reply(Status.OK, ResponseFlag(0), STATUS))))


@contextmanager
def _held_to(processors: set[int]) -> Generator[None]:
    """This process, and those it starts, run on these processors only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def round_trips() -> Iterable[Row]:
    """GET_STATUS against an emulator of its own process."""
    every = os.sched_getaffinity(0)
    yield from _round_trips(every, every, "")
    if len(every) > 1:
        mine, theirs, *_ = sorted(every)
        yield from _round_trips({mine}, {theirs}, ", two processors")


def _round_trips(mine: set[int], theirs: set[int], where: str) -> Iterable[Row]:
    with (
        _held_to(theirs),
        echo(len(REQUEST), ANSWER_SIZE) as (echo_name, echo_path),
        emulator() as (_, path),
        _held_to(mine),
        terminal(echo_path) as echo_port,
    ):
        floor = round_trips_us(echo_port, REQUEST, ANSWER_SIZE, ROUND_TRIPS)
        with terminal(path) as port:
            raw = take_turns({"floor": floor, "figure": round_trips_us(port, REQUEST, ANSWER_SIZE, ROUND_TRIPS)}, ROUNDS)
        with connect(path) as client:
            library = take_turns({"floor": floor, "figure": _statuses_us(client)}, ROUNDS)
    yield Row(f"GET_STATUS, bytes ready made{where}", "us", raw["figure"], 1.5, raw["floor"], echo_name)
    yield Row(f"GET_STATUS, host library{where}", "us", library["figure"], 2.5, library["floor"], echo_name)


def _statuses_us(client: Client) -> Sample:
    def sample() -> Iterable[float]:
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter_ns()
            client.run(procedures.status())
            yield (time.perf_counter_ns() - began) / 1000

    return sample
