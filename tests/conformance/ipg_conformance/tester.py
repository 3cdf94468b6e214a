"""The tester: talks to a device through any pyserial port, keeps what was exchanged, and never sends anything twice."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

import serial
from ipg_protocol import (
    EVENTS,
    Frame,
    FrameReader,
    Kind,
    Message,
    Reply,
    Request,
    WireError,
    decode_event,
    decode_reply,
    encode_frame,
    request_frame,
)
from ipg_protocol.commands.link import Ping, Pong

from ipg_conformance.case import Failure

ANSWER_SECONDS = 1.0
POLL_SECONDS = 0.02
SHORTEST_READ_SECONDS = 0.001
LONGEST_READ_SECONDS = 1.0
_PROBE_TOKEN = 0x1D0E_50FE

E = TypeVar("E", bound=Message)


class Unreachable(Exception):
    """The port cannot be opened, is gone, or nothing on it answers."""


class NoAnswer(Failure):
    """A request was not answered in time."""


class Port(Protocol):
    """What the tester needs of a pyserial port.

    A port may also have `monotonic()`, its own clock in seconds, and `virtual`, whether waiting on it costs no real time.
    """

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


def open_port(url: str) -> Port:
    """Open a device path or any pyserial URL, `ipg://MODEL?seed=1` among them.

    Raises:
        Unreachable: it cannot be opened.
    """
    untyped: Any = serial
    if "ipg_emulator.ports" not in untyped.protocol_handler_packages:
        untyped.protocol_handler_packages.append("ipg_emulator.ports")
    try:
        port = untyped.serial_for_url(url, timeout=POLL_SECONDS)
        if url.startswith("socket://"):
            _send_without_delay(port.fileno())
    except (OSError, ValueError, ImportError) as error:
        raise Unreachable(f"cannot be opened: {error}") from error
    return cast("Port", port)


def _send_without_delay(descriptor: int) -> None:
    """Send each write at once: pyserial leaves Nagle's algorithm on, which holds a second small write back for 40 ms."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Tester:
    """Sends bytes, frames and requests; sorts what comes back into responses and events; acknowledges events."""

    def __init__(self, port: Port) -> None:
        self.clock = cast("Callable[[], float]", getattr(port, "monotonic", time.monotonic))
        self.is_virtual = bool(getattr(port, "virtual", False))
        self.exchange: list[tuple[str, bytes]] = []
        self.events: list[tuple[int, Message]] = []
        self.responses: list[Frame] = []
        self.received = bytearray()
        self.acknowledging = True
        """Whether events are acknowledged as they come, and repeats of them dropped."""
        self.next_request_id = 1
        self._port = port
        self._port.timeout = POLL_SECONDS
        self._reader = FrameReader()
        self._events_seen: set[tuple[int, int, bytes]] = set()

    def begin_case(self) -> None:
        """Forget what was exchanged before."""
        self.acknowledging = True
        for record in (self.exchange, self.events, self.responses, self.received):
            record.clear()

    def send_bytes(self, data: bytes) -> None:
        """Write bytes as they are.

        Raises:
            Unreachable: the port is gone.
        """
        self.exchange.append((">", data))
        try:
            self._port.write(data)
        except OSError as error:
            raise Unreachable(f"the port is gone: {error}") from error

    def send(self, opcode: int, payload: bytes, request_id: int | None = None) -> int:
        """Send a request as bytes; returns its id, the next one unless given."""
        number = self.take_request_id() if request_id is None else request_id
        self.send_bytes(encode_frame(Frame(Kind.REQUEST, opcode, number, payload)))
        return number

    def take_request_id(self) -> int:
        self.next_request_id += 1
        return self.next_request_id - 1

    def request(self, message: Request[Any], request_id: int | None = None) -> Reply:
        """Send a request and wait for its answer.

        Raises:
            Failure: nothing came (NoAnswer), or what came does not decode.
        """
        frame = request_frame(message, 0)
        return self.request_bytes(frame.opcode, frame.payload, request_id)

    def request_bytes(self, opcode: int, payload: bytes, request_id: int | None = None) -> Reply:
        """As `request`, with the payload as bytes, right or wrong."""
        return self.answer_to(opcode, self.send(opcode, payload, request_id))

    def answer_to(self, opcode: int, request_id: int, within: float = ANSWER_SECONDS) -> Reply:
        """Wait for the answer to a request that was sent, and decode it.

        Raises:
            Failure: as `request`.
        """
        frame = self.response_to(opcode, request_id, within)
        try:
            return decode_reply(frame)
        except WireError as error:
            raise Failure(
                "the answer must decode", expected="an answer of the declared layout", got=f"{frame} ({error})"
            ) from None

    def response_to(self, opcode: int, request_id: int, within: float = ANSWER_SECONDS) -> Frame:
        """Wait for the RESPONSE frame to a request, and take it out of `responses`."""
        deadline = self.clock() + within
        while True:
            for index, frame in enumerate(self.responses):
                if (frame.opcode, frame.request_id) == (opcode, request_id):
                    return self.responses.pop(index)
            if self.clock() >= deadline:
                got = f"other answers only: {self.responses}" if self.responses else "no answer"
                raise NoAnswer(
                    f"an answer within {within:g} s",
                    expected=f"RESPONSE with opcode {opcode:#06x}, request id {request_id}",
                    got=got,
                )
            self._take_in()

    def listen(self, seconds: float) -> None:
        """Take in whatever comes for that long."""
        deadline = self.clock() + seconds
        while (left := deadline - self.clock()) > 0:
            self._take_in(min(max(left, SHORTEST_READ_SECONDS), LONGEST_READ_SECONDS))

    def expect_silence(self) -> None:
        """Prove that nothing sent before was answered: a PING is, and its answer is all that comes.

        Raises:
            Failure: something else was answered too, or the PING was not.
        """
        waiting = list(self.responses)
        reply = self.request(Ping(token=_PROBE_TOKEN))
        if waiting or self.responses or reply.body != Pong(token=_PROBE_TOKEN):
            raise Failure(
                "silence, then the PING's answer",
                expected=str(Pong(token=_PROBE_TOKEN)),
                got=f"{waiting + self.responses}, {reply}",
            )

    def wait_for_event(self, kind: type[E], within: float = ANSWER_SECONDS) -> E:
        """The first event of a kind since the case began, waiting for it if need be.

        Raises:
            Failure: none came.
        """
        deadline = self.clock() + within
        while True:
            for _, message in self.events:
                if isinstance(message, kind):
                    return message
            if self.clock() >= deadline:
                raise Failure(f"an event within {within:g} s", expected=kind.__name__, got=f"{[m for _, m in self.events]}")
            self._take_in()

    def events_of(self, kind: type[E]) -> list[E]:
        """The events of a kind that have come since the case began, oldest first."""
        return [message for _, message in self.events if isinstance(message, kind)]

    def acknowledge(self, number: int) -> None:
        """Send EVENT_ACK for all events up to `number`."""
        self.send_bytes(encode_frame(Frame(Kind.EVENT_ACK, 0, number)))

    def close(self) -> None:
        self._port.close()

    def _take_in(self, within: float = POLL_SECONDS) -> None:
        try:
            if self._port.timeout != within:
                self._port.timeout = within
            data = self._port.read(max(1, self._port.in_waiting))
        except OSError as error:
            raise Unreachable(f"the port is gone: {error}") from error
        if data:
            self.exchange.append(("<", data))
            self.received += data
        for frame in self._reader.feed(data, int(self.clock() * 1e6)):
            if frame.kind is Kind.RESPONSE:
                self.responses.append(frame)
            elif frame.kind is Kind.EVENT:
                self._take_event(frame)

    def _take_event(self, frame: Frame) -> None:
        identity = (frame.request_id, frame.opcode, frame.payload)
        if self.acknowledging and frame.request_id:
            self.acknowledge(frame.request_id)
            if identity in self._events_seen:
                return
            self._events_seen.add(identity)
        if frame.opcode in EVENTS:
            self.events.append((frame.request_id, decode_event(frame)))
