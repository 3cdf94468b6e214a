"""The suite fails devices that were altered by hand, naming the requirement, and those that only seem to answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from ipg_conformance import Profile, Result, Unreachable, Verdict, open_port, run_cases
from ipg_conformance.case import Case
from ipg_conformance.runner import select
from ipg_conformance.wire_bytes import delimited
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.sessions import Session
from ipg_protocol import (
    CATALOGUE,
    Frame,
    FrameReader,
    Kind,
    Message,
    Reply,
    ResponseFlag,
    Role,
    Status,
    crc32c,
    decode,
    encode,
    encode_frame,
    reply_frame,
)
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.session import Session as SessionOpened
from ipg_protocol.commands.therapy import SetAmplitude, SetPulseWidth, StartTherapy, StopTherapy
from ipg_protocol.refusal import BootDetail

URL = "ipg://scs-rechargeable?seed=1"


def failures(results: list[Result]) -> list[Result]:
    return [result for result in results if result.verdict is Verdict.FAILED]


def failed_requirements(results: list[Result]) -> set[str]:
    return {requirement for result in failures(results) if result.was_prepared for requirement in result.case.requirements}


def quick_cases() -> list[Case]:
    return select(Profile.QUICK)


class Between:
    """A port between the tester and a device: what passes may be changed in either direction."""

    def __init__(self, to_device: Callable[[bytes], bytes] = bytes, to_tester: Callable[[bytes], bytes] = bytes) -> None:
        self._device: Any = open_port(URL)
        self._to_device = to_device
        self._to_tester = to_tester
        self._received = b""
        self.timeout: float | None = None

    def monotonic(self) -> float:
        return float(self._device.monotonic())

    @property
    def in_waiting(self) -> int:
        return len(self._received) + int(self._device.in_waiting)

    def read(self, size: int = 1, /) -> bytes:
        self._device.timeout = self.timeout
        if not self._received:
            self._received = self._to_tester(self._device.read(max(size, self._device.in_waiting)))
        taken, self._received = self._received[:size], self._received[size:]
        return taken

    def write(self, data: bytes, /) -> int:
        self._device.write(self._to_device(data))
        return len(data)

    def close(self) -> None:
        self._device.close()


def each_frame(change: Callable[[Frame], Frame | None]) -> Callable[[bytes], bytes]:
    """Bytes to bytes: every good frame changed, or dropped; all else as it was."""
    reader = FrameReader()

    def changed(data: bytes) -> bytes:
        frames = reader.feed(data, 0)
        kept = [change(frame) for frame in frames]
        return b"".join(encode_frame(frame) for frame in kept if frame is not None) if frames else data

    return changed


def unstuffed(encoded: bytes) -> bytes:
    body = b""
    while encoded:
        body += encoded[1 : encoded[0]] + b"\0"
        encoded = encoded[encoded[0] :]
    return body[:-1]


def crc_mended(data: bytes) -> bytes:
    """What a device sees that does not look at the CRC of a frame."""
    encoded = data.strip(b"\0")
    body = b"" if b"\0" in encoded else unstuffed(encoded)
    if len(body) < 12 or body[0] != 0x11 or body[1] != len(body) - 12:
        return data
    return delimited(body[:-4] + crc32c(body[:-4]).to_bytes(4, "little"))


def wrong_request_id(frame: Frame) -> Frame:
    return msgspec.structs.replace(frame, request_id=(frame.request_id + 1) & 0xFFFF_FFFF)


def without_acknowledgement(frame: Frame) -> Frame | None:
    return None if frame.kind is Kind.EVENT_ACK else frame


class EveryoneIsService:
    """The role asked for is told, but never looked at."""

    def __init__(self) -> None:
        self._asked = Role.SERVICE

    def request(self, frame: Frame) -> Frame:
        if frame.opcode != 0x0101 or len(frame.payload) != 13 or frame.payload[0] > Role.SERVICE:
            return frame
        opening = decode(OpenSession, frame.payload)
        self._asked = opening.role
        return msgspec.structs.replace(frame, payload=encode(msgspec.structs.replace(opening, role=Role.SERVICE)))

    def response(self, frame: Frame) -> Frame:
        if frame.kind is not Kind.RESPONSE or frame.opcode != 0x0101 or frame.payload[0] != Status.OK:
            return frame
        opened = msgspec.structs.replace(decode(SessionOpened, frame.payload[2:]), role=self._asked)
        return msgspec.structs.replace(frame, payload=frame.payload[:2] + encode(opened))


def mended_crc_port() -> Between:
    return Between(to_device=crc_mended)


def wrong_id_port() -> Between:
    return Between(to_tester=each_frame(wrong_request_id))


def everyone_is_service_port() -> Between:
    roles = EveryoneIsService()
    return Between(each_frame(roles.request), each_frame(roles.response))


def deaf_to_acknowledgements_port() -> Between:
    return Between(to_device=each_frame(without_acknowledgement))


ALTERED_PORTS = {
    "the CRC is not checked": (mended_crc_port, "REQ-FRM-003"),
    "answers bear the next request id": (wrong_id_port, "REQ-FRM-011"),
    "the role is not checked": (everyone_is_service_port, "REQ-CMD-004"),
    "EVENT_ACK is not heard": (deaf_to_acknowledgements_port, "REQ-EVT-001"),
}


@pytest.mark.parametrize("alteration", ALTERED_PORTS)
def test_altered_link_fails_by_its_requirement(alteration: str) -> None:
    make_port, requirement = ALTERED_PORTS[alteration]
    assert requirement in failed_requirements(run_cases(make_port(), quick_cases()))


Handler = Callable[[Any, Context], Message]


def takes_one_step_too_many(handler: Handler) -> Handler:
    def altered(request: SetPulseWidth, context: Context) -> Message:
        highest = context.device.model.ranges.pulse_width_us.segments[-1]
        above = request.pulse_width_us == highest.maximum + highest.step
        return handler(msgspec.structs.replace(request, pulse_width_us=highest.maximum) if above else request, context)

    return altered


def refuses_without_session(handler: Handler) -> Handler:
    def altered(request: StopTherapy, context: Context) -> Message:
        if context.link.session is None:
            raise Refused(Status.NO_SESSION, BootDetail(context.device.memory.boot_counter))
        return handler(request, context)

    return altered


def does_it_and_then_refuses(handler: Handler) -> Handler:
    def altered(request: SetAmplitude, context: Context) -> Message:
        try:
            return handler(request, context)
        except Refused:
            handler(msgspec.structs.replace(request, area=0, amplitude_microamps=100), context)
            raise

    return altered


def starts_at_once(handler: Handler) -> Handler:
    def altered(request: StartTherapy, context: Context) -> Message:
        answer = handler(request, context)
        return msgspec.structs.replace(answer, ramp_ms=0)

    return altered


ALTERED_HANDLERS = {
    "SET_PULSE_WIDTH takes one step more than the maximum": (SetPulseWidth, takes_one_step_too_many, "REQ-CMD-007"),
    "STOP_THERAPY wants a session": (StopTherapy, refuses_without_session, "REQ-THR-002"),
    "SET_AMPLITUDE changes something when it refuses": (SetAmplitude, does_it_and_then_refuses, "REQ-CMD-006"),
    "START_THERAPY announces no ramp": (StartTherapy, starts_at_once, "REQ-THR-001"),
}


@pytest.mark.parametrize("alteration", ALTERED_HANDLERS)
def test_altered_command_fails_by_its_requirement(alteration: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request, alter, requirement = ALTERED_HANDLERS[alteration]
    monkeypatch.setitem(HANDLERS, request, alter(cast("Handler", HANDLERS[request])))
    assert requirement in failed_requirements(run_cases(open_port(URL), quick_cases()))


def do_nothing(*_: object) -> None:
    """In place of what a device should do."""


def test_device_that_forgets_answers_fails_by_the_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "keep", do_nothing)
    assert "REQ-REQ-001" in failed_requirements(run_cases(open_port(URL), quick_cases()))


def test_device_that_latches_no_short_fails_by_the_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "latch", do_nothing)
    results = run_cases(open_port(f"{URL}&short=5"), quick_cases())
    assert "REQ-IMP-004" in failed_requirements(results)


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
