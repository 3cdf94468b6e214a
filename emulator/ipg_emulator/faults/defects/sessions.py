"""Sessions, and the numbering of requests: who speaks, and what was heard before."""

from __future__ import annotations

from typing import Any

from ipg_protocol.command import Command, Reply
from ipg_protocol.commands.link import Abort
from ipg_protocol.commands.session import CloseSession, ClosingReason, KeepAlive, OpenSession, SessionTime
from ipg_protocol.commands.session import Session as SessionOpened
from ipg_protocol.commands.therapy import StopMode
from ipg_protocol.frame import Frame
from ipg_protocol.refusal import Done, RequestDetail
from ipg_protocol.vocabulary import ResponseFlag, Status
from ipg_protocol.wire import Message, decode
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, due, inside, part, put, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.sessions import Seen, Session
from ipg_emulator.firmware.timers import Timer


@due(Timer.SESSION_IDLE)
def session_never_idle(_: Usual[None], __: Firmware, ___: int) -> None:
    """A session stays open however long its host is silent."""


@due(Timer.SESSION_IDLE)
def therapy_ends_with_idle_session(usual: Usual[None], firmware: Firmware, now: int) -> None:
    """When a session closes for idleness, therapy is stopped."""
    usual(now)
    firmware.device.delivery.stop(StopMode.RAMP, now)


@part("link", "_session_for")
def keep_alive_keeps_nothing(usual: Usual[Any], link: Link, entry: Command, now: int) -> Any:
    """KEEP_ALIVE does not restart the idle time."""
    timers = inside(link, "_timers")
    deadline = timers.deadline(Timer.SESSION_IDLE)
    session = usual(entry, now)
    if entry.request is KeepAlive:
        timers.set(Timer.SESSION_IDLE, deadline)
    return session


@answering(KeepAlive)
def idle_timeout_in_seconds(time: SessionTime, _: Context) -> SessionTime:
    """KEEP_ALIVE tells the idle timeout in seconds."""
    return SessionTime(time.idle_timeout_ms // 1000)


@part("link", "close_session")
def replaced_session_not_told(usual: Usual[None], _: Link, reason: ClosingReason | None, now: int) -> None:
    """A session that another replaces ends without a word."""
    usual(None if reason is ClosingReason.REPLACED else reason, now)


@part("link", "_earlier_reply")
def repeated_open_opens_anew(usual: Usual[Reply | None], _: Link, session: Any, frame: Frame, request: Message) -> Reply | None:
    """OPEN_SESSION, repeated with the same nonce, opens another session."""
    return None if isinstance(request, OpenSession) else usual(session, frame, request)


@serving(CloseSession)
def close_leaves_session_open(_: Usual[Message], __: CloseSession, ___: Context) -> Message:
    """CLOSE_SESSION is answered OK, and the session stays open."""
    return Done()


@answering(OpenSession)
def last_transaction_untold(opened: SessionOpened, _: Context) -> SessionOpened:
    """OPEN_SESSION answers 0 as the last transaction of its host."""
    return replace(opened, last_transaction=0)


@answering(OpenSession)
def acknowledged_event_untold(opened: SessionOpened, _: Context) -> SessionOpened:
    """OPEN_SESSION answers 0 as the highest event acknowledged."""
    return replace(opened, acknowledged_event=0)


@answering(OpenSession)
def transaction_counter_wraps_early(opened: SessionOpened, _: Context) -> SessionOpened:
    """The last transaction of a host is kept in 5 bits."""
    return replace(opened, last_transaction=opened.last_transaction % 32)


def _as_of(link: Link, frame: Frame, request: OpenSession, *names: str) -> Frame:
    """The frame that opened the session, if it agrees with this request in these fields."""
    opened_by = link.session.opened_by.payload if link.session else frame.payload
    opened = decode(OpenSession, opened_by)
    agrees = all(getattr(opened, name) == getattr(request, name) for name in names)
    return replace(frame, payload=opened_by) if agrees else frame


@part("link", "_earlier_reply")
def session_known_by_its_nonce(
    usual: Usual[Reply | None], link: Link, session: Any, frame: Frame, request: Message
) -> Reply | None:
    """OPEN_SESSION of another host, with the nonce of the session that is open, is taken for a repeat."""
    seen = _as_of(link, frame, request, "role", "nonce") if isinstance(request, OpenSession) else frame
    return usual(session, seen, request)


@part("link", "_earlier_reply")
def other_role_taken_for_a_repeat(
    usual: Usual[Reply | None], link: Link, session: Any, frame: Frame, request: Message
) -> Reply | None:
    """OPEN_SESSION for another role, with host and nonce of the session that is open, is taken for a repeat."""
    seen = _as_of(link, frame, request, "host_id", "nonce") if isinstance(request, OpenSession) else frame
    return usual(session, seen, request)


@part("link", "_earlier_reply")
def closed_session_answered_from_store(
    usual: Usual[Reply | None], link: Link, session: Any, frame: Frame, request: Message
) -> Reply | None:
    """OPEN_SESSION that comes again after CLOSE_SESSION is answered as the first time, and opens nothing."""
    if link.session is not None:
        put(link, _last_opened=link.session.opened_by)
    last: Any = vars(link).get("_last_opened")
    if isinstance(request, OpenSession) and link.session is None and last is not None and last.payload == frame.payload:
        return Reply(last.reply.status, ResponseFlag.REPLAYED, last.reply.body)
    return usual(session, frame, request)


@part("link", "_pass_gates")
def repeats_keep_no_session(usual: Usual[Reply | None], link: Link, *request: Any) -> Reply | None:
    """Requests that are answered from store do not restart the idle time."""
    timers = inside(link, "_timers")
    deadline = timers.deadline(Timer.SESSION_IDLE)
    reply = usual(*request)
    if reply is not None and reply.flags and deadline is not None and link.session is not None:
        timers.set(Timer.SESSION_IDLE, deadline)
    return reply


# Request ids


def _as_new(usual: Usual[Any], session: Session, frame: Frame, *which: Seen) -> Any:
    """The stored reply; None, as for a new request, where the id is known so."""
    return None if session.look_up(frame) in which else usual(session, frame)


@part("link", "_stored_reply")
def duplicate_executed(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """A request that is repeated is executed again."""
    return _as_new(usual, session, frame, Seen.REPEATED)


@part("link", "_stored_reply")
def reused_id_executed(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """Another request under a used id is executed."""
    return _as_new(usual, session, frame, Seen.REUSED)


@part("link", "_stored_reply")
def reused_id_answered_from_store(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """Another request under a used id gets the answer of the first: only the id is looked at."""
    kept = session.answers.get(frame.request_id)
    if session.look_up(frame) is Seen.REUSED and kept is not None and kept.opcode == frame.opcode:
        return replace(kept.reply, flags=kept.reply.flags | ResponseFlag.REPLAYED)
    return usual(session, frame)


@part("link", "_stored_reply")
def stale_id_executed(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """A request whose id is so old that nothing is kept of it is executed."""
    return _as_new(usual, session, frame, Seen.STALE)


@part("link", "_stored_reply")
def aborted_request_executed(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """A request that was aborted before it came is executed when it comes."""
    return _as_new(usual, session, frame, Seen.ABORTED)


@part("link", "_stored_reply")
def seven_answers_kept(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """The answers of the last 7 requests are kept, and not of 8."""
    session.answers.pop(session.highest_id - 7, None)
    return usual(session, frame)


@part("link", "_stored_reply")
def replay_not_flagged(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """An answer from store does not bear the flag REPLAYED."""
    reply = usual(session, frame)
    return reply and replace(reply, flags=ResponseFlag(0))


@part("link", "_decode")
def malformed_uses_up_its_id(usual: Usual[Message], link: Link, entry: Command, frame: Frame) -> Message:
    """A request refused MALFORMED uses up its id."""
    try:
        return usual(entry, frame)
    except Refused as refused:
        if link.session is not None and entry.role is not None:
            link.session.keep(frame, Reply(refused.status, ResponseFlag(0), refused.detail))
        raise


@part("link", "_execute")
def wrong_state_not_kept(usual: Usual[Reply | None], _: Link, *request: Any) -> Reply | None:
    """WRONG_STATE is not kept: a late repeat of what was refused takes effect."""
    reply = usual(*request)
    if reply is not None and reply.status is Status.WRONG_STATE:
        raise Refused(reply.status, reply.body)
    return reply


@part("link", "answer_awaited")
def pending_for_ever(_: Usual[None], __: Link, ___: Message | None) -> None:
    """A request that takes time is never answered."""


@booting
def self_test_goes_on_beside_therapy(firmware: Firmware) -> None:
    """A self-test is not broken off when therapy begins."""
    device = firmware.device
    looking_on = inside(device.self_test, "_state_changed")
    device.listeners = [listener for listener in device.listeners if listener != looking_on]


@serving(Abort)
def too_late_to_abort_is_ok(usual: Usual[Message], request: Abort, context: Context) -> Message:
    """ABORT of a request that has taken effect is answered OK."""
    try:
        return usual(request, context)
    except Refused as refused:
        if refused.status is Status.TOO_LATE:
            return Done()
        raise


@part("link", "_stored_reply")
def first_bytes_compared(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """Of a request under a used id the first 8 bytes of the payload are compared: one that differs behind them is a repeat."""
    kept = session.answers.get(frame.request_id)
    agrees = kept is not None and kept.opcode == frame.opcode and kept.payload[:8] == frame.payload[:8]
    return usual(session, replace(frame, payload=kept.payload) if agrees and kept else frame)


@part("link", "_pass_gates")
def forbidden_uses_up_its_id(
    usual: Usual[Reply | None], link: Link, entry: Command | None, frame: Frame, now: int
) -> Reply | None:
    """A request refused NOT_PERMITTED uses up its id."""
    try:
        return usual(entry, frame, now)
    except Refused as refused:
        if refused.status is Status.NOT_PERMITTED and link.session is not None:
            link.session.keep(frame, Reply(refused.status, ResponseFlag(0), refused.detail))
        raise


@part("link", "_stored_reply")
def pending_names_the_latest_id(usual: Usual[Any], _: Link, session: Session, frame: Frame) -> Any:
    """PENDING names the highest id seen, and not the one that is pending."""
    try:
        return usual(session, frame)
    except Refused as refused:
        if refused.status is Status.PENDING:
            raise Refused(Status.PENDING, RequestDetail(session.highest_id)) from None
        raise


@part("link", "abort")
def any_abort_ends_the_self_test(usual: Usual[None], link: Link, request_id: int) -> None:
    """ABORT of any request breaks off the self-test that is under way."""
    awaited = link.session.awaited if link.session else None
    usual(request_id if awaited is None else awaited.request_id)
