"""When faults strike and how long they are there: occasions, times, removal, restarts."""

from __future__ import annotations

import pytest
from ipg_emulator.faults.fault import FaultError, When
from ipg_emulator.faults.firmware import WatchdogReset
from ipg_emulator.faults.injector import inject
from ipg_emulator.faults.leads import LeadOpen
from ipg_emulator.faults.line import Cut, Delay, Drop
from ipg_emulator.faults.reply import ReplyLost
from ipg_protocol import Role, State
from ipg_protocol.commands.link import Ping, Pong, Reset, ResetHappened
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy


def pings(wire, count=6):
    for number in range(count):
        wire.send(Ping(number))
        wire.advance(0.1)
    return [reply.body.token for _, _, reply in wire.replies() if isinstance(reply.body, Pong)]


@pytest.mark.parametrize(
    ("when", "answered"),
    [
        (When(), []),
        (When(frame=2), [0, 2, 3, 4, 5]),
        (When(at_ms=250), [0, 1, 2]),
        (When(at_ms=250, frame=2), [0, 1, 2, 3, 5]),
        (When(at_ms=250, nth=1), [0, 1, 2, 4, 5]),
        (When(command="PING", nth=3), [0, 1, 3, 4, 5]),
        (When(command="GET_BATTERY"), [0, 1, 2, 3, 4, 5]),
        (When(state="THERAPY"), [0, 1, 2, 3, 4, 5]),
        (When(state="IDLE", frame=1), [1, 2, 3, 4, 5]),
        (When(event="FAULT_RAISED"), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_frame_is_struck_when_all_that_is_given_holds(when, answered, wire):
    assert pings(wire(Drop(towards="device", when=when))) == answered


def test_a_fault_strikes_as_often_as_it_may(wire):
    assert pings(wire(Drop(towards="host", times=2))) == [2, 3, 4, 5]


def test_a_probability_strikes_its_share_of_the_frames(wire):
    answered = pings(wire(Drop(towards="device", probability=0.25)), count=400)
    assert 270 <= len(answered) <= 330


def test_the_response_of_a_command_is_one_of_its_frames(wire):
    dropped = wire(Drop(when=When(command="PING", frame=2)))
    assert pings(dropped) == [1, 2, 3, 4, 5]
    assert dropped.struck() == [("host", "line: dropped (fault 1)")]


def test_from_an_event_on_frames_are_struck(wire):
    device = wire(Drop(towards="host", when=When(event="THERAPY_STATE_CHANGED")))
    device.send(OpenSession(Role.SERVICE, 1, 1), Ping(1))
    heard = len(device.frames())
    device.send(StartTherapy(1), Ping(2))
    device.advance(3)
    assert len(device.frames()) == heard > 1
    assert device.device.state is State.THERAPY


def test_a_reset_at_a_time_happens_once_and_at_that_time(wire):
    device = wire(WatchdogReset(when=When(at_ms=700), survives_restart=True))
    resets = []
    device.ipg.firmware.observers.append(lambda event, now: resets.append(now) if isinstance(event, ResetHappened) else None)
    device.advance(5)
    booted_at = device.started + 700_000 + device.ipg.firmware.model.timing.boot_ms * 1000
    assert resets == [booted_at]


def test_a_condition_begins_each_time_that_its_state_is_entered(wire):
    device = wire(Cut(when=When(state="THERAPY"), for_ms=100))
    device.send(OpenSession(Role.SERVICE, 1, 1))
    for transaction in (1, 2):
        device.send(StartTherapy(transaction))
        device.advance(3)
        device.send(StopTherapy(StopMode.IMMEDIATE))
        device.advance(1)
    assert [planned.struck for planned in device.faults.planned()] == [2]


def test_a_condition_of_a_command_is_there_before_the_command_is_executed(wire):
    device = wire(LeadOpen(contact=5, when=When(command="MEASURE_IMPEDANCE", nth=2)))
    device.send(OpenSession(Role.SERVICE, 1, 1))
    open_circuits = []
    for _ in range(2):
        device.send(MeasureImpedance(5, 0))
        open_circuits.append(device.faults.planned()[0].active)
        device.advance(3)
    assert open_circuits == [False, True]


def test_a_condition_that_is_there_is_not_begun_again(wire):
    device = wire(Cut(when=When(command="PING"), towards="device", for_ms=1000))
    for pause in (0.6, 0.6, 0.1):
        device.send(Ping(1))
        device.advance(pause)
    assert [planned.struck for planned in device.faults.planned()] == [2]


def test_an_event_before_its_time_is_no_occasion(wire):
    device = wire(Cut(when=When(event="THERAPY_STATE_CHANGED", at_ms=4000)))
    device.send(OpenSession(Role.SERVICE, 1, 1), StartTherapy(1))
    device.advance(5)
    assert [planned.struck for planned in device.faults.planned()] == [0]
    device.send(StopTherapy(StopMode.IMMEDIATE))
    assert [planned.struck for planned in device.faults.planned()] == [1]


def test_a_condition_ends_when_its_time_is_over(wire):
    device = wire(LeadOpen(contact=5, when=When(at_ms=100), for_ms=200))
    there = []
    for _ in range(4):
        device.advance(0.099)
        there.append(device.faults.planned()[0].active)
    assert there == [False, True, True, False]


# Planned on a running device, and taken away


def test_faults_are_numbered_on_and_taken_away_by_their_numbers(wire):
    device = wire()
    never = Drop(when=When(frame=99))
    assert [inject(device.ipg, fault, device.now) for fault in (never, Drop())] == [1, 2]
    assert pings(device, count=1) == []
    device.faults.remove(2, device.now)
    assert inject(device.ipg, never, device.now) == 3
    assert [planned.number for planned in device.faults.planned()] == [1, 3]
    assert pings(device) == [0, 1, 2, 3, 4, 5]


def test_what_is_taken_away_is_mended(wire):
    device = wire()
    electrodes = device.ipg.firmware.board.electrodes
    sound = electrodes.measure(5, 0, device.now).in_compliance
    number = inject(device.ipg, LeadOpen(contact=5), device.now)
    assert sound
    assert not electrodes.measure(5, 0, device.now).in_compliance
    device.faults.remove(number, device.now)
    assert electrodes.measure(5, 0, device.now).in_compliance


def test_to_clear_takes_all_away_and_leaves_what_is_on_the_line(wire):
    device = wire(Delay(milliseconds=50), Drop(when=When(at_ms=10)))
    device.send(Ping(1))
    device.faults.clear(device.now)
    device.advance(0.1)
    assert device.faults.planned() == []
    assert [(at, reply.body) for at, _, reply in device.replies()] == [(50, Pong(1))]


def test_a_number_that_is_not_there_is_refused(wire):
    device = wire(Drop(), Drop())
    with pytest.raises(FaultError, match="there is no fault 7; there are 1, 2"):
        device.faults.remove(7, device.now)


def test_a_device_that_cannot_have_a_fault_is_left_as_it_was(wire):
    device = wire()
    with pytest.raises(FaultError, match="contact = 16: scs-rechargeable has contacts 0 to 15"):
        inject(device.ipg, LeadOpen(contact=16), device.now)
    assert device.faults.planned() == []


# Restarts


@pytest.mark.parametrize(("survives", "left"), [(False, [0, 1, 2, 3, 4, 5]), (True, [])])
def test_a_fault_is_over_when_the_device_restarts_unless_it_says_so(survives, left, wire):
    device = wire(Drop(when=When(command="PING"), survives_restart=survives), LeadOpen(contact=5, survives_restart=survives))
    device.send(OpenSession(Role.SERVICE, 1, 1), Reset(1))
    device.advance(2)
    assert pings(device) == left
    assert [planned.active for planned in device.faults.planned()] == [survives, survives]
    assert device.ipg.firmware.board.electrodes.measure(5, 0, device.now).in_compliance is not survives


def test_the_reply_to_a_reset_can_be_lost(wire):
    device = wire(ReplyLost(when=When(command="RESET")))
    device.send(OpenSession(Role.SERVICE, 1, 1), Reset(1))
    device.advance(2)
    assert [request_id for _, request_id, _ in device.replies()] == [1]
    assert device.struck() == [("host", "device: reply lost after the command was executed (fault 1)")]
