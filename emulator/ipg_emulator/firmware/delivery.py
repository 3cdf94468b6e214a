"""Delivery: starts, adjusts, suspends and ends therapy, and measures in between. It decides what the output does, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.measurement import ImpedanceVerdict, MeasurementDone
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import StopMode, TherapyCause
from ipg_protocol.vocabulary import FaultCode, State

from ipg_emulator.firmware.configuration import Program
from ipg_emulator.firmware.course import Course
from ipg_emulator.firmware.doses import Doses, has_dose
from ipg_emulator.firmware.measurement import Measurement, Measurements
from ipg_emulator.firmware.start import may_start
from ipg_emulator.firmware.states import Trigger
from ipg_emulator.firmware.therapy import Goal, Therapy
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.model import AfterReset

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device


class Delivery:
    """The therapy of one boot, and the measurements that suspend it."""

    def __init__(self, device: Device, timers: Timers, now: int) -> None:
        model, board = device.model, device.board
        self.therapy: Therapy = Therapy(board.output, model, now)
        self.measurements = Measurements(board.electrodes, model.impedance)
        self.pair_us = model.timing.measure_pair_ms * 1000
        self.doses = Doses(device, timers)
        self._device = device
        self._timers = timers
        self._limited: set[int] = set()
        self._course: Course | None = None
        self._boost: int | None = None
        self._goes_back = False
        self._will_resume = False
        self._cause = TherapyCause.COMMAND
        timers.on(Timer.RAMP, self._ramp_finished)
        timers.on(Timer.MEASUREMENT, self._pair_measured)

    @property
    def will_resume(self) -> bool:
        """Whether therapy, which is held off, goes on by itself afterwards."""
        return self._will_resume

    @property
    def is_using_active_program(self) -> bool:
        """Whether therapy runs, or will run on after what suspends it."""
        return self.therapy.is_on or self._will_resume

    def is_using(self, number: int) -> bool:
        """Whether therapy runs, or will run on, with a program: the active one, or the one that a magnet has boosted."""
        return self.is_using_active_program and number in (self._device.configuration.active_program, self.program_number)

    # Start and change

    @property
    def program_number(self) -> int:
        """The program that is, or would be, delivered: the active one, or the one that a magnet has boosted."""
        return self._device.configuration.active_program if self._boost is None else self._boost

    def would_begin(self, number: int) -> bool:
        """Whether starting a program would begin it anew, rather than go on with it."""
        return self._course is None or self._course.program != number or self.doses.is_over

    def start(self, now: int, cause: TherapyCause = TherapyCause.COMMAND) -> None:
        """Start the active program, or go on with it; during a stop ramp, turn back up; after a measurement or a boost."""
        self._device.memory.note(therapy_on=True)
        if self._boost is not None:
            self._goes_back = True
        elif self._device.state is State.MEASURING:
            self._will_resume = True
        elif self.therapy.goal not in (Goal.PROGRAMMED, Goal.SWITCHING):
            self._ramp_up(cause, now)

    def resume_after_reset(self, now: int) -> None:
        """Go on, by its ramp, with the therapy that a reset has broken off, if the model does so.

        A program with a dose is not begun anew by itself: how much of it was given is not known.
        """
        device, program = self._device, self._device.active_program
        resumes = device.memory.condition.therapy_on and device.model.therapy_after_reset is AfterReset.RESUME
        resumes = resumes and program is not None and not has_dose(program)
        if resumes and device.state is State.SUSPENDED:
            self._will_resume = True
        elif resumes and may_start(device, device.configuration.active_program, now):
            self.start(now, TherapyCause.RESET)
        else:
            self._forget()

    def boost(self, number: int, now: int) -> None:
        """Deliver a program once, for its dose, and then what was delivered before. A boost that runs begins anew."""
        if self._boost is None:
            self._goes_back = self.is_using_active_program and self.therapy.goal is not Goal.STOPPING
        self._boost = number
        if self.therapy.is_on:
            self._ramp_down(Goal.SWITCHING, TherapyCause.MAGNET, now)
        elif self._device.state is State.MEASURING:
            self._will_resume = True
        else:
            self._ramp_up(TherapyCause.MAGNET, now)

    def change(self, areas: tuple[AreaSettings, ...], now: int) -> None:
        """Deliver changed settings of the active program, if it is being delivered."""
        if self.therapy.goal is Goal.PROGRAMMED and self.program_number == self._device.configuration.active_program:
            self.therapy.change(areas, now)
            self._follow_ramp(TherapyCause.COMMAND, now)

    def load_changed(self, now: int) -> None:
        """Look again at what the contacts let through: the output stage has noticed another load."""
        if self.therapy.is_on:
            self.therapy.refresh(now)
            self._note_limits(now)

    def switch_program(self, cause: TherapyCause, now: int) -> None:
        """Go over to the program now active: down, and up again. A boost goes on to its end."""
        if self.therapy.goal is Goal.PROGRAMMED and self._boost is None:
            self._ramp_down(Goal.SWITCHING, cause, now)

    def _ramp_up(self, cause: TherapyCause, now: int) -> None:
        number = self.program_number
        program = self._device.require_program(number)
        course = self._course
        if course is None or self.would_begin(number):
            self._end_course(cause, now)
            if not self.doses.allow(program, now):
                self._end(TherapyCause.DOSE_OVER, now)
                return
            course = self._begin_course(number, program, now)
        self._limited.clear()
        self.therapy.start(program.areas, now)
        course.go_on(now)
        self.doses.go_on(now)
        self._follow_ramp(cause, now)

    def _follow_ramp(self, cause: TherapyCause, now: int) -> None:
        self._note_limits(now)
        if self.therapy.ramp_end > now or self._device.state is not State.THERAPY:
            self._device.move(Trigger.RAMP_BEGAN, cause, now)
            self._await_ramp(now)

    def _note_limits(self, now: int) -> None:
        limited = set(self.therapy.limited_areas())
        for area in sorted(limited - self._limited):
            self._device.memory.count("compliance_reached")
            self._device.log(LogCode.COMPLIANCE_REACHED, area, now)
        self._limited = limited

    def _await_ramp(self, now: int) -> None:
        end = self.therapy.ramp_end
        if end > now:
            self._timers.set(Timer.RAMP, end)
        else:
            self._timers.cancel(Timer.RAMP)
            self._ramp_finished(now)

    def _ramp_finished(self, now: int) -> None:
        goal = self.therapy.goal
        if goal is Goal.PROGRAMMED:
            self.therapy.drive_on(now)  # the ramp may have come down from more than is still needed
            self._device.move(Trigger.AMPLITUDE_REACHED, TherapyCause.RAMP_FINISHED, now)
        elif goal is Goal.SWITCHING:
            self._output_off(now)
            self._end_course(self._cause, now)
            self._ramp_up(self._cause, now)
        else:
            self._end_course(self._cause, now)
            self._end(TherapyCause.RAMP_FINISHED, now)

    # The course of one program

    def _begin_course(self, number: int, program: Program, now: int) -> Course:
        self.therapy.count_from(now)
        device = self._device
        device.memory.count("therapy_starts")
        device.log(LogCode.THERAPY_STARTED, number, now)
        self._course = course = Course(number)
        self.doses.begin(program, course, now)
        device.host_watch.begin(now)
        device.use_period.therapy_started(now)
        return course

    def _end_course(self, cause: TherapyCause, now: int) -> None:
        if self._course is not None:
            self._device.memory.count("therapy_seconds", self._course.on_time_us(now) // 1_000_000)
            self._course = None
            self.doses.hold()
            self._device.host_watch.end()
            self._device.log(LogCode.THERAPY_STOPPED, cause, now)

    def doses_over(self, now: int) -> None:
        """Every area has had its dose: therapy ends, or after a boost goes back to what was before."""
        goes_back, number = self._goes_back, self._device.configuration.active_program
        if self._boost is not None and goes_back and self._device.configuration.stored(number) is not None:
            self._boost = None
            self._ramp_down(Goal.SWITCHING, TherapyCause.DOSE_OVER, now)
        else:
            self.stop(StopMode.RAMP, now, TherapyCause.DOSE_OVER)

    def ramps_changed(self, now: int) -> None:
        """An area has begun to ramp down by itself."""
        self._follow_ramp(TherapyCause.DOSE_OVER, now)

    # Stop and suspend

    def stop(self, mode: StopMode, now: int, cause: TherapyCause = TherapyCause.COMMAND) -> None:
        """Stop, by the stop ramp or at once; a measurement under way is broken off, and nothing is resumed."""
        self._forget()
        if self._device.state is State.MEASURING:
            self._timers.cancel(Timer.MEASUREMENT)
            self._end(cause, now)
        elif not self.therapy.is_on:
            self._end_course(cause, now)
        elif mode is StopMode.IMMEDIATE:
            self._end(cause, now)
        else:
            self._ramp_down(Goal.STOPPING, cause, now)

    def _forget(self) -> None:
        """Nothing that was delivered comes back by itself."""
        self._will_resume = self._goes_back = False
        self._device.memory.note(therapy_on=False)
        self._boost = None
        self._device.schedule.let_go()

    def _ramp_down(self, goal: Goal, cause: TherapyCause, now: int) -> None:
        self.doses.hold()
        self._cause = cause
        self.therapy.ramp_down(goal, now)
        self._device.move(Trigger.RAMP_BEGAN, cause, now)
        self._await_ramp(now)

    def _end(self, cause: TherapyCause, now: int) -> None:
        self._forget()
        self.shut_down(cause, now)
        self._device.settle(Trigger.OUTPUT_OFF, cause, now)

    def abandon(self, cause: TherapyCause, now: int) -> None:
        """Stop everything at once, for a reason of the device's own."""
        self._timers.cancel(Timer.MEASUREMENT)
        self._end(cause, now)

    def shut_down(self, cause: TherapyCause, now: int) -> None:
        """End the output at once, and account for therapy."""
        self._output_off(now)
        self._end_course(cause, now)

    def _output_off(self, now: int) -> None:
        self.therapy.off(now)
        self.doses.hold()
        if self._course is not None:
            self._course.hold(now)
        self._timers.cancel(Timer.RAMP)

    def suspend(self, cause: TherapyCause, now: int) -> None:
        """Hold therapy off, to be resumed by `resume` if it runs; a measurement under way is broken off.

        Where that measurement has latched a fault, nothing is to be resumed.
        """
        if self._device.memory.latched_faults:
            self.abandon(cause, now)
            return
        self._hold_off(cause, now)
        self._timers.cancel(Timer.MEASUREMENT)
        self._device.move(Trigger.SUSPENDED, cause, now)

    def resume(self, cause: TherapyCause, now: int) -> None:
        """Go on with what was held off, with its ramp; or come to rest."""
        will_resume, self._will_resume = self._will_resume, False
        if will_resume and not self._device.memory.latched_faults:
            self._ramp_up(cause, now)
        else:
            self._end(cause, now)

    def _hold_off(self, cause: TherapyCause, now: int) -> None:
        """End the output for a while. What is being stopped is stopped; what is being switched comes back switched."""
        self._will_resume |= self.therapy.goal in (Goal.PROGRAMMED, Goal.SWITCHING)
        is_leaving = self.therapy.goal in (Goal.STOPPING, Goal.SWITCHING)
        self._output_off(now)
        if is_leaving:
            self._end_course(cause, now)

    # Measurement

    def measure(self, pairs: list[tuple[int, int]], now: int) -> Measurement:
        """Suspend therapy and measure pair by pair."""
        self._hold_off(TherapyCause.MEASUREMENT, now)
        self._device.memory.count("measurements")
        measurement = self.measurements.begin(pairs)
        self._device.move(Trigger.MEASUREMENT_BEGAN, TherapyCause.MEASUREMENT, now)
        self._timers.set(Timer.MEASUREMENT, now + self.pair_us)
        return measurement

    def measurement_left_us(self, now: int) -> int:
        """How long the measurement under way still takes."""
        last = self.measurements.last
        next_pair = self._timers.deadline(Timer.MEASUREMENT)
        return 0 if next_pair is None else next_pair - now + (len(last.pairs) - len(last.rows) - 1) * self.pair_us

    def _pair_measured(self, now: int) -> None:
        row = self.measurements.measure_next(now)
        if row.verdict is ImpedanceVerdict.SHORT:
            self._device.latch(FaultCode.SHORT_CIRCUIT, row.cathode, row.ohms, now)
        if self.measurements.last.is_complete:
            self._measurement_finished(now)
        else:
            self._timers.set(Timer.MEASUREMENT, now + self.pair_us)

    def _measurement_finished(self, now: int) -> None:
        last = self.measurements.last
        self._device.log(LogCode.IMPEDANCE_MEASURED, len(last.rows), now)
        opens, shorts = last.count(ImpedanceVerdict.OPEN), last.count(ImpedanceVerdict.SHORT)
        self._device.notify(MeasurementDone(last.number, len(last.rows), opens, shorts), now)
        self.resume(TherapyCause.MEASUREMENT, now)
