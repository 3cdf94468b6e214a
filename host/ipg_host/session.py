"""The host's side of the link, sans-IO: numbers requests, retries them, matches answers, acknowledges events.

Bytes and the time (microseconds) come in as arguments, bytes to send come out of `take_output`. Nothing here waits.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from ipg_protocol import (
    Change,
    Frame,
    FrameReader,
    Kind,
    Message,
    Reply,
    Request,
    Status,
    WireError,
    decode_event,
    decode_reply,
    encode_frame,
    request_frame,
)
from ipg_protocol.commands.link import Capability, CapabilityPage, ResetHappened
from ipg_protocol.commands.session import CloseSession, ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as SessionTerms

from ipg_host.errors import GarbageAnswer, InputError, IpgError, LinkError, NoAnswer, OutcomeUnknown, PortInUse
from ipg_host.exchange import Exchange, Lane
from ipg_host.inbox import Inbox
from ipg_host.refusals import refusal
from ipg_host.units import AmplitudeUnit

FIRST_TIMEOUT_US = 150_000
MAXIMUM_SENDS = 5
TOTAL_TIMEOUT_US = FIRST_TIMEOUT_US * (2**MAXIMUM_SENDS - 1)
"""How long all sends of one request wait, each twice as long as the one before; jitter and slow links add to it."""

READS_OUTSTANDING = 4

UNNUMBERED = 0
"""As `transaction` of a change: the session fills in the host's next number when it sends."""

UNNUMBERED_EVENT = 0
"""The number of an event that is sent once and not acknowledged."""

_log = logging.getLogger("ipg_host")

R = TypeVar("R", bound=Message)


class Session:
    """Everything between messages and bytes on the host's side of one link."""

    def __init__(
        self,
        jitter: Callable[[], float],
        on_event: Callable[[Message], None] | None = None,
        first_timeout_us: int = FIRST_TIMEOUT_US,
    ) -> None:
        """`jitter` gives a fraction from 0 to 1 each time; retries are spread by a quarter of it."""
        self.terms: SessionTerms | None = None
        """What OPEN_SESSION was answered; None while no session is open."""
        self.smoothed_round_trip_us: float | None = None
        self._jitter = jitter
        self._on_event = on_event
        self._first_timeout_us = first_timeout_us
        self._reader = FrameReader()
        self._bytes_received = 0
        self._output = b""
        self._waiting: deque[Exchange[Any]] = deque()
        self._outstanding: dict[int, Exchange[Any]] = {}
        self._in_lane = [0] * len(Lane)
        self._last_id = 0
        self._last_transaction = 0
        self._boot_counter: int | None = None
        self._amplitude_unit = AmplitudeUnit.MICROAMPS
        self._inbox = Inbox()
        self._undelivered: deque[Message] = deque()
        self._lost: LinkError | None = None
        self._receivers = {Kind.RESPONSE: self._receive_response, Kind.EVENT: self._receive_event}

    @property
    def lost(self) -> bool:
        """Whether the link is gone for good."""
        return self._lost is not None

    def request(self, request: Request[R], now: int, on_done: Callable[[], None] | None = None) -> Exchange[R]:
        """Send a request as soon as the window allows; `on_done` is called once its outcome is known."""
        exchange = Exchange(request, on_done)
        if self._lost is not None:
            self._settle(exchange, error=self._lost)
        elif exchange.lane is Lane.STOP or (not self._waiting and self._may_send(exchange)):
            self._send_first(exchange, now)
        else:
            self._waiting.append(exchange)
        return exchange

    def receive(self, data: bytes, now: int) -> None:
        """Take in bytes that arrived at `now`."""
        self._bytes_received += len(data)
        for frame in self._reader.feed(data, now):
            receiver = self._receivers.get(frame.kind)
            if receiver is not None:
                receiver(frame, now)
        if self._undelivered:
            self._deliver()

    def forget(self, exchange: Exchange[Any], now: int) -> None:
        """Nobody waits for this any more: what waits in line is never sent, what was sent is not sent again."""
        if exchange.done:
            return
        if exchange in self._waiting:
            self._waiting.remove(exchange)
            self._send_waiting(now)
            return
        if isinstance(exchange.request, (OpenSession, CloseSession)):
            self.terms = None
        self._conclude(exchange, now)

    def wake_at(self) -> int | None:
        """When `wake` is next needed; None when nothing is awaited."""
        soonest = self._inbox.wake_at()
        for exchange in self._outstanding.values():
            if soonest is None or exchange.deadline < soonest:
                soonest = exchange.deadline
        return soonest

    def wake(self, now: int) -> None:
        """Retry or give up what has waited long enough."""
        for exchange in [exchange for exchange in self._outstanding.values() if now >= exchange.deadline]:
            if exchange.sends < MAXIMUM_SENDS:
                exchange.timeout_us *= 2
                self._send(exchange, now, exchange.timeout_us + int(exchange.timeout_us * self._jitter() / 4))
            else:
                self._conclude(exchange, now, error=self._unanswered(exchange))
        if self._inbox.wake(now):
            self._acknowledge(0)

    def take_output(self) -> bytes:
        """The bytes to send now; they are handed out once."""
        output, self._output = self._output, b""
        return output

    def lose(self, error: LinkError) -> None:
        """The link is gone: nothing more will be answered. A change under way may have been carried out."""
        self._lost = error
        self.terms = None
        while self._outstanding:
            _, exchange = self._outstanding.popitem()
            self._settle(exchange, error=OutcomeUnknown(exchange.request, str(error)) if exchange.acts else error)
        while self._waiting:
            self._settle(self._waiting.popleft(), error=error)

    def _may_send(self, exchange: Exchange[Any]) -> bool:
        if not self._outstanding:
            return True
        in_lane = self._in_lane
        if exchange.lane is Lane.OPEN:
            return False
        if in_lane[Lane.OPEN]:
            return False
        return in_lane[exchange.lane] < (READS_OUTSTANDING if exchange.lane is Lane.READ else 1)

    def _send_waiting(self, now: int) -> None:
        while self._waiting and self._may_send(self._waiting[0]):
            self._send_first(self._waiting.popleft(), now)

    def _send_first(self, exchange: Exchange[Any], now: int) -> None:
        request = exchange.request
        if isinstance(request, Change):
            request = exchange.request = self._numbered(request)
        self._last_id += 1
        exchange.request_id = self._last_id
        try:
            exchange.wire = encode_frame(request_frame(request, exchange.request_id))
        except ValueError as error:
            self._settle(exchange, error=InputError(f"{exchange.command.name}: {error}"))
            return
        self._outstanding[exchange.request_id] = exchange
        self._in_lane[exchange.lane] += 1
        exchange.bytes_before, exchange.frames_before = self._bytes_received, self._reader.frames
        exchange.timeout_us = self._first_timeout_us
        if self.smoothed_round_trip_us is not None:
            exchange.timeout_us = max(exchange.timeout_us, int(4 * self.smoothed_round_trip_us))
        self._send(exchange, now, exchange.timeout_us)

    def _send(self, exchange: Exchange[Any], now: int, wait_us: int) -> None:
        exchange.sends += 1
        exchange.sent_at = now
        exchange.deadline = now + wait_us
        self._output += exchange.wire
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("-> id %d send %d %r %s", exchange.request_id, exchange.sends, exchange.request, exchange.wire.hex())

    def _numbered(self, change: Change[Any]) -> Change[Any]:
        if change.transaction != UNNUMBERED:
            return change
        self._last_transaction += 1
        return msgspec.structs.replace(change, transaction=self._last_transaction)

    def _receive_response(self, frame: Frame, now: int) -> None:
        exchange = self._outstanding.get(frame.request_id)
        if exchange is None or exchange.command.opcode != frame.opcode:
            _log.debug("<- id %d stale answer to %#06x dropped", frame.request_id, frame.opcode)
            return
        try:
            reply = decode_reply(frame)
        except WireError as error:
            self._conclude(exchange, now, error=self._unreadable(exchange, error))
            return
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("<- id %d %s %r %s", frame.request_id, reply.status.name, reply.body, frame.payload.hex())
        if reply.status is Status.PENDING:
            return
        if exchange.sends == 1:
            self._note_round_trip(now - exchange.sent_at)
        if reply.status is Status.OK:
            self._note(exchange, reply.body)
            self._conclude(exchange, now, answer=reply.body)
        else:
            self._conclude(exchange, now, error=self._refused(exchange, reply))

    def _refused(self, exchange: Exchange[Any], reply: Reply) -> IpgError:
        if reply.status is Status.NO_SESSION:
            self.terms = None
            if exchange.acts and exchange.sends > 1:
                # An earlier send may have been carried out before the session was lost, and its answer with it.
                return OutcomeUnknown(exchange.request, "the session was lost meanwhile")
        return refusal(exchange.request, reply, self._amplitude_unit)

    def _note_round_trip(self, round_trip_us: int) -> None:
        smoothed = self.smoothed_round_trip_us
        self.smoothed_round_trip_us = round_trip_us if smoothed is None else smoothed + (round_trip_us - smoothed) / 8

    def _note(self, exchange: Exchange[Any], answer: Message) -> None:
        if isinstance(answer, SessionTerms):
            self.terms = answer
            self._last_transaction = max(self._last_transaction, answer.last_transaction)
            self._note_boot(answer.boot_counter)
        elif isinstance(exchange.request, CloseSession):
            self.terms = None
        elif isinstance(answer, CapabilityPage):
            for row in answer.rows:
                if row.capability is Capability.AMPLITUDE_UNIT:
                    self._amplitude_unit = AmplitudeUnit(bool(row.maximum))

    def _note_boot(self, boot_counter: int) -> None:
        if self._boot_counter not in (None, boot_counter):
            self._inbox = Inbox()
        self._boot_counter = boot_counter

    def _receive_event(self, frame: Frame, now: int) -> None:
        try:
            message = decode_event(frame)
        except WireError as error:
            _log.debug("<- event %d not understood, acknowledged all the same: %s", frame.request_id, error)
            message = None
        if isinstance(message, SessionClosing) and message.reason is ClosingReason.PORT_IN_USE:
            self.lose(PortInUse("the device has another client already, and takes one at a time"))
            return
        if isinstance(message, ResetHappened) and message.boot_counter != self._boot_counter:
            self.terms = None
            self._note_boot(message.boot_counter)
        if isinstance(message, SessionClosing):
            self.terms = None
        numbered = frame.request_id != UNNUMBERED_EVENT
        new = not numbered or self._inbox.accept(frame.request_id, now)
        if new and message is not None:
            _log.debug("<- event %d %r", frame.request_id, message)
            self._undelivered.append(message)
        if numbered:
            self._acknowledge(frame.opcode)

    def _deliver(self) -> None:
        """Hand out what came; if `on_event` raises, the rest is handed out before the error goes on."""
        try:
            while self._undelivered:
                message = self._undelivered.popleft()
                if self._on_event is not None:
                    self._on_event(message)
        finally:
            if self._undelivered:
                self._deliver()

    def _acknowledge(self, opcode: int) -> None:
        self._output += encode_frame(Frame(Kind.EVENT_ACK, opcode, self._inbox.highest))

    def _unanswered(self, exchange: Exchange[Any]) -> OutcomeUnknown:
        tried = f"no answer to {exchange.sends} sends"
        received = self._bytes_received - exchange.bytes_before
        garbage = received > 0 and self._reader.frames == exchange.frames_before
        if garbage:
            tried += f", though {received} bytes came that hold no frame"
        if exchange.acts:
            return OutcomeUnknown(exchange.request, tried)
        return (GarbageAnswer if garbage else NoAnswer)(exchange.request, tried)

    def _unreadable(self, exchange: Exchange[Any], error: WireError) -> OutcomeUnknown:
        return (OutcomeUnknown if exchange.acts else GarbageAnswer)(exchange.request, f"the answer cannot be read: {error}")

    def _conclude(
        self, exchange: Exchange[Any], now: int, *, answer: Message | None = None, error: IpgError | None = None
    ) -> None:
        del self._outstanding[exchange.request_id]
        self._in_lane[exchange.lane] -= 1
        self._settle(exchange, answer=answer, error=error)
        self._send_waiting(now)

    def _settle(self, exchange: Exchange[Any], *, answer: Message | None = None, error: IpgError | None = None) -> None:
        exchange.answer, exchange.error, exchange.done = answer, error, True
        if exchange.on_done is not None:
            exchange.on_done()
