"""What a device's process costs: its start, its memory, and the processor while nothing happens."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from device import emulator, exchange, start_emulator, stop, terminal
from ipg_protocol import Reply, ResponseFlag, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.commands.link import Ping, Pong
from measure import Row, take_turns

STARTS = 15
IDLE_SECONDS = 5
PING = encode_frame(request_frame(Ping(token=1), 1))
PONG_SIZE = len(encode_frame(reply_frame(0x0001, 1, Reply(Status.OK, ResponseFlag(0), Pong(token=1)))))


def start() -> Iterable[Row]:
    """From the start of the process to the first answered PING."""

    def imports() -> Iterable[float]:
        began = time.perf_counter_ns()
        subprocess.run([sys.executable, "-c", "import serial, construct"], check=True)
        yield (time.perf_counter_ns() - began) / 1e6

    def first_answer() -> Iterable[float]:
        began = time.perf_counter_ns()
        process, path = start_emulator()
        try:
            with terminal(path) as descriptor:
                exchange(descriptor, PING, PONG_SIZE)
            yield (time.perf_counter_ns() - began) / 1e6
        finally:
            stop(process)

    median = take_turns({"floor": imports, "figure": first_answer}, STARTS)
    yield Row("process start to first answered PING", "ms", median["figure"], 1.3, median["floor"], "import serial, construct")


def idle() -> Iterable[Row]:
    """Memory and processor use of a device that nobody talks to. Linux only: it reads /proc."""
    with emulator() as (pid, _):
        process = Path("/proc") / str(pid)
        time.sleep(1)
        before = _processor_ns(process)
        time.sleep(IDLE_SECONDS)
        busy_percent = (_processor_ns(process) - before) / (IDLE_SECONDS * 1e7)
        status = (process / "status").read_text()
        resident_mb = int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6
    yield Row("resident memory of one emulator", "MB", resident_mb, 28)
    yield Row(f"processor use while idle for {IDLE_SECONDS} s", "%", round(busy_percent, 2), 0)


def _processor_ns(process: Path) -> int:
    return int((process / "schedstat").read_text().split()[0])
