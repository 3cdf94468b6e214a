"""The native dialect: frames in, the gates every request passes, frames out. It acts on the device only through handlers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from ipg_protocol import wire
from ipg_protocol.command import CATALOGUE, COMMAND_OF, Command, Reply, event_frame, is_change, reply_frame
from ipg_protocol.commands.link import LinkStatistics
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.session import ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as SessionOpened
from ipg_protocol.frame import PARTIAL_FRAME_TIMEOUT_US, Frame, FrameReader, Kind, encode_frame
from ipg_protocol.refusal import (
    WHOLE_MESSAGE,
    BootDetail,
    Done,
    FieldDetail,
    MalformedDetail,
    RequestDetail,
    RoleDetail,
    StateDetail,
)
from ipg_protocol.trace import Towards
from ipg_protocol.vocabulary import ResponseFlag, Role, Status
from ipg_protocol.wire import Message

from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, Handlers
from ipg_emulator.firmware.events import EventQueue
from ipg_emulator.firmware.journal import Committed
from ipg_emulator.firmware.refusal import Refused, out_of_range
from ipg_emulator.firmware.sessions import Answered, Seen, Session
from ipg_emulator.firmware.statistics import Statistics
from ipg_emulator.firmware.timers import Timer, Timers

Ignore = Callable[[Towards, bytes, str], None]
"""Told of bytes that are dropped or ignored: where they were to go, and why they come to nothing."""

OUTPUT_LIMIT = 65_536
UNNUMBERED = 0
"""The number of an event that is sent once and not kept: it concerns a session that is over, or belongs to a stream."""

NO_FLAGS = ResponseFlag(0)

_REFUSED_ID = {Seen.REUSED: Status.ID_REUSED, Seen.PENDING: Status.PENDING, Seen.ABORTED: Status.ABORTED}
"""Why a request is refused of whose id this is known."""


class Link:
    """One boot's end of the link."""

    def __init__(self, device: Device, timers: Timers, handlers: Handlers, ignore: Ignore) -> None:
        self.device = device
        self._handlers = handlers
        self.session: Session | None = None
        self.events = EventQueue(device.memory)
        self._statistics = Statistics()
        self._ignore = ignore
        self._reader = FrameReader(self._noise)
        self._output = bytearray()
        self._timers = timers
        timers.on(Timer.SESSION_IDLE, self._session_idle)
        timers.on(Timer.EVENT_RESEND, self._send_events)
        timers.on(Timer.FRAME, self._reader.give_up)
        device.listeners.append(self._notified)
        device.stream_listeners.append(self._streamed)

    def read(self, data: bytes, now: int) -> list[Frame]:
        """The good frames that `data` completes."""
        self._statistics.bytes_received += len(data)
        had_begun = self._reader.unfinished
        frames = self._reader.feed(data, now)
        if self._reader.unfinished:
            self._timers.set(Timer.FRAME, now + PARTIAL_FRAME_TIMEOUT_US)
        elif had_begun:
            self._timers.cancel(Timer.FRAME)
        return frames

    def serve(self, frame: Frame, now: int) -> None:
        if frame.kind is Kind.REQUEST:
            self.device.host_watch.heard_at = now
            reply = self._reply(frame, now)
            self.device.memory.save(now)
            if reply is not None:
                self._send_frame(reply_frame(frame.opcode, frame.request_id, reply))
        elif frame.kind is Kind.EVENT_ACK:
            self._acknowledge(frame)
        else:
            self._reader.noise.bad_kind += 1
            self._ignore(Towards.DEVICE, encode_frame(frame), f"the kind {frame.kind.name} is not for a device")

    def _acknowledge(self, frame: Frame) -> None:
        acknowledged = self.events.acknowledged
        self.events.acknowledge(frame.request_id)
        if self.events.acknowledged == acknowledged:
            self._ignore(Towards.DEVICE, encode_frame(frame), "it acknowledges no event that waits for it")

    def _noise(self, data: bytes, why: str, _now: int) -> None:
        self._ignore(Towards.DEVICE, data, why)

    def abandon(self, why: str) -> None:
        """Tell what the end of this boot takes away: a frame begun, a request not yet answered, answers not yet sent."""
        if self._reader.unfinished:
            self._ignore(Towards.DEVICE, self._reader.unfinished, f"{why} in the middle of the frame")
        if self.session is not None and self.session.awaited is not None:
            self._ignore(Towards.DEVICE, encode_frame(self.session.awaited), f"{why} before it had answered")
        if self._output:
            self._ignore(Towards.HOST, self.take_output(), f"{why} before this was sent")

    def take_output(self) -> bytes:
        taken = bytes(self._output)
        self._output.clear()
        return taken

    def output_lost(self, encoded: bytes) -> None:
        """Count frames that the port has dropped: the host does not read."""
        self._statistics.output_dropped += encoded.count(0) // 2  # each stands between two zeros

    def send_first(self, encoded: bytes) -> None:
        """Put out what was said just before the restart."""
        self._output[:0] = encoded

    # Session

    @property
    def idle_timeout_ms(self) -> int:
        return self.device.model.timing.session_idle_ms

    def open_session(self, request: OpenSession, now: int) -> SessionOpened:
        """Open a session, closing the one that is open."""
        if self.session is not None:
            self.close_session(ClosingReason.REPLACED, now)
        memory = self.device.memory
        memory.count("sessions")
        self.device.log(LogCode.SESSION_OPENED, request.role, now)
        last = memory.journal(request.host_id).last
        opened = SessionOpened(request.role, memory.boot_counter, self.idle_timeout_ms, last, self.events.acknowledged)
        answered = Answered(COMMAND_OF[OpenSession].opcode, wire.encode(request), Reply(Status.OK, NO_FLAGS, opened))
        self.session = Session(request.role, request.host_id, answered)
        self._timers.set(Timer.SESSION_IDLE, now + self.idle_timeout_ms * 1000)
        self.events.revive(now)
        self._schedule_events()
        return opened

    def close_session(self, reason: ClosingReason | None, now: int) -> None:
        """End the session; the host is told unless it asked for it (`reason` None)."""
        if self.session is None:
            return
        self.device.self_test.break_off()
        if self.device.feedback is not None:
            self.device.feedback.stream.stop(now)
        self.device.log(LogCode.SESSION_CLOSED, self.session.role, now)
        if reason is not None:
            self._send_frame(event_frame(SessionClosing(reason), UNNUMBERED))
        self.session = None
        self._timers.cancel(Timer.SESSION_IDLE)
        self._timers.cancel(Timer.EVENT_RESEND)

    def _session_idle(self, now: int) -> None:
        self.close_session(ClosingReason.IDLE, now)

    # Requests

    def _reply(self, frame: Frame, now: int) -> Reply | None:
        """The answer to a request; None: it comes later."""
        entry = CATALOGUE.get(frame.opcode)
        try:
            reply = self._pass_gates(entry, frame, now)
        except Refused as refused:
            reply = _refusal(refused)
        if reply is not None:
            self._count(reply)
        return reply

    def _count(self, reply: Reply) -> None:
        self._statistics.count_reply(reply)
        if reply.status is not Status.OK and not reply.flags:
            self.device.memory.count("requests_refused")

    def _pass_gates(self, entry: Command | None, frame: Frame, now: int) -> Reply | None:
        """Catalogue, model, session, role, request id, payload, transaction, state; then the command itself."""
        if entry is None:
            raise Refused(Status.UNKNOWN_COMMAND, Done())
        if entry.opcode not in self.device.supported_commands:
            raise Refused(Status.NOT_SUPPORTED, FieldDetail(WHOLE_MESSAGE))
        session = self._session_for(entry, now)
        reply = self._stored_reply(session, frame) if session else None
        if reply is not None:
            return reply
        request = self._decode(entry, frame)
        reply = self._earlier_reply(session, frame, request)
        if reply is None:
            reply = self._execute(entry, frame, request, session, now)
            if reply is None:
                return None
            if session is not None and is_change(request) and reply.status is Status.OK:
                self._record(session, frame, request.transaction, reply)
        if session is not None:
            session.keep(frame, reply)
        return reply

    def _session_for(self, entry: Command, now: int) -> Session | None:
        """The session that the command is sent in; None for a command that needs none."""
        if entry.role is None:
            return None
        if self.session is None:
            raise Refused(Status.NO_SESSION, BootDetail(self.device.memory.boot_counter))
        self._timers.set(Timer.SESSION_IDLE, now + self.idle_timeout_ms * 1000)
        if self.session.role < entry.role:
            raise Refused(Status.NOT_PERMITTED, RoleDetail(entry.role))
        return self.session

    def _stored_reply(self, session: Session, frame: Frame) -> Reply | None:
        seen = session.look_up(frame)
        if seen is Seen.NEW:
            return None
        if seen is Seen.REPEATED:
            return _replayed(session.answers[frame.request_id].reply)
        if seen in _REFUSED_ID:
            raise Refused(_REFUSED_ID[seen], RequestDetail(frame.request_id))
        raise Refused(Status.STALE, RequestDetail(session.highest_id))

    def _earlier_reply(self, session: Session | None, frame: Frame, request: Message) -> Reply | None:
        """The reply that follows from an earlier request of another id: the session opened, or the transaction committed."""
        if isinstance(request, OpenSession):
            opened = self.session.opened_by if self.session else None
            return _replayed(opened.reply) if opened and opened.payload == frame.payload else None
        if session is None or not is_change(request):
            return None
        journal = self.device.memory.journal(session.host_id)
        committed = journal.kept.get(request.transaction)
        if committed is not None:
            return _committed_reply(committed, frame, request.transaction)
        if request.transaction > journal.forgotten:
            return None
        lowest = journal.forgotten + 1 if request.transaction else 1
        return _refusal(out_of_range(request, "transaction", lowest, 2**32 - 1, value=request.transaction))

    def _decode(self, entry: Command, frame: Frame) -> Message:
        try:
            return wire.decode(entry.request, frame.payload)
        except wire.WireError as error:
            names = wire.field_names(entry.request)
            field = names.index(error.field) if error.field in names else WHOLE_MESSAGE
            detail = MalformedDetail(field, wire.minimum_size(entry.request), len(frame.payload))
            raise Refused(Status.MALFORMED, detail) from None

    def _execute(self, entry: Command, frame: Frame, request: Message, session: Session | None, now: int) -> Reply | None:
        if self.device.state not in entry.states:
            return _refusal(Refused(Status.WRONG_STATE, StateDetail(self.device.state)))
        if entry.is_change and not self.device.memory.is_writable:
            return _refusal(Refused(Status.STORAGE_FAILED, Done()))
        role = session.role if session else Role.OBSERVER
        try:
            answer = self._handlers[entry.request](request, Context(self.device, self, role, frame.request_id, now))
        except Refused as refused:
            return _refusal(refused)
        if answer is not None:
            return Reply(Status.OK, NO_FLAGS, answer)
        assert session is not None, "what takes time needs a session"
        session.await_answer(frame)
        return None

    def answer_awaited(self, answer: Message | None) -> None:
        """Answer the request that has waited for it; None: it was broken off."""
        session = self.session
        assert session is not None, "a session breaks off what it waits for before it ends"
        assert session.awaited is not None, "nothing but an awaited request is answered so"
        frame, session.awaited = session.awaited, None
        aborted = Refused(Status.ABORTED, RequestDetail(frame.request_id))
        reply = _refusal(aborted) if answer is None else Reply(Status.OK, NO_FLAGS, answer)
        session.keep(frame, reply)
        self._count(reply)
        self._send_frame(reply_frame(frame.opcode, frame.request_id, reply))

    def abort(self, request_id: int) -> None:
        """See to it that a request of this session takes no effect.

        Raises:
            Refused: it has taken effect, or nothing is known of it any more.
        """
        session = self.session
        assert session is not None, "the gate lets nobody here without a session"
        answered = session.answers.get(request_id)
        if session.awaited is not None and session.awaited.request_id == request_id:
            self.device.self_test.break_off()
        elif answered is None and session.is_forgotten(request_id):
            raise Refused(Status.STALE, RequestDetail(session.highest_id))
        elif answered is None:
            session.aborted.add(request_id)
        elif answered.reply.status is Status.OK:
            raise Refused(Status.TOO_LATE, RequestDetail(request_id))

    def _record(self, session: Session, frame: Frame, transaction: int, reply: Reply) -> None:
        committed = Committed(frame.opcode, frame.payload, wire.encode(reply.body))
        self.device.memory.record(session.host_id, transaction, committed)

    # Output

    def _notified(self, event: Message, now: int) -> None:
        pushed_out = self.events.add(event, now)
        if pushed_out:
            self._ignore(Towards.HOST, pushed_out, "its queue of events is full, and this was the oldest")
        self._schedule_events()

    def _streamed(self, event: Message, now: int) -> None:  # noqa: ARG002 - what is not kept has no time to be sent again
        if self.session is not None:
            self._send_frame(event_frame(event, UNNUMBERED))

    def _schedule_events(self) -> None:
        at = self.events.next_send()
        if self.session is not None and at is not None:
            self._timers.set(Timer.EVENT_RESEND, at)

    def _send_events(self, now: int) -> None:
        for encoded in self.events.take_due(now):
            self._statistics.events_sent += 1
            self._send(encoded)
        self._schedule_events()

    def _send_frame(self, frame: Frame) -> None:
        self._send(encode_frame(frame))

    def _send(self, encoded: bytes) -> None:
        if len(self._output) + len(encoded) > OUTPUT_LIMIT:
            self._statistics.output_dropped += 1
            self._ignore(Towards.HOST, encoded, "its output is full: nothing fetches it")
            return
        self._output += encoded
        self._statistics.frames_sent += 1

    def statistics(self) -> LinkStatistics:
        """What the link has seen since the boot."""
        return self._statistics.report(self._reader)


def _refusal(refused: Refused) -> Reply:
    return Reply(refused.status, NO_FLAGS, refused.detail)


def _committed_reply(committed: Committed, frame: Frame, transaction: int) -> Reply:
    if (committed.opcode, committed.payload) != (frame.opcode, frame.payload):
        return _refusal(Refused(Status.ID_REUSED, RequestDetail(transaction)))
    return _replayed(Reply(Status.OK, NO_FLAGS, wire.decode(CATALOGUE[frame.opcode].response, committed.answer)))


def _replayed(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, flags=reply.flags | ResponseFlag.REPLAYED)
