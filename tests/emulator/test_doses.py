"""Doses: areas that stop by themselves, how many within a day, and the days that a device may be used."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.model import Confidence, Figure, Range, Segment, load
from ipg_protocol import State, Status
from ipg_protocol.commands.link import EnterShelfMode, Reset, SetTime
from ipg_protocol.commands.log import ClearFault, FaultRaised, LogCode, ReadCounters
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT, SelectProgram
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    ScheduleRow,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyFlag,
    TherapyStateChanged,
    WriteSchedule,
)
from ipg_protocol.refusal import FaultDetail, SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import FaultCode

ORIGIN = {"source": "a test", "confidence": Confidence.DESIGN}
DAY = 86_400
WHOLE = 0xFF


def with_doses(*seconds, doses_per_day=None, use_period_days=None):
    """An SCS device whose first program's areas have these doses; the others have none."""
    model = load("scs-rechargeable")
    first, *others = model.programs
    areas = [msgspec.structs.replace(area, dose_seconds=dose) for area, dose in zip(first.areas, seconds, strict=True)]
    limits = {"doses_per_day": doses_per_day, "use_period_days": use_period_days}
    given = {name: Figure(value, **ORIGIN) for name, value in limits.items() if value}
    doses = Range((Segment(1, 3600, 1),), **ORIGIN)
    return msgspec.structs.replace(
        model,
        timing=msgspec.structs.replace(model.timing, session_idle_ms=10**9),
        ranges=msgspec.structs.replace(model.ranges, dose_seconds=doses),
        limits=msgspec.structs.replace(model.limits, **given),
        programs=(msgspec.structs.replace(first, areas=tuple(areas)), *others),
    )


def open_bench(make_bench, model):
    bench = make_bench(model)
    bench.open()
    return bench


@pytest.fixture
def dosed(make_bench):
    """Both areas for a minute."""
    return open_bench(make_bench, with_doses(60, 60))


def start(bench):
    return bench.ask(StartTherapy(bench.transaction()))


def delivered(bench, area=0):
    return bench.ask(ReadTherapy(area)).delivered_microamps


def logged(bench, code):
    return [entry.argument for entry in bench.device.memory.log_entries() if entry.code is code]


# One dose


def test_therapy_ends_by_the_stop_ramp_when_the_dose_is_over(dosed):
    start(dosed)
    dosed.advance(60)
    assert dosed.device.state is State.RAMPING
    dosed.advance(dosed.model.timing.stop_ramp_ms / 1000)
    assert dosed.device.state is State.IDLE
    assert delivered(dosed) == 0
    assert logged(dosed, LogCode.DOSE_OVER) == [0, 1]
    assert logged(dosed, LogCode.THERAPY_STOPPED) == [TherapyCause.DOSE_OVER]
    assert TherapyCause.DOSE_OVER in [event.cause for event in dosed.happened(TherapyStateChanged)]


def test_the_dose_begins_with_the_start(dosed):
    start(dosed)
    dosed.advance(59.9)
    assert dosed.device.state is State.THERAPY


def test_an_area_whose_dose_is_over_rests_while_the_other_goes_on(make_bench):
    bench = open_bench(make_bench, with_doses(30, 90))
    start(bench)
    bench.advance(35)
    assert (delivered(bench, 0), delivered(bench, 1)) == (0, bench.ask(ReadTherapy(1)).programmed_microamps)
    assert TherapyFlag.DOSE_OVER in bench.ask(ReadTherapy(0)).flags
    assert bench.device.state is State.THERAPY
    bench.advance(60)
    assert bench.device.state is State.IDLE
    assert logged(bench, LogCode.DOSE_OVER) == [0, 1]


def test_an_area_without_a_dose_goes_on(make_bench):
    bench = open_bench(make_bench, with_doses(30, 0))
    start(bench)
    bench.advance(3600)
    assert (delivered(bench, 0), bench.device.state) == (0, State.THERAPY)
    assert delivered(bench, 1) > 0


def test_an_area_whose_dose_is_over_stays_so_after_a_measurement(make_bench):
    bench = open_bench(make_bench, with_doses(30, 0))
    start(bench)
    bench.advance(40)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    assert (delivered(bench, 0), delivered(bench, 1) > 0) == (0, True)
    assert logged(bench, LogCode.DOSE_OVER) == [0]


def test_a_measurement_prolongs_the_dose(dosed):
    start(dosed)
    dosed.advance(30)
    took = dosed.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT)).duration_ms / 1000
    assert took > 0.2
    dosed.advance(30 + took - 0.1)
    assert dosed.device.state is State.THERAPY
    dosed.advance(0.2)
    assert dosed.device.state is State.RAMPING


def test_time_under_the_magnet_is_no_dose(dosed):
    start(dosed)
    dosed.advance(30)
    for present in (True, False):
        dosed.device.board.magnet_present = present
        dosed.firmware.board_changed(dosed.now)
        dosed.advance(1000 if present else 29)
    assert dosed.device.state is State.THERAPY
    dosed.advance(2.5)
    assert dosed.device.state is State.IDLE


def test_a_stop_turned_back_goes_on_with_the_dose(dosed):
    start(dosed)
    dosed.advance(40)
    dosed.ask(StopTherapy(StopMode.RAMP))
    dosed.advance(0.5)
    start(dosed)
    dosed.advance(19.4)
    assert dosed.device.state is State.THERAPY
    dosed.advance(2)
    assert dosed.device.state is State.IDLE
    assert dosed.ask(ReadCounters()).doses == 1


def test_each_start_is_a_dose_of_its_own(dosed):
    for _ in range(2):
        start(dosed)
        dosed.advance(59)
        assert dosed.device.state is State.THERAPY
        dosed.advance(10)
        assert dosed.device.state is State.IDLE
    assert dosed.ask(ReadCounters()).doses == 2


def test_a_start_in_the_ramp_that_ends_a_dose_begins_another(dosed):
    start(dosed)
    dosed.advance(60.5)
    start(dosed)
    dosed.advance(50)
    assert dosed.device.state is State.THERAPY
    assert dosed.ask(ReadCounters()).doses == 2


def test_the_counter_does_not_count_a_program_without_a_dose(bench):
    start(bench)
    assert bench.ask(ReadCounters()).doses == 0


# Doses within a day


@pytest.fixture
def limited(make_bench):
    """Two doses of a minute within a day."""
    return open_bench(make_bench, with_doses(60, 60, doses_per_day=2))


def use_up(bench):
    for _ in range(2):
        start(bench)
        bench.advance(70)


def test_more_doses_within_a_day_are_refused(limited):
    use_up(limited)
    refusal = limited.refused(StartTherapy(limited.transaction()))
    assert refusal == (Status.UNSAFE_COMBINATION, SafetyDetail(SafetyRule.DOSES_PER_DAY, WHOLE, 2, 2))
    assert limited.device.state is State.IDLE


def test_a_dose_is_free_again_a_day_after_it_began(limited):
    use_up(limited)
    limited.advance(DAY - 140 - 1)
    assert limited.refused(StartTherapy(limited.transaction()))[0] is Status.UNSAFE_COMBINATION
    limited.advance(1)
    start(limited)
    limited.advance(10)
    limited.ask(StopTherapy(StopMode.IMMEDIATE))
    assert limited.refused(StartTherapy(limited.transaction()))[0] is Status.UNSAFE_COMBINATION


def test_doses_are_remembered_over_a_reset(limited):
    use_up(limited)
    limited.ask(Reset(limited.transaction()))
    limited.advance(1)
    limited.open(nonce=2)
    assert limited.refused(StartTherapy(limited.transaction()))[0] is Status.UNSAFE_COMBINATION


def test_a_start_that_changes_nothing_is_no_dose(limited):
    start(limited)
    limited.advance(70)
    for _ in range(5):
        assert start(limited).state is State.RAMPING
    assert limited.ask(ReadCounters()).doses == 2


def test_without_a_limit_no_history_is_kept(dosed):
    start(dosed)
    assert dosed.device.memory.condition.dose_starts == ()


def test_a_program_without_a_dose_is_not_limited(limited):
    use_up(limited)
    limited.ask(SelectProgram(limited.transaction(), 1))
    start(limited)
    limited.advance(10)
    assert limited.device.state is State.THERAPY


def test_going_over_to_a_program_whose_doses_are_used_up_ends_therapy(limited):
    use_up(limited)
    limited.ask(SelectProgram(limited.transaction(), 1))
    start(limited)
    limited.advance(10)
    limited.ask(SelectProgram(limited.transaction(), 0))
    limited.advance(10)
    assert limited.device.state is State.IDLE
    assert logged(limited, LogCode.THERAPY_STOPPED)[-1] == TherapyCause.COMMAND
    assert limited.device.memory.counters.doses == 2


def test_the_schedule_skips_a_dose_too_many_and_logs_it(limited):
    use_up(limited)
    limited.ask(WriteSchedule(limited.transaction(), (ScheduleRow(480, 60, 0),)))
    limited.ask(SetTime(limited.transaction(), 479 * 60_000))
    limited.advance(120)
    assert limited.device.state is State.IDLE
    assert logged(limited, LogCode.DOSE_OVER)[-1] == WHOLE


def test_the_external_vagus_stimulator_gives_its_doses_of_two_minutes(make_bench):
    bench = make_bench("vns-external")
    most = bench.model.limits.doses_per_day.value
    for number in range(most):
        bench.open(nonce=number)
        start(bench)
        bench.advance(119)
        assert bench.device.state is State.THERAPY
        bench.advance(10)
        assert bench.device.state is State.IDLE
    bench.open(nonce=most)
    status, detail = bench.refused(StartTherapy(bench.transaction()))
    assert (status, detail) == (Status.UNSAFE_COMBINATION, SafetyDetail(SafetyRule.DOSES_PER_DAY, WHOLE, most, most))


# Use period


@pytest.fixture
def temporary(make_bench):
    """May be used for three days."""
    return open_bench(make_bench, with_doses(0, 0, use_period_days=3))


def test_when_the_use_period_is_over_a_fault_is_latched_for_good(temporary):
    temporary.advance(5 * DAY)
    start(temporary)
    temporary.advance(3 * DAY - 1)
    assert temporary.device.state is State.THERAPY
    temporary.advance(1)
    assert (temporary.device.state, delivered(temporary)) == (State.FAULT, 0)
    assert temporary.happened(FaultRaised) == [FaultRaised(FaultCode.USE_PERIOD_OVER, WHOLE, 3)]
    latched = (Status.FAULT_LATCHED, FaultDetail(FaultCode.USE_PERIOD_OVER))
    assert temporary.refused(ClearFault(temporary.transaction(), FaultCode.USE_PERIOD_OVER)) == latched
    assert temporary.refused(StartTherapy(temporary.transaction())) == latched


def test_the_use_period_runs_on_without_therapy_and_over_a_reset(temporary):
    start(temporary)
    temporary.ask(StopTherapy(StopMode.IMMEDIATE))
    temporary.advance(2 * DAY)
    temporary.ask(Reset(temporary.transaction()))
    temporary.advance(DAY - 1)
    assert temporary.device.state is State.IDLE
    temporary.advance(1)
    assert temporary.device.state is State.FAULT


def test_a_use_period_that_ends_in_shelf_mode_is_found_over_after_it(temporary):
    start(temporary)
    temporary.ask(StopTherapy(StopMode.IMMEDIATE))
    temporary.ask(EnterShelfMode(temporary.transaction()))
    temporary.advance(4 * DAY)
    assert temporary.device.state is State.SHELF
    temporary.ask(Reset(temporary.transaction()))
    temporary.advance(1)
    assert temporary.device.state is State.FAULT
    raised = temporary.device.memory.log_entries()[-1]
    assert (raised.code, raised.uptime_ms) == (LogCode.FAULT_RAISED, temporary.model.timing.boot_ms)


def test_without_a_start_the_use_period_does_not_begin(temporary):
    temporary.advance(10 * DAY)
    assert start(temporary).state is State.RAMPING


@pytest.mark.parametrize(("model", "days"), [("scs-trial", 30), ("pns-percutaneous", 60)])
def test_the_temporary_stimulators_have_their_published_periods(make_bench, model, days):
    bench = make_bench(model)
    bench.open()
    start(bench)
    bench.advance(days * DAY - 1)
    assert bench.device.memory.latched_faults == []
    bench.advance(1)
    assert bench.device.memory.latched_faults == [FaultCode.USE_PERIOD_OVER]


def test_a_dose_that_ran_out_in_a_stop_ramp_that_was_turned_back_ends_therapy_from_then_on(dosed):
    stop_ramp_us = dosed.model.timing.stop_ramp_ms * 1000
    dosed.ask(StartTherapy(dosed.transaction()))
    dosed.advance(60 - stop_ramp_us / 4_000_000)
    dosed.ask(StopTherapy(StopMode.RAMP))
    dosed.advance(stop_ramp_us / 2_000_000)
    ended_at = []
    dosed.firmware.observers.append(lambda _, now: ended_at.append(now))
    turned_back_at = dosed.now
    dosed.ask(StartTherapy(dosed.transaction()))
    dosed.advance(10)
    assert dosed.device.state is State.IDLE
    assert ended_at == [turned_back_at + stop_ramp_us]
