"""The magnet: it holds therapy off, beats the protocol, and acts by how long it was held."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.model import Confidence, Figure, Gesture, Magnet, MagnetAction, Range, Segment, load
from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, EnterShelfMode, GetStatus, Reset, ResetCause, ResetHappened
from ipg_protocol.commands.log import ClearFault, LogCode, ReadCounters
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance, MeasurementDone
from ipg_protocol.commands.modes import MagnetChanged, Mode, ModeChanged, Modes, ReadModes
from ipg_protocol.commands.programs import CASE_CONTACT, BeginProgramWrite, CommitProgram, EraseProgram, SelectProgram
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
)
from ipg_protocol.refusal import StateDetail
from ipg_protocol.vocabulary import FaultCode

ORIGIN = {"source": "a test", "confidence": Confidence.DESIGN}
DOSE_SECONDS = 60
BOOST = 1
GESTURES = (
    Gesture(500, 2_000, MagnetAction.TOGGLE),
    Gesture(2_000, 4_000, MagnetAction.BOOST),
    Gesture(4_000, 6_000, MagnetAction.WAKE),
    Gesture(6_000, 8_000, MagnetAction.RESET),
    Gesture(8_000, 10_000, MagnetAction.STOP),
)


def with_magnet(while_held=MagnetAction.STOP, gestures=()):
    """An SCS device with a magnet sensor, whose second program has a dose."""
    model = load("scs-rechargeable")
    boost = model.programs[BOOST]
    area = msgspec.structs.replace(
        boost.areas[0],
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=DOSE_SECONDS,
    )
    programs = list(model.programs)
    programs[BOOST] = msgspec.structs.replace(boost, areas=(area,))
    doses = Range((Segment(1, 3600, 1),), **ORIGIN)
    return msgspec.structs.replace(
        model,
        timing=msgspec.structs.replace(model.timing, session_idle_ms=10**9),
        ranges=msgspec.structs.replace(model.ranges, dose_seconds=doses),
        programs=tuple(programs),
        magnet=Magnet(while_held=while_held, gestures=gestures, boost_program=BOOST, **ORIGIN),
    )


@pytest.fixture
def magnet_bench(make_bench):
    bench = make_bench(with_magnet())
    bench.open()
    return bench


@pytest.fixture
def gesture_bench(make_bench):
    bench = make_bench(with_magnet(MagnetAction.NONE, GESTURES))
    bench.open()
    return bench


def magnet(bench, present):
    bench.device.board.magnet_present = present
    bench.firmware.board_changed(bench.now)


def hold(bench, seconds):
    magnet(bench, True)
    bench.advance(seconds)
    magnet(bench, False)


def settle(bench):
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def delivered(bench):
    return bench.ask(ReadTherapy(0)).delivered_microamps


def logged(bench, code):
    entries = bench.device.memory.log_entries()
    return [entry.argument for entry in entries if entry.code is code]


def test_therapy_is_off_while_the_magnet_is_there_and_ramps_up_when_it_goes(magnet_bench):
    bench = magnet_bench
    settle(bench)
    full = delivered(bench)
    magnet(bench, True)
    assert bench.device.state is State.SUSPENDED
    assert delivered(bench) == 0
    bench.advance(3600)
    assert delivered(bench) == 0
    magnet(bench, False)
    assert bench.device.state is State.RAMPING
    assert delivered(bench) == 0
    bench.advance(20)
    assert (bench.device.state, delivered(bench)) == (State.THERAPY, full)


def test_the_magnet_is_logged_counted_reported_and_alerted(magnet_bench):
    bench = magnet_bench
    settle(bench)
    magnet(bench, True)
    assert bench.ask(ReadModes()) == Modes(Mode.MAGNET, 1, 0, 1)
    assert Alert.MAGNET_PRESENT in bench.ask(GetStatus()).alerts
    magnet(bench, False)
    assert bench.ask(ReadModes()) == Modes(Mode.NONE, 0, 0, 0)
    assert Alert.MAGNET_PRESENT not in bench.ask(GetStatus()).alerts
    assert bench.ask(ReadCounters()).magnet_uses == 1
    assert logged(bench, LogCode.MAGNET) == [1, 0]
    assert bench.happened(MagnetChanged) == [MagnetChanged(1), MagnetChanged(0)]
    assert bench.happened(ModeChanged) == [ModeChanged(Mode.MAGNET), ModeChanged(Mode.NONE)]
    changes = [(e.previous, e.state, e.cause) for e in bench.happened(TherapyStateChanged)][-2:]
    assert changes == [
        (State.THERAPY, State.SUSPENDED, TherapyCause.MAGNET),
        (State.SUSPENDED, State.RAMPING, TherapyCause.MAGNET),
    ]


def test_no_request_brings_therapy_back_while_the_magnet_is_there(magnet_bench):
    bench = magnet_bench
    magnet(bench, True)
    for request in (
        StartTherapy(bench.transaction()),
        SelectProgram(bench.transaction(), 1),
        MeasureImpedance(0, CASE_CONTACT),
    ):
        assert bench.refused(request) == (Status.WRONG_STATE, StateDetail(State.SUSPENDED))


@pytest.mark.parametrize("mode", StopMode)
def test_a_stop_while_the_magnet_is_there_cancels_the_resumption(magnet_bench, mode):
    bench = magnet_bench
    settle(bench)
    magnet(bench, True)
    assert bench.ask(StopTherapy(mode)).state is State.SUSPENDED
    assert bench.ask(ReadModes()).therapy_restored_after == 0
    magnet(bench, False)
    assert bench.device.state is State.IDLE
    assert logged(bench, LogCode.THERAPY_STOPPED) == [TherapyCause.COMMAND]


def test_what_was_off_stays_off_after_the_magnet(magnet_bench):
    magnet(magnet_bench, True)
    assert magnet_bench.device.state is State.SUSPENDED
    magnet(magnet_bench, False)
    assert magnet_bench.device.state is State.IDLE


def test_what_was_being_stopped_stays_off_after_the_magnet(magnet_bench):
    bench = magnet_bench
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    magnet(bench, True)
    assert logged(bench, LogCode.THERAPY_STOPPED) == [TherapyCause.MAGNET]
    magnet(bench, False)
    assert bench.device.state is State.IDLE


def test_the_magnet_breaks_a_measurement_off_and_therapy_resumes_after(magnet_bench):
    bench = magnet_bench
    settle(bench)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    magnet(bench, True)
    bench.advance(10)
    assert bench.happened(MeasurementDone) == []
    magnet(bench, False)
    assert bench.device.state is State.RAMPING


def test_a_switch_under_way_comes_back_switched(magnet_bench):
    bench = magnet_bench
    settle(bench)
    bench.ask(SelectProgram(bench.transaction(), 2))
    hold(bench, 1)
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    assert delivered(bench) == bench.device.configuration.programs[2].areas[0].amplitude_microamps


def test_a_model_without_a_sensor_does_not_notice_a_magnet(make_bench):
    bench = make_bench(msgspec.structs.replace(load("scs-rechargeable"), magnet=None))
    bench.open()
    settle(bench)
    magnet(bench, True)
    assert bench.device.state is State.THERAPY
    assert Alert.MAGNET_PRESENT not in bench.ask(GetStatus()).alerts
    assert logged(bench, LogCode.MAGNET) == []


def test_a_device_that_boots_with_a_magnet_there_is_suspended(magnet_bench):
    bench = magnet_bench
    magnet(bench, True)
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    assert bench.device.state is State.SUSPENDED
    magnet(bench, False)
    assert bench.device.state is State.IDLE


def test_a_magnet_during_the_boot_holds_after_it(magnet_bench):
    bench = magnet_bench
    bench.ask(Reset(bench.transaction()))
    magnet(bench, True)
    assert bench.device.state is State.BOOT
    bench.advance(1)
    assert bench.device.state is State.SUSPENDED


def test_in_fault_the_magnet_is_noted_and_holds_once_the_fault_is_cleared(magnet_bench):
    bench = magnet_bench
    bench.device.latch(FaultCode.OUTPUT_STAGE, 255, 0, bench.now)
    bench.device.delivery.abandon(TherapyCause.FAULT, bench.now)
    magnet(bench, True)
    assert bench.device.state is State.FAULT
    assert bench.ask(ReadModes()).magnet_present == 1
    bench.ask(ClearFault(bench.transaction(), FaultCode.OUTPUT_STAGE))
    assert bench.device.state is State.SUSPENDED
    magnet(bench, False)
    assert bench.device.state is State.IDLE


def test_a_fault_meanwhile_keeps_therapy_off(magnet_bench):
    bench = magnet_bench
    settle(bench)
    magnet(bench, True)
    bench.device.latch(FaultCode.OUTPUT_STAGE, 255, 0, bench.now)
    magnet(bench, False)
    assert bench.device.state is State.FAULT
    assert delivered(bench) == 0


def test_in_shelf_mode_the_magnet_holds_nothing(magnet_bench):
    bench = magnet_bench
    bench.ask(EnterShelfMode(bench.transaction()))
    hold(bench, 1)
    assert bench.device.state is State.SHELF


# Gestures


def test_toggle_stops_and_starts_therapy(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 1)
    assert bench.device.state is State.RAMPING
    bench.advance(20)
    assert bench.device.state is State.IDLE
    assert logged(bench, LogCode.THERAPY_STOPPED) == [TherapyCause.MAGNET]
    hold(bench, 1)
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def test_stop_by_gesture_stops_therapy_for_good(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 9)
    bench.advance(20)
    assert bench.device.state is State.IDLE


@pytest.mark.parametrize("seconds", [0.4, 11])
def test_a_hold_outside_of_every_window_does_nothing(gesture_bench, seconds):
    settle(gesture_bench)
    hold(gesture_bench, seconds)
    assert gesture_bench.device.state is State.THERAPY


def test_a_toggle_during_a_measurement_acts_on_what_comes_after_it(gesture_bench):
    bench = gesture_bench
    magnet(bench, True)
    bench.advance(1)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    magnet(bench, False)
    assert bench.device.state is State.MEASURING
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def test_toggle_does_not_start_with_a_fault_latched(gesture_bench):
    bench = gesture_bench
    bench.device.latch(FaultCode.OUTPUT_STAGE, 255, 0, bench.now)
    bench.device.delivery.abandon(TherapyCause.FAULT, bench.now)
    hold(bench, 1)
    assert bench.device.state is State.FAULT


def test_wake_leaves_shelf_mode_and_does_nothing_elsewhere(gesture_bench):
    bench = gesture_bench
    boots = bench.device.memory.boot_counter
    hold(bench, 5)
    assert bench.device.memory.boot_counter == boots
    bench.ask(EnterShelfMode(bench.transaction()))
    hold(bench, 5)
    assert (bench.device.state, bench.device.memory.boot_counter) == (State.BOOT, boots + 1)
    bench.advance(1)
    assert bench.device.state is State.IDLE


def test_reset_by_gesture_restarts_and_therapy_goes_on_by_its_ramp(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 7)
    assert bench.device.state is State.BOOT
    bench.advance(1)
    bench.open(nonce=2)
    assert bench.device.state is State.RAMPING
    assert [event.boot_counter for event in bench.happened(ResetHappened)][-1] == 2


# Boost


def boosting(bench):
    settle(bench)
    hold(bench, 3)
    bench.advance(20)
    assert delivered(bench) == bench.device.configuration.programs[BOOST].areas[0].amplitude_microamps


def test_boost_delivers_its_dose_once_and_goes_back(gesture_bench):
    bench = gesture_bench
    settle(bench)
    before = delivered(bench)
    boosted = bench.device.configuration.programs[BOOST].areas[0].amplitude_microamps
    assert boosted != before
    hold(bench, 3)
    bench.advance(20)
    assert (bench.device.state, delivered(bench)) == (State.THERAPY, boosted)
    assert bench.ask(GetStatus()).active_program == 0
    bench.advance(DOSE_SECONDS)
    assert (bench.device.state, delivered(bench)) == (State.THERAPY, before)
    assert logged(bench, LogCode.THERAPY_STARTED) == [0, BOOST, 0]
    assert logged(bench, LogCode.THERAPY_STOPPED) == [TherapyCause.MAGNET, TherapyCause.DOSE_OVER]


def test_what_was_started_during_a_boost_begins_after_a_reset_too(gesture_bench):
    bench = gesture_bench
    hold(bench, 3)
    bench.ask(StartTherapy(bench.transaction()))
    bench.firmware.fail(ResetCause.WATCHDOG, bench.now)
    bench.advance(20)
    bench.open(nonce=2)
    assert bench.device.state is State.THERAPY
    assert delivered(bench) == bench.device.configuration.programs[0].areas[0].amplitude_microamps


def test_boost_of_what_was_off_ends_with_its_dose(gesture_bench):
    bench = gesture_bench
    hold(bench, 3)
    bench.advance(DOSE_SECONDS - 1)
    assert bench.device.state is State.THERAPY
    bench.advance(3)
    assert bench.device.state is State.IDLE


def test_a_stop_ends_a_boost_and_what_was_before(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 3)
    bench.advance(20)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(2 * DOSE_SECONDS)
    assert bench.device.state is State.IDLE


def test_boost_again_begins_its_dose_anew(gesture_bench):
    bench = gesture_bench
    hold(bench, 3)
    bench.advance(DOSE_SECONDS - 10)
    hold(bench, 3)
    bench.advance(DOSE_SECONDS - 10)
    assert bench.device.state is State.THERAPY
    bench.advance(20)
    assert bench.device.state is State.IDLE


def test_a_change_during_a_boost_is_for_what_comes_after(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 3)
    bench.advance(20)
    boosted = delivered(bench)
    lower = bench.amplitude_from(bench.device.active_program.areas[0].amplitude_microamps, -1)
    bench.ask(SetAmplitude(bench.transaction(), 0, lower))
    bench.advance(5)
    assert delivered(bench) == boosted
    bench.advance(DOSE_SECONDS)
    assert delivered(bench) == lower


def test_a_change_of_the_program_that_is_boosted_takes_effect_at_once(gesture_bench):
    bench = gesture_bench
    bench.ask(SelectProgram(bench.transaction(), BOOST))
    boosting(bench)
    lower = bench.amplitude_from(delivered(bench), -1)
    bench.ask(SetAmplitude(bench.transaction(), 0, lower))
    bench.advance(5)
    assert delivered(bench) == lower


def test_a_program_selected_during_a_boost_comes_after_it(gesture_bench):
    bench = gesture_bench
    settle(bench)
    hold(bench, 3)
    bench.advance(20)
    bench.ask(SelectProgram(bench.transaction(), 2))
    assert bench.device.state is State.THERAPY
    bench.advance(DOSE_SECONDS)
    assert delivered(bench) == bench.device.configuration.programs[2].areas[0].amplitude_microamps


def test_boost_of_a_program_rewritten_without_a_dose_does_nothing(gesture_bench):
    bench = gesture_bench
    bench.device.memory.store_program(BOOST, bench.device.configuration.programs[2])
    settle(bench)
    hold(bench, 3)
    assert bench.device.state is State.THERAPY
    assert logged(bench, LogCode.THERAPY_STARTED) == [0]


def test_a_boost_that_a_fault_ends_does_not_come_back(make_bench):
    bench = make_bench(with_magnet(MagnetAction.NONE, GESTURES), lead_faults={15: "short"})
    bench.open()
    hold(bench, 3)
    bench.advance(20)
    bench.ask(MeasureImpedance(15, CASE_CONTACT))
    bench.advance(1)
    assert bench.device.state is State.FAULT
    bench.device.board.electrodes.mend(15)
    bench.ask(MeasureImpedance(15, CASE_CONTACT))
    bench.advance(1)
    bench.ask(ClearFault(bench.transaction(), FaultCode.SHORT_CIRCUIT))
    settle(bench)
    assert logged(bench, LogCode.THERAPY_STARTED) == [BOOST, 0]


def test_a_boost_that_is_held_off_goes_on_with_what_is_left_of_its_dose(make_bench):
    bench = make_bench(with_magnet(MagnetAction.STOP, (Gesture(0, 500, MagnetAction.BOOST),)))
    bench.open()
    hold(bench, 0.1)
    bench.advance(DOSE_SECONDS / 2)
    hold(bench, 1000)
    bench.advance(DOSE_SECONDS / 2 - 1)
    assert bench.device.state is State.THERAPY
    bench.advance(3)
    assert bench.device.state is State.IDLE


def test_at_eos_the_magnet_is_noted_and_only_a_reset_acts(make_bench):
    bench = make_bench(with_magnet(MagnetAction.STOP, GESTURES), charge_permille=5)
    bench.advance(4 * 3600)
    assert bench.device.state is State.EOS
    boots = bench.device.memory.boot_counter
    for seconds in (1, 3, 5):
        hold(bench, seconds)
        assert (bench.device.state, bench.device.memory.boot_counter) == (State.EOS, boots)
    hold(bench, 7)
    assert bench.device.memory.boot_counter == boots + 1
    assert bench.device.memory.counters.magnet_uses == 4


@pytest.mark.parametrize("change", [EraseProgram, lambda number, slot: CommitProgram(number, slot, 0)])
def test_a_program_that_is_boosted_is_in_use(gesture_bench, change):
    bench = gesture_bench
    boosting(bench)
    bench.ask(BeginProgramWrite(BOOST, 1, "other"))
    assert bench.refused(change(bench.transaction(), BOOST)) == (Status.WRONG_STATE, StateDetail(State.THERAPY))
    bench.ask(MeasureImpedance(0, CASE_CONTACT))
    bench.advance(10)
    assert bench.device.state is State.THERAPY


def test_therapy_that_is_asked_for_during_a_boost_comes_after_it(gesture_bench):
    bench = gesture_bench
    hold(bench, 3)
    bench.advance(20)
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(DOSE_SECONDS)
    assert (bench.device.state, delivered(bench)) == (
        State.THERAPY,
        bench.device.active_program.areas[0].amplitude_microamps,
    )


def test_a_boost_beyond_the_doses_of_a_day_leaves_therapy_as_it_is(make_bench):
    model = with_magnet(MagnetAction.NONE, GESTURES)
    limits = msgspec.structs.replace(model.limits, doses_per_day=Figure(1, **ORIGIN))
    bench = make_bench(msgspec.structs.replace(model, limits=limits))
    bench.open()
    boosting(bench)
    hold(bench, 3)
    bench.advance(2 * DOSE_SECONDS)
    assert (bench.device.state, delivered(bench)) == (
        State.THERAPY,
        bench.device.active_program.areas[0].amplitude_microamps,
    )


def test_a_magnet_that_breaks_a_measurement_off_does_not_hide_the_short_it_found(make_bench):
    bench = make_bench(with_magnet(), lead_faults={0: "short"})
    bench.open()
    settle(bench)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(1.5 * bench.model.timing.measure_pair_ms / 1000)
    magnet(bench, True)
    assert bench.device.state is State.FAULT
    bench.device.board.electrodes.mend(0)
    bench.ask(MeasureImpedance(0, CASE_CONTACT))
    bench.advance(1)
    bench.ask(ClearFault(bench.transaction(), FaultCode.SHORT_CIRCUIT))
    assert bench.device.state is State.SUSPENDED
    magnet(bench, False)
    assert bench.device.state is State.IDLE
