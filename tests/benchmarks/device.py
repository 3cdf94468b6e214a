"""The processes that are measured: an emulator on a pseudo-terminal, and the echo that is its floor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from measure import Sample

HERE = Path(__file__).parent
EMULATOR = [str(Path(sys.executable).with_name("ipg-emulator")), "run", "--model", "scs-rechargeable", "--seed", "1"]


def start_emulator(*options: str) -> tuple[subprocess.Popen[str], str]:
    """A device of its own process, and its terminal's path. Returns when it says READY."""
    process = subprocess.Popen([*EMULATOR, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("READY pty "):
            return process, line.split()[2]
    raise RuntimeError(f"{EMULATOR[0]} ended with {process.wait()} before it was ready")


def stop(process: subprocess.Popen[str]) -> None:
    """End a process, and wait until it is gone."""
    process.terminate()
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def emulator(*options: str) -> Generator[tuple[int, str]]:
    """A running device: its process id and its terminal's path."""
    process, path = start_emulator(*options)
    try:
        yield process.pid, path
    finally:
        stop(process)


def _echo_command(folder: str) -> tuple[str, list[str]]:
    compiler = shutil.which("cc")
    if compiler is None:
        return "Python echo", [sys.executable, str(HERE / "echo.py")]
    program = str(Path(folder) / "echo")
    subprocess.run([compiler, "-O2", "-o", program, str(HERE / "echo.c")], check=True)
    return "C echo", [program]


@contextmanager
def echo(request_size: int, answer_size: int) -> Generator[tuple[str, str]]:
    """A process that answers `request_size` bytes with `answer_size`: its name for the table, and its terminal's path."""
    with tempfile.TemporaryDirectory() as folder:
        name, command = _echo_command(folder)
        process = subprocess.Popen([*command, str(request_size), str(answer_size)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield name, process.stdout.readline().strip()
        finally:
            stop(process)


@contextmanager
def terminal(path: str) -> Generator[int]:
    """A terminal opened for reading and writing, and nothing more."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def exchange(descriptor: int, request: bytes, answer_size: int) -> None:
    """Send a request and read the answer's bytes, without looking at them."""
    os.write(descriptor, request)
    left = answer_size
    while left:
        left -= len(os.read(descriptor, left))


def round_trips_us(descriptor: int, request: bytes, answer_size: int, count: int) -> Sample:
    """A sample of `count` round trips, in microseconds."""

    def sample() -> Iterable[float]:
        for _ in range(count):
            began = time.perf_counter_ns()
            exchange(descriptor, request, answer_size)
            yield (time.perf_counter_ns() - began) / 1000

    return sample
