"""Fuzz target: what a hostile host may do to a whole device over time. It answers as declared, keeps its limits, and stops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, cast

from ipg_emulator.board import Segment
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.firmware.configuration import areas_checksum
from ipg_emulator.model import DeviceModel, load, names
from ipg_protocol import (
    CATALOGUE,
    COMMAND_OF,
    Frame,
    FrameReader,
    Kind,
    Request,
    Role,
    Status,
    crc32c,
    decode_event,
    decode_reply,
    encode,
    encode_frame,
    reply_frame,
    request_frame,
)
from ipg_protocol.commands.link import ResetCause, SelfTest
from ipg_protocol.commands.programs import BeginProgramWrite, CommitProgram, WriteProgramBlock
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import StopMode, StopTherapy
from promptness import promptly
from steering import Steering, vectors

GAPS_US = (0, 1, 1_000, 50_000, 199_999, 200_000, 1_000_000, 5_000_000, 61_000_000, 600_000_000, 3_600_000_000)
FAILURES = (ResetCause.BROWN_OUT, ResetCause.WATCHDOG)
FLASH_PAGES = 32
"""A quarter of what is usual: a device boots faster, and its banks are full sooner."""
MODELS = names()
OPCODES = list(CATALOGUE)
ANSWERED_LATER = COMMAND_OF[SelfTest].opcode


def _add_numbers(found: dict[str, list[int]], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, int):
            found.setdefault(name, []).append(value)
        nested: list[Any] = value if isinstance(value, list) else [value]
        for part in nested:
            if isinstance(part, dict):
                _add_numbers(found, cast("dict[str, Any]", part))


@cache
def locked_values() -> dict[str, list[int]]:
    """What the locked requests hold, by the name of the field."""
    found: dict[str, list[int]] = {}
    for vector in vectors("requests"):
        _add_numbers(found, vector["fields"])
    return found


@cache
def model_of(name: str) -> DeviceModel:
    return load(name)


class Bedside:
    """A device with a host that does whatever the bytes say; every answer is held against what was asked."""

    def __init__(self, model: str, steering: Steering) -> None:
        self.model = model_of(model)
        self.device = build_device(self.model, record=self.check_output, flash=FlashMemory(page_count=FLASH_PAGES))
        self.steering = steering
        self.now = boot_finished_at(self.model)
        self.role = Role.OBSERVER
        self.request_id = 0
        self.transaction = 0
        self.last_wire = b""
        self._blocks: dict[int, bytes] = {}
        self._boots = self.device.memory.boot_counter
        self._heard, self._said = FrameReader(), FrameReader()

    def check_output(self, segment: Segment) -> None:
        """No stretch of output is above what the model can do, nor above what was programmed."""
        drive = segment.drive
        programmed = max(drive.programmed_from, drive.programmed_to)
        assert max(drive.delivered_from, drive.delivered_to) <= programmed, drive
        assert programmed <= self.model.ranges.amplitude_microamps.maximum, drive

    # What happens

    def open(self, role: Role) -> None:
        """Open a session."""
        self.role = role
        self.request_id += 1
        self.hear(encode_frame(request_frame(OpenSession(role, host_id=1, nonce=self.request_id), self.request_id)))

    def ask(self) -> None:
        """A request of the right form, in a session."""
        if self.device.link.session is None:
            self.open(self.role)
        entry = CATALOGUE[self.steering.choose(OPCODES)]
        self.transaction += entry.is_change
        revision = self.device.memory.configuration.revision
        checksum = crc32c(b"".join(self._blocks[area] for area in sorted(self._blocks)))
        fresh = {"transaction": self.transaction, "expected_revision": revision, "checksum": checksum}
        known = locked_values() | {name: [value] * 7 + [value - 1] for name, value in fresh.items()}
        payload = self.steering.payload(entry.request, known)
        if entry.request is BeginProgramWrite:
            self._blocks.clear()
        elif entry.request is WriteProgramBlock:
            self._blocks[payload[1]] = payload[1:]
        self._send(entry.opcode, payload)

    def write_program(self) -> None:
        """A program that the device left the factory with into any slot, at times with a byte changed."""
        slot = self.steering.number() % self.model.program_slots
        areas = self.steering.choose(self.model.programs).areas if self.model.programs else ()
        self._send_nearly(BeginProgramWrite(slot, len(areas), "Copied"))
        blocks = [area.settings(number) for number, area in enumerate(areas)]
        for block in blocks:
            self._send_nearly(WriteProgramBlock(slot, block))
        self.transaction += 1
        self._send_nearly(CommitProgram(self.transaction, slot, areas_checksum(tuple(blocks))))

    def _send_nearly(self, request: Request[Any]) -> None:
        payload = bytearray(encode(request))
        if self.steering.number() >= 192:
            payload[self.steering.number() % len(payload)] = self.steering.number()
        self._send(COMMAND_OF[type(request)].opcode, bytes(payload))

    def ask_badly(self) -> None:
        """A request with any payload."""
        self._send(self.steering.choose(OPCODES), self.steering.take(self.steering.number() % 64))

    def repeat(self) -> None:
        """What was said last, again: at times with the next number."""
        self.hear(self.last_wire)

    def say_anything(self) -> None:
        self.hear(self.steering.take(self.steering.number()))

    def say_frame(self) -> None:
        self.hear(self.steering.wire())

    def acknowledge(self) -> None:
        self.hear(encode_frame(Frame(Kind.EVENT_ACK, 0, self.steering.number())))

    def wait(self) -> None:
        self.now += self.steering.choose(GAPS_US)

    def lay_magnet(self) -> None:
        self._wake()
        self.device.board.magnet_present = bool(self.steering.number() % 2)  # type: ignore[misc]  # a real board's
        self.device.board_changed(self.now)

    def fail(self) -> None:
        self._wake()
        self.device.fail(self.steering.choose(FAILURES), self.now)
        self.now += self.steering.choose((0, boot_finished_at(self.model)))

    def _send(self, opcode: int, payload: bytes) -> None:
        self.request_id += 1
        self.last_wire = encode_frame(Frame(Kind.REQUEST, opcode, self.request_id, payload[:242]))
        self.hear(self.last_wire)

    # What must be

    def hear(self, wire: bytes) -> list[Frame]:
        """Let the device hear this; each request in it is answered once, as declared. The answers are returned."""
        self._wake()
        asked = [frame for frame in self._heard.feed(wire, self.now) if frame.kind is Kind.REQUEST]
        with promptly():
            self.device.receive(wire, self.now)
        answers = self.check_words()
        assert _numbers(answers) == _numbers(asked), (asked, answers)
        return answers

    def check_words(self) -> list[Frame]:
        """What the device has said is well said; its answers are returned."""
        self._note_boot()
        said = self._said.feed(self.device.take_output(self.now), self.now)
        assert not self._said.noise.total
        for frame in said:
            if frame.kind is Kind.EVENT:
                assert encode(decode_event(frame)) == frame.payload
            else:
                check_reply(frame)
        return [frame for frame in said if frame.kind is Kind.RESPONSE]

    def stop(self) -> None:
        """Whatever happened, STOP_THERAPY is answered OK and there is no output after it."""
        self.hear(b"\0")
        stop = encode_frame(request_frame(StopTherapy(StopMode.IMMEDIATE), 0xFFFFFFFF))
        (answer,) = [frame for frame in self.hear(stop) if frame.opcode != ANSWERED_LATER]
        assert decode_reply(answer).status is Status.OK
        output = self.device.board.output
        assert not any(output.delivered_microamps(area, self.now) for area in range(self.model.areas_per_program))

    def _wake(self) -> None:
        with promptly():
            self.device.wake(self.now)
        at = self.device.wake_at()
        assert at is None or at > self.now, "woken, and wants to be woken for the same moment"
        assert not _numbers(self.check_words())

    def _note_boot(self) -> None:
        if self._boots != self.device.memory.boot_counter:
            self._boots = self.device.memory.boot_counter
            self._heard = FrameReader()


def _numbers(frames: list[Frame]) -> Counter[tuple[int, int]]:
    return Counter((frame.opcode, frame.request_id) for frame in frames if frame.opcode != ANSWERED_LATER)


def check_reply(frame: Frame) -> None:
    """A reply that reads back, with a status that its command declares."""
    reply = decode_reply(frame)
    assert reply_frame(frame.opcode, frame.request_id, reply) == frame
    declared = CATALOGUE[frame.opcode].refusals if frame.opcode in CATALOGUE else (Status.UNKNOWN_COMMAND,)
    assert reply.status is Status.OK or reply.status in declared, (CATALOGUE.get(frame.opcode), reply)


STEPS: tuple[Callable[[Bedside], None], ...] = (
    *[Bedside.ask] * 6,
    *[Bedside.wait] * 2,
    Bedside.write_program,
    Bedside.ask_badly,
    Bedside.repeat,
    Bedside.say_anything,
    Bedside.say_frame,
    Bedside.acknowledge,
    Bedside.lay_magnet,
    Bedside.fail,
)


def seeds() -> list[bytes]:
    """Inputs to begin with: each request by itself, a program written, and all locked requests on every third model."""
    anything = STEPS.index(Bedside.say_anything)
    locked = [bytes.fromhex(vector["frame"]) for vector in vectors("requests")]
    all_locked = b"".join(bytes((anything, len(wire))) + wire for wire in locked)
    steps = [bytes((0, place)) for place in range(len(OPCODES))] + [bytes((STEPS.index(Bedside.write_program),))]
    service = list(Role).index(Role.SERVICE)
    opened = [bytes((model, service)) for model in range(0, len(MODELS), 3)]
    return [opened[0] + step for step in steps] + [begin + all_locked for begin in opened]


def run(data: bytes) -> None:
    """Build a device, open a session, let happen what the bytes say, and stop."""
    steering = Steering(data)
    bedside = Bedside(steering.choose(MODELS), steering)
    bedside.open(steering.choose(list(Role)))
    while steering.left:
        steering.choose(STEPS)(bedside)
    bedside.stop()
