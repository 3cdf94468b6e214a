"""The daily schedule: its rows and their rules, and what it starts and stops."""

from __future__ import annotations

import pytest
from ipg_emulator.model import load
from ipg_protocol import State, Status
from ipg_protocol.commands.link import EnterShelfMode, FactoryReset, GetStatus, Reset, SetTime
from ipg_protocol.commands.log import LogCode, ReadLog
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT, EraseProgram, ReadProgram
from ipg_protocol.commands.therapy import (
    ReadSchedule,
    Schedule,
    ScheduleRow,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
    WriteSchedule,
)
from ipg_protocol.refusal import RangeDetail, SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import FaultCode

DAY = 86_400
ROWS_FIELD = 1
MOST_ROWS = load("scs-rechargeable").schedule_rows
WHOLE = 0xFF
MORNING, EVENING = ScheduleRow(8 * 60, 60, 1), ScheduleRow(20 * 60, 30, 2)


def write(bench, *rows):
    return bench.ask(WriteSchedule(bench.transaction(), rows))


def set_clock(bench, minute, second=0, day=20_000):
    bench.ask(SetTime(bench.transaction(), ((day * 1440 + minute) * 60 + second) * 1000))


def until(bench, minutes, seconds=0):
    """Let time pass, and open a session again."""
    bench.advance(minutes * 60 + seconds)
    bench.open(nonce=bench.transaction())


def logged(bench, code):
    return [entry.argument for entry in bench.device.memory.log_entries() if entry.code is code]


# Rows


def test_rows_come_back_by_time_of_day_and_raise_the_revision_by_one(bench):
    before = bench.device.configuration.revision
    written = write(bench, EVENING, MORNING)
    assert written == Schedule(before + 1, (MORNING, EVENING)) == bench.ask(ReadSchedule())
    assert logged(bench, LogCode.SCHEDULE_WRITTEN) == [2]


def test_an_empty_schedule_ends_it(bench):
    write(bench, MORNING)
    write(bench)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 2)
    assert bench.device.state is State.IDLE


def test_a_schedule_outlives_a_reset_but_not_a_factory_reset(bench):
    write(bench, MORNING)
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    bench.open(nonce=2)
    assert bench.ask(ReadSchedule()).rows == (MORNING,)
    bench.ask(FactoryReset(bench.transaction()))
    assert bench.ask(ReadSchedule()).rows == ()


def test_too_many_rows_are_refused(bench):
    rows = tuple(ScheduleRow(60 * hour, 1, 0) for hour in range(MOST_ROWS + 1))
    refusal = bench.refused(WriteSchedule(bench.transaction(), rows))
    assert refusal == (Status.OUT_OF_RANGE, RangeDetail(ROWS_FIELD, 0, MOST_ROWS, 1, MOST_ROWS))
    assert len(write(bench, *rows[:-1]).rows) == MOST_ROWS


@pytest.mark.parametrize(
    ("row", "minimum", "maximum", "nearest"),
    [
        (ScheduleRow(1440, 1, 0), 0, 1439, 1439),
        (ScheduleRow(0, 0, 0), 1, 1440, 1),
        (ScheduleRow(0, 1441, 0), 1, 1440, 1440),
        (ScheduleRow(0, 1, 5), 0, 7, 2),
        (ScheduleRow(0, 1, 255), 0, 7, 2),
    ],
)
def test_a_row_that_cannot_be_is_refused(bench, row, minimum, maximum, nearest):
    status, detail = bench.refused(WriteSchedule(bench.transaction(), (row,)))
    assert (status, detail) == (Status.OUT_OF_RANGE, RangeDetail(ROWS_FIELD, minimum, maximum, 1, nearest))
    assert bench.ask(ReadSchedule()).rows == ()


@pytest.mark.parametrize(
    ("rows", "later", "end"),
    [
        ((ScheduleRow(100, 61, 0), ScheduleRow(160, 10, 1)), 160, 161),
        ((ScheduleRow(160, 10, 1), ScheduleRow(100, 61, 0)), 160, 161),
        ((ScheduleRow(1400, 60, 0), ScheduleRow(10, 10, 1)), 10, 20),
        ((ScheduleRow(100, 1440, 0), ScheduleRow(160, 10, 1)), 160, 100),
        ((ScheduleRow(100, 10, 0), ScheduleRow(100, 10, 1)), 100, 110),
    ],
)
def test_rows_that_overlap_are_refused(bench, rows, later, end):
    status, detail = bench.refused(WriteSchedule(bench.transaction(), rows))
    assert status is Status.UNSAFE_COMBINATION
    assert detail == SafetyDetail(SafetyRule.SCHEDULE_OVERLAP_MINUTES, WHOLE, later, end)


@pytest.mark.parametrize(
    "rows",
    [
        (ScheduleRow(100, 60, 0), ScheduleRow(160, 10, 1)),
        (ScheduleRow(1400, 50, 0), ScheduleRow(10, 10, 1)),
        (ScheduleRow(0, 1440, 0),),
    ],
)
def test_rows_may_touch(bench, rows):
    assert len(write(bench, *rows).rows) == len(rows)


def test_an_erased_program_takes_its_rows_with_it(bench):
    write(bench, MORNING, EVENING)
    revision = bench.device.configuration.revision
    bench.ask(EraseProgram(bench.transaction(), MORNING.program))
    assert bench.ask(ReadSchedule()) == Schedule(revision + 1, (EVENING,))


# Running


def test_a_row_starts_its_program_at_its_minute_and_stops_it_at_its_end(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59, 59)
    bench.advance(0.9)
    assert bench.device.state is State.IDLE
    bench.advance(0.2)
    assert bench.device.state is State.RAMPING
    assert bench.ask(GetStatus()).active_program == MORNING.program
    until(bench, 59, 58)
    assert bench.device.state is State.THERAPY
    until(bench, 0, 5)
    assert bench.device.state is State.IDLE
    causes = {(e.previous, e.state): e.cause for e in bench.happened(TherapyStateChanged)}
    assert causes[State.IDLE, State.RAMPING] is TherapyCause.SCHEDULE
    assert causes[State.THERAPY, State.RAMPING] is TherapyCause.SCHEDULE
    assert logged(bench, LogCode.THERAPY_STOPPED) == [TherapyCause.SCHEDULE]


def test_a_row_of_the_program_already_active_leaves_the_revision(bench):
    write(bench, ScheduleRow(480, 10, 0), ScheduleRow(500, 10, 1))
    set_clock(bench, 479)
    revision = bench.device.configuration.revision
    until(bench, 5)
    assert (bench.device.state, bench.device.configuration.revision) == (State.THERAPY, revision)
    until(bench, 20)
    assert bench.device.configuration.revision == revision + 1


def test_rows_come_again_each_day(bench):
    write(bench, MORNING, EVENING)
    set_clock(bench, 0)
    bench.advance(3 * DAY)
    assert logged(bench, LogCode.THERAPY_STARTED) == [1, 2] * 3
    assert bench.device.memory.counters.therapy_seconds == pytest.approx(3 * 90 * 60, abs=3 * 2 * 2)


def test_nothing_runs_before_the_clock_is_set(bench):
    write(bench, ScheduleRow(1, 10, 0))
    bench.advance(DAY)
    assert bench.device.state is State.IDLE
    assert bench.device.memory.counters.therapy_starts == 0


def test_the_clock_set_later_plans_the_rows_anew(bench):
    write(bench, MORNING)
    set_clock(bench, 12 * 60)
    set_clock(bench, 7 * 60 + 50)
    until(bench, 11)
    assert bench.device.configuration.active_program == MORNING.program
    assert bench.device.state is State.THERAPY


def test_the_schedule_goes_on_after_a_reset(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 50)
    bench.ask(Reset(bench.transaction()))
    until(bench, 11)
    assert bench.device.state is State.THERAPY


def test_a_clock_set_into_a_row_does_not_start_it(bench):
    write(bench, MORNING)
    set_clock(bench, 8 * 60 + 10)
    until(bench, 10)
    assert bench.device.state is State.IDLE


def test_a_clock_set_back_does_not_lengthen_the_row_under_way(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 2)
    set_clock(bench, 1, day=10_000)
    until(bench, 61)
    assert bench.device.state is State.IDLE


def test_a_stop_holds_until_the_next_row(bench):
    write(bench, MORNING, EVENING)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 10)
    bench.ask(StopTherapy(StopMode.RAMP))
    until(bench, 30)
    assert bench.device.state is State.IDLE
    set_clock(bench, 20 * 60 - 1)
    until(bench, 2)
    assert bench.device.state is State.THERAPY


def test_what_is_started_by_hand_within_a_row_outlasts_it(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 10)
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.ask(StartTherapy(bench.transaction()))
    until(bench, 70)
    assert bench.device.state is State.THERAPY


def test_a_row_takes_over_what_runs_and_stops_it(bench):
    bench.ask(StartTherapy(bench.transaction()))
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 2)
    first = bench.ask(ReadProgram(MORNING.program, 0)).settings
    assert bench.device.delivery.therapy.report(first, bench.now).programmed_microamps == first.amplitude_microamps
    until(bench, 60)
    assert bench.device.state is State.IDLE


def test_a_row_that_follows_at_once_goes_over_without_a_stop(bench):
    write(bench, ScheduleRow(480, 60, 1), ScheduleRow(540, 60, 2))
    set_clock(bench, 8 * 60 + 59 - 60)
    until(bench, 59)
    assert bench.device.state is State.THERAPY
    events = []
    bench.firmware.observers.append(lambda event, _: events.append(event))
    until(bench, 2, 10)
    states = [event.state for event in events if isinstance(event, TherapyStateChanged)]
    assert states == [State.RAMPING, State.THERAPY]
    assert bench.device.configuration.active_program == 2
    until(bench, 60)
    assert bench.device.state is State.IDLE


def test_a_row_waits_for_a_measurement_that_is_under_way(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59, 59)
    bench.advance(0.9)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(0.15)
    assert bench.device.state is State.MEASURING
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    until(bench, 60)
    assert bench.device.state is State.IDLE


def test_a_row_is_skipped_while_a_fault_is_latched(bench):
    write(bench, MORNING)
    bench.device.latch(FaultCode.OUTPUT_STAGE, 255, 0, bench.now)
    bench.device.delivery.abandon(TherapyCause.FAULT, bench.now)
    set_clock(bench, 7 * 60 + 59)
    until(bench, 2)
    assert bench.device.state is State.FAULT
    assert bench.device.configuration.active_program == 0


def test_a_row_is_skipped_while_a_magnet_holds_therapy_off(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59)
    bench.device.board.magnet_present = True
    bench.firmware.board_changed(bench.now)
    until(bench, 2)
    bench.device.board.magnet_present = False
    bench.firmware.board_changed(bench.now)
    until(bench, 1)
    assert bench.device.state is State.IDLE


def test_nothing_runs_in_shelf_mode(bench):
    write(bench, MORNING)
    set_clock(bench, 7 * 60 + 59)
    bench.ask(EnterShelfMode(bench.transaction()))
    bench.advance(120)
    assert bench.device.state is State.SHELF


def test_a_schedule_run_for_weeks_without_a_host_leaves_a_log_that_can_be_read(make_bench):
    bench = make_bench("pns-percutaneous")
    bench.open()
    write(bench, ScheduleRow(8 * 60, 120, 0))
    set_clock(bench, 0)
    until(bench, 28 * 1440)
    entries, cursor = [], 0
    while page := bench.ask(ReadLog(cursor)).rows:
        entries += page
        cursor = page[-1].number + 1
    silences = [entry.argument for entry in entries if entry.code is LogCode.HOST_SILENT]
    assert len(silences) == 28
    assert silences[-1] == 2**31 - 1
