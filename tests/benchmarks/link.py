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
from ipg_protocol import Message, Reply, ResponseFlag, State, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.commands.link import Alert, DeviceStatus, GetStatus, Ping, Pong
from ipg_protocol.vocabulary import BatteryTier
from measure import Row, Sample, take_turns

ROUND_TRIPS = 200
ROUNDS = 20
PING = encode_frame(request_frame(Ping(1), 1))
STATUS = encode_frame(request_frame(GetStatus(), 1))


def _answer_size(opcode: int, answer: Message) -> int:
    return len(encode_frame(reply_frame(opcode, 1, Reply(Status.OK, ResponseFlag(0), answer))))


PONG_SIZE = _answer_size(0x0001, Pong(1))
STATUS_SIZE = _answer_size(0x0003, DeviceStatus(State.IDLE, 1, BatteryTier.OK, 0, Alert(0), 0, 1, 1))


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
    """PING and GET_STATUS against an emulator of its own process."""
    every = os.sched_getaffinity(0)
    yield from _round_trips(every, every, "")
    if len(every) > 1:
        mine, theirs, *_ = sorted(every)
        yield from _round_trips({mine}, {theirs}, ", two processors")


def _round_trips(mine: set[int], theirs: set[int], where: str) -> Iterable[Row]:
    for name, request, answer_size in (("PING", PING, PONG_SIZE), ("GET_STATUS", STATUS, STATUS_SIZE)):
        with (
            _held_to(theirs),
            echo(len(request), answer_size) as (echo_name, echo_path),
            emulator() as (_, path),
            _held_to(mine),
            terminal(echo_path) as echo_port,
        ):
            floor = round_trips_us(echo_port, request, answer_size, ROUND_TRIPS)
            with terminal(path) as port:
                raw = take_turns({"floor": floor, "figure": round_trips_us(port, request, answer_size, ROUND_TRIPS)}, ROUNDS)
            yield Row(f"{name}, bytes ready made{where}", "us", raw["figure"], 1.5, raw["floor"], echo_name)
            if request is STATUS:
                with connect(path) as client:
                    library = take_turns({"floor": floor, "figure": _statuses_us(client)}, ROUNDS)
                yield Row(f"{name}, host library{where}", "us", library["figure"], 2.5, library["floor"], echo_name)


def _statuses_us(client: Client) -> Sample:
    def sample() -> Iterable[float]:
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter_ns()
            client.run(procedures.status())
            yield (time.perf_counter_ns() - began) / 1000

    return sample
