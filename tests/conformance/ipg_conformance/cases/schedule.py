"""REQ-SCH: the daily schedule: writing, reading, and what it starts and stops by the clock."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability, FactoryReset, SetTime
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import EraseProgram
from ipg_protocol.commands.therapy import (
    ReadSchedule,
    ScheduleRow,
    StopMode,
    StopTherapy,
    TherapyCause,
    WriteSchedule,
)
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.doses import causes, early_seconds, ending_causes
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.programs import WHOLE_PROGRAM, slots
from ipg_conformance.cases.therapy import stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.samples import UNIX_MILLISECONDS, rows_of

DAY_MS = 86_400_000
MINUTE_MS = 60_000
ROWS_FIELD = 1
MARGIN_SECONDS = 1.5
LAST_MINUTE = 1439


def with_program(device: Device) -> int:
    """How many rows fit, on a device with a typical program in the cases' slot."""
    device.need(ReadSchedule, WriteSchedule)
    device.write_program(device.typical())
    return device.capabilities.limit(Capability.SCHEDULE_ROWS)


def rows(device: Device) -> tuple[ScheduleRow, ...]:
    return device.ask(ReadSchedule()).rows


@case("SCH/WRITE/BV-01", "REQ-SCH-001", "REQ-SCH-002", "REQ-CMD-009", "REQ-LOG-002")
def schedule_reads_by_time_of_day(device: Device) -> None:
    """As many rows as fit, written in any order, read by time of day, with the new revision; the number is logged."""
    most = with_program(device)
    minutes = [1439 - 7 * index for index in range(most)]
    newest, revision = device.ask(LogInfo()).newest, device.status().revision
    answer = device.ask(WriteSchedule(NEXT, rows_of(device, *minutes)))
    expect("the revision", answer.revision, revision + 1)
    expect("the rows", rows(device), rows_of(device, *sorted(minutes)))
    entries = [(entry.code, entry.argument) for entry in entries_from(device, newest + 1)]
    expect_that(f"{most} rows are logged", (LogCode.SCHEDULE_WRITTEN, most) in entries, entries)


@case("SCH/WRITE/BV-02", "REQ-SCH-001")
def schedule_is_replaced_whole(device: Device) -> None:
    """A second schedule leaves nothing of the first, and one without rows leaves nothing at all."""
    with_program(device)
    for minutes in ((100,), (200,), ()):
        device.ask(WriteSchedule(NEXT, rows_of(device, *minutes)))
        expect(f"the rows after writing {minutes}", rows(device), rows_of(device, *minutes))


@case("SCH/WRITE/BV-03", "REQ-SCH-001", "REQ-RST-001", "REQ-RST-004")
def schedule_outlives_a_reset(device: Device) -> None:
    """RESET keeps the schedule; FACTORY_RESET empties it."""
    with_program(device)
    device.ask(WriteSchedule(NEXT, rows_of(device, 300)))
    device.restart()
    expect("the rows after RESET", rows(device), rows_of(device, 300))
    device.ask(FactoryReset(NEXT))
    expect("the rows after FACTORY_RESET", rows(device), ())


@case("SCH/ERASE/BV-01", "REQ-SCH-001", "REQ-CMD-009", "REQ-PRG-010")
def erased_program_takes_its_rows_along(device: Device) -> None:
    """ERASE_PROGRAM empties the schedule of the program's rows, and raises the revision by one in all."""
    with_program(device)
    device.ask(WriteSchedule(NEXT, rows_of(device, 300)))
    revision = device.status().revision
    device.ask(EraseProgram(NEXT, device.program))
    expect("the rows", rows(device), ())
    expect("the revision", device.status().revision, revision + 1)


def expect_refused(device: Device, what: str, schedule: Sequence[ScheduleRow], status: Status, **detail: object) -> None:
    before = device.snapshot()
    expect_refusal(what, device.request(WriteSchedule(NEXT, tuple(schedule))), status, **detail)
    expect("programs, schedule and revision", device.snapshot(), before)


@case("SCH/WRITE/BI-01", "REQ-SCH-002", "REQ-CMD-006", "REQ-CMD-007")
def rows_out_of_range(device: Device) -> None:
    """Too many rows, a minute beyond the day, and a duration of nothing or more than a day are refused OUT_OF_RANGE."""
    most = with_program(device)
    program = device.program
    wrong = {
        "too many rows": rows_of(device, *range(0, 5 * (most + 1), 5)),
        "minute 1440": [ScheduleRow(1440, 1, program)],
        "a duration of 0": [ScheduleRow(0, 0, program)],
        "a duration of 1441 minutes": [ScheduleRow(0, 1441, program)],
    }
    for what, schedule in wrong.items():
        expect_refused(device, what, schedule, Status.OUT_OF_RANGE, field=ROWS_FIELD)
    device.ask(WriteSchedule(NEXT, (ScheduleRow(0, 1440, program),)))


@case("SCH/WRITE/BI-02", "REQ-SCH-002", "REQ-CMD-006")
def row_of_no_program(device: Device) -> None:
    """A row for a slot that is empty or not there is refused OUT_OF_RANGE."""
    with_program(device)
    for program in (slots(device), 0xFF):
        expect_refused(device, f"slot {program}", [ScheduleRow(0, 1, program)], Status.OUT_OF_RANGE, field=ROWS_FIELD)
    device.ask(EraseProgram(NEXT, device.program))
    expect_refused(device, "an empty slot", rows_of(device, 0), Status.OUT_OF_RANGE, field=ROWS_FIELD)


@case("SCH/WRITE/BI-03", "REQ-SCH-002", "REQ-CMD-006")
def rows_that_overlap(device: Device) -> None:
    """Rows that overlap, also over midnight, are refused SCHEDULE_OVERLAP; rows that meet are taken."""
    if with_program(device) < 2:
        raise NotApplicable("the schedule has one row")
    program = device.program
    rule = SafetyRule.SCHEDULE_OVERLAP_MINUTES
    overlapping = [ScheduleRow(600, 10, program), ScheduleRow(609, 10, program)]
    detail = {"rule": rule, "area": WHOLE_PROGRAM, "value": 609, "limit": 610}
    expect_refused(device, "1 minute in common", overlapping, Status.UNSAFE_COMBINATION, **detail)
    midnight = [ScheduleRow(0, 10, program), ScheduleRow(1439, 2, program)]
    expect_refused(device, "over midnight", midnight, Status.UNSAFE_COMBINATION, rule=rule, area=WHOLE_PROGRAM)
    meeting = (ScheduleRow(0, 10, program), ScheduleRow(10, 10, program), ScheduleRow(1439, 1, program))[: with_program(device)]
    device.ask(WriteSchedule(NEXT, meeting))


def set_clock_before(device: Device, minute: int, seconds: int) -> None:
    """Set the clock to so many seconds before a minute of some day."""
    midnight = UNIX_MILLISECONDS - UNIX_MILLISECONDS % DAY_MS
    device.ask(SetTime(NEXT, midnight + minute * MINUTE_MS - seconds * 1000))


@case("SCH/RUN/BV-01", "REQ-SCH-003", profile=Profile.FULL)
def schedule_starts_and_stops(device: Device) -> None:
    """At its minute a row selects and starts its program, and after its duration stops it, both with the cause SCHEDULE."""
    with_program(device)
    ramp_seconds = device.typical().ramp_seconds
    minutes = (ramp_seconds + stop_ramp_seconds(device)) // 60 + 1
    if minutes * 60 + 4 > device.patience_seconds:
        raise NotApplicable(f"it would take {minutes} minutes")
    device.ask(WriteSchedule(NEXT, (ScheduleRow(600, int(minutes), device.program),)))
    early = ceil(early_seconds(device))
    set_clock_before(device, 600, 1 + early)
    device.rest(1)
    expect(f"the state {early} s before", device.status().state, State.IDLE)
    device.wait_for_state(lambda state: state in (State.RAMPING, State.THERAPY), early + MARGIN_SECONDS)
    expect("the active program", device.status().active_program, device.program)
    device.catch_up(0.05)
    expect("the cause of the start", causes(device, State.RAMPING)[:1], [TherapyCause.SCHEDULE])
    device.tester.events.clear()
    device.rest(minutes * 60 - 2 * MARGIN_SECONDS)
    expect_that("therapy goes on", device.status().state in (State.RAMPING, State.THERAPY), device.status())
    device.wait_for_state(lambda state: state is State.IDLE, 3 * MARGIN_SECONDS + stop_ramp_seconds(device))
    device.catch_up(0.05)
    expect_that("the schedule ended it", TherapyCause.SCHEDULE in ending_causes(device), ending_causes(device))
    if stop_ramp_seconds(device):
        expect("the cause of the stop ramp", causes(device, State.RAMPING), [TherapyCause.SCHEDULE])


@case("SCH/RUN/BV-03", "REQ-SCH-003", "REQ-CMD-009", profile=Profile.FULL)
def row_selects_its_program(device: Device) -> None:
    """A row, here one over midnight, selects its program, in one revision; the next time, when it is active, that stays."""
    with_program(device)
    device.write_program(device.typical(), program=device.other_program)
    device.ask(WriteSchedule(NEXT, (ScheduleRow(LAST_MINUTE, 60, device.program),)))
    revision = device.status().revision
    for _ in range(2):
        set_clock_before(device, LAST_MINUTE, 1)
        device.wait_for_state(lambda state: state in (State.RAMPING, State.THERAPY), 1 + MARGIN_SECONDS)
        status = device.status()
        expect("selection and revision", (status.active_program, status.revision), (device.program, revision + 1))
        device.ask(StopTherapy(StopMode.IMMEDIATE))


@case("SCH/RUN/BV-02", "REQ-SCH-003", "REQ-THR-002", profile=Profile.FULL)
def stop_holds_within_a_row(device: Device) -> None:
    """STOP_THERAPY in the middle of a row holds."""
    with_program(device)
    device.ask(WriteSchedule(NEXT, (ScheduleRow(600, 60, device.program),)))
    set_clock_before(device, 600, 1)
    device.wait_for_state(lambda state: state in (State.RAMPING, State.THERAPY), 1 + MARGIN_SECONDS)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.rest(3)
    expect("the state 3 s after STOP", device.status().state, State.IDLE)
