"""The sans-IO session: bytes and times in, bytes and outcomes out."""

from __future__ import annotations

import pytest
from ipg_host.errors import GarbageAnswer, InputError, LinkLost, NoAnswer, OutcomeUnknown, PortInUse, SessionLost, WrongState
from ipg_host.inbox import GAP_PATIENCE_US
from ipg_host.session import FIRST_TIMEOUT_US, MAXIMUM_SENDS, UNNUMBERED, Session
from ipg_protocol import (
    COMMAND_OF,
    Frame,
    FrameReader,
    Kind,
    Reply,
    ResponseFlag,
    Role,
    Status,
    decode,
    encode_frame,
    event_frame,
    reply_frame,
)
from ipg_protocol.commands.link import (
    Abort,
    GetTime,
    Ping,
    Pong,
    ResetCause,
    ResetHappened,
    SelfTest,
    SelfTestItem,
    SelfTestReport,
)
from ipg_protocol.commands.log import ReadLog
from ipg_protocol.commands.power import BatteryTier, BatteryTierChanged
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform, WriteProgramBlock
from ipg_protocol.commands.session import ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.session import Session as Terms
from ipg_protocol.commands.therapy import Amplitude, SetAmplitude, StartTherapy, StopMode, StopTherapy, TherapyState
from ipg_protocol.refusal import BootDetail, RequestDetail, StateDetail
from ipg_protocol.vocabulary import State

TERMS = Terms(role=Role.CLINICIAN, boot_counter=3, idle_timeout_ms=30_000, last_transaction=41, acknowledged_event=0)


def make(jitter: float = 0.0, events: list | None = None) -> Session:
    return Session(lambda: jitter, None if events is None else events.append)


def sent(session: Session) -> list[Frame]:
    return FrameReader().feed(session.take_output(), 0)


def answer(request, request_id: int, body, status: Status = Status.OK) -> bytes:
    return encode_frame(reply_frame(COMMAND_OF[type(request)].opcode, request_id, Reply(status, ResponseFlag(0), body)))


def event(message, number: int) -> bytes:
    return encode_frame(event_frame(message, number))


def in_session(events: list | None = None) -> Session:
    session = make(events=events)
    opening = OpenSession(role=Role.CLINICIAN, host_id=1, nonce=2)
    session.request(opening, 0)
    session.take_output()
    session.receive(answer(opening, 1, TERMS), 0)
    return session


def set_amplitude(transaction: int = UNNUMBERED) -> SetAmplitude:
    return SetAmplitude(transaction=transaction, area=0, amplitude_microamps=1000)


def test_an_answer_settles_its_request():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.receive(answer(exchange.request, 1, Pong(token=6)), 10)
    assert exchange.result() == Pong(token=6)
    assert session.wake_at() is None


def test_an_answer_may_come_byte_by_byte():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    for byte in answer(exchange.request, 1, Pong(token=6)):
        assert not exchange.done
        session.receive(bytes([byte]), 10)
    assert exchange.result() == Pong(token=6)


def test_an_answer_between_noise_and_a_tail_counts():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    whole = answer(exchange.request, 1, Pong(token=6))
    session.receive(b"\x11noise\x00\x07" + whole + whole[:9], 10)
    assert exchange.result() == Pong(token=6)


def test_each_request_takes_the_next_id():
    session = make()
    for token in range(3):
        session.request(Ping(token=token), 0)
    assert [frame.request_id for frame in sent(session)] == [1, 2, 3]


def test_a_retry_is_the_same_bytes():
    session = make()
    session.request(Ping(token=6), 0)
    first = session.take_output()
    session.wake(FIRST_TIMEOUT_US)
    assert session.take_output() == first


def test_nothing_is_sent_again_before_its_time():
    session = make()
    session.request(Ping(token=6), 0)
    session.take_output()
    session.wake(FIRST_TIMEOUT_US - 1)
    assert session.take_output() == b""


def test_timeouts_double_and_end_after_five_sends():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    waits = []
    now = 0
    while not exchange.done:
        waits.append(session.wake_at() - now)
        now = session.wake_at()
        session.wake(now)
    assert waits == [150_000, 300_000, 600_000, 1_200_000, 2_400_000]
    assert len(sent(session)) == MAXIMUM_SENDS
    with pytest.raises(NoAnswer, match="PING: no answer to 5 sends"):
        exchange.result()


def test_jitter_spreads_retries_by_up_to_a_half():
    session = make(jitter=1.0)
    session.request(Ping(token=6), 0)
    session.wake(150_000)
    assert session.wake_at() == 150_000 + 300_000 + 150_000


def test_the_first_timeout_follows_a_slow_link():
    session = make()
    slow = session.request(Ping(token=6), 0)
    session.receive(answer(slow.request, 1, Pong(token=6)), 100_000)
    session.request(Ping(token=7), 1_000_000)
    assert session.wake_at() == 1_000_000 + 400_000


def test_the_answer_to_a_retry_tells_nothing_of_the_round_trip():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.wake(150_000)
    session.receive(answer(exchange.request, 1, Pong(token=6)), 150_001)
    assert exchange.done
    assert session.smoothed_round_trip_us is None


def test_a_change_without_an_answer_may_have_been_carried_out():
    session = in_session()
    exchange = session.request(set_amplitude(), 0)
    while not exchange.done:
        session.wake(session.wake_at())
    with pytest.raises(OutcomeUnknown, match="may have been carried out or not") as caught:
        exchange.result()
    assert not isinstance(caught.value, NoAnswer)
    assert caught.value.transaction == 42


def test_bytes_without_a_frame_are_called_garbage():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.receive(b"login: ", 10)
    while not exchange.done:
        session.wake(session.wake_at())
    with pytest.raises(GarbageAnswer, match="7 bytes came that hold no frame"):
        exchange.result()


def test_an_answer_that_does_not_fit_its_layout_is_garbage():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.receive(encode_frame(Frame(Kind.RESPONSE, 1, 1, b"\0\0\1\2")), 10)
    with pytest.raises(GarbageAnswer, match="cannot be read"):
        exchange.result()


@pytest.mark.parametrize(
    "stale", [answer(Ping(token=6), 9, Pong(token=6)), answer(GetTime(), 1, RequestDetail(1), Status.STALE)]
)
def test_an_answer_to_something_else_is_ignored(stale):
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.receive(stale, 10)
    assert not exchange.done


def test_pending_starts_the_wait_anew_and_does_not_count_as_a_send():
    session = in_session()
    exchange = session.request(SelfTest(), 0)
    now = 0
    for _ in range(3 * MAXIMUM_SENDS):
        now = session.wake_at()
        session.wake(now)
        session.receive(answer(exchange.request, 2, RequestDetail(2), Status.PENDING), now + 10)
        assert session.wake_at() == now + 10 + 2 * FIRST_TIMEOUT_US
    assert len(sent(session)) == 1 + 3 * MAXIMUM_SENDS
    report = SelfTestReport(passed=SelfTestItem.BATTERY, failed=SelfTestItem(0))
    session.receive(answer(exchange.request, 2, report), now + 20)
    assert exchange.result() == report


def test_the_answer_after_a_pending_tells_nothing_of_the_round_trip():
    session = in_session()
    exchange = session.request(SelfTest(), 0)
    session.receive(answer(exchange.request, 2, RequestDetail(2), Status.PENDING), 10)
    before = session.smoothed_round_trip_us
    session.wake(session.wake_at())
    report = SelfTestReport(passed=SelfTestItem.BATTERY, failed=SelfTestItem(0))
    session.receive(answer(exchange.request, 2, report), 400_000)
    assert exchange.result() == report
    assert session.smoothed_round_trip_us == before


def test_a_device_that_boots_is_asked_again():
    session = make()
    opening = session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=2), 0)
    session.receive(answer(opening.request, 1, StateDetail(State.BOOT), Status.WRONG_STATE), 10)
    assert not opening.done
    session.wake(session.wake_at())
    assert [frame.request_id for frame in sent(session)] == [1, 1]
    session.receive(answer(opening.request, 1, TERMS), 150_010)
    assert opening.result() == TERMS


def test_a_device_that_never_ends_its_boot_is_told():
    session = make()
    opening = session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=2), 0)
    for _ in range(MAXIMUM_SENDS):
        session.receive(answer(opening.request, 1, StateDetail(State.BOOT), Status.WRONG_STATE), 10)
        session.wake(session.wake_at() or 0)
    assert isinstance(opening.error, WrongState)


def test_one_change_and_four_reads_are_outstanding_and_stop_passes_them():
    session = in_session()
    for request in [set_amplitude(), *(Ping(token=token) for token in range(5)), set_amplitude()]:
        session.request(request, 0)
    assert len(sent(session)) == 5
    session.request(StopTherapy(mode=StopMode.RAMP), 0)
    assert [frame.opcode for frame in sent(session)] == [0x0302]


def test_an_answer_lets_the_next_in_line_go():
    session = in_session()
    first = session.request(set_amplitude(), 0)
    session.request(set_amplitude(), 0)
    session.take_output()
    session.receive(answer(first.request, 2, Amplitude(0, 1000, 2)), 10)
    assert [frame.request_id for frame in sent(session)] == [3]


def test_a_session_is_opened_alone_and_ids_go_on_counting():
    session = make()
    ping = session.request(Ping(token=6), 0)
    opening = session.request(OpenSession(role=Role.PATIENT, host_id=1, nonce=2), 0)
    session.request(Ping(token=7), 0)
    assert len(sent(session)) == 1
    session.receive(answer(ping.request, 1, Pong(token=6)), 10)
    assert [frame.opcode for frame in sent(session)] == [0x0101]
    session.receive(answer(opening.request, 2, TERMS), 20)
    assert session.terms == TERMS
    assert [frame.request_id for frame in sent(session)] == [3]


def test_a_late_answer_to_an_earlier_opening_is_not_that_of_the_next():
    session = make()
    earlier = session.request(OpenSession(role=Role.OBSERVER, host_id=1, nonce=2), 0)
    repeated = answer(earlier.request, 1, Terms(Role.OBSERVER, 3, 30_000, 0, 0))
    session.receive(repeated, 10)
    opening = session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=3), 20)
    session.receive(repeated, 30)
    assert not opening.done


def test_transactions_go_on_from_the_last_the_device_has():
    session = in_session()
    first = session.request(set_amplitude(), 0)
    session.receive(answer(first.request, 2, Amplitude(0, 1000, 2)), 10)
    session.request(StartTherapy(transaction=UNNUMBERED), 20)
    transactions = [decode(SetAmplitude, sent(session)[0].payload).transaction, session.request(Ping(token=1), 20).request_id]
    assert transactions == [42, 4]
    assert first.request.transaction == 42


def test_a_transaction_that_is_given_is_kept():
    session = in_session()
    assert session.request(set_amplitude(transaction=7), 0).request.transaction == 7


def test_a_transaction_of_unknown_outcome_is_never_used_for_another_intent():
    session = in_session()
    lost = session.request(set_amplitude(), 0)
    while not lost.done:
        session.wake(session.wake_at())
    opening = session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=3), 0)
    session.receive(answer(opening.request, opening.request_id, TERMS), 10)
    assert session.request(set_amplitude(), 20).request.transaction == 43


def test_a_value_that_does_not_fit_its_field_is_not_sent():
    session = make()
    exchange = session.request(Ping(token=-1), 0)
    assert session.take_output() == b""
    with pytest.raises(InputError, match="token = -1 does not fit u32"):
        exchange.result()


def test_what_needs_a_session_is_refused_when_none_was_ever_opened():
    session = make()
    exchange = session.request(ReadLog(cursor=0), 0)
    session.receive(answer(exchange.request, 1, BootDetail(boot_counter=4), Status.NO_SESSION), 10)
    with pytest.raises(SessionLost) as caught:
        exchange.result()
    assert caught.value.detail.boot_counter == 4
    assert session.terms is None


def test_a_change_sent_twice_that_meets_no_session_may_have_been_carried_out():
    session = make()
    exchange = session.request(set_amplitude(42), 0)
    session.wake(session.wake_at())
    session.receive(answer(exchange.request, 1, BootDetail(boot_counter=4), Status.NO_SESSION), 200_000)
    with pytest.raises(OutcomeUnknown, match="the session was lost meanwhile; it may have been carried out") as caught:
        exchange.result()
    assert caught.value.transaction == 42


def test_a_request_that_is_forgotten_in_the_line_is_never_sent():
    session = in_session()
    first = session.request(set_amplitude(), 0)
    queued = session.request(StartTherapy(transaction=UNNUMBERED), 0)
    session.take_output()
    session.forget(queued, 5)
    session.receive(answer(first.request, 2, Amplitude(0, 1000, 2)), 10)
    assert session.take_output() == b""
    assert session.wake_at() is None


def test_a_request_that_is_forgotten_after_it_was_sent_is_not_sent_again_and_lets_the_next_go():
    session = in_session()
    first = session.request(set_amplitude(), 0)
    session.request(StartTherapy(transaction=UNNUMBERED), 0)
    assert [frame.opcode for frame in sent(session)] == [0x0303]
    session.forget(first, 5)
    session.wake(FIRST_TIMEOUT_US + 5)
    assert [frame.opcode for frame in sent(session)] == [0x000D, 0x0301, 0x0301]


@pytest.mark.parametrize("request_", [set_amplitude(), SelfTest()])
def test_the_device_is_asked_once_to_abort_what_is_forgotten(request_):
    session = in_session()
    forgotten = session.request(request_, 0)
    session.take_output()
    session.forget(forgotten, 5)
    (frame,) = sent(session)
    assert (decode(Abort, frame.payload), frame.request_id) == (Abort(target=2), 3)
    assert session.wake_at() is None


def test_a_read_that_is_forgotten_is_not_aborted():
    session = in_session()
    forgotten = session.request(ReadLog(cursor=0), 0)
    session.take_output()
    session.forget(forgotten, 5)
    assert session.take_output() == b""


def test_a_session_whose_opening_is_forgotten_counts_as_none():
    session = in_session()
    opening = session.request(OpenSession(role=Role.SERVICE, host_id=1, nonce=3), 0)
    session.forget(opening, 5)
    assert session.terms is None


def test_a_self_test_waits_for_a_change():
    session = in_session()
    session.request(set_amplitude(), 0)
    session.request(SelfTest(), 0)
    assert [frame.opcode for frame in sent(session)] == [0x0303]


def test_a_payload_that_is_too_long_is_not_sent():
    session = make()
    settings = AreaSettings(
        0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 5000, 50_000, 1, 0, 0, 0, 0, 0, 8000, (ContactShare(0, 1),) * 90
    )
    exchange = session.request(WriteProgramBlock(program=0, settings=settings), 0)
    assert session.take_output() == b""
    with pytest.raises(InputError, match="WRITE_PROGRAM_BLOCK: a payload holds at most 242 bytes"):
        exchange.result()


def test_an_event_is_delivered_once_and_acknowledged_each_time():
    events: list = []
    session = make(events=events)
    message = BatteryTierChanged(tier=BatteryTier.LOW, millivolts=3600)
    session.receive(event(message, 1) + event(message, 1), 0)
    assert events == [message]
    assert [(frame.kind, frame.request_id) for frame in sent(session)] == [(Kind.EVENT_ACK, 1), (Kind.EVENT_ACK, 1)]


def test_the_first_event_of_a_boot_is_delivered_even_if_the_second_comes_before_it():
    events: list = []
    session = make(events=events)
    for number in (2, 1):
        session.receive(event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=number), number), 0)
    assert [message.millivolts for message in events] == [2, 1]
    assert [frame.request_id for frame in sent(session)] == [0, 2]


def test_events_that_come_before_the_boot_is_known_are_delivered_once():
    events: list = []
    session = make(events=events)
    low = event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=3600), 2)
    session.receive(low + event(ResetHappened(cause=ResetCause.POWER_ON, boot_counter=3), 1) + low, 0)
    opening = session.request(OpenSession(role=Role.CLINICIAN, host_id=1, nonce=2), 0)
    session.receive(answer(opening.request, 1, TERMS) + low, 0)
    assert [type(message) for message in events] == [BatteryTierChanged, ResetHappened]


@pytest.mark.parametrize("reason", [ClosingReason.IDLE, ClosingReason.REPLACED])
def test_the_end_of_a_session_is_delivered_and_not_acknowledged(reason):
    events: list = []
    session = in_session(events)
    session.receive(event(SessionClosing(reason=reason), 0) * 2, 10)
    assert events == [SessionClosing(reason=reason)] * 2
    assert session.take_output() == b""
    assert session.terms is None


def test_every_event_of_a_batch_is_acknowledged_and_delivered_even_if_one_raises():
    received: list = []

    def on_event(message) -> None:
        received.append(message.millivolts)
        if message.millivolts < 3:
            raise RuntimeError("the user's own")

    session = Session(lambda: 0.0, on_event)
    exchange = session.request(Ping(token=6), 0)
    session.take_output()
    events = [event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=number), number) for number in (1, 2, 3)]
    with pytest.raises(RuntimeError, match="the user's own"):
        session.receive(b"".join(events) + answer(Ping(token=6), 1, Pong(token=6)), 0)
    assert received == [1, 2, 3]
    assert [frame.request_id for frame in sent(session)] == [1, 2, 3]
    assert exchange.result() == Pong(token=6)


def test_only_numbers_without_a_gap_are_acknowledged():
    session = make(events=[])
    for number in (1, 3, 2):
        session.receive(event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=number), number), 0)
    assert [frame.request_id for frame in sent(session)] == [1, 1, 3]


def test_a_gap_that_stands_for_three_seconds_is_passed():
    session = make(events=[])
    for number in (1, 3):
        session.receive(event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=number), number), 0)
    session.take_output()
    assert session.wake_at() == GAP_PATIENCE_US
    session.wake(GAP_PATIENCE_US)
    assert [frame.request_id for frame in sent(session)] == [3]


def test_each_gap_has_its_own_three_seconds():
    session = make(events=[])
    for number, now in ((2, 0), (4, 10), (1, 1_000_000)):
        session.receive(event(BatteryTierChanged(tier=BatteryTier.LOW, millivolts=number), number), now)
    assert session.wake_at() == 1_000_000 + GAP_PATIENCE_US


def test_an_event_that_is_not_understood_is_acknowledged_all_the_same():
    session = make(events=[])
    session.receive(encode_frame(Frame(Kind.EVENT, 0x8FFF, 1, b"")), 0)
    assert [frame.request_id for frame in sent(session)] == [1]


def test_a_second_client_is_told_that_the_port_is_in_use():
    session = make()
    exchange = session.request(Ping(token=6), 0)
    session.receive(event(SessionClosing(reason=ClosingReason.PORT_IN_USE), 0), 10)
    with pytest.raises(PortInUse):
        exchange.result()


def test_a_lost_link_settles_everything_at_once():
    session = in_session()
    exchanges = [session.request(request, 0) for request in (set_amplitude(), Ping(token=1), set_amplitude())]
    session.lose(LinkLost("gone"))
    assert [type(exchange.error) for exchange in exchanges] == [OutcomeUnknown, LinkLost, LinkLost]
    assert isinstance(session.request(Ping(token=2), 10).error, LinkLost)


def test_stop_is_answered_without_a_session():
    session = make()
    exchange = session.request(StopTherapy(mode=StopMode.IMMEDIATE), 0)
    session.receive(answer(exchange.request, 1, TherapyState(state=State.IDLE, ramp_ms=0)), 10)
    assert exchange.result().state is State.IDLE
