"""Doses: an area that has one stops when it is over, and a model may limit how many are begun within a day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.log import LogCode
from ipg_protocol.refusal import SafetyRule

from ipg_emulator.firmware.configuration import Program
from ipg_emulator.firmware.course import Course
from ipg_emulator.firmware.refusal import Refused, unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM
from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

DAY_US = 86_400_000_000


def has_dose(program: Program) -> bool:
    """Whether any area of a program ends by itself."""
    return any(area.dose_seconds for area in program.areas)


class Doses:
    """The doses of the course under way. A dose is time with the output on: what holds the output off prolongs it."""

    def __init__(self, device: Device, timers: Timers) -> None:
        self._device = device
        self._timers = timers
        self._course = Course(0)
        self._ends_us: dict[int, int] = {}
        self._endless = True
        self._over: set[int] = set()
        timers.on(Timer.DOSE, self._dose_over)

    @property
    def is_over(self) -> bool:
        """Whether every area of the course has had its dose."""
        return not self._endless and self._over == self._ends_us.keys()

    # Doses within a day

    def begun_within_a_day(self, now: int) -> int:
        """How many doses were begun within the last 24 hours."""
        return len(self._starts_within_a_day(now))

    def _starts_within_a_day(self, now: int) -> tuple[int, ...]:
        return tuple(at for at in self._device.memory.condition.dose_starts if now - at < DAY_US)

    def check(self, program: Program, now: int) -> None:
        """Refuse to begin a program with a dose when the model's doses of a day are used up."""
        limit = self._device.model.limits.doses_per_day
        if limit is None or not has_dose(program):
            return
        count = self.begun_within_a_day(now)
        if count >= limit.value:
            raise unsafe(SafetyRule.DOSES_PER_DAY, area=WHOLE_PROGRAM, value=count, limit=limit.value)

    def allow(self, program: Program, now: int) -> bool:
        """Whether `check` lets the program be begun."""
        try:
            self.check(program, now)
        except Refused:
            return False
        return True

    # The course under way

    def begin(self, program: Program, course: Course, now: int) -> None:
        """Begin the doses of a program."""
        self._course = course
        self._ends_us = {area.area: area.dose_seconds * 1_000_000 for area in program.areas if area.dose_seconds}
        self._endless = len(self._ends_us) < len(program.areas)
        self._over.clear()
        if self._ends_us:
            memory = self._device.memory
            memory.count("doses")
            if self._device.model.limits.doses_per_day is not None:
                memory.note(dose_starts=(*self._starts_within_a_day(now), now))

    def go_on(self, now: int) -> None:
        """The areas ramp up, all but those that have had their dose."""
        for area in sorted(self._over):
            self._device.delivery.therapy.end_dose(area, now)
        self._await_next(now)

    def hold(self) -> None:
        """The output goes off, or down."""
        self._timers.cancel(Timer.DOSE)

    def _await_next(self, now: int) -> None:
        left = [end for area, end in self._ends_us.items() if area not in self._over]
        if left:
            self._timers.set(Timer.DOSE, now + max(min(left) - self._course.on_time_us(now), 0))

    def _dose_over(self, now: int) -> None:
        on_time_us = self._course.on_time_us(now)
        for area, end in self._ends_us.items():
            if end <= on_time_us and area not in self._over:
                self._over.add(area)
                self._device.log(LogCode.DOSE_OVER, area, now)
        if self.is_over:
            self._device.delivery.doses_over(now)
        else:
            self.go_on(now)
            self._device.delivery.ramps_changed(now)
