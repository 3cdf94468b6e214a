"""A device made of prepared answers, behind the interface of a pyserial port whose time moves only while `read` waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
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
