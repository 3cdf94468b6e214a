"""The host's side of the link, sans-IO: numbers requests, retries them, matches answers, acknowledges events.

Bytes and the time (microseconds) come in as arguments, bytes to send come out of `take_output`. Nothing here waits. A session
that the device lost is opened again when something needs it, and what became of a change is asked for: see `recovery`.
"""

from __future__ import annotations

import logging
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
    decode_reply,
    encode_frame,
    request_frame,
)
from ipg_protocol.commands.link import Abort, Capability, CapabilityPage, ResetHappened
from ipg_protocol.commands.session import CloseSession, ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as SessionTerms
from ipg_protocol.refusal import Done

from ipg_host.errors import InputError, IpgError, LinkError, OutcomeUnknown, PortInUse
from ipg_host.events import UNNUMBERED_EVENT, Events
from ipg_host.exchange import Exchange, Lane, Sort, Trouble
from ipg_host.recovery import Doubt, Remedy, doubt_about, is_booting, remedy, reopening
from ipg_host.refusals import refusal
from ipg_host.timing import FIRST_TIMEOUT_US, MAXIMUM_SENDS, Timing
from ipg_host.units import AmplitudeUnit
from ipg_host.window import Window

UNNUMBERED = 0
"""As `transaction` of a change: the session fills in the host's next number when it sends."""

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
        """`jitter` gives a fraction from 0 to 1 each time: it spreads retries, and tells sessions opened anew apart."""
        self.terms: SessionTerms | None = None
        """What OPEN_SESSION was answered; None while no session is open."""
        self._jitter = jitter
        self._timing = Timing(jitter, first_timeout_us)
        self._events = Events(on_event)
        self._reader = FrameReader()
        self._bytes_received = 0
        self._output = b""
        self._window = Window()
        self._opened: OpenSession | None = None
        """What opened the session that is meant to be open; a session like it is opened when that is lost."""
        self._taken_over = False
        """Whether another host is said to have ended the last session, and the device has not said since that there is none."""
        self._doubt: Doubt | None = None
        self._last_id = 0
        self._last_transaction = 0
        self._amplitude_unit = AmplitudeUnit.MICROAMPS
        self._lost: LinkError | None = None
        self._receivers = {Kind.RESPONSE: self._receive_response, Kind.EVENT: self._receive_event}

    @property
    def smoothed_round_trip_us(self) -> float | None:
        """How long the device usually takes to answer; None before it has."""
        return self._timing.smoothed_round_trip_us

    @property
    def lost(self) -> bool:
        """Whether the link is gone for good."""
        return self._lost is not None

    @property
    def events_missed(self) -> int:
        """How many events went by unseen since the first session was opened here; each gap is logged as a warning."""
        return self._events.inbox.missed

    def request(self, request: Request[R], now: int, on_done: Callable[[], None] | None = None) -> Exchange[R]:
        """Send a request as soon as the window allows; `on_done` is called once its outcome is known."""
        exchange = Exchange(request, on_done)
        if self._lost is not None:
            self._settle(exchange, error=self._lost)
        elif exchange.lane is Lane.STOP or ((self.terms or not self._opened) and self._window.admits_at_once(exchange)):
            self._begin(exchange, now)
        else:
            self._window.waiting.append(exchange)
            self._send_waiting(now)
        return exchange

    def receive(self, data: bytes, now: int) -> None:
        """Take in bytes that arrived at `now`."""
        self._bytes_received += len(data)
        for frame in self._reader.feed(data, now):
            receiver = self._receivers.get(frame.kind)
            if receiver is not None:
                receiver(frame, now)
        if self._events.undelivered:
            self._events.deliver()

    def forget(self, exchange: Exchange[Any], now: int) -> None:
        """Nobody waits for this any more: what waits in line is never sent, what was sent is not sent again.

        The device is asked once to abort what it may still have before it.
        """
        if exchange.done:
            return
        if self._doubt is not None and exchange is self._doubt.exchange:
            self._window.leave(*self._end_doubt())
        elif self._window.withdraw(exchange):
            if isinstance(exchange.request, (OpenSession, CloseSession)):
                self._end_session()
            elif exchange.lane is Lane.ACT and self.terms is not None:
                self._abort(exchange.request_id)
        self._settle(exchange)
        self._send_waiting(now)

    def wake_at(self) -> int | None:
        """When `wake` is next needed; None when nothing is awaited."""
        soonest = self._events.inbox.wake_at()
        for exchange in self._window.outstanding.values():
            if soonest is None or exchange.deadline < soonest:
                soonest = exchange.deadline
        return soonest

    def wake(self, now: int) -> None:
        """Retry or give up what has waited long enough."""
        for exchange in [exchange for exchange in self._window.outstanding.values() if now >= exchange.deadline]:
            if exchange.sends < MAXIMUM_SENDS:
                exchange.repeated = True
                self._send(exchange, now, self._timing.repeated(exchange.timeout_us, exchange.sends))
            else:
                error = exchange.unanswered(self._bytes_received, self._reader.frames)
                self._get_over(exchange, Trouble.SILENCE, now, error)
        if self._events.inbox.wake(now):
            self._output += self._events.acknowledgement(0)

    def take_output(self) -> bytes:
        """The bytes to send now; they are handed out once."""
        output, self._output = self._output, b""
        return output

    def lose(self, error: LinkError) -> None:
        """The link is gone: nothing more will be answered. A change under way may have been carried out."""
        self._lost = error
        self._end_session()
        for exchange in (*self._end_doubt(), *self._window.outstanding.values()):
            self._window.leave(exchange)
            self._settle(exchange, error=OutcomeUnknown(exchange.request, str(error)) if exchange.acts else error)
        while self._window.waiting:
            self._settle(self._window.waiting.popleft(), error=error)

    def _send_waiting(self, now: int) -> None:
        waiting, window = self._window.waiting, self._window
        while waiting:
            if self._opened is not None and self._needs_opening(waiting[0]):
                waiting.appendleft(Exchange(reopening(self._opened, self._jitter()), is_own=True))
            if not window.admits(waiting[0]):
                return
            self._begin(waiting.popleft(), now)

    def _needs_opening(self, exchange: Exchange[Any]) -> bool:
        """Whether a session must be opened first; not to close it, for then it is closed already."""
        if self.terms is not None or exchange.command.role is None or isinstance(exchange.request, CloseSession):
            return False
        return not self._window.is_opening

    def _begin(self, exchange: Exchange[Any], now: int) -> None:
        if isinstance(exchange.request, Change):
            exchange.request = self._numbered(exchange.request)
        try:
            self._send_first(exchange, now)
        except ValueError as error:
            self._settle(exchange, error=InputError(f"{exchange.command.name}: {error}"))
        else:
            self._window.enter(exchange)

    def _send_first(self, exchange: Exchange[Any], now: int) -> None:
        """Send under a new id, for the first time or in another session."""
        self._last_id += 1
        exchange.request_id = self._last_id
        exchange.wire = encode_frame(request_frame(exchange.request, exchange.request_id))
        exchange.sends, exchange.repeated = 0, False
        self._window.outstanding[exchange.request_id] = exchange
        exchange.bytes_before, exchange.frames_before = self._bytes_received, self._reader.frames
        exchange.timeout_us = self._timing.first()
        self._send(exchange, now, exchange.timeout_us)

    def _send(self, exchange: Exchange[Any], now: int, wait_us: int) -> None:
        exchange.sends += 1
        exchange.sent_at = now
        exchange.deadline = now + wait_us
        self._output += exchange.wire
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("-> id %d send %d %r %s", exchange.request_id, exchange.sends, exchange.request, exchange.wire.hex())

    def _abort(self, target: int) -> None:
        """Send an ABORT once, and heed no answer."""
        self._last_id += 1
        self._output += encode_frame(request_frame(Abort(target=target), self._last_id))
        _log.debug("-> id %d %r", self._last_id, Abort(target=target))

    def _numbered(self, change: Change[Any]) -> Change[Any]:
        if change.transaction != UNNUMBERED:
            self._last_transaction = max(self._last_transaction, change.transaction)
            return change
        self._last_transaction += 1
        return msgspec.structs.replace(change, transaction=self._last_transaction)

    def _receive_response(self, frame: Frame, now: int) -> None:
        exchange = self._window.outstanding.get(frame.request_id)
        if exchange is None or exchange.command.opcode != frame.opcode:
            _log.debug("<- id %d stale answer to %#06x dropped", frame.request_id, frame.opcode)
            return
        try:
            reply = decode_reply(frame)
        except WireError as error:
            self._conclude(exchange, now, error=exchange.unreadable(error))
            return
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("<- id %d %s %r %s", frame.request_id, reply.status.name, reply.body, frame.payload.hex())
        if not exchange.repeated:
            self._timing.note(now - exchange.sent_at)
        if reply.status is Status.OK:
            self._note(exchange, reply.body, now)
            self._conclude(exchange, now, answer=reply.body)
        else:
            self._receive_refusal(exchange, reply, now)

    def _receive_refusal(self, exchange: Exchange[Any], reply: Reply, now: int) -> None:
        match reply.status:
            case Status.PENDING:
                exchange.sends, exchange.repeated = max(0, exchange.sends - 1), True
                exchange.deadline = now + (exchange.timeout_us << exchange.sends)
            case _ if exchange.sends < MAXIMUM_SENDS and is_booting(reply):
                exchange.repeated = True
            case Status.NO_SESSION if isinstance(exchange.request, CloseSession):
                self._end_session()
                self._conclude(exchange, now, answer=Done())
            case Status.NO_SESSION:
                self._get_over(exchange, Trouble.NO_SESSION, now, self._without_session(exchange, reply))
            case Status.STALE:
                error = exchange.stale(refusal(exchange.request, reply, self._amplitude_unit))
                self._get_over(exchange, Trouble.STALE, now, error)
            case _:
                self._conclude(exchange, now, error=refusal(exchange.request, reply, self._amplitude_unit))

    def _without_session(self, exchange: Exchange[Any], reply: Reply) -> IpgError:
        self.terms = None
        may_have_run = exchange.sends > 1 or exchange.troubles or self._opened is not None or self._taken_over
        self._taken_over = False
        if exchange.sort is Sort.CHANGE and may_have_run:
            # An earlier send, or one that the line repeated, may have been carried out before the session was lost.
            return OutcomeUnknown(exchange.request, "the session was lost meanwhile")
        return refusal(exchange.request, reply, self._amplitude_unit)

    def _note(self, exchange: Exchange[Any], answer: Message, now: int) -> None:
        request = exchange.request
        if isinstance(answer, SessionTerms) and isinstance(request, OpenSession):
            self.terms, self._opened, self._taken_over = answer, request, False
            self._last_transaction = max(self._last_transaction, answer.last_transaction)
            self._events.inbox.begin(answer.acknowledged_event, answer.boot_counter, now)
        elif isinstance(request, CloseSession):
            self._end_session()
        elif isinstance(answer, CapabilityPage):
            for row in answer.rows:
                if row.capability is Capability.AMPLITUDE_UNIT:
                    self._amplitude_unit = AmplitudeUnit(bool(row.maximum))

    def _get_over(self, exchange: Exchange[Any], trouble: Trouble, now: int, error: IpgError) -> None:
        """Do what the trouble calls for; `error` is what whoever waits is told if that is nothing."""
        found = remedy(exchange, trouble) if self._opened is not None else Remedy.NONE
        if found is Remedy.NONE:
            self._conclude(exchange, now, error=error)
            return
        _log.debug("id %d %s: %s", exchange.request_id, trouble.name, found.name)
        self.terms = self.terms if trouble is Trouble.STALE else None
        if found is Remedy.AGAIN:
            self._window.leave(exchange)
            again = exchange
        else:
            del self._window.outstanding[exchange.request_id]
            self._doubt = doubt_about(exchange)
            again = self._doubt.question
        self._window.put_first(again)
        self._send_waiting(now)

    def _conclude_own(self, exchange: Exchange[Any], now: int) -> None:
        """Go on with what the session's own request was for: an opening for all that wait for it, a question for its change."""
        if isinstance(exchange.request, OpenSession):
            if exchange.error is not None:
                self._give_up_waiting(exchange.error, now)
        elif self._doubt is not None:
            doubt, self._doubt = self._doubt, None
            self._conclude_doubt(doubt, now)

    def _give_up_waiting(self, error: IpgError, now: int) -> None:
        waiting = self._window.waiting
        hopeless = [exchange for exchange in waiting if self._needs_opening(exchange)]
        for exchange in hopeless:
            waiting.remove(exchange)
        for exchange in hopeless:
            self._settle(exchange, error=error)
            if exchange.sort is Sort.OWN:
                self._conclude_own(exchange, now)

    def _conclude_doubt(self, doubt: Doubt, now: int) -> None:
        try:
            answer = doubt.resolve()
        except OutcomeUnknown as error:
            self._conclude(doubt.exchange, now, error=error)
            return
        if answer is None:
            self._send_first(doubt.exchange, now)
        else:
            self._conclude(doubt.exchange, now, answer=answer)

    def _end_doubt(self) -> tuple[Exchange[Any], ...]:
        """Ask no more about the change in doubt, and return it if there is one."""
        if self._doubt is None:
            return ()
        doubt, self._doubt = self._doubt, None
        self._window.withdraw(doubt.question)
        return (doubt.exchange,)

    def _end_session(self) -> None:
        """No session is meant to be open any more."""
        self.terms = self._opened = None
        self._taken_over = False

    def _receive_event(self, frame: Frame, now: int) -> None:
        message = self._events.receive(frame, now)
        if frame.request_id != UNNUMBERED_EVENT:
            self._output += self._events.acknowledgement(frame.opcode)
        if isinstance(message, SessionClosing):
            self._receive_closing(message.reason, now)
        elif isinstance(message, ResetHappened) and self.terms is not None and message.boot_counter > self.terms.boot_counter:
            self.terms = None

    def _receive_closing(self, reason: ClosingReason, now: int) -> None:
        self.terms = None
        if reason is ClosingReason.PORT_IN_USE:
            self.lose(PortInUse("the device has another client already, and takes one at a time"))
        elif reason is ClosingReason.REPLACED and not self._window.is_opening:
            self._end_session()
            self._taken_over = True
            for change in self._end_doubt():
                error = OutcomeUnknown(change.request, "another host has taken the device over meanwhile")
                self._conclude(change, now, error=error)

    def _conclude(
        self, exchange: Exchange[Any], now: int, *, answer: Message | None = None, error: IpgError | None = None
    ) -> None:
        self._window.leave(exchange)
        self._settle(exchange, answer=answer, error=error)
        if exchange.sort is Sort.OWN:
            self._conclude_own(exchange, now)
        if self._window.waiting:
            self._send_waiting(now)

    def _settle(self, exchange: Exchange[Any], *, answer: Message | None = None, error: IpgError | None = None) -> None:
        exchange.answer, exchange.error, exchange.done = answer, error, True
        if exchange.on_done is not None:
            exchange.on_done()
