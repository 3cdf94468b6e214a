"""Devices behind a pyserial port's interface, whose time only `read` moves: one made of prepared answers, and a virtual one
at the end of a line with faults; and `ipg-host` to run.
"""

from __future__ import annotations

import io
import random
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.flash import FailingFlash, Moment, PowerCut
from ipg_emulator.model import load
from ipg_host.cli import main
from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, Reply, ResponseFlag, Status, decode, encode_frame, reply_frame
from ipg_protocol.commands.link import ResetCause
from ipg_protocol.wire import Message

Answer = Callable[[Any], Message | Reply | bytes | None]


class ScriptedPort:
    """`script` maps a request's type to its answer: a message, a refusal, raw bytes, or None for silence."""

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.script: dict[type[Message], Answer] = {}
        self.requests: list[Any] = []
        self.frames: list[Frame] = []
        self.closed = False
        self.broken = False
        self._reader = FrameReader()
        self._received = b""
        self._now_us = 0

    def monotonic(self) -> float:
        return self._now_us / 1_000_000

    @property
    def in_waiting(self) -> int:
        return len(self._received)

    def say(self, data: bytes) -> None:
        self._received += data

    def read(self, size: int = 1) -> bytes:
        if self.broken:
            raise OSError(5, "Input/output error")
        if not self._received:
            assert self.timeout is not None
            self._now_us += max(1, round(self.timeout * 1_000_000))
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def write(self, data: bytes) -> int:
        for frame in self._reader.feed(data, self._now_us):
            self.frames.append(frame)
            if frame.kind is Kind.REQUEST:
                self._answer(frame)
        return len(data)

    def close(self) -> None:
        self.closed = True

    def _answer(self, frame: Frame) -> None:
        request = decode(CATALOGUE[frame.opcode].request, frame.payload)
        self.requests.append(request)
        answer = self.script[type(request)](request)
        if isinstance(answer, bytes):
            self.say(answer)
        elif answer is not None:
            reply = answer if isinstance(answer, Reply) else Reply(Status.OK, ResponseFlag(0), answer)
            self.say(encode_frame(reply_frame(frame.opcode, frame.request_id, reply)))


@pytest.fixture
def scripted() -> ScriptedPort:
    return ScriptedPort()


COPIES = {"lost": 0, "repeated": 2}
CUTS = {f"cut {moment.value} write": moment for moment in Moment}
"""Of the power, at the first storage write that a frame leads to."""

LATENCY_US = 1000
DELAY_US = 400_000
"""Longer than a first wait: by then the request was sent twice."""


class Wire:
    """One direction of the line: frames in order, each at its time. `faults` go by the number of the frame, counted from 0.

    On the way a frame is "lost", "repeated" or "delayed"; at the device, it resets ("reset before", "reset after") or is cut.
    """

    def __init__(self) -> None:
        self.faults: Mapping[int, str] = {}
        self.carried = 0
        self._reader = FrameReader()
        self._under_way: deque[tuple[int, Frame, str | None]] = deque()

    def put(self, data: bytes, now: int) -> None:
        for frame in self._reader.feed(data, now):
            fault = None
            if frame.kind in (Kind.REQUEST, Kind.RESPONSE):
                fault = self.faults.get(self.carried)
                self.carried += 1
            at = now + (DELAY_US if fault == "delayed" else LATENCY_US)
            at = max(at, self._under_way[-1][0]) if self._under_way else at
            self._under_way.extend([(at, frame, fault)] * COPIES.get(fault or "", 1))

    def next_at(self) -> int | None:
        return self._under_way[0][0] if self._under_way else None

    def take(self, now: int) -> list[tuple[Frame, str | None]]:
        taken = []
        while self._under_way and self._under_way[0][0] <= now:
            taken.append(self._under_way.popleft()[1:])
        return taken


class FaultyLine:
    """A virtual device at the end of a line; the faults of `to_device` and `to_host` are set at any time."""

    def __init__(self, model: str = "scs-rechargeable") -> None:
        self.timeout: float | None = None
        self.flash = FailingFlash(FlashMemory(), random.Random(1).getrandbits)
        self.firmware = build_device(load(model), seed=1, flash=self.flash)
        self.to_device, self.to_host = Wire(), Wire()
        self._now = boot_finished_at(self.firmware.model)
        self._received = b""

    def begin_faults(self, to_device: Mapping[int, str], to_host: Mapping[int, str]) -> None:
        """Count the frames from here on."""
        for wire, faults in ((self.to_device, to_device), (self.to_host, to_host)):
            wire.faults, wire.carried = faults, 0

    def monotonic(self) -> float:
        return self._now / 1_000_000

    @property
    def in_waiting(self) -> int:
        return len(self._received)

    def write(self, data: bytes) -> int:
        self.to_device.put(data, self._now)
        return len(data)

    def read(self, size: int = 1) -> bytes:
        assert self.timeout is not None
        deadline = self._now + round(self.timeout * 1_000_000)
        while not self._received and self._now < deadline:
            times = (self.firmware.wake_at(), self.to_device.next_at(), self.to_host.next_at(), deadline)
            self._now = max(self._now, min(at for at in times if at is not None))
            self._move()
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def close(self) -> None:
        """Nothing is left open."""

    def reset(self, cause: ResetCause = ResetCause.WATCHDOG) -> None:
        self.firmware.fail(cause, self._now)

    def _move(self) -> None:
        self.firmware.wake(self._now)
        self._collect()
        for frame, fault in self.to_device.take(self._now):
            self._arrive(frame, fault)
        for frame, _ in self.to_host.take(self._now):
            self._received += encode_frame(frame)

    def _arrive(self, frame: Frame, fault: str | None) -> None:
        if fault == "reset before":
            self.reset()
        if fault in CUTS:
            self.flash.fail_at(0, CUTS[fault])
        try:
            self.firmware.receive(encode_frame(frame), self._now)
        except PowerCut:
            self.flash.fail_at(None, Moment.BEFORE)
            self.reset(ResetCause.BROWN_OUT)
        self.flash.fail_at(None, Moment.BEFORE)
        if fault == "reset after":
            self.reset()
        self._collect()

    def _collect(self) -> None:
        self.to_host.put(self.firmware.take_output(self._now), self._now)


@pytest.fixture
def line() -> FaultyLine:
    return FaultyLine()


@pytest.fixture
def make_line() -> type[FaultyLine]:
    return FaultyLine


FAULTY_LEADS = "ipg://scs-rechargeable?seed=1&open=3&short=12"


@pytest.fixture
def run(capsys, monkeypatch):
    monkeypatch.setenv("IPG_PORT", FAULTY_LEADS)

    def run_line(line: str) -> tuple[int, str, str]:
        code = main(line.split())
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_line


@pytest.fixture
def shell(run, monkeypatch):
    def run_lines(*lines: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
        return run("shell")

    return run_lines
