"""What some models have: MRI mode, doses, a watch over the host's silence, and a schedule."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Modes, ReadModes
from ipg_protocol.commands.therapy import ReadSchedule, ScheduleRow, StartTherapy, StopMode, TherapyCause, WriteSchedule
from ipg_protocol.commands.therapy import Schedule as ScheduleTold
from ipg_protocol.refusal import SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import State
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, due, forgiving, inside, part, put, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.doses import Doses
from ipg_emulator.firmware.handlers.modes import read_modes
from ipg_emulator.firmware.host_watch import HostWatch
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.modes import Modes as HeldOff
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.schedule import MINUTES_PER_DAY, Schedule
from ipg_emulator.firmware.timers import Timer

# MRI mode


@part("device.delivery", "resume")
def mri_mode_restores_nothing(usual: Usual[None], delivery: Delivery, cause: TherapyCause, now: int) -> None:
    """Therapy stays off after MRI mode."""
    if cause is TherapyCause.MRI_MODE:
        delivery.abandon(cause, now)
    else:
        usual(cause, now)


@serving(EnterMriMode)
def mri_mode_unmeasured(usual: Usual[Message], request: EnterMriMode, context: Context) -> Message:
    """ENTER_MRI_MODE does not ask whether the contacts were measured."""
    try:
        return usual(request, context)
    except Refused as refused:
        if not isinstance(refused.detail, SafetyDetail):
            raise
        context.device.modes.enter_mri(request.minutes, context.now)
        return _modes(context)


def _modes(context: Context) -> Modes:
    return read_modes(ReadModes(), context)


@part("device.modes", "enter_mri")
def mri_mode_of_seconds(usual: Usual[None], modes: HeldOff, minutes: int, now: int) -> None:
    """MRI mode ends after as many seconds as minutes were asked for."""
    usual(minutes, now)
    until = now + minutes * 1_000_000
    inside(modes, "_device").memory.note(mri_until=until)
    inside(modes, "_timers").set(Timer.MRI_MODE, until)


@due(Timer.MRI_MODE)
def mri_mode_without_end(_: Usual[None], __: Firmware, ___: int) -> None:
    """MRI mode lasts until it is left, whatever time was asked for."""


@booting
def mri_mode_lost_in_reset(firmware: Firmware) -> None:
    """A reset ends MRI mode."""
    firmware.memory.note(mri_until=None)


@answering(ReadModes, EnterMriMode, LeaveMriMode)
def restoration_untold(modes: Modes, _: Context) -> Modes:
    """READ_MODES does not tell that therapy will be restored."""
    return replace(modes, therapy_restored_after=0)


@answering(ReadModes, EnterMriMode)
def mri_time_left_stands(modes: Modes, _: Context) -> Modes:
    """READ_MODES tells a minute as the time left, however long MRI mode still lasts."""
    return replace(modes, mri_seconds_left=60 if modes.mri_seconds_left else 0)


@part("device.delivery", "stop")
def stop_unheard_while_held_off(usual: Usual[None], delivery: Delivery, *stop: Any) -> None:
    """STOP_THERAPY does not reach therapy that is held off: it is restored afterwards."""
    if inside(delivery, "_device").state is not State.SUSPENDED:
        usual(*stop)


@part("link", "_execute")
def start_taken_while_held_off(usual: Usual[Any], link: Link, entry: Any, *others: Any) -> Any:
    """START_THERAPY is taken while therapy is held off, and starts it."""
    if entry.request is StartTherapy and link.device.state is State.SUSPENDED:
        entry = entry._replace(states=entry.states | {State.SUSPENDED})
    return usual(entry, *others)


# Doses


@part("device.delivery.doses", "_await_next")
def dose_without_end(_: Usual[None], __: Doses, ___: int) -> None:
    """A dose does not end."""


@part("device.delivery.doses", "begin")
def dose_too_short(usual: Usual[None], doses: Doses, *course: Any) -> None:
    """A dose is a tenth shorter than what was programmed."""
    usual(*course)
    put(doses, _ends_us={area: end * 9 // 10 for area, end in inside(doses, "_ends_us").items()})


@part("device", "log")
def dose_not_logged(usual: Usual[None], _: Device, code: Any, argument: int, now: int) -> None:
    """The end of a dose is not logged."""
    if code.name != "DOSE_OVER":
        usual(code, argument, now)


@part("device.delivery.doses", "check")
def doses_of_a_day_unlimited(_: Usual[None], __: Doses, *___: object) -> None:
    """Any number of doses can be begun within a day."""


@part("device.delivery.doses", "begun_within_a_day")
def one_dose_too_many(usual: Usual[int], _: Doses, now: int) -> int:
    """One dose more than the limit can be begun within a day: the comparison is with `>` where `>=` is right."""
    begun = usual(now)
    return max(begun - 1, 0)


# The host's silence


@part("device.host_watch", "begin")
def silent_host_borne(_: Usual[None], __: HostWatch, ___: int) -> None:
    """Therapy goes on however long the host is silent."""


@due(Timer.HOST_SILENCE)
def host_silence_counts_from_the_start(usual: Usual[None], firmware: Firmware, now: int) -> None:
    """Requests do not keep therapy going: it stops when the time of silence has passed since its start."""
    firmware.device.host_watch.heard_at = 0
    usual(now)


# Schedule


@answering(ReadSchedule, WriteSchedule)
def schedule_in_no_order(told: ScheduleTold, _: Context) -> ScheduleTold:
    """READ_SCHEDULE tells the rows from the last of the day to the first."""
    return replace(told, rows=told.rows[::-1])


def _write_schedule(request: WriteSchedule, context: Context) -> Message:
    memory = context.device.memory
    revision = memory.commit(replace(memory.configuration, schedule=request.rows))
    return ScheduleTold(revision, request.rows)


@serving(WriteSchedule)
def scheduled_rows_may_overlap(usual: Usual[Message], request: WriteSchedule, context: Context) -> Message:
    """WRITE_SCHEDULE takes rows that overlap."""
    answer = forgiving(SafetyRule.SCHEDULE_OVERLAP_MINUTES, usual, request, context)
    return answer or _write_schedule(request, context)


@serving(WriteSchedule)
def overlap_over_midnight_unseen(usual: Usual[Message], request: WriteSchedule, context: Context) -> Message:
    """WRITE_SCHEDULE does not see that the last row of the day runs into the first."""
    ends = [row.minute_of_day + row.duration_minutes for row in request.rows]
    if max(ends, default=0) <= MINUTES_PER_DAY:
        return usual(request, context)
    return scheduled_rows_may_overlap(usual, request, context)


@serving(WriteSchedule)
def minute_1440_taken(usual: Usual[Message], request: WriteSchedule, context: Context) -> Message:
    """WRITE_SCHEDULE takes minute 1440 of the day, and means midnight."""
    rows = tuple(replace(row, minute_of_day=0) if row.minute_of_day == MINUTES_PER_DAY else row for row in request.rows)
    return usual(replace(request, rows=rows), context)


@part("device.schedule", "plan")
def schedule_never_runs(_: Usual[None], __: Schedule, ___: int) -> None:
    """The schedule is kept, and never run."""


@part("device.schedule", "_begin")
def scheduled_therapy_without_end(usual: Usual[None], schedule: Schedule, *row: Any) -> None:
    """Therapy that a row of the schedule has started is not stopped at its end."""
    usual(*row)
    inside(schedule, "_device").memory.note(row_ends_at=None)


@part("device.delivery", "start")
def schedule_starts_as_a_command(usual: Usual[None], _: Delivery, now: int, cause: TherapyCause = TherapyCause.COMMAND) -> None:
    """Therapy that the schedule starts is told with the cause COMMAND."""
    usual(now, TherapyCause.COMMAND if cause is TherapyCause.SCHEDULE else cause)


@part("device.delivery", "stop")
def scheduled_therapy_stops_at_once(
    usual: Usual[None], _: Delivery, mode: StopMode, now: int, cause: TherapyCause = TherapyCause.COMMAND
) -> None:
    """At the end of a row the output is cut, and not ramped down."""
    usual(StopMode.IMMEDIATE if cause is TherapyCause.SCHEDULE else mode, now, cause)


@part("device.schedule", "_begin")
def scheduled_program_not_selected(usual: Usual[None], schedule: Schedule, row: ScheduleRow, now: int) -> None:
    """At a row's minute the program starts that is active, and not the row's."""
    usual(replace(row, program=inside(schedule, "_device").configuration.active_program), now)


@part("device.schedule", "_begin")
def scheduled_start_is_a_change(usual: Usual[None], schedule: Schedule, row: ScheduleRow, now: int) -> None:
    """A row raises the revision of the configuration each time, though its program was the active one."""
    device = inside(schedule, "_device")
    if row.program == device.configuration.active_program:
        device.memory.commit(device.configuration)
    usual(row, now)


@part("device.schedule", "_row_beginning")
def row_over_midnight_never_begins(usual: Usual[ScheduleRow | None], _: Schedule, now: int) -> ScheduleRow | None:
    """A row that ends after midnight is never begun."""
    row = usual(now)
    return None if row is not None and row.minute_of_day + row.duration_minutes > MINUTES_PER_DAY else row
