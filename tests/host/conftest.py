"""A device made of prepared answers behind a pyserial port's interface, whose time only `read` moves; and `ipg-host` to run."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from ipg_host.cli import main
from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, Reply, ResponseFlag, Status, decode, encode_frame, reply_frame
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
