"""A session that the device has lost, sans-IO: what is sent to get over it, in which order, and what whoever waits is told."""

from __future__ import annotations

from typing import Any

import pytest
from ipg_host.errors import LinkLost, NoAnswer, OutcomeUnknown, Refused, SessionLost, WrongState
from ipg_host.recovery import LOST_SESSIONS, SILENCES
from ipg_host.session import UNNUMBERED, Session
from ipg_host.timing import TOTAL_TIMEOUT_US
from ipg_protocol import (
    CATALOGUE,
    COMMAND_OF,
    FrameReader,
    Kind,
    Message,
    Reply,
    ResponseFlag,
    Role,
    State,
    Status,
    decode,
    encode,
    encode_frame,
    event_frame,
    reply_frame,
)
from ipg_protocol.commands.link import (
    GetStatus,
    ResetCause,
    ResetHappened,
    SelfTest,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogExtent, LogInfo, ReadLog
from ipg_protocol.commands.session import CloseSession, ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as Terms
from ipg_protocol.commands.therapy import Amplitude, SetAmplitude, StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import BootDetail, Done, RequestDetail, StateDetail

NOT_SEEN = TransactionReport(TransactionOutcome.NOT_SEEN, 0, b"")
EXTENT = LogExtent(1, 5, 512, 0)


class Talk:
    """A session that was opened, and a device that answers when it is told to."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self.session = Session(lambda: 0.25, self.events.append)
        self.now = 0
        self._ids: dict[type[Message], int] = {}
        self.opening = self.session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=2), 0)
        self.answer(self.terms(1), OpenSession)

    def terms(self, boot_counter: int, acknowledged_event: int = 0) -> Terms:
        return Terms(Role.CLINICIAN, boot_counter, 30_000, 0, acknowledged_event)

    def request(self, request: Any) -> Any:
        return self.session.request(request, self.now)

    def sent(self) -> list[Any]:
        """The requests that were sent since the last look."""
        frames = [frame for frame in FrameReader().feed(self.session.take_output(), self.now) if frame.kind is Kind.REQUEST]
        requests = [decode(CATALOGUE[frame.opcode].request, frame.payload) for frame in frames]
        self._ids |= {type(request): frame.request_id for request, frame in zip(requests, frames, strict=True)}
        return requests

    def answer(self, body: Message, to: type[Message], status: Status = Status.OK) -> list[Any]:
        """Answer the last request of a kind; what is sent then."""
        self.sent()
        reply = Reply(status, ResponseFlag(0), body)
        self.session.receive(encode_frame(reply_frame(COMMAND_OF[to].opcode, self._ids[to], reply)), self.now)
        return self.sent()

    def no_session(self, to: type[Message], boot_counter: int = 2) -> list[Any]:
        return self.answer(BootDetail(boot_counter), to, Status.NO_SESSION)

    def hear(self, event: Message, number: int = 0) -> None:
        self.session.receive(encode_frame(event_frame(event, number)), self.now)

    def stay_silent(self, exchange: Any) -> list[Any]:
        """Let time pass until a request is done; what was sent in between."""
        sent = self.sent()
        while not exchange.done:
            self.now = self.session.wake_at()
            self.session.wake(self.now)
            sent += self.sent()
        return sent


@pytest.fixture
def talk() -> Talk:
    return Talk()


def set_amplitude() -> SetAmplitude:
    return SetAmplitude(transaction=UNNUMBERED, area=0, amplitude_microamps=1000)


def test_a_change_that_meets_no_session_is_asked_about_in_a_session_opened_anew(talk):
    change = talk.request(set_amplitude())
    (reopening,) = talk.no_session(SetAmplitude)
    assert (reopening.role, reopening.host_id) == (Role.CLINICIAN, 1)
    assert reopening.nonce != 2
    assert talk.answer(talk.terms(2), OpenSession) == [TransactionStatus(1)]
    assert not change.done


def test_a_change_that_is_stale_is_asked_about_in_the_session_that_is_open(talk):
    change = talk.request(set_amplitude())
    assert talk.answer(RequestDetail(12), SetAmplitude, Status.STALE) == [TransactionStatus(1)]
    report = TransactionReport(TransactionOutcome.COMMITTED, 0x0303, encode(Amplitude(0, 1000, 9)))
    assert talk.answer(report, TransactionStatus) == []
    assert change.result() == Amplitude(0, 1000, 9)


def test_a_read_that_is_stale_is_sent_again_under_a_new_id(talk):
    read = talk.request(ReadLog(1))
    first_id = read.request_id
    assert talk.answer(RequestDetail(12), ReadLog, Status.STALE) == [ReadLog(1)]
    assert read.request_id > first_id


def test_a_change_that_was_committed_gets_its_answer_and_is_not_sent_again(talk):
    change = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    report = TransactionReport(TransactionOutcome.COMMITTED, 0x0303, encode(Amplitude(0, 1000, 9)))
    assert talk.answer(report, TransactionStatus) == []
    assert change.result() == Amplitude(0, 1000, 9)


def test_a_change_that_was_not_seen_is_sent_again_with_its_transaction_and_a_new_id(talk):
    change = talk.request(set_amplitude())
    first_id = change.request_id
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    assert talk.answer(NOT_SEEN, TransactionStatus) == [SetAmplitude(1, 0, 1000)]
    assert change.request_id > first_id
    talk.answer(Amplitude(0, 1000, 2), SetAmplitude)
    assert change.result() == Amplitude(0, 1000, 2)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (TransactionReport(TransactionOutcome.FORGOTTEN, 0, b""), "does not keep what became of it"),
        (TransactionReport(TransactionOutcome.COMMITTED, 0x0301, b"\x03\0\0"), "used for another command, 0x0301"),
        (TransactionReport(TransactionOutcome.COMMITTED, 0x0303, b"\0"), "the answer kept of it cannot be read"),
    ],
)
def test_a_change_that_the_device_cannot_account_for_has_an_unknown_outcome(talk, report, text):
    change = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    assert talk.answer(report, TransactionStatus) == []
    with pytest.raises(OutcomeUnknown, match=text) as caught:
        change.result()
    assert (caught.value.transaction, caught.value.request) == (1, SetAmplitude(1, 0, 1000))


def test_a_change_that_meets_silence_is_asked_about_too(talk):
    change = talk.request(set_amplitude())
    talk.sent()
    while talk.session.terms is not None:
        talk.now = talk.session.wake_at()
        talk.session.wake(talk.now)
    assert isinstance(talk.sent()[-1], OpenSession)
    assert talk.answer(talk.terms(1), OpenSession) == [TransactionStatus(1)]
    talk.answer(NOT_SEEN, TransactionStatus)
    talk.answer(Amplitude(0, 1000, 2), SetAmplitude)
    assert change.result() == Amplitude(0, 1000, 2)


def test_on_a_dead_line_the_outcome_is_unknown_after_a_few_silences(talk):
    change = talk.request(set_amplitude())
    read = talk.request(ReadLog(cursor=0))
    sent = talk.stay_silent(change)
    assert [type(request) for request in sent].count(OpenSession) == 5 * (1 + SILENCES)
    assert TransactionStatus(1) not in sent
    with pytest.raises(OutcomeUnknown, match="what became of it could not be asked: OPEN_SESSION: no answer to 5 sends"):
        change.result()
    assert isinstance(read.error, NoAnswer)
    assert talk.now < 1.5 * (2 + SILENCES) * TOTAL_TIMEOUT_US
    assert talk.session.wake_at() is None


def test_a_device_that_loses_every_session_is_given_up(talk):
    change = talk.request(set_amplitude())
    for _ in range(LOST_SESSIONS):
        talk.no_session(SetAmplitude)
        talk.answer(talk.terms(2), OpenSession)
        talk.answer(NOT_SEEN, TransactionStatus)
    assert talk.no_session(SetAmplitude) == []
    with pytest.raises(OutcomeUnknown, match="the session was lost meanwhile"):
        change.result()


def test_a_question_that_meets_no_session_is_asked_in_the_next(talk):
    talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    assert [type(request) for request in talk.no_session(TransactionStatus)] == [OpenSession]
    assert talk.answer(talk.terms(3), OpenSession) == [TransactionStatus(1)]


@pytest.mark.parametrize("request_", [LogInfo(), SelfTest()])
def test_what_changes_nothing_is_sent_again_in_a_session_opened_anew(talk, request_):
    talk.request(request_)
    assert [type(request) for request in talk.no_session(type(request_))] == [OpenSession]
    assert talk.answer(talk.terms(2), OpenSession) == [request_]


def test_the_next_change_waits_until_the_one_in_doubt_is_resolved(talk):
    talk.request(set_amplitude())
    talk.request(StartTherapy(transaction=UNNUMBERED))
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    assert talk.answer(NOT_SEEN, TransactionStatus) == [SetAmplitude(1, 0, 1000)]
    assert talk.answer(Amplitude(0, 1000, 2), SetAmplitude) == [StartTherapy(2)]


def test_reads_go_on_while_a_change_is_in_doubt(talk):
    talk.request(set_amplitude())
    read = talk.request(LogInfo())
    talk.no_session(SetAmplitude)
    talk.no_session(LogInfo)
    assert talk.answer(talk.terms(2), OpenSession) == [LogInfo(), TransactionStatus(1)]
    talk.answer(EXTENT, LogInfo)
    assert read.result() == EXTENT


def test_stop_is_sent_at_once_while_a_change_is_in_doubt(talk):
    talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.request(StopTherapy(mode=StopMode.IMMEDIATE))
    assert talk.sent() == [StopTherapy(mode=StopMode.IMMEDIATE)]


def test_what_needs_no_session_does_not_open_one(talk):
    talk.hear(SessionClosing(ClosingReason.IDLE))
    talk.request(GetStatus())
    assert talk.sent() == [GetStatus()]


def test_a_session_that_timed_out_is_opened_again_before_the_next_request(talk):
    talk.hear(SessionClosing(ClosingReason.IDLE))
    assert talk.session.terms is None
    talk.request(LogInfo())
    assert [type(request) for request in talk.sent()] == [OpenSession]
    assert talk.answer(talk.terms(1), OpenSession) == [LogInfo()]


def test_a_reset_that_is_heard_of_ends_the_session(talk):
    talk.hear(ResetHappened(ResetCause.WATCHDOG, 2), 1)
    assert talk.session.terms is None


def test_the_news_of_an_earlier_reset_ends_no_session(talk):
    talk.hear(ResetHappened(ResetCause.POWER_ON, 1), 1)
    assert talk.session.terms == talk.terms(1)


def test_another_host_is_not_fought_over_the_device(talk):
    change = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.answer(talk.terms(2), OpenSession)
    talk.hear(SessionClosing(ClosingReason.REPLACED))
    with pytest.raises(OutcomeUnknown, match="another host has taken the device over"):
        change.result()
    read = talk.request(LogInfo())
    assert talk.no_session(LogInfo) == []
    assert isinstance(read.error, SessionLost)


def test_the_end_of_the_session_that_an_opening_replaces_is_not_another_hosts_doing(talk):
    talk.request(OpenSession(role=Role.SERVICE, host_id=1, nonce=9))
    talk.hear(SessionClosing(ClosingReason.REPLACED))
    talk.answer(talk.terms(1), OpenSession)
    talk.request(LogInfo())
    assert [type(request) for request in talk.no_session(LogInfo)] == [OpenSession]


def test_a_change_that_meets_no_session_after_the_news_of_another_host_may_have_been_carried_out(talk):
    """The line may have repeated both: the news, of this host's own session before, and the change, after a reset."""
    talk.hear(SessionClosing(ClosingReason.REPLACED))
    change = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    with pytest.raises(OutcomeUnknown, match="it may have been carried out"):
        change.result()
    another = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    assert isinstance(another.error, SessionLost), "the device has said that there is no session, so nothing was carried out"


def test_a_session_that_is_closed_already_counts_as_closed(talk):
    closing = talk.request(CloseSession())
    assert talk.no_session(CloseSession) == []
    assert closing.result() == Done()
    read = talk.request(LogInfo())
    assert talk.no_session(LogInfo) == []
    assert isinstance(read.error, SessionLost)


def test_a_change_in_doubt_that_is_forgotten_is_not_asked_about_any_more(talk):
    change = talk.request(set_amplitude())
    talk.request(StartTherapy(transaction=UNNUMBERED))
    talk.no_session(SetAmplitude)
    talk.session.forget(change, talk.now)
    assert talk.answer(talk.terms(2), OpenSession) == [StartTherapy(2)]


def test_an_opening_that_is_refused_ends_what_waits_for_it(talk):
    change = talk.request(set_amplitude())
    queued = talk.request(StartTherapy(transaction=UNNUMBERED))
    talk.no_session(SetAmplitude)
    talk.answer(Done(), OpenSession, Status.UNKNOWN_COMMAND)
    assert isinstance(change.error, OutcomeUnknown)
    with pytest.raises(Refused, match="OPEN_SESSION refused"):
        queued.result()
    assert talk.session.wake_at() is None


def test_a_line_that_is_lost_leaves_the_change_in_doubt_unknown(talk):
    change = talk.request(set_amplitude())
    talk.no_session(SetAmplitude)
    talk.session.lose(LinkLost("gone"))
    assert isinstance(change.error, OutcomeUnknown)
    assert talk.session.wake_at() is None


def test_events_go_on_behind_what_was_acknowledged_before(talk):
    talk.hear(SessionClosing(ClosingReason.IDLE))
    talk.request(LogInfo())
    talk.answer(talk.terms(1, acknowledged_event=7), OpenSession)
    assert talk.session.events_missed == 7
    talk.events.clear()
    for number in (7, 8):
        talk.hear(ResetHappened(ResetCause.POWER_ON, 1), number)
    assert len(talk.events) == 1


def test_an_event_is_not_delivered_again_after_a_reset_that_lost_its_acknowledgement(talk):
    talk.hear(ResetHappened(ResetCause.POWER_ON, 1), 1)
    talk.request(LogInfo())
    talk.no_session(LogInfo)
    talk.answer(talk.terms(2, acknowledged_event=0), OpenSession)
    for number in (1, 2):
        talk.hear(ResetHappened(ResetCause.WATCHDOG, number), number)
    assert talk.events == [ResetHappened(ResetCause.POWER_ON, 1), ResetHappened(ResetCause.WATCHDOG, 2)]
    assert talk.session.events_missed == 0


def test_the_state_that_a_reply_names_is_not_taken_for_a_boot(talk):
    change = talk.request(StartTherapy(transaction=UNNUMBERED))
    talk.answer(StateDetail(State.FAULT), StartTherapy, Status.WRONG_STATE)
    assert isinstance(change.error, WrongState)
