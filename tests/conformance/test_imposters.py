"""No device passes that only seems to answer: one that is silent, echoes, agrees to everything, or refuses everything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ipg_conformance import Case, Profile, Result, Unreachable, Verdict, run_cases
from ipg_conformance.runner import select
from ipg_protocol import (
    CATALOGUE,
    Frame,
    FrameReader,
    Kind,
    Message,
    Reply,
    ResponseFlag,
    Status,
    decode,
    encode_frame,
    reply_frame,
)


def failures(results: list[Result]) -> list[Result]:
    return [result for result in results if result.verdict is Verdict.FAIL]


def quick_cases() -> list[Case]:
    return select(Profile.QUICK)


class Answering:
    """A port behind which every frame, or every write, is answered by a function. Its time passes only in `read`."""

    timeout: float | None = None

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._received = b""
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    @property
    def in_waiting(self) -> int:
        return len(self._received)

    def read(self, size: int = 1, /) -> bytes:
        self._now += 0.0 if self._received else self.timeout or 0.0
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def write(self, data: bytes, /) -> int:
        self._received += self._answer(data)
        return len(data)

    def close(self) -> None:
        pass


def zeros_of(message: type[Message]) -> Message | None:
    """A message of zero bytes, if its layout takes them."""
    for size in range(80):
        try:
            return decode(message, bytes(size))
        except ValueError:
            continue
    return None


def agreeable() -> Callable[[bytes], bytes]:
    """Answers OK to everything, with an answer of zeros."""
    reader = FrameReader()

    def agree(frame: Frame) -> bytes:
        command = CATALOGUE.get(frame.opcode)
        answer = command and zeros_of(command.response)
        if answer is None:
            return encode_frame(Frame(Kind.RESPONSE, frame.opcode, frame.request_id, bytes(2)))
        return encode_frame(reply_frame(frame.opcode, frame.request_id, Reply(Status.OK, ResponseFlag(0), answer)))

    return lambda data: b"".join(agree(frame) for frame in reader.feed(data, 0) if frame.kind is Kind.REQUEST)


def silent(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(("answer", "heard"), [(silent, "nothing answers"), (bytes, "bytes came, but no answer")])
def test_device_that_does_not_answer_is_unreachable(answer: Callable[[bytes], bytes], heard: str) -> None:
    with pytest.raises(Unreachable, match=heard):
        run_cases(Answering(answer), quick_cases())


def test_device_that_agrees_to_everything_fails() -> None:
    assert failures(run_cases(Answering(agreeable()), quick_cases()))


def test_device_that_refuses_everything_fails() -> None:
    reader = FrameReader()

    def refuse(data: bytes) -> bytes:
        requests = [frame for frame in reader.feed(data, 0) if frame.kind is Kind.REQUEST]
        return b"".join(encode_frame(Frame(Kind.RESPONSE, f.opcode, f.request_id, b"\x01\x00")) for f in requests)

    assert failures(run_cases(Answering(refuse), quick_cases()))
