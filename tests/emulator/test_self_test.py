"""A request that takes time: one answer, PENDING and BUSY meanwhile, and an end to it whatever else happens."""

from __future__ import annotations

import pytest
from ipg_emulator.firmware.self_test import SELF_TEST_US
from ipg_protocol import Reply, ResponseFlag, Role, Status, decode_reply, request_frame
from ipg_protocol.commands.link import (
    Abort,
    EnterShelfMode,
    GetLinkStatistics,
    GetStatus,
    Reset,
    SelfTest,
    SelfTestItem,
    SelfTestReport,
)
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import BusyDetail, RequestDetail

TEST_SECONDS = SELF_TEST_US / 1e6
PASSED = SelfTestReport(SelfTestItem(sum(SelfTestItem)), SelfTestItem(0))


def send(bench, request, request_id):
    """Send a request; every answer that comes at once, by its request id."""
    return [(frame.request_id, decode_reply(frame)) for frame in bench.send(request_frame(request, request_id))]


def rest(bench, seconds):
    """Let time pass; every answer that comes meanwhile, by its request id."""
    end = bench.now + round(seconds * 1e6)
    answers = []
    while (at := bench.firmware.wake_at()) is not None and at <= end:
        bench.now = max(bench.now, at)
        bench.firmware.wake(bench.now)
        answers += [(frame.request_id, decode_reply(frame)) for frame in bench.frames()]
    bench.now = end
    return answers


def refusal(status, detail, *, is_replayed=False):
    return Reply(status, ResponseFlag.REPLAYED if is_replayed else ResponseFlag(0), detail)


def aborted(request_id):
    return (request_id, refusal(Status.ABORTED, RequestDetail(request_id)))


def test_the_answer_comes_when_the_test_is_over_and_only_once(bench):
    assert send(bench, SelfTest(), 5) == []
    assert rest(bench, TEST_SECONDS - 0.001) == []
    assert rest(bench, 10) == [(5, Reply(Status.OK, ResponseFlag(0), PASSED))]


def test_a_repeat_is_pending_until_the_answer_and_replayed_after(bench):
    send(bench, SelfTest(), 5)
    for _ in range(3):
        assert send(bench, SelfTest(), 5) == [(5, refusal(Status.PENDING, RequestDetail(5)))]
    rest(bench, TEST_SECONDS)
    assert send(bench, SelfTest(), 5) == [(5, Reply(Status.OK, ResponseFlag.REPLAYED, PASSED))]


def test_pending_stands_also_when_more_requests_have_come_since_than_are_kept(bench):
    send(bench, SelfTest(), 5)
    for request_id in range(6, 30):
        send(bench, KeepAlive(), request_id)
    assert send(bench, SelfTest(), 5) == [(5, refusal(Status.PENDING, RequestDetail(5)))]
    assert rest(bench, TEST_SECONDS) == [(5, Reply(Status.OK, ResponseFlag(0), PASSED))]
    assert send(bench, SelfTest(), 5) == [(5, refusal(Status.STALE, RequestDetail(29)))]


def test_an_id_that_waits_for_its_answer_is_used(bench):
    send(bench, SelfTest(), 5)
    assert send(bench, KeepAlive(), 5) == [(5, refusal(Status.ID_REUSED, RequestDetail(5)))]


def test_a_second_test_is_busy_with_the_time_left_rounded_up(bench):
    send(bench, SelfTest(), 5)
    bench.now += 100_001
    assert send(bench, SelfTest(), 6) == [(6, refusal(Status.BUSY, BusyDetail(300)))]
    assert rest(bench, TEST_SECONDS) == [(5, Reply(Status.OK, ResponseFlag(0), PASSED))]
    assert send(bench, SelfTest(), 7) == []


def test_stopping_and_reading_do_not_break_it_off(bench):
    send(bench, SelfTest(), 5)
    bench.ask(GetStatus())
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    assert rest(bench, TEST_SECONDS) == [(5, Reply(Status.OK, ResponseFlag(0), PASSED))]


def test_an_abort_is_answered_ok_and_the_test_aborted(bench):
    send(bench, SelfTest(), 5)
    answers = send(bench, Abort(5), 6)
    assert [(request_id, reply.status) for request_id, reply in answers] == [(5, Status.ABORTED), (6, Status.OK)]
    assert rest(bench, 2) == []
    replayed = refusal(Status.ABORTED, RequestDetail(5), is_replayed=True)
    assert send(bench, SelfTest(), 5) == [(5, replayed)]
    assert send(bench, SelfTest(), 7) == []


@pytest.mark.parametrize(
    "request_",
    [
        StartTherapy(1),
        MeasureImpedance(ALL_CONTACTS, CASE_CONTACT),
        EnterShelfMode(1),
        CloseSession(),
        OpenSession(Role.SERVICE, host_id=8, nonce=9),
        Reset(1),
    ],
    ids=lambda request: type(request).__name__,
)
def test_what_it_cannot_go_with_breaks_it_off(bench, request_):
    send(bench, SelfTest(), 5)
    answers = dict(send(bench, request_, 6))
    assert [(5, answers.pop(5))] == [aborted(5)]
    assert answers[6].status is Status.OK
    assert rest(bench, 2) == []


def test_an_idle_session_that_closes_leaves_no_test_behind(make_bench):
    bench = make_bench()
    bench.open()
    idle_seconds = bench.model.timing.session_idle_ms / 1000
    bench.firmware.wake(bench.now)
    send(bench, SelfTest(), 5)
    assert rest(bench, idle_seconds) == [(5, Reply(Status.OK, ResponseFlag(0), PASSED))]
    bench.open(nonce=2)
    assert send(bench, SelfTest(), 1) == []


def test_a_loss_of_power_takes_the_test_along(bench):
    send(bench, SelfTest(), 5)
    bench.firmware.power_lost(bench.now)
    bench.firmware.power_restored(bench.now)
    assert rest(bench, 2) == []


def test_the_answer_that_comes_later_is_counted_as_executed(bench):
    before = bench.ask(GetLinkStatistics())
    send(bench, SelfTest(), 5)
    rest(bench, TEST_SECONDS)
    after = bench.ask(GetLinkStatistics())
    assert after.requests_executed == before.requests_executed + 2
    assert after.frames_sent == before.frames_sent + 2
