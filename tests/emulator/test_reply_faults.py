"""Faults of replies: what the host hears, and whether the device has executed what it was asked."""

from __future__ import annotations

import pytest
from ipg_emulator.faults.fault import When
from ipg_emulator.faults.line import Delay
from ipg_emulator.faults.reply import Busy, Refused, ReplyLate, ReplyLost, ReplyRepeated, WrongId
from ipg_protocol import REFUSAL_DETAIL, Kind, Role, State, Status
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import SetAmplitude
from ipg_protocol.refusal import BatteryDetail, BusyDetail, ComplianceDetail, RequestDetail, RevisionDetail, StateDetail
from ipg_protocol.vocabulary import BatteryTier

SETTING = When(command="SET_AMPLITUDE")
OTHER_MICROAMPS = 2000


@pytest.fixture
def in_session(wire):
    """A device with faults, and a session open."""

    def start(*faults):
        device = wire(*faults)
        device.send(OpenSession(Role.SERVICE, 1, 1))
        return device

    return start


def programmed(device):
    return device.device.configuration.programs[0].areas[0].amplitude_microamps


def set_amplitude(device, transaction=1):
    """Ask for another amplitude than the one there is; what has been heard of it within 2 s, and when, from then on."""
    assert programmed(device) != OTHER_MICROAMPS
    device.heard.clear()
    asked_ms = (device.now - device.started) // 1000
    device.send(SetAmplitude(transaction, 0, OTHER_MICROAMPS))
    device.advance(2)
    return [(at - asked_ms, reply.status) for at, _, reply in device.replies()]


def test_a_sound_device_sets_the_amplitude_and_says_so_at_once(in_session):
    device = in_session()
    assert set_amplitude(device) == [(0, Status.OK)]
    assert programmed(device) == OTHER_MICROAMPS


def test_a_lost_reply_leaves_the_command_executed(in_session):
    device = in_session(ReplyLost(when=SETTING))
    assert set_amplitude(device) == []
    assert programmed(device) == OTHER_MICROAMPS


def test_an_event_is_not_lost_with_the_replies(in_session):
    device = in_session(ReplyLost(when=When(at_ms=1)))
    device.advance(0.001)
    assert set_amplitude(device) == []
    assert {frame.kind for _, frame in device.frames()} == {Kind.EVENT}


def test_a_late_reply_leaves_the_command_executed_at_once(in_session):
    device = in_session(ReplyLate(when=SETTING, milliseconds=800))
    device.send(SetAmplitude(1, 0, OTHER_MICROAMPS))
    assert programmed(device) == OTHER_MICROAMPS
    device.advance(0.799)
    assert [request_id for _, request_id, _ in device.replies()] == [1]
    device.advance(0.001)
    assert [(at, request_id) for at, request_id, _ in device.replies()] == [(0, 1), (800, 2)]


def test_replies_after_a_late_one_do_not_wait_for_it(wire):
    device = wire(ReplyLate(when=When(nth=1), milliseconds=300))
    device.send(Ping(1), Ping(2), Ping(3))
    device.advance(1)
    assert [(at, reply.body) for at, _, reply in device.replies()] == [(0, Pong(2)), (0, Pong(3)), (300, Pong(1))]


@pytest.mark.parametrize(("offset", "heard"), [(1, 2), (2**32 - 1, 0)])
def test_a_wrong_id_is_so_far_from_the_right_one(offset, heard, wire):
    device = wire(WrongId(offset=offset))
    device.send(Ping(5))
    assert [(request_id, reply.body) for _, request_id, reply in device.replies()] == [(heard, Pong(5))]


@pytest.mark.parametrize("copies", [1, 4])
def test_a_repeated_reply_comes_as_often_and_is_executed_once(copies, in_session):
    device = in_session(ReplyRepeated(when=SETTING, copies=copies))
    revision = device.device.configuration.revision
    assert set_amplitude(device) == [(0, Status.OK)] * (1 + copies)
    assert device.device.configuration.revision == revision + 1


# Refused before it is executed


def test_a_busy_device_refuses_as_often_as_it_is_said_and_executes_nothing(in_session):
    device = in_session(Busy(when=SETTING, times=2, retry_after_ms=250))
    before = programmed(device)
    assert [set_amplitude(device), set_amplitude(device)] == [[(0, Status.BUSY)]] * 2
    assert device.replies()[-1][-1].body == BusyDetail(250)
    assert programmed(device) == before
    assert set_amplitude(device) == [(0, Status.OK)]


@pytest.mark.parametrize("status", REFUSAL_DETAIL, ids=lambda status: status.name)
def test_every_status_can_be_chosen_and_its_refusal_decodes(status, in_session):
    device = in_session(Refused(when=SETTING, status=status.name))
    before = programmed(device)
    assert set_amplitude(device) == [(0, status)]
    assert isinstance(device.replies()[0][-1].body, REFUSAL_DETAIL[status])
    assert programmed(device) == before


@pytest.mark.parametrize(
    ("status", "detail"),
    [
        ("CONFLICT", RevisionDetail(1)),
        ("PENDING", RequestDetail(2)),
        ("WRONG_STATE", StateDetail(State.IDLE)),
        ("BATTERY_TOO_LOW", BatteryDetail(BatteryTier.OK, 0, 0)),
        ("BUSY", BusyDetail(100)),
    ],
)
def test_a_detail_that_is_not_given_is_as_the_device_stands(status, detail, in_session):
    device = in_session(Refused(when=SETTING, status=status))
    set_amplitude(device)
    assert device.replies()[0][-1].body == detail


def test_a_detail_is_as_it_is_given(in_session):
    device = in_session(Refused(when=SETTING, status="COMPLIANCE", detail={"contact": 3, "deliverable_microamps": 1500}))
    set_amplitude(device)
    assert device.replies()[0][-1].body == ComplianceDetail(3, 1500)


def test_a_refusal_keeps_its_place_among_the_replies(wire):
    device = wire(Busy(when=When(nth=2)))
    device.send(Ping(1), Ping(2), Ping(3))
    assert [(request_id, reply.status.name) for _, request_id, reply in device.replies()] == [(1, "OK"), (2, "BUSY"), (3, "OK")]


def test_a_refusal_is_a_reply_to_the_faults_of_replies_and_to_the_line(wire):
    device = wire(Busy(), ReplyRepeated(), Delay(towards="host", milliseconds=30))
    device.send(Ping(1))
    device.advance(1)
    assert [(at, reply.status) for at, _, reply in device.replies()] == [(30, Status.BUSY)] * 2


def test_a_trace_tells_that_the_request_was_refused(wire):
    device = wire(Busy(times=1))
    device.send(Ping(1))
    assert device.struck() == [("device", "device: request refused BUSY, and not executed (fault 1)")]


def test_bytes_that_are_no_request_are_none_of_a_refusal(wire):
    device = wire(Busy())
    device.write(b"\0\x03\x01\x02\0")
    assert device.heard == []
    assert [planned.struck for planned in device.faults.planned()] == [0]
