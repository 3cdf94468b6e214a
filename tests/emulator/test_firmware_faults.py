"""Faults of the firmware: resets, hangs, and states that are not left."""

from __future__ import annotations

from random import Random

import pytest
from ipg_emulator.faults.fault import When
from ipg_emulator.faults.firmware import Hung, StuckState, WatchdogReset
from ipg_emulator.firmware.configuration import areas_checksum
from ipg_emulator.firmware.states import TRANSITIONS
from ipg_emulator.surroundings import Surroundings
from ipg_protocol import Role, State, Status, encode_frame, request_frame
from ipg_protocol.commands.link import GetStatus, Ping, Pong, Reset, ResetCause, ResetHappened, SelfTest
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    BeginProgramWrite,
    CommitProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import KeepAlive, OpenSession
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyStateChanged,
)


def output(bench):
    return bench.firmware.board.output.delivered_microamps(0, bench.now)


# Resets


def test_a_watchdog_reset_boots_on_what_was_stored_and_names_its_cause(running):
    running.ask(SelectProgram(running.transaction(), 1))
    boots = running.ask(GetStatus()).boot_counter
    running.begin(WatchdogReset())
    assert (running.device.state, output(running)) == (State.BOOT, 0)
    running.advance(0.1)
    assert running.refused(KeepAlive())[0] is Status.NO_SESSION
    running.open(nonce=2)
    status = running.ask(GetStatus())
    assert (status.active_program, status.boot_counter) == (1, boots + 1)
    assert running.happened(ResetHappened)[-1] == ResetHappened(ResetCause.WATCHDOG, boots + 1)


# Hung


def test_a_hung_device_answers_nothing_and_goes_on_delivering_until_its_watchdog_bites(running):
    programmed = output(running)
    running.begin(Hung(watchdog_ms=800))
    assert running.pings(1) == []
    running.wait(0.799)
    assert (running.pings(2), output(running)) == ([], programmed)
    running.wait(0.001)
    assert (running.device.state, output(running)) == (State.BOOT, 0)
    running.wait(0.1)
    assert running.pings(3) == [3]
    assert running.device.boot_cause is ResetCause.WATCHDOG


def test_no_timer_of_a_hung_device_runs(running):
    running.ask(StopTherapy(StopMode.RAMP))
    assert running.device.state is State.RAMPING
    running.begin(Hung(watchdog_ms=60_000))
    running.advance(50)
    assert running.device.state is State.RAMPING
    assert running.firmware.link.session is not None


def test_a_device_whose_hang_ends_before_its_watchdog_bites_does_late_what_was_due(running):
    boots = running.ask(GetStatus()).boot_counter
    running.ask(StopTherapy(StopMode.RAMP))
    go_on = running.begin(Hung(watchdog_ms=60_000))
    assert running.pings(1, 2) == []
    running.wait(20)
    assert (running.answered(), running.device.state) == ([], State.RAMPING)
    go_on()
    assert running.answered() == [1, 2]
    assert running.device.state is State.IDLE
    status = running.ask(GetStatus())
    assert (status.state, status.boot_counter) == (State.IDLE, boots)


def test_a_hung_device_senses_a_magnet_when_it_goes_on(running):
    go_on = running.begin(Hung(watchdog_ms=60_000))
    Surroundings(running.firmware).magnet(True, running.now)
    running.advance(1)
    assert (running.device.state, output(running) > 0) == (State.THERAPY, True)
    go_on()
    assert (running.device.state, output(running)) == (State.SUSPENDED, 0)


def test_a_hang_that_the_watchdog_has_ended_is_over(running):
    go_on = running.begin(Hung(watchdog_ms=100))
    running.advance(10)
    go_on()
    running.open(nonce=2)
    assert running.ask(GetStatus()).state is State.THERAPY


def test_what_a_hung_device_had_received_is_lost_in_the_reset_and_that_is_told(running):
    ignored = []
    running.firmware.ignored.append(lambda to, data, why, now: ignored.append((data, why, now)))
    running.begin(Hung(watchdog_ms=500))
    asked = encode_frame(request_frame(Ping(9), 9))
    running.firmware.receive(asked, running.now)
    running.advance(0.5)
    assert [(data, now) for data, _, now in ignored] == [(asked, running.now)]
    assert "before it had served this" in ignored[0][1]


def test_power_that_goes_while_a_device_hangs_ends_the_hang(make_bench):
    bench = make_bench("pns-battery-free")
    bench.open()
    world = Surroundings(bench.firmware)
    bench.begin(Hung(watchdog_ms=60_000))
    world.worn_disc(False, bench.now)
    bench.advance(1)
    world.worn_disc(True, bench.now)
    bench.advance(1)
    assert bench.pings(1) == [1]
    assert bench.device.boot_cause is ResetCause.POWER_RESTORED


def test_a_self_test_under_way_is_answered_late_by_a_device_that_hung(bench):
    assert bench.send(request_frame(SelfTest(), 40)) == []
    go_on = bench.begin(Hung(watchdog_ms=60_000))
    bench.wait(5)
    assert bench.frames() == []
    go_on()
    assert [frame.request_id for frame in bench.frames()] == [40]


# Stuck


def test_a_device_stuck_in_therapy_stops_and_says_that_it_has_not(running):
    events = []
    running.firmware.observers.append(lambda event, _: events.append(event))
    let_go = running.begin(StuckState(state="THERAPY"))
    assert running.ask(StopTherapy(StopMode.IMMEDIATE)).state is State.THERAPY
    running.advance(10)
    assert (running.ask(GetStatus()).state, output(running)) == (State.THERAPY, 0)
    assert [event for event in events if isinstance(event, TherapyStateChanged)] == []
    let_go()
    assert running.ask(GetStatus()).state is State.IDLE
    states = [(event.previous, event.state) for event in events if isinstance(event, TherapyStateChanged)]
    assert states == [(State.THERAPY, State.IDLE)]


def test_a_device_stuck_in_idle_delivers_though_it_says_that_it_is_idle(bench):
    let_go = bench.begin(StuckState(state="IDLE"))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    assert bench.ask(GetStatus()).state is State.IDLE
    assert output(bench) > 0
    let_go()
    assert bench.device.state is State.THERAPY
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    assert (bench.device.state, output(bench)) == (State.IDLE, 0)


def test_a_state_becomes_one_that_is_not_left_only_once_it_is_entered(bench):
    bench.begin(StuckState(state="MEASURING"))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    assert bench.device.state is State.THERAPY
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(20)
    assert bench.device.state is State.MEASURING
    assert output(bench) > 0


def test_a_device_that_restarts_is_stuck_anew_and_let_go_to_where_this_boot_has_led(running):
    let_go = running.begin(StuckState(state="THERAPY"))
    running.ask(StopTherapy(StopMode.IMMEDIATE))
    running.firmware.fail(ResetCause.WATCHDOG, running.now)
    running.advance(1)
    running.open(nonce=2)
    running.ask(StartTherapy(running.transaction()))
    running.advance(5)
    assert running.device.state is State.THERAPY
    let_go()
    assert running.device.state is State.THERAPY


def test_states_stuck_twice_are_let_go_in_any_order(running):
    first, second = running.begin(StuckState(state="THERAPY")), running.begin(StuckState(state="THERAPY"))
    first()
    running.ask(StopTherapy(StopMode.IMMEDIATE))
    assert running.device.state is State.THERAPY
    second()
    assert running.device.state is State.IDLE
    assert running.firmware.transitions == TRANSITIONS


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("seed", range(2))
def test_a_device_stuck_in_any_state_answers_every_request_and_can_be_let_go(make_bench, state, seed):
    chance, bench = Random(seed), make_bench(seed=seed)
    let_go = bench.begin(StuckState(state=state.name))
    for step in range(120):
        bench.advance(chance.choice((0, 0.01, 1, 5)))
        if bench.firmware.link.session is None and bench.device.state is not State.BOOT:
            bench.open(nonce=step)
        _ask_something(bench, chance)
        if step == 100:
            let_go()
    assert bench.pings(7) == [7]


def _ask_something(bench, chance):
    number = bench.transaction()
    request = chance.choice(
        (
            *[StartTherapy(number)] * 3,
            *[StopTherapy(chance.choice(list(StopMode)))] * 2,
            SelectProgram(number, chance.choice((0, 1, 2))),
            SetAmplitude(number, 0, 1000),
            MeasureImpedance(3, CASE_CONTACT),
            Reset(number),
            ReadTherapy(0),
            GetStatus(),
        )
    )
    frames = bench.send(request_frame(request, number))
    assert [frame.request_id for frame in frames] == [number]
    if chance.random() < 0.1:
        Surroundings(bench.firmware).magnet(chance.random() < 0.5, bench.now)


def test_a_stuck_device_that_takes_a_request_at_the_wrong_time_is_reset_rather_than_the_end_of_the_run(make_bench):
    bench = make_bench()
    bench.open()
    bench.begin(StuckState(state="IDLE"))
    bench.ask(SaveCheckpoint(bench.transaction(), 0))
    alone = bench.device.active_program.areas[:1]
    bench.ask(BeginProgramWrite(0, 1, "alone"))
    bench.ask(WriteProgramBlock(0, *alone))
    bench.ask(CommitProgram(bench.transaction(), 0, areas_checksum(alone)))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    bench.ask(RestoreCheckpoint(bench.transaction(), 0))
    assert bench.send(request_frame(SetAmplitude(bench.transaction(), 0, 1000), 99)) == []
    assert (bench.device.state, bench.device.boot_cause) == (State.BOOT, ResetCause.WATCHDOG)


# As a plan has them


def tokens(heard):
    return [reply.body.token for _, _, reply in heard.replies() if isinstance(reply.body, Pong)]


def causes(heard):
    found = []
    heard.ipg.firmware.observers.append(
        lambda event, _: found.append(event.cause) if isinstance(event, ResetHappened) else None
    )
    return found


def test_a_hang_that_a_request_brings_about_swallows_that_request(wire):
    heard = wire(Hung(when=When(command="PING", nth=2), watchdog_ms=200))
    resets = causes(heard)
    heard.send(Ping(1), Ping(2), Ping(3))
    heard.advance(1)
    heard.send(Ping(4))
    assert (tokens(heard), resets) == ([1, 4], [ResetCause.WATCHDOG])


def test_a_hang_of_a_plan_ends_after_its_time_without_a_reset(wire):
    heard = wire(Hung(when=When(at_ms=100), for_ms=300, watchdog_ms=5000))
    resets = causes(heard)
    heard.advance(0.2)
    heard.send(Ping(1))
    heard.advance(10)
    assert [(at, reply.body) for at, _, reply in heard.replies()] == [(400, Pong(1))]
    assert resets == []


def test_a_reset_of_a_plan_happens_once(wire):
    heard = wire(WatchdogReset(when=When(at_ms=100)))
    resets = causes(heard)
    heard.advance(3600)
    assert resets == [ResetCause.WATCHDOG]


def test_the_watchdog_bites_at_every_third_ping_of_a_plan_that_outlasts_restarts(wire):
    heard = wire(*(WatchdogReset(when=When(frame=frame), survives_restart=True) for frame in (3, 6)))
    resets = causes(heard)
    for token in range(1, 9):
        heard.send(Ping(token))
        heard.advance(1)
    assert resets == [ResetCause.WATCHDOG] * 2


def test_a_hang_that_outlasts_restarts_comes_back_on_its_next_occasion(wire):
    heard = wire(Hung(when=When(command="PING"), watchdog_ms=200, survives_restart=True))
    resets = causes(heard)
    for token in range(3):
        heard.send(Ping(token))
        heard.advance(1)
        assert [planned.active for planned in heard.faults.planned()] == [False]
    assert (tokens(heard), resets) == ([], [ResetCause.WATCHDOG] * 3)


def test_a_stuck_state_of_a_plan_lasts_as_long_as_it_says(wire):
    heard = wire(StuckState(state="IDLE", when=When(at_ms=0), for_ms=8000))
    heard.send(OpenSession(Role.SERVICE, 7, 1), StartTherapy(1))
    heard.advance(5)
    assert heard.device.state is State.IDLE
    heard.advance(5)
    assert heard.device.state is State.THERAPY
