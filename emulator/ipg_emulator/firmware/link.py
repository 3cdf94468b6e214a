"""The native dialect: frames in, the gates every request passes, frames out. It acts on the device only through handlers."""

from __future__ import annotations

import msgspec
from ipg_protocol import wire
from ipg_protocol.command import CATALOGUE, COMMAND_OF, Command, Reply, event_frame, is_change, reply_frame
from ipg_protocol.commands.link import LinkStatistics
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.session import ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as SessionOpened
from ipg_protocol.frame import Frame, FrameReader, Kind, encode_frame
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
from ipg_protocol.vocabulary import ResponseFlag, Role, Status
from ipg_protocol.wire import Message

from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.events import EventQueue
from ipg_emulator.firmware.memory import Committed
from ipg_emulator.firmware.refusal import Refused, out_of_range
from ipg_emulator.firmware.sessions import Answered, Seen, Session
from ipg_emulator.firmware.timers import Timer, Timers

OUTPUT_LIMIT = 65_536
UNNUMBERED = 0
"""The number of an event that is sent once and not kept: it concerns a session that is over, or belongs to a stream."""

NO_FLAGS = ResponseFlag(0)


class Statistics(msgspec.Struct):
    """What the link counts beside the frame reader."""

    bytes_received: int = 0
    frames_sent: int = 0
    requests_executed: int = 0
    requests_refused: int = 0
    requests_replayed: int = 0
    events_sent: int = 0
    output_dropped: int = 0


class Link:
    """One boot's end of the link."""

    def __init__(self, device: Device, timers: Timers) -> None:
        self.device = device
        self.session: Session | None = None
        self.events = EventQueue()
        self._statistics = Statistics()
        self._reader = FrameReader()
        self._output = bytearray()
        self._timers = timers
        timers.on(Timer.SESSION_IDLE, self._session_idle)
        timers.on(Timer.EVENT_RESEND, self._send_events)
        device.listeners.append(self._notified)
        device.stream_listeners.append(self._streamed)

    def read(self, data: bytes, now: int) -> list[Frame]:
        """The good frames that `data` completes."""
        self._statistics.bytes_received += len(data)
        return self._reader.feed(data, now)

    def serve(self, frame: Frame, now: int) -> None:
        if frame.kind is Kind.REQUEST:
            self.device.host_watch.heard_at = now
            self._send_frame(reply_frame(frame.opcode, frame.request_id, self._reply(frame, now)))
        elif frame.kind is Kind.EVENT_ACK:
            self.events.acknowledge(frame.request_id)
        else:
            self._reader.noise.bad_kind += 1

    def take_output(self) -> bytes:
        taken = bytes(self._output)
        self._output.clear()
        return taken

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
        opened = SessionOpened(request.role, memory.boot_counter, self.idle_timeout_ms, memory.journal(request.host_id).last)
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

    def _reply(self, frame: Frame, now: int) -> Reply:
        entry = CATALOGUE.get(frame.opcode)
        try:
            reply = self._pass_gates(entry, frame, now)
        except Refused as refused:
            reply = _refusal(refused)
        if reply.flags:
            self._statistics.requests_replayed += 1
        elif reply.status is Status.OK:
            self._statistics.requests_executed += 1
        else:
            self._statistics.requests_refused += 1
            self.device.memory.count("requests_refused")
        return reply

    def _pass_gates(self, entry: Command | None, frame: Frame, now: int) -> Reply:
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
            if self.device.state not in entry.states:
                raise Refused(Status.WRONG_STATE, StateDetail(self.device.state))
            reply = self._execute(entry, request, session, now)
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
        if seen is Seen.REPEATED:
            return _replayed(session.answers[frame.request_id].reply)
        if seen is Seen.REUSED:
            raise Refused(Status.ID_REUSED, RequestDetail(frame.request_id))
        if seen is Seen.STALE:
            raise Refused(Status.STALE, RequestDetail(session.highest_id))
        return None

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

    def _execute(self, entry: Command, request: Message, session: Session | None, now: int) -> Reply:
        role = session.role if session else Role.OBSERVER
        try:
            answer = HANDLERS[entry.request](request, Context(self.device, self, role, now))
        except Refused as refused:
            return _refusal(refused)
        return Reply(Status.OK, NO_FLAGS, answer)

    def _record(self, session: Session, frame: Frame, transaction: int, reply: Reply) -> None:
        memory = self.device.memory
        memory.count("changes_committed")
        memory.journal(session.host_id).record(transaction, Committed(frame.opcode, frame.payload, wire.encode(reply.body)))

    # Output

    def _notified(self, event: Message, now: int) -> None:
        self.events.add(event, now)
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
            return
        self._output += encoded
        self._statistics.frames_sent += 1

    def statistics(self) -> LinkStatistics:
        """What the link has seen since the boot."""
        own, noise = self._statistics, self._reader.noise
        return LinkStatistics(
            bytes_received=own.bytes_received % 2**32,
            frames_received=self._reader.frames,
            frames_sent=own.frames_sent,
            noise_oversize=noise.oversize,
            noise_bad_cobs=noise.bad_cobs,
            noise_bad_length=noise.bad_length,
            noise_bad_crc=noise.bad_crc,
            noise_bad_kind=noise.bad_kind,
            noise_timed_out=noise.timed_out,
            requests_executed=own.requests_executed,
            requests_refused=own.requests_refused,
            requests_replayed=own.requests_replayed,
            events_sent=own.events_sent,
            output_dropped=own.output_dropped,
        )


def _refusal(refused: Refused) -> Reply:
    return Reply(refused.status, NO_FLAGS, refused.detail)


def _committed_reply(committed: Committed, frame: Frame, transaction: int) -> Reply:
    if (committed.opcode, committed.payload) != (frame.opcode, frame.payload):
        return _refusal(Refused(Status.ID_REUSED, RequestDetail(transaction)))
    return _replayed(Reply(Status.OK, NO_FLAGS, wire.decode(CATALOGUE[frame.opcode].response, committed.answer)))


def _replayed(reply: Reply) -> Reply:
    return msgspec.structs.replace(reply, flags=reply.flags | ResponseFlag.REPLAYED)
