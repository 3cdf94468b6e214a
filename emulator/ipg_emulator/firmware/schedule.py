"""The daily schedule: at a row's minute its program is selected and started, and at the row's end it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.therapy import ScheduleRow, StopMode, TherapyCause, WriteSchedule
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import Status

from ipg_emulator.firmware.configuration import Program
from ipg_emulator.firmware.refusal import Refused, out_of_range, unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM
from ipg_emulator.firmware.start import STARTABLE, check_start
from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

MINUTES_PER_DAY = 1440
MINUTE_US = 60_000_000
DAY_US = MINUTES_PER_DAY * MINUTE_US


def check_rows(request: WriteSchedule, most: int, programs: tuple[Program | None, ...]) -> None:
    """Refuse rows that are too many, out of the day, of programs that are not stored, or that overlap."""
    if len(request.rows) > most:
        raise out_of_range(request, "rows", 0, most, value=len(request.rows))
    filled = [slot for slot, program in enumerate(programs) if program is not None]
    for row in request.rows:
        _check_within(request, row.minute_of_day, 0, MINUTES_PER_DAY - 1)
        _check_within(request, row.duration_minutes, 1, MINUTES_PER_DAY)
        if row.program not in filled:
            nearest = min(filled, key=lambda slot: abs(slot - row.program), default=0)
            raise out_of_range(request, "rows", 0, len(programs) - 1, value=row.program, nearest=nearest)
    for earlier_end, later_begin in _overlaps(request.rows):
        raise unsafe(SafetyRule.SCHEDULE_OVERLAP_MINUTES, area=WHOLE_PROGRAM, value=later_begin, limit=earlier_end)


def _check_within(request: WriteSchedule, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise out_of_range(request, "rows", minimum, maximum, value=value)


def _overlaps(rows: tuple[ScheduleRow, ...]) -> Iterator[tuple[int, int]]:
    """Each row that is not over when the next one begins: the minutes of the day at which it ends and the next begins."""
    ordered = sorted(rows, key=lambda row: row.minute_of_day)
    for earlier, later in zip(ordered, [*ordered[1:], *ordered[:1]], strict=True):
        until_next = (later.minute_of_day - earlier.minute_of_day) % MINUTES_PER_DAY
        if len(ordered) > 1 and earlier.duration_minutes > until_next:
            yield (earlier.minute_of_day + earlier.duration_minutes) % MINUTES_PER_DAY, later.minute_of_day


class Schedule:
    """Runs the schedule over one boot, once the clock is set. Rows begin at their minute only, never in their middle."""

    def __init__(self, device: Device, timers: Timers) -> None:
        self._device = device
        self._timers = timers
        timers.on(Timer.SCHEDULE, self._boundary)

    def begin(self, now: int) -> None:
        """At the end of the boot: the therapy of a row that has ended meanwhile stays off."""
        if self._stops_at is not None and self._stops_at <= now:
            self._device.memory.note(therapy_on=False, row_ends_at=None)
        self.plan(now)

    def plan(self, now: int) -> None:
        """Wait for what comes next: a row's beginning, or the end of the one under way."""
        begins = self._next_begin(now)
        at = [time for time in (begins, self._stops_at) if time is not None]
        if at:
            self._timers.set(Timer.SCHEDULE, min(at))
        else:
            self._timers.cancel(Timer.SCHEDULE)

    def clock_changed(self, now: int) -> None:
        """The clock may run at another rate: what is waited for is waited for anew."""
        if self._timers.deadline(Timer.SCHEDULE) is not None:
            self.plan(now)

    def end(self) -> None:
        """Run no more, in shelf mode."""
        self._timers.cancel(Timer.SCHEDULE)

    def let_go(self) -> None:
        """Therapy is being stopped: the row under way does not stop what may be started after."""
        self._device.memory.note(row_ends_at=None)

    @property
    def _stops_at(self) -> int | None:
        return self._device.memory.condition.row_ends_at

    def _next_begin(self, now: int) -> int | None:
        offset, rows = self._device.memory.condition.clock_offset_us, self._device.configuration.schedule
        if offset is None or not rows:
            return None
        clock = self._device.board.clock
        reading = clock.read(now)
        since_midnight = (reading + offset) % DAY_US
        return clock.when(reading + min((row.minute_of_day * MINUTE_US - since_midnight - 1) % DAY_US + 1 for row in rows))

    def _row_beginning(self, now: int) -> ScheduleRow | None:
        offset, rows = self._device.memory.condition.clock_offset_us, self._device.configuration.schedule
        if offset is None:
            return None
        reading, before = self._device.board.clock.read(now), self._device.board.clock.read(now - 1)
        since_midnight = (reading + offset) % DAY_US
        return next((row for row in rows if (since_midnight - row.minute_of_day * MINUTE_US) % DAY_US < reading - before), None)

    def _boundary(self, now: int) -> None:
        row = self._row_beginning(now)
        if row is not None and self._may_begin(row, now):
            self._begin(row, now)
        elif self._stops_at is not None and self._stops_at <= now:
            self._device.delivery.stop(StopMode.RAMP, now, TherapyCause.SCHEDULE)
        self.plan(now)

    def _may_begin(self, row: ScheduleRow, now: int) -> bool:
        """Whether nothing forbids to start the row's program; doses that are used up are logged."""
        try:
            check_start(self._device, row.program, now)
        except Refused as refused:
            if refused.status is Status.UNSAFE_COMBINATION:
                self._device.log(LogCode.DOSE_OVER, WHOLE_PROGRAM, now)
            return False
        return self._device.state in STARTABLE

    def _begin(self, row: ScheduleRow, now: int) -> None:
        device = self._device
        if row.program != device.configuration.active_program:
            device.select(row.program, TherapyCause.SCHEDULE, now)
        device.delivery.start(now, TherapyCause.SCHEDULE)
        device.memory.note(row_ends_at=now + row.duration_minutes * MINUTE_US)
