"""The tester: talks to a device through any pyserial port, keeps what was exchanged, and never sends anything twice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, NamedTuple, TypeVar

from ipg_protocol import (
    COMMAND_OF,
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
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.trace import Record, Towards

from ipg_conformance.clock import Clock
from ipg_conformance.expect import Failure, Inconclusive, NotAllowed
from ipg_conformance.line import LONGEST_FRAME_BYTES, NO_LINE, UNMEASURED_LINE
from ipg_conformance.permission import EVERYTHING, Permission, needed_for
from ipg_conformance.port import POLL_SECONDS, Port, Unreachable, clock_of
from ipg_conformance.wording import command_text, shown

ANSWER_SECONDS = 1.0
"""Of real time, however fast the device's passes: how soon an answer is due is but recommended (REQ-FRM-012)."""
SHORTEST_READ_SECONDS = 0.001
LONGEST_READ_SECONDS = 1.0
EVENT_SENT_AT_MOST = 5
"""As often as an event is sent after each OPEN_SESSION (REQ-EVT-001)."""
MOST_BYTES = 4_000_000
"""What a device may send in one case; many times what the longest one takes."""
MOST_BYTES_BEFORE_AN_ANSWER = 8192
"""For so many bytes that come while something is awaited the line is given its time: an answer, and events that were kept."""
VIRTUAL_CASE_SECONDS = 4 * 3600.0
"""How long a case may take where time costs nothing: some let an hour pass."""
_PROBE_TOKEN = 0x1D0E_50FE

E = TypeVar("E", bound=Message)


class NoAnswer(Failure):
    """A request was not answered in time."""


class TookTooLong(Inconclusive):
    """The case did not come to an end within its time."""


class Began(NamedTuple):
    """When a wait began, and how much had come by then."""

    at: float
    byte_count: int


class Tester:
    """Sends bytes, frames and requests; sorts what comes back into responses and events; acknowledges events.

    All seconds are the device's, of which `speed` pass in one of real time.
    """

    def __init__(self, port: Port, allowed: frozenset[Permission] = EVERYTHING, speed: float = 1.0) -> None:
        self.allowed = allowed
        self.speed = speed
        self.is_virtual = bool(getattr(port, "virtual", False))
        self.line = NO_LINE if self.is_virtual else UNMEASURED_LINE
        """As measured at the start of the run."""
        self.clock = Clock(clock_of(port), speed)
        """The device's time, as it passes for the tester."""
        self.exchange: list[Record] = []
        self.events: list[tuple[int, Message]] = []
        self.responses: list[Frame] = []
        self.received = bytearray()
        self.acknowledging = True
        """Whether events are acknowledged as they come, and repeats of them dropped."""
        self.next_request_id = 1
        self.random = random.Random(0)
        """For what a case does at random: seeded anew for each."""
        self._began = self.clock()
        self._timeout_seconds = self._deadline = float("inf")
        self._outgoing = FrameReader()
        self._port = port
        self._port.timeout = POLL_SECONDS
        self._reader = FrameReader()
        self._events_seen: set[tuple[int, int, bytes]] = set()
        self._sessions_asked_for = 0
        self._times_sent = Counter[tuple[int, int, bytes]]()
        self._bytes_received = 0
        self._line_is_free_at = float("-inf")
        """When all that was sent has reached the device, at the latest."""

    @property
    def line_seconds(self) -> float:
        """What a request and the longest answer take on the line at most: the tolerance where a time is bounded from above."""
        return self.line.allowance(LONGEST_FRAME_BYTES) * self.speed

    def begin_case(self, timeout_seconds: float = float("inf"), seed: int = 0) -> None:
        """Forget what was exchanged before, and give the case its time."""
        longest = max(timeout_seconds, VIRTUAL_CASE_SECONDS) if self.is_virtual else timeout_seconds * self.speed
        self._deadline = self.clock() + longest
        self._timeout_seconds = longest
        self._sessions_asked_for = 0
        self.random.seed(seed)
        self.acknowledging = True
        for record in (self.exchange, self.events, self.responses, self.received, self._times_sent):
            record.clear()

    def grant(self, seconds: float) -> None:
        """Give the case so much more time, which passes otherwise than by its waiting."""
        self._deadline += seconds

    @property
    def url(self) -> str:
        """What was opened; empty where the port does not say."""
        return str(getattr(self._port, "port", None) or "")

    def send_bytes(self, data: bytes) -> None:
        """Write bytes as they are.

        Raises:
            NotAllowed: a request in them does what the run may not do to the device.
            Unreachable: the port is gone.
        """
        self._check_time()
        self._check_requests(data)
        self._note(Towards.DEVICE, data)
        try:
            self._port.write(data)
        except OSError as error:
            raise Unreachable(f"the port is gone: {error}") from error
        self.clock.wrote(data)
        self._line_is_free_at = max(self._line_is_free_at, self.clock()) + self._seconds_for(len(data))

    def _seconds_for(self, byte_count: int) -> float:
        """How long so many bytes take on the line."""
        return byte_count * self.line.seconds_per_byte * self.speed

    def _note(self, to: Towards, data: bytes) -> None:
        self.exchange.append(Record(round((self.clock() - self._began) * 1e6), to, bytes(data)))

    def _check_requests(self, data: bytes) -> None:
        for frame in self._outgoing.feed(data, int(self.clock() * 1e6)):
            if frame.kind is Kind.REQUEST and (missing := needed_for(frame.opcode) - self.allowed):
                raise NotAllowed(missing)
            self._sessions_asked_for += frame.opcode == COMMAND_OF[OpenSession].opcode

    def _check_time(self) -> None:
        if self.clock() > self._deadline:
            raise TookTooLong(f"the case took longer than {self._timeout_seconds / self.speed:g} s")

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

    def answer_to(self, opcode: int, request_id: int, within: float | None = None) -> Reply:
        """Wait for the answer to a request that was sent, and decode it.

        Raises:
            Failure: as `request`.
        """
        frame = self.response_to(opcode, request_id, within)
        try:
            return decode_reply(frame)
        except WireError as error:
            raise Failure(
                "the answer must decode", expected="an answer of the declared layout", got=f"{shown(frame)} ({error})"
            ) from None

    def response_to(self, opcode: int, request_id: int, within: float | None = None) -> Frame:
        """Wait for the RESPONSE frame to a request, and take it out of `responses`.

        The line is given its time besides. Without `within` it is ANSWER_SECONDS.
        """
        began = self._begin_to_wait()
        while True:
            for index, frame in enumerate(self.responses):
                if (frame.opcode, frame.request_id) == (opcode, request_id):
                    return self.responses.pop(index)
            if self._is_over(began, within):
                got = f"other answers only: {shown(self.responses)}" if self.responses else "no answer"
                raise NoAnswer(
                    f"an answer within {ANSWER_SECONDS if within is None else within:g} s",
                    expected=f"RESPONSE {request_id} {command_text(opcode)}",
                    got=got,
                )
            self._take_in()

    def _begin_to_wait(self) -> Began:
        return Began(max(self.clock(), self._line_is_free_at), self._bytes_received)

    def _is_over(self, began: Began, within: float | None) -> bool:
        """Whether what is awaited had to be there, the line's time for it, and for what came before it, added."""
        came = min(self._bytes_received - began.byte_count, MOST_BYTES_BEFORE_AN_ANSWER)
        due = ANSWER_SECONDS * self.speed if within is None else within
        return self.clock() >= began.at + due + self.line.allowance(came) * self.speed

    def listen(self, seconds: float) -> None:
        """Take in whatever comes for that long."""
        deadline = self.clock() + seconds
        while (left := self.clock.real_seconds(deadline - self.clock())) > 0:
            self._take_in(min(max(left, SHORTEST_READ_SECONDS), LONGEST_READ_SECONDS))

    def expect_silence(self) -> None:
        """Prove that nothing sent before was answered: a PING is, and its answer is all that comes.

        Raises:
            Failure: something else was answered too, or the PING was not.
        """
        waiting = list(self.responses)
        reply = self.request(Ping(token=_PROBE_TOKEN))
        unasked = waiting + self.responses
        what = "silence, then the PING's answer"
        if unasked:
            raise Failure(what, expected="no other answer", got=shown(unasked))
        if reply.body != Pong(token=_PROBE_TOKEN):
            raise Failure(what, expected=shown(Pong(token=_PROBE_TOKEN)), got=shown(reply))

    def wait_for_event(self, kind: type[E], within: float | None = None) -> E:
        """The first event of a kind since the case began, waiting for it if need be, as long as `response_to`.

        Raises:
            Failure: none came.
        """
        began = self._begin_to_wait()
        while True:
            for _, message in self.events:
                if isinstance(message, kind):
                    return message
            if self._is_over(began, within):
                what = f"an event within {ANSWER_SECONDS if within is None else within:g} s"
                raise Failure(what, expected=shown(kind), got=shown([event for _, event in self.events]))
            self._take_in()

    def check_repeats(self) -> None:
        """No event may have come more often since the case began than it may be sent.

        Raises:
            Failure: one has.
        """
        most = EVENT_SENT_AT_MOST * (1 + self._sessions_asked_for)
        for (number, opcode, _), times in self._times_sent.items():
            if times > most:
                name = EVENTS[opcode].name if opcode in EVENTS else f"{opcode:#06x}"
                what = "an event is sent 5 times at most, afresh after each OPEN_SESSION (REQ-EVT-001)"
                raise Failure(what, expected=f"event {number}, {name}, {most} times at most", got=f"{times} times")

    def events_of(self, kind: type[E]) -> list[E]:
        """The events of a kind that have come since the case began, oldest first."""
        return [message for _, message in self.events if isinstance(message, kind)]

    def acknowledge(self, number: int) -> None:
        """Send EVENT_ACK for all events up to `number`."""
        was_free_at = self._line_is_free_at
        self.send_bytes(encode_frame(Frame(Kind.EVENT_ACK, 0, number)))
        # What acknowledges a flood is not waited for without end.
        latest = max(was_free_at, self.clock() + self._seconds_for(MOST_BYTES_BEFORE_AN_ANSWER))
        self._line_is_free_at = min(self._line_is_free_at, latest)

    def _take_in(self, within: float = POLL_SECONDS) -> None:
        """Read once, for so long of real time at most."""
        self._check_time()
        try:
            if self._port.timeout != within:
                self._port.timeout = within
            data = self._port.read(max(1, self._port.in_waiting))
        except OSError as error:
            raise Unreachable(f"the port is gone: {error}") from error
        if data:
            self._note(Towards.HOST, data)
            self.received += data
            self._bytes_received += len(data)
            self._check_amount()
        # Always at time 0: a frame that a slow line or a busy computer cuts in two is whole all the same.
        for frame in self._reader.feed(data, 0):
            if frame.kind is Kind.RESPONSE:
                self.responses.append(frame)
            elif frame.kind is Kind.EVENT:
                self._take_event(frame)

    def _check_amount(self) -> None:
        if len(self.received) > MOST_BYTES:
            what = "what a device sends comes to an end"
            raise Failure(what, expected=f"at most {MOST_BYTES} bytes in a case", got=f"{len(self.events)} events and more")

    def _take_event(self, frame: Frame) -> None:
        identity = (frame.request_id, frame.opcode, frame.payload)
        if frame.request_id:
            self._times_sent[identity] += 1
        if self.acknowledging and frame.request_id:
            self.acknowledge(frame.request_id)
            if identity in self._events_seen:
                return
            self._events_seen.add(identity)
        if frame.opcode in EVENTS:
            self.events.append((frame.request_id, decode_event(frame)))
