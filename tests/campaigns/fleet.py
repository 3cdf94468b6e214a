"""A thousand devices in one process, a real host on the terminal of each, and among them three clients that misbehave.

`python tests/campaigns/fleet.py` runs ten minutes of it and prints what was lost or repeated, latencies, memory, idle use.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Any, NamedTuple

import ipg_emulator
from ipg_emulator.agenda import Agenda
from ipg_host.session import UNNUMBERED, Session
from ipg_protocol import Request, Role, encode_frame, request_frame
from ipg_protocol.commands.link import GetLinkStatistics, GetStatus, Ping
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude

READS: tuple[Request[Any], ...] = (GetStatus(), GetBattery(), ReadTherapy(0))
AMPLITUDES_MICROAMPS = (1_000, 2_000)
CHANGES = 0.25
"""Which part of the commands are changes."""
MODEL = Path(ipg_emulator.__file__).parent / "models" / "scs-rechargeable.toml"
LOG_ENTRIES = 16
FIRST_REVISION = 1
HOST_PROCESSES = 2
OPENING_US = 5_000
"""How long after each other the hosts open their sessions, on the average."""
SETTLING_SECONDS = 20
"""How long answers are waited for after the last command: more than all sends of one take."""
WARM_UP_SECONDS = 60
GREATEST_DRIFT_PERCENT = 5
FLOOD = encode_frame(request_frame(Ping(1), 1)) * 40
GARBAGE_BYTES = 1_000
TROUBLE_SECONDS = 0.001
"""How long troublemakers rest after each round: they send more than a device can take in, and leave the processor to others."""


@dataclass
class Tally:
    """What hosts have seen. Latencies count from the time at which a command was due, in microseconds."""

    sent: int = 0
    answered: int = 0
    lost: int = 0
    replayed: int = 0
    repeated: int = 0
    latencies_us: array[int] = field(default_factory=lambda: array("L"))

    def add(self, other: Tally) -> None:
        for name in ("sent", "answered", "lost", "replayed", "repeated"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latencies_us += other.latencies_us


class Outcome(NamedTuple):
    """A whole run."""

    tally: Tally
    memory_mb: tuple[float, float] | None
    """After the warm-up and at the end; None of a run that is not longer than that."""
    busy_percent: float
    """How much of a processor the emulator used while hosts talked."""
    idle_percent: float | None
    """The same once nobody talks any more; None if that was not waited for."""

    @property
    def drift_percent(self) -> float:
        before, after = self.memory_mb or (1.0, 1.0)
        return 100 * (after - before) / before

    @property
    def broken(self) -> bool:
        """Whether a rule was not kept."""
        lost = self.tally.lost or self.tally.answered != self.tally.sent
        busy = round(self.idle_percent or 0) > 0
        return bool(lost or self.tally.repeated or busy or self.drift_percent >= GREATEST_DRIFT_PERCENT)


def now_us() -> int:
    return time.monotonic_ns() // 1000


class Host:
    """A device's host: whenever a command's time has come it sends it, however the earlier ones fare."""

    def __init__(self, device: int, path: str, begin: int, interval_us: int, until: int) -> None:
        self.tally = Tally()
        self.finished = False
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._rng = random.Random(device)
        self._session = Session(self._rng.random)
        self._interval_us = interval_us
        self._until = until
        self._opening: Request[Any] | None = OpenSession(Role.CLINICIAN, host_id=device + 1, nonce=1)
        self._next = begin
        self._pending: list[tuple[Any, int]] = []
        self._changes = 0
        self._ended = False
        self._last_words: list[Any] = []

    def wake_at(self) -> int | None:
        mine = None if self._ended else min(self._next, self._until)
        return min((at for at in (self._session.wake_at(), mine) if at is not None), default=None)

    def wake(self, now: int) -> None:
        while self._next <= min(now, self._until - 1):
            self._ask(self._command(), self._next)
            self._next += self._interval_us
        self._ended = now >= self._until
        self._session.wake(now)
        self._settle(now)

    def receive(self, now: int) -> None:
        with suppress(BlockingIOError):
            self._session.receive(os.read(self.descriptor, 4096), now)
        self._settle(now)

    def give_up(self) -> None:
        """Whatever is unanswered by now is lost."""
        self.tally.lost += len(self._pending) + (not self.finished)

    def _command(self) -> Request[Any]:
        opening, self._opening = self._opening, None
        if opening is not None:
            return opening
        if self._rng.random() < CHANGES:
            return SetAmplitude(UNNUMBERED, 0, self._rng.choice(AMPLITUDES_MICROAMPS))
        return self._rng.choice(READS)

    def _ask(self, request: Request[Any], due: int) -> None:
        self.tally.sent += 1
        self._pending.append((self._session.request(request, now_us()), due))

    def _settle(self, now: int) -> None:
        for exchange, due in [each for each in self._pending if each[0].done]:
            self._pending.remove((exchange, due))
            if exchange.error is not None:
                self.tally.lost += 1
                continue
            self.tally.answered += 1
            self.tally.latencies_us.append(max(0, now - due))
            self._changes += isinstance(exchange.request, SetAmplitude)
        if self._ended and not self._pending and not self.finished:
            self._take_leave(now)
        self._flush()

    def _take_leave(self, now: int) -> None:
        """Ask what the device has done in all, and compare."""
        if not self._last_words:
            requests = (GetStatus(), GetLinkStatistics(), CloseSession())
            self._last_words = [self._session.request(request, now) for request in requests]
        elif all(exchange.done for exchange in self._last_words):
            status, statistics, _ = (exchange.answer for exchange in self._last_words)
            self.finished = status is not None and statistics is not None
            if self.finished:
                self.tally.repeated = int(status.revision != FIRST_REVISION + self._changes)
                self.tally.replayed = statistics.requests_replayed

    def _flush(self) -> None:
        with suppress(BlockingIOError):  # a full line loses what it cannot take, and the session sends it again
            os.write(self.descriptor, self._session.take_output())


def serve(paths: dict[int, str], interval_us: int, until: int) -> Tally:
    """Be the hosts of so many devices."""
    total = Tally()
    agenda = Agenda()
    with DefaultSelector() as selector:
        begin, spread = now_us(), random.Random(0)
        starts = [begin + spread.randrange(OPENING_US * HOST_PROCESSES * len(paths)) for _ in paths]
        hosts = [Host(*device, begin, interval_us, until) for device, begin in zip(paths.items(), starts, strict=True)]
        for host in hosts:
            selector.register(host.descriptor, EVENT_READ, host)
            agenda.note(host)
        while now_us() < until or (
            now_us() < until + SETTLING_SECONDS * 1_000_000 and not all(host.finished for host in hosts)
        ):
            _turn(selector, agenda)
    for host in hosts:
        host.give_up()
        os.close(host.descriptor)
        total.add(host.tally)
    return total


def _turn(selector: DefaultSelector, agenda: Agenda) -> None:
    at = agenda.next_at()
    for key, _ in selector.select(0.1 if at is None else min(0.1, max(0, at - now_us()) / 1_000_000)):
        key.data.receive(now_us())
        agenda.note(key.data)
    while (host := agenda.pop_due(now_us())) is not None:
        host.wake(now_us())
        agenda.note(host)


def misbehave(silent: str, noisy: str, restless: str, until: int) -> int:
    """Send requests without ever reading an answer, send garbage, open and close: hundreds of times a second."""
    rng = random.Random(3)
    writers: dict[int, Callable[[], bytes]] = {
        os.open(silent, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK): lambda: FLOOD,
        os.open(noisy, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK): lambda: rng.randbytes(GARBAGE_BYTES),
    }
    rounds = 0
    while now_us() < until:
        for descriptor, make in writers.items():
            with suppress(BlockingIOError):
                os.write(descriptor, make())
        port = os.open(restless, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            os.write(port, FLOOD[: rng.randrange(40)])
        os.close(port)
        rounds += 1
        time.sleep(TROUBLE_SECONDS)
    for descriptor in writers:
        os.close(descriptor)
    return rounds


@contextmanager
def emulator(devices: int) -> Generator[tuple[Path, list[str]]]:
    """So many devices in a process: its place in /proc, and their terminals."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _running(
            [sys.executable, "-m", "ipg_emulator", "run", "--model", _model(folder), "--devices", str(devices)], devices
        )


def _model(folder: str) -> str:
    """A model whose log is full within the first minute: what grows after that is no history that a device is meant to keep."""
    text = MODEL.read_text()
    path = Path(folder) / MODEL.name
    path.write_text(re.sub(r"^log_entries = \d+$", f"log_entries = {LOG_ENTRIES}", text, flags=re.MULTILINE))
    return str(path)


def _running(command: list[str], devices: int) -> Generator[tuple[Path, list[str]]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            paths = [process.stdout.readline().split()[2] for _ in range(devices)]
            yield Path("/proc") / str(process.pid), paths
        finally:
            process.send_signal(signal.SIGTERM)


def resident_mb(process: Path) -> float:
    return int((process / "status").read_text().split("VmRSS:")[1].split()[0]) * 1024 / 1e6


@dataclass
class ProcessorUse:
    """How much of a processor the emulator uses from now on."""

    process: Path

    def __post_init__(self) -> None:
        self._began, self._used = time.monotonic_ns(), self._used_ns()

    def percent(self) -> float:
        return 100 * (self._used_ns() - self._used) / (time.monotonic_ns() - self._began)

    def _used_ns(self) -> int:
        return int((self.process / "schedstat").read_text().split()[0])


def idle_percent(process: Path, seconds: float) -> float:
    time.sleep(1)  # until what hosts and troublemakers left behind is done with
    use = ProcessorUse(process)
    time.sleep(seconds)
    return use.percent()


def campaign(devices: int, rate: float, seconds: float, idle_seconds: float) -> Outcome:
    """Run it; the emulator is a process of its own, and so are hosts and troublemakers."""
    with emulator(devices) as (process, paths), ProcessPoolExecutor(HOST_PROCESSES + 1) as pool:
        troubled = (0, devices // 2, devices - 1)
        good = [(number, path) for number, path in enumerate(paths) if number not in troubled]
        until = now_us() + int(seconds * 1_000_000)
        trouble = pool.submit(misbehave, *(paths[number] for number in troubled), until)
        hosts = [
            pool.submit(serve, dict(good[part::HOST_PROCESSES]), int(1_000_000 / rate), until) for part in range(HOST_PROCESSES)
        ]
        use = ProcessorUse(process)
        memory = _watch_memory(process, hosts, seconds)
        total = Tally()
        for future in hosts:
            total.add(future.result())
        print(f"{trouble.result():,} rounds of flooding, garbage, opening and closing", flush=True)
        busy_percent = use.percent()
        return Outcome(total, memory, busy_percent, idle_percent(process, idle_seconds) if idle_seconds else None)


def _watch_memory(process: Path, hosts: Sequence[Future[Tally]], seconds: float) -> tuple[float, float] | None:
    if seconds <= WARM_UP_SECONDS:
        wait(hosts)
        return None
    wait(hosts, WARM_UP_SECONDS)
    before = resident_mb(process)
    wait(hosts)
    return before, resident_mb(process)


def report(outcome: Outcome) -> str:
    tally = outcome.tally
    latencies = sorted(tally.latencies_us) or [0]
    p50, p99, worst = (latencies[min(len(latencies) - 1, int(len(latencies) * part))] / 1000 for part in (0.5, 0.99, 1))
    lines = [
        f"{tally.sent:,} commands sent, {tally.answered:,} answered, {tally.lost:,} lost; "
        f"{tally.replayed:,} answered a second time from memory, {tally.repeated:,} devices whose revision is another",
        f"latency p50 {p50:.2f} ms, p99 {p99:.2f} ms, longest {worst:.1f} ms",
        f"processor use {outcome.busy_percent:.0f} %",
    ]
    if outcome.idle_percent is not None:
        lines.append(f"processor use while nobody talks {outcome.idle_percent:.2f} %")
    if outcome.memory_mb:
        before, after = outcome.memory_mb
        lines.append(f"resident memory {before:.1f} MB, at the end {after:.1f} MB: {outcome.drift_percent:+.2f} %")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as long as asked; 1 if a command was lost or repeated, or memory has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=2.0, help="commands a second for each device")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--idle-seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    outcome = campaign(options.devices, options.rate, options.minutes * 60, options.idle_seconds)
    print(report(outcome))
    return int(outcome.broken)


if __name__ == "__main__":
    sys.exit(main())
