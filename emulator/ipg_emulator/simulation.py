"""A device in virtual time, and a host that talks to it over the real protocol: years in seconds."""

from __future__ import annotations

from itertools import count
from typing import TypeVar, cast

import msgspec
from ipg_protocol import Frame, FrameReader, Kind, Role, Status, decode_reply, encode_frame, request_frame
from ipg_protocol.command import Request, is_change
from ipg_protocol.commands.programs import AreaSettings, BeginProgramWrite, CommitProgram, SelectProgram, WriteProgramBlock
from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession
from ipg_protocol.wire import Message

from ipg_emulator.clock import advance
from ipg_emulator.factory import boot_finished_at
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import areas_checksum

R = TypeVar("R", bound=Message)
_HOST = 1
_STAY_SECONDS = 10


class RequestRefused(Exception):
    """The device refused a request of a simulation."""


class Simulation:
    """One device, its time in microseconds, and a host that acknowledges what it hears."""

    def __init__(self, firmware: Firmware) -> None:
        """Take a device that has just booted, as `build_device` gives it."""
        self.firmware = firmware
        self.now = boot_finished_at(firmware.model)
        self.events: list[tuple[int, Message]] = []
        """All events of the device with their times, streams excepted."""
        firmware.observers.append(lambda event, now: self.events.append((now, event)))
        self._reader = FrameReader()
        self._request_ids = count(1)
        self._transactions = count(1)
        self._nonces = count(1)

    def open_session(self, role: Role = Role.SERVICE) -> None:
        self.ask(OpenSession(role, _HOST, next(self._nonces)))
        self._request_ids = count(1)

    def close_session(self) -> None:
        self.ask(CloseSession())

    def ask(self, request: Request[R]) -> R:
        """The answer to a request; the transaction of a change is numbered here.

        Raises:
            RequestRefused: names the request and the reason.
        """
        if is_change(request):
            request = msgspec.structs.replace(request, transaction=next(self._transactions))
        reply = decode_reply(self._exchange(request_frame(request, next(self._request_ids))))
        if reply.status is not Status.OK:
            raise RequestRefused(f"{type(request).__name__}: {reply.status.name} {reply.body}")
        return cast("R", reply.body)

    def write_program(self, slot: int, name: str, areas: tuple[AreaSettings, ...]) -> None:
        """Store a program and make it the active one."""
        self.ask(BeginProgramWrite(slot, len(areas), name))
        for area in areas:
            self.ask(WriteProgramBlock(slot, area))
        self.ask(CommitProgram(0, slot, areas_checksum(areas)))
        self.ask(SelectProgram(0, slot))

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        self.advance_to(self.now + round(seconds * 1_000_000))

    def stay(self, seconds: int) -> None:
        """Let time pass, and keep the session open."""
        for passed in range(0, seconds, _STAY_SECONDS):
            self.ask(KeepAlive())
            self.advance(min(_STAY_SECONDS, seconds - passed))

    def advance_to(self, end: int) -> None:
        """Let time pass until `end`."""
        for at, output in advance(self.firmware, self.now, end):
            self.now = at
            if output:
                self.hear(output)
        self.now = max(self.now, end)
        self.firmware.wake(self.now)

    def _exchange(self, frame: Frame) -> Frame:
        """The response to a request; some take their time."""
        self.firmware.receive(encode_frame(frame), self.now)
        responses = self.hear(self.firmware.take_output(self.now))
        while not responses and (at := self.firmware.wake_at()) is not None:
            self.now = max(self.now, at)
            self.firmware.wake(self.now)
            responses = self.hear(self.firmware.take_output(self.now))
        (response,) = responses
        return response

    def hear(self, data: bytes) -> list[Frame]:
        """The responses among what the device says; events are acknowledged."""
        frames = self._reader.feed(data, self.now)
        numbers = [frame.request_id for frame in frames if frame.kind is Kind.EVENT]
        if any(numbers):
            self.firmware.receive(encode_frame(Frame(Kind.EVENT_ACK, 0, max(numbers))), self.now)
        return [frame for frame in frames if frame.kind is Kind.RESPONSE]
