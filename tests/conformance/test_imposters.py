"""No case passes on a device that only seems to answer: it is silent, echoes, agrees to all, refuses all, or is behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from ipg_conformance import Case, Profile, Result, Unreachable, Verdict, run_cases
from ipg_conformance.runner import select
from ipg_protocol import (
    CATALOGUE,
    COMMAND_OF,
    Frame,
    FrameReader,
    Kind,
    Message,
    Status,
    decode,
    encode_frame,
)
from ipg_protocol.commands.link import Ping

OK = bytes((Status.OK, 0))
PREPARED_PROBES = 8


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


def zeros_of(message: type[Message]) -> bytes:
    """A message of zero bytes, if its layout takes them; else nothing."""
    for size in range(80):
        with suppress(ValueError):
            decode(message, bytes(size))
            return bytes(size)
    return b""


Answer = Callable[[bytes], bytes]
Payload = Callable[[Frame], bytes]


def answering(payload: Payload) -> Answer:
    """Answers each request with a payload made of it; with nothing where that is empty."""
    reader = FrameReader()

    def answer(frame: Frame) -> bytes:
        told = payload(frame)
        return encode_frame(Frame(Kind.RESPONSE, frame.opcode, frame.request_id, told)) if told else b""

    return lambda data: b"".join(answer(frame) for frame in reader.feed(data, 0) if frame.kind is Kind.REQUEST)


def agreed(frame: Frame) -> bytes:
    """OK, and an answer of zeros."""
    command = CATALOGUE.get(frame.opcode)
    return OK + (zeros_of(command.response) if command else b"")


def agreeable() -> Answer:
    return answering(agreed)


def refusing_everything() -> Answer:
    return answering(lambda _: bytes((Status.UNKNOWN_COMMAND, 0)))


def finding_everything_malformed() -> Answer:
    return answering(lambda frame: bytes((Status.MALFORMED, 0, 255, 0, len(frame.payload))))


def agreeing_at_random() -> Answer:
    chance = random.Random(1)
    return answering(lambda frame: OK + chance.randbytes(len(agreed(frame)) - len(OK)))


def one_answer_behind() -> Answer:
    """Gives each request the answer that was due to the one before."""
    last = [OK]

    def payload(frame: Frame) -> bytes:
        last.append(agreed(frame))
        return last.pop(0)

    return answering(payload)


def one_request_behind() -> Answer:
    """Answers each request when the next one comes."""
    answer, last = answering(agreed), [b""]

    def behind(data: bytes) -> bytes:
        last.append(answer(data))
        return last.pop(0)

    return behind


def answering_pings_alone() -> Answer:
    return answering(lambda frame: OK + frame.payload if frame.opcode == COMMAND_OF[Ping].opcode else b"")


def silent(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(("answer", "heard"), [(silent, "nothing answers"), (bytes, "bytes came, but no answer")])
def test_device_that_does_not_answer_is_unreachable(answer: Answer, heard: str) -> None:
    with pytest.raises(Unreachable, match=heard):
        run_cases(Answering(answer), select(Profile.QUICK))


IMPOSTERS = (
    agreeable,
    refusing_everything,
    finding_everything_malformed,
    agreeing_at_random,
    one_answer_behind,
    one_request_behind,
)


@pytest.mark.parametrize("imposter", IMPOSTERS)
def test_device_that_only_seems_to_answer_passes_no_case(imposter: Callable[[], Answer]) -> None:
    results = [alone(imposter, case) for case in probes()]
    assert [result.case for result in results if result.verdict not in (Verdict.FAIL, Verdict.NOT_APPLICABLE)] == []
    assert [result.case for result in results if result.verdict is Verdict.FAIL]


def test_device_that_answers_pings_alone_passes_no_case_but_of_framing() -> None:
    passed = {
        result.case for result in (alone(answering_pings_alone, case) for case in probes()) if result.verdict is Verdict.PASS
    }
    assert passed < {case.id for case in probes() if case.bare and case.feature == "FRM"}


def test_device_that_agrees_to_everything_is_told_so() -> None:
    first = next(case for case in select(Profile.QUICK) if not case.bare)
    assert alone(agreeable, first).got == "OK to everything"


def alone(imposter: Callable[[], Answer], case: Case) -> Result:
    """What comes of one case on an imposter that has heard nothing before."""
    (result,) = run_cases(Answering(imposter()), [case])
    return result


def probes() -> list[Case]:
    """Every case that begins without a known state, and a few of those that do not: an imposter cannot be brought to one."""
    every = select(Profile.FULL)
    prepared = [case for case in every if not case.bare]
    return [case for case in every if case.bare] + prepared[:: len(prepared) // PREPARED_PROBES]
