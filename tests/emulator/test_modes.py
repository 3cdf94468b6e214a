"""MRI mode: what is checked first, how long therapy is held off, and what comes after. And a walk through all modes."""

from __future__ import annotations

import random

import msgspec
import pytest
from ipg_emulator.firmware.states import TRANSITIONS
from ipg_emulator.model import Confidence, Figure, Gesture, Magnet, MagnetAction, MriMode, Range, Segment, load
from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, GetStatus, Reset, SetTime
from ipg_protocol.commands.log import ClearFault, LogCode
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Mode, ModeChanged, Modes, ReadModes
from ipg_protocol.commands.programs import CASE_CONTACT, SelectProgram
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    ScheduleRow,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
    WriteSchedule,
)
from ipg_protocol.refusal import BatteryDetail, CircuitDetail, RangeDetail, SafetyDetail, SafetyRule, StateDetail
from ipg_protocol.vocabulary import BatteryTier, FaultCode

ORIGIN = {"source": "a test", "confidence": Confidence.DESIGN}
MINUTES = 30
WHOLE = 0xFF
DOSES_PER_DAY = 15


def with_mri(lowest_ohms=160, highest_ohms=4_000):
    model = load("scs-rechargeable")
    mri = MriMode(maximum_minutes=MINUTES, lowest_ohms=lowest_ohms, highest_ohms=highest_ohms, **ORIGIN)
    magnet = Magnet(while_held=MagnetAction.STOP, **ORIGIN)
    timing = msgspec.structs.replace(model.timing, session_idle_ms=10**9)
    return msgspec.structs.replace(model, mri=mri, magnet=magnet, timing=timing)


@pytest.fixture
def make_mri_bench(make_bench):
    def make(model=None, **build):
        bench = make_bench(model or with_mri(), **build)
        bench.open()
        return bench

    return make


@pytest.fixture
def ready(make_mri_bench):
    """All contacts are measured."""
    bench = make_mri_bench()
    measure(bench)
    return bench


def measure(bench, cathode=ALL_CONTACTS):
    bench.advance(bench.ask(MeasureImpedance(cathode, CASE_CONTACT)).duration_ms / 1000)


def enter(bench, minutes=MINUTES):
    return bench.ask(EnterMriMode(bench.transaction(), minutes))


def refused(bench, minutes=MINUTES):
    return bench.refused(EnterMriMode(bench.transaction(), minutes))


def leave(bench):
    return bench.ask(LeaveMriMode(bench.transaction()))


def magnet(bench, present):
    bench.device.board.magnet_present = present
    bench.firmware.board_changed(bench.now)


def settle(bench):
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)


def delivered(bench):
    return bench.ask(ReadTherapy(0)).delivered_microamps


def logged(bench, code):
    return [entry.argument for entry in bench.device.memory.log_entries() if entry.code is code]


# What is checked first


@pytest.mark.parametrize("minutes", [0, MINUTES + 1, 0xFFFF])
def test_minutes_out_of_range_are_refused(ready, minutes):
    nearest = 1 if minutes == 0 else MINUTES
    assert refused(ready, minutes) == (Status.OUT_OF_RANGE, RangeDetail(1, 1, MINUTES, 1, nearest))


def test_contacts_that_were_not_measured_are_refused(make_mri_bench):
    bench = make_mri_bench()
    for contact in range(3):
        detail = SafetyDetail(SafetyRule.IMPEDANCE_NOT_MEASURED, WHOLE, contact, 0)
        assert refused(bench) == (Status.UNSAFE_COMBINATION, detail)
        measure(bench, contact)


def test_a_measurement_before_the_boot_does_not_count(ready):
    ready.ask(Reset(ready.transaction()))
    ready.advance(1)
    ready.open(nonce=2)
    assert refused(ready)[1] == SafetyDetail(SafetyRule.IMPEDANCE_NOT_MEASURED, WHOLE, 0, 0)


def test_an_open_contact_is_refused(make_mri_bench):
    bench = make_mri_bench(lead_faults={3: "open"})
    measure(bench)
    assert refused(bench) == (Status.OPEN_CIRCUIT, CircuitDetail(3, bench.model.impedance.open_reads_ohms))


@pytest.mark.parametrize(("lowest", "highest", "status"), [(1, 2, Status.OPEN_CIRCUIT), (8_000, 9_000, Status.SHORT_CIRCUIT)])
def test_a_contact_outside_of_the_range_for_mri_is_refused(make_mri_bench, lowest, highest, status):
    bench = make_mri_bench(with_mri(lowest, highest))
    measure(bench)
    ohms = bench.device.delivery.measurements.of_contact[0].ohms
    assert refused(bench) == (status, CircuitDetail(0, ohms))


def test_a_battery_that_is_not_ok_is_refused(make_mri_bench):
    bench = make_mri_bench()
    bench.device.memory.note(battery_tier=BatteryTier.LOW)
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    bench.open(nonce=2)
    measure(bench)
    status, detail = refused(bench)
    assert status is Status.BATTERY_TOO_LOW
    assert isinstance(detail, BatteryDetail)
    assert (detail.tier, detail.required_millivolts) == (BatteryTier.LOW, bench.model.battery.low_millivolts)


def test_a_refusal_changes_nothing(make_mri_bench):
    bench = make_mri_bench()
    settle(bench)
    refused(bench)
    assert bench.device.state is State.THERAPY
    assert bench.ask(ReadModes()) == Modes(Mode.NONE, 0, 0, 0)


# What it does


def test_therapy_is_held_off_for_the_time_and_restored_after(ready):
    settle(ready)
    full = delivered(ready)
    assert enter(ready) == Modes(Mode.MRI, 0, MINUTES * 60, 1)
    assert (ready.device.state, delivered(ready)) == (State.SUSPENDED, 0)
    ready.advance(MINUTES * 60 - 1)
    assert (ready.ask(ReadModes()).mri_seconds_left, delivered(ready)) == (1, 0)
    ready.advance(1)
    assert ready.device.state is State.RAMPING
    ready.advance(20)
    assert (ready.device.state, delivered(ready)) == (State.THERAPY, full)
    assert ready.ask(ReadModes()) == Modes(Mode.NONE, 0, 0, 0)


def test_mri_mode_is_logged_reported_and_alerted(ready):
    settle(ready)
    enter(ready)
    assert Alert.MRI_MODE in ready.ask(GetStatus()).alerts
    leave(ready)
    assert Alert.MRI_MODE not in ready.ask(GetStatus()).alerts
    assert logged(ready, LogCode.MRI_MODE) == [1, 0]
    assert ready.happened(ModeChanged) == [ModeChanged(Mode.MRI), ModeChanged(Mode.NONE)]
    changes = [(e.previous, e.state, e.cause) for e in ready.happened(TherapyStateChanged)][-2:]
    assert changes == [
        (State.THERAPY, State.SUSPENDED, TherapyCause.MRI_MODE),
        (State.SUSPENDED, State.RAMPING, TherapyCause.MRI_MODE),
    ]


def test_leaving_early_restores_therapy(ready):
    settle(ready)
    enter(ready)
    assert leave(ready) == Modes(Mode.NONE, 0, 0, 0)
    assert ready.device.state is State.RAMPING
    ready.advance(MINUTES * 60)
    assert ready.device.state is State.THERAPY


def test_what_was_off_stays_off(ready):
    assert enter(ready).therapy_restored_after == 0
    leave(ready)
    assert ready.device.state is State.IDLE


def test_a_stop_meanwhile_cancels_the_restoring(ready):
    settle(ready)
    enter(ready)
    assert ready.ask(StopTherapy(StopMode.RAMP)).state is State.SUSPENDED
    leave(ready)
    assert ready.device.state is State.IDLE


def test_a_second_entry_is_refused(ready):
    enter(ready)
    assert refused(ready) == (Status.WRONG_STATE, StateDetail(State.SUSPENDED))


@pytest.mark.parametrize("magnet_goes_first", [True, False])
def test_both_a_magnet_and_mri_mode_must_be_gone(ready, magnet_goes_first):
    settle(ready)
    enter(ready)
    magnet(ready, True)
    assert ready.ask(ReadModes()).mode is Mode.MAGNET
    if magnet_goes_first:
        magnet(ready, False)
        assert (ready.device.state, ready.ask(ReadModes()).mode) == (State.SUSPENDED, Mode.MRI)
        leave(ready)
    else:
        leave(ready)
        assert (ready.device.state, ready.ask(ReadModes()).mode) == (State.SUSPENDED, Mode.MAGNET)
        magnet(ready, False)
    assert ready.device.state is State.RAMPING


def test_mri_mode_cannot_be_left_where_only_a_magnet_holds_therapy_off(ready):
    magnet(ready, True)
    refusal = ready.refused(LeaveMriMode(ready.transaction()))
    assert refusal == (Status.WRONG_STATE, StateDetail(State.SUSPENDED))


def test_a_reset_does_not_end_mri_mode(ready):
    settle(ready)
    enter(ready)
    ready.ask(Reset(ready.transaction()))
    ready.advance(60)
    ready.open(nonce=2)
    assert ready.device.state is State.SUSPENDED
    assert ready.ask(ReadModes()) == Modes(Mode.MRI, 0, MINUTES * 60 - 60, 1)
    ready.advance(MINUTES * 60 - 60 + 30)
    assert ready.device.state is State.THERAPY


def test_no_gesture_acts_in_the_field_of_the_scanner(make_mri_bench):
    reset = Magnet(while_held=MagnetAction.STOP, gestures=(Gesture(0, 60_000, MagnetAction.RESET),), **ORIGIN)
    bench = make_mri_bench(msgspec.structs.replace(with_mri(), magnet=reset))
    measure(bench)
    enter(bench)
    magnet(bench, True)
    bench.advance(1)
    magnet(bench, False)
    assert bench.device.state is State.SUSPENDED


def test_a_fault_meanwhile_ends_in_fault_and_mri_mode_goes_on_once_it_is_cleared(ready):
    settle(ready)
    enter(ready)
    ready.device.latch(FaultCode.OUTPUT_STAGE, WHOLE, 0, ready.now)
    ready.device.delivery.abandon(TherapyCause.FAULT, ready.now)
    assert ready.device.state is State.FAULT
    ready.ask(ClearFault(ready.transaction(), FaultCode.OUTPUT_STAGE))
    assert ready.device.state is State.SUSPENDED
    leave(ready)
    assert ready.device.state is State.IDLE


# A walk through all modes


def walking_model():
    """Everything at once: a magnet with gestures, MRI mode, doses, a schedule, and a host that must not fall silent."""
    model = with_mri()
    programs = list(model.programs)
    programs[1] = msgspec.structs.replace(
        programs[1],
        areas=(msgspec.structs.replace(programs[1].areas[0], cycle_on_seconds=0, cycle_off_seconds=0, dose_seconds=20),),
    )
    gestures = (
        Gesture(0, 600, MagnetAction.TOGGLE),
        Gesture(600, 1_100, MagnetAction.BOOST),
        Gesture(30_000, 90_000, MagnetAction.RESET),
    )
    return msgspec.structs.replace(
        model,
        programs=tuple(programs),
        ranges=msgspec.structs.replace(model.ranges, dose_seconds=Range((Segment(1, 3600, 1),), **ORIGIN)),
        limits=msgspec.structs.replace(model.limits, doses_per_day=Figure(DOSES_PER_DAY, **ORIGIN)),
        timing=msgspec.structs.replace(model.timing, host_silence_ms=100_000),
        magnet=Magnet(while_held=MagnetAction.STOP, gestures=gestures, boost_program=1, **ORIGIN),
    )


class Watch:
    """Follows a device by its events, and checks it against them."""

    def __init__(self, bench):
        self._bench = bench
        self._state = bench.device.state
        bench.firmware.observers.append(self._observe)

    def _observe(self, event, _):
        if isinstance(event, TherapyStateChanged):
            assert event.previous is self._state
            assert event.state in TRANSITIONS[event.previous].values()
            self._state = event.state

    def check(self):
        device, now = self._bench.device, self._bench.now
        if device.state is State.BOOT:
            self._state = State.BOOT
        assert device.state is self._state
        is_on = device.state in (State.RAMPING, State.THERAPY)
        assert device.delivery.therapy.is_on == is_on
        assert is_on or not any(device.board.output.delivered_microamps(area, now) for area in range(4))
        if is_on or device.state in (State.IDLE, State.SUSPENDED):
            assert (device.modes.mode is not Mode.NONE) == (device.state is State.SUSPENDED)
        assert len(device.memory.condition.dose_starts) <= DOSES_PER_DAY


def acts(bench, chance):
    """Things that can happen, by name."""
    number = bench.transaction

    def toggle_magnet():
        magnet(bench, not bench.device.board.magnet_present)

    def latch():
        if bench.device.state not in (State.BOOT, State.SHELF):
            bench.device.latch(FaultCode.OUTPUT_STAGE, WHOLE, 0, bench.now)
            bench.device.delivery.abandon(TherapyCause.FAULT, bench.now)

    def request(make):
        return lambda: bench.reply(make())

    return [
        *[toggle_magnet] * 6,
        *[request(lambda: StartTherapy(number()))] * 5,
        *[request(lambda: StopTherapy(chance.choice(list(StopMode))))] * 2,
        *[request(lambda: EnterMriMode(number(), 1))] * 2,
        *[request(lambda: SelectProgram(number(), chance.randrange(3)))] * 2,
        request(lambda: LeaveMriMode(number())),
        request(lambda: MeasureImpedance(ALL_CONTACTS, CASE_CONTACT)),
        request(lambda: SetTime(number(), chance.choice((479, 1439)) * 60_000 + 59_000)),
        request(lambda: WriteSchedule(number(), (ScheduleRow(480, 1, chance.randrange(3)), ScheduleRow(0, 1, 1)))),
        request(lambda: Reset(number())),
        latch,
        *[request(lambda: ClearFault(number(), FaultCode.OUTPUT_STAGE))] * 3,
    ]


@pytest.mark.parametrize("seed", range(12))
def test_a_walk_through_all_modes_keeps_what_must_hold(make_mri_bench, seed):
    chance = random.Random(seed)
    bench = make_mri_bench(walking_model(), seed=seed)
    measure(bench)
    watch = Watch(bench)
    for step in range(400):
        bench.advance(chance.choice((0, 0.02, 0.3, 1, 3, 25, 70)))
        watch.check()
        if bench.firmware.link.session is None and bench.device.state is not State.BOOT:
            bench.open(nonce=step + 2)
        chance.choice(acts(bench, chance))()
        watch.check()
    assert bench.device.memory.counters.magnet_uses > 20


@pytest.mark.parametrize("seed", range(40))
def test_therapy_comes_back_exactly_if_it_ran_and_nobody_stopped_it(make_mri_bench, seed):
    chance = random.Random(seed)
    bench = make_mri_bench()
    measure(bench)
    ran = chance.random() < 0.7
    if ran:
        bench.ask(StartTherapy(bench.transaction()))
        bench.advance(chance.choice((0, 0.5, 5)))
    stopped = False
    for _ in range(chance.randrange(2, 8)):
        act = chance.choice(("magnet", "magnet", "mri", "measure", "stop"))
        if act == "magnet":
            magnet(bench, not bench.device.board.magnet_present)
        elif act == "mri":
            bench.reply(EnterMriMode(bench.transaction(), 1))
        elif act == "measure":
            bench.reply(MeasureImpedance(0, CASE_CONTACT))
        elif chance.random() < 0.3:
            bench.ask(StopTherapy(chance.choice(list(StopMode))))
            stopped = True
        bench.advance(chance.choice((0, 0.01, 3, 100)))
    magnet(bench, False)
    bench.advance(100)
    assert bench.device.state is (State.THERAPY if ran and not stopped else State.IDLE)
