"""The conformance suite over lines that are slow, late and cut frames anywhere: no verdict may hang on the line.

`python tests/campaigns/slow_lines.py` runs every case over twenty lines in the device's own time, then over real ones: a pair
of terminals that socat joins, paced terminals, and TCP with delay and pacing. It prints what did not pass.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain, product
from math import ceil
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from typing import Any, NamedTuple

from ipg_conformance import Profile, Result, Verdict, open_port, run_cases
from ipg_conformance.runner import select
from ipg_emulator.model import names
from ipg_emulator.virtual import VirtualIpg

BAUDS = (9_600, 19_200, 115_200, 1_000_000, 3_000_000)
DELAYS_MS = (0, 5, 50, 200)
BITS_PER_BYTE = 10
"""On a serial line without parity: a start bit, eight bits, a stop bit."""
PIECE_US = 20_000
"""How much of the line's time the bytes take that arrive as one piece, at most."""
LONGEST_PIECE = 64
MODEL = "scs-rechargeable"
SUITE = [sys.executable, "-m", "ipg_conformance", "run", "--allow", "output,destructive"]
SOON_CASE = "FRM/ANSWER/LT-01"
"""A PING is answered within 100 ms, which no device can do over a line that takes longer: there it is NON-STRICT."""
SOON_MS = 100
PING_AND_PONG_BYTES = 38
AT_ONCE = 10
"""So many real lines at a time: they wait more than they reckon."""
SOCAT_SECONDS = 5.0


class Line(NamedTuple):
    """How fast bytes leave one after the other, and how much later each arrives; the same in both directions."""

    baud: int
    delay_ms: int

    def __str__(self) -> str:
        return f"{self.baud} baud, {self.delay_ms} ms later"

    @property
    def is_late(self) -> bool:
        """Whether no answer can be there within 100 ms, not even a PING's, of some 40 bytes with its request."""
        return 2 * self.delay_ms + 1000 * BITS_PER_BYTE * PING_AND_PONG_BYTES / self.baud > SOON_MS


class Wire:
    """One direction of a line: what is sent arrives in pieces that end anywhere, each at its time, in microseconds."""

    def __init__(self, line: Line, rng: random.Random) -> None:
        self._rng = rng
        self._us_per_byte = 1e6 * BITS_PER_BYTE / line.baud
        self._delay_us = 1000 * line.delay_ms
        self._longest = max(1, min(LONGEST_PIECE, int(PIECE_US / self._us_per_byte)))
        self._size = 1
        self._free_at = 0.0
        self._runs: deque[tuple[float, bytearray]] = deque()
        """Bytes without a gap between them, and when the first of them arrives."""

    def send(self, data: bytes, now: int) -> None:
        if self._runs and self._free_at > now:
            self._runs[-1][1].extend(data)
        else:
            self._free_at = max(self._free_at, now)
            self._runs.append((self._free_at + self._us_per_byte + self._delay_us, bytearray(data)))
        self._free_at += len(data) * self._us_per_byte

    def next_at(self) -> int | None:
        """When the next piece has arrived."""
        if not self._runs:
            return None
        first_at, run = self._runs[0]
        return ceil(first_at + (min(self._size, len(run)) - 1) * self._us_per_byte)

    def arrived(self, now: int) -> bytes:
        """What has arrived by now."""
        taken = bytearray()
        while (at := self.next_at()) is not None and at <= now:
            first_at, run = self._runs.popleft()
            piece, rest = run[: self._size], run[self._size :]
            taken += piece
            if rest:
                self._runs.appendleft((first_at + len(piece) * self._us_per_byte, rest))
            self._size = self._rng.randint(1, self._longest)
        return bytes(taken)


class VirtualLine:
    """A port to a device in this process, over a line, in the device's own time: an hour on the line takes seconds."""

    virtual = False
    """To the suite it is as any port in real time: it measures the line, and waits no longer than on one."""

    def __init__(self, line: Line, model: str = MODEL, seed: int = 1) -> None:
        self.timeout: float | None = None
        port: Any = open_port(f"ipg://{model}?seed={seed}")
        self._ipg: VirtualIpg = port.ipg
        self._now: int = port.present()
        rng = random.Random(seed)
        self._there, self._back = Wire(line, rng), Wire(line, rng)
        self._received = bytearray()

    def monotonic(self) -> float:
        return self._now / 1e6

    @property
    def in_waiting(self) -> int:
        self._pass(self._now)
        return len(self._received)

    def read(self, size: int = 1, /) -> bytes:
        self._pass(self._now + round(1e6 * (self.timeout or 0)), until=size)
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def write(self, data: bytes, /) -> int:
        self._there.send(data, self._now)
        return len(data)

    def close(self) -> None:
        """Leave the device to itself."""

    def _pass(self, deadline: int, until: int = 1) -> None:
        """Let time pass up to the deadline, or until so many bytes have come back."""
        while True:
            if arrived := self._there.arrived(self._now):
                self._ipg.receive(arrived, self._now)
            self._ipg.wake(self._now)
            if said := self._ipg.take_output(self._now):
                self._back.send(said, self._now)
            self._received += self._back.arrived(self._now)
            if len(self._received) >= until or self._now >= deadline:
                return
            moments = (self._there.next_at(), self._back.next_at(), self._ipg.wake_at(), deadline)
            self._now = max(self._now, min(at for at in moments if at is not None))


def over_virtual_line(line: Line, profile: Profile, model: str = MODEL) -> list[Result]:
    """What becomes of each case over a line, in the device's own time."""
    return run_cases(VirtualLine(line, model), select(profile))


def amiss(line: Line, results: Sequence[Result]) -> list[Result]:
    """The cases that did not pass for the line's sake: all that did not."""
    excused = {(SOON_CASE, Verdict.NON_STRICT)} if line.is_late else set[tuple[str, Verdict]]()
    right = {Verdict.PASS, Verdict.NOT_APPLICABLE}
    return [result for result in results if result.verdict not in right and (result.case, result.verdict) not in excused]


# Real lines


def now_us() -> int:
    return time.monotonic_ns() // 1000


@contextmanager
def emulator(*options: str) -> Generator[str]:
    """A device in a process of its own; its address."""
    command = [sys.executable, "-m", "ipg_emulator", "run", "--model", MODEL, "--seed", "1", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout is not None
        try:
            yield device.stdout.readline().split()[-1]
        finally:
            device.terminate()


@contextmanager
def joined_by_socat(terminal: str) -> Generator[str]:
    """Another terminal, which socat joins with one."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "line"
        with subprocess.Popen(["socat", f"PTY,link={link},raw,echo=0", f"{terminal},raw,echo=0"]) as process:
            try:
                deadline = time.monotonic() + SOCAT_SECONDS
                while not link.exists() and time.monotonic() < deadline:
                    time.sleep(0.01)
                yield str(link)
            finally:
                process.terminate()


@contextmanager
def over_tcp(device: str, line: Line) -> Generator[str]:
    """An address that reaches a device at a TCP address over a line, by one client after the other."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = Thread(target=_serve, args=(server, _address(device), line))
        relay.start()
        try:
            yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            relay.join()


def _address(url: str) -> tuple[str, int]:
    host, port = url.rsplit("/", 1)[-1].rsplit(":", 1)
    return host, int(port)


def _serve(server: socket.socket, device: tuple[str, int], line: Line) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            Thread(target=carry, args=(client, socket.create_connection(device), line)).start()


def carry(client: socket.socket, device: socket.socket, line: Line) -> None:
    """Carry bytes both ways until one of the two has gone, and what it said last has arrived."""
    rng = random.Random(line.baud + line.delay_ms)
    leading_to = {client: Wire(line, rng), device: Wire(line, rng)}
    other = {client: device, device: client}
    with client, device, DefaultSelector() as selector:
        for end in other:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(end, EVENT_READ, end)
        while True:
            at = min((at for wire in leading_to.values() if (at := wire.next_at()) is not None), default=None)
            if at is None and len(leading_to) < len(other):
                return
            for key, _ in selector.select(None if at is None else max(0, at - now_us()) / 1e6):
                data = b""
                with suppress(ConnectionError):
                    data = key.data.recv(4096)
                if not data:
                    selector.unregister(key.data)
                    del leading_to[key.data]
                elif (wire := leading_to.get(other[key.data])) is not None:
                    wire.send(data, now_us())
            for end, wire in leading_to.items():
                with suppress(ConnectionError):
                    end.sendall(wire.arrived(now_us()))


Joining = Callable[[ExitStack], str]
"""Sets up a device and the line to it; the target."""


def over_socat(stack: ExitStack) -> str:
    return stack.enter_context(joined_by_socat(stack.enter_context(emulator())))


def over_line(line: Line, stack: ExitStack) -> str:
    return stack.enter_context(over_tcp(stack.enter_context(emulator("--tcp", "0")), line))


def over_paced_terminal(baud: int, stack: ExitStack) -> str:
    return stack.enter_context(emulator("--pace", str(baud)))


class Ending(NamedTuple):
    """How a run of the suite ended."""

    what: str
    seconds: float
    last_line: str
    amiss: list[str]
    """The cases that had to pass and did not, or what ended the run."""


def run_suite(what: str, join: Joining, *options: str) -> Ending:
    """Run the suite in a process of its own over a real line, in real time."""
    with ExitStack() as stack:
        target = join(stack)
        began = time.monotonic()
        done = subprocess.run([*SUITE, "--target", target, *options], capture_output=True, text=True, check=False)
    last_line = "".join(done.stdout.splitlines()[-1:])
    failed = [said for said in done.stdout.splitlines() if re.match(r"(FAIL|INCONCLUSIVE|ERROR) ", said)]
    return Ending(what, time.monotonic() - began, last_line, failed or ([last_line, done.stderr] if done.returncode else []))


def run_virtually(line: Line, model: str, profile: Profile = Profile.FULL) -> Ending:
    """Run the suite over a line in the device's own time."""
    began = time.monotonic()
    results = over_virtual_line(line, profile, model)
    wrong = [f"{result.verdict.name} {result.case}: {result.what}, not {result.got}" for result in amiss(line, results)]
    return Ending(f"{model}, {line}", time.monotonic() - began, f"{len(results)} cases", wrong)


def virtual_endings() -> Generator[Ending]:
    """One model over every line, every other over the slowest."""
    lines = [Line(*figures) for figures in product(BAUDS, DELAYS_MS)]
    slowest = Line(min(BAUDS), max(DELAYS_MS))
    todo = [*((line, MODEL) for line in lines), *((slowest, model) for model in names() if model != MODEL)]
    with ProcessPoolExecutor() as pool:
        yield from pool.map(run_virtually, *zip(*todo, strict=True))


def real_endings() -> Generator[Ending]:
    """Every case over the quickest lines, the quick profile over the others."""
    full: dict[str, Joining] = {"TCP": partial(over_line, Line(max(BAUDS), 0))}
    if shutil.which("socat"):
        full["a pair of terminals that socat joins"] = over_socat
    quick: dict[str, Joining] = {f"a terminal paced to {baud} baud": partial(over_paced_terminal, baud) for baud in BAUDS}
    for line in (Line(*figures) for figures in product(BAUDS, DELAYS_MS)):
        quick[f"TCP, {line}"] = partial(over_line, line)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [pool.submit(run_suite, what, join) for what, join in full.items()]
        runs += [pool.submit(run_suite, what, join, "--profile", "quick") for what, join in quick.items()]
        yield from (run.result() for run in as_completed(runs))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it all, or what takes no real time; 1 if a case did not pass that had to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--virtual", action="store_true", help="leave out the real lines, which take most of an hour")
    options = parser.parse_args(arguments)
    broken = False
    for ending in chain(virtual_endings(), [] if options.virtual else real_endings()):
        print(f"{ending.what}: {ending.last_line}, {ending.seconds:.0f} s", *ending.amiss, sep="\n  ", flush=True)
        broken |= bool(ending.amiss)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
