"""The device behind the wire: what handlers of any dialect act on. Its time moves only by the `now` it is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import msgspec
from ipg_protocol.commands.link import CapabilityRow, ResetCause, ResetHappened
from ipg_protocol.commands.log import FaultCleared, FaultRaised, LogCode
from ipg_protocol.commands.measurement import ImpedanceVerdict, MeasurementDone
from ipg_protocol.commands.power import BatteryTierChanged
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import AmplitudeChanged, StopMode, TherapyCause, TherapyStateChanged
from ipg_protocol.refusal import WHOLE_MESSAGE, SafetyRule
from ipg_protocol.vocabulary import BatteryTier, FaultCode, State
from ipg_protocol.wire import Message

from ipg_emulator.board import BatteryReading, Board
from ipg_emulator.firmware.battery_monitor import BatteryMonitor
from ipg_emulator.firmware.capabilities import capability_rows
from ipg_emulator.firmware.measurement import Measurement, Measurements
from ipg_emulator.firmware.memory import Configuration, Memory, Program, areas_checksum
from ipg_emulator.firmware.refusal import unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM
from ipg_emulator.firmware.states import TRANSITIONS, Trigger
from ipg_emulator.firmware.therapy import Goal, Therapy
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.model import DeviceModel


class Shadow(msgspec.Struct):
    """A program being written: nothing of it counts before it is committed."""

    program: int
    name: str
    blocks: list[AreaSettings | None]


class Device:
    """One boot of the device. A restart makes a new one on the same memory and board."""

    def __init__(
        self, model: DeviceModel, board: Board, memory: Memory, timers: Timers, *, cause: ResetCause, now: int
    ) -> None:
        self.model = model
        self.board = board
        self.memory = memory
        self.state = State.BOOT
        self.restart_requested = False
        self.shadow: Shadow | None = None
        self.listeners: list[Callable[[Message, int], None]] = []
        self.therapy = Therapy(board.output, model.timing.stop_ramp_ms * 1000, now)
        self.measurements = Measurements(board.electrodes, model.impedance)
        self.battery = BatteryMonitor(model.battery, memory.battery_tier)
        self._timers = timers
        self._booted_at = now
        self._limited: set[int] = set()
        self._resume_after_measurement = False
        self._therapy_since: int | None = None
        timers.on(Timer.BOOT, self._boot_finished)
        timers.on(Timer.RAMP, self._ramp_finished)
        timers.on(Timer.MEASUREMENT, self._pair_measured)
        timers.on(Timer.BATTERY_CHECK, self._check_battery)
        memory.boot_counter += 1
        memory.count("boots")
        self.log(LogCode.BOOT, cause, now)
        board.power.sleep(False, now)
        self._timers.set(Timer.BOOT, now + model.timing.boot_ms * 1000)
        self._boot_cause = cause

    def uptime_us(self, now: int) -> int:
        return now - self._booted_at

    def log(self, code: LogCode, argument: int, now: int) -> None:
        self.memory.log(code, argument, uptime_us=self.uptime_us(now))

    def notify(self, event: Message, now: int) -> None:
        for listener in self.listeners:
            listener(event, now)

    # State

    def _move(self, trigger: Trigger, cause: TherapyCause, now: int) -> None:
        previous, self.state = self.state, TRANSITIONS[self.state][trigger]
        if self.state is not previous:
            self.notify(TherapyStateChanged(previous, self.state, cause), now)

    def _boot_finished(self, now: int) -> None:
        self.notify(ResetHappened(self._boot_cause, self.memory.boot_counter), now)
        self._timers.set(Timer.BATTERY_CHECK, now + self.model.timing.battery_check_ms * 1000)
        self._settle(Trigger.BOOTED, TherapyCause.COMMAND, now)

    def _settle(self, trigger: Trigger, cause: TherapyCause, now: int) -> None:
        """Come to rest without therapy: at EOS or in FAULT if there is reason to, else where the trigger leads."""
        if self.battery.tier is BatteryTier.EOS:
            trigger, cause = Trigger.BATTERY_DEPLETED, TherapyCause.BATTERY
        elif self.memory.latched_faults:
            trigger, cause = Trigger.FAULT_LATCHED, TherapyCause.FAULT
        self._move(trigger, cause, now)

    def shelve(self, now: int) -> None:
        """Hibernate; only a restart ends it."""
        self.log(LogCode.SHELF_ENTERED, 0, now)
        self._timers.cancel(Timer.BATTERY_CHECK)
        self.board.power.sleep(True, now)
        self._move(Trigger.SHELVED, TherapyCause.COMMAND, now)

    # Configuration

    @cached_property
    def capabilities(self) -> tuple[CapabilityRow, ...]:
        return capability_rows(self.model)

    @property
    def serial(self) -> str:
        return self.memory.serial

    @property
    def configuration(self) -> Configuration:
        return self.memory.configuration

    @property
    def active_program(self) -> Program | None:
        return self.configuration.active

    def change_area(self, settings: AreaSettings, now: int) -> int:
        """Replace one area of the active program, and deliver it so if therapy runs."""
        program = self.require_program()
        old = program.areas[settings.area]
        areas = tuple(settings if area.area == settings.area else area for area in program.areas)
        changed = msgspec.structs.replace(program, areas=areas, checksum=areas_checksum(areas))
        revision = self.memory.store_program(self.configuration.active_program, changed)
        if settings.amplitude_microamps != old.amplitude_microamps:
            self.notify(AmplitudeChanged(settings.area, settings.amplitude_microamps, revision), now)
        if self.therapy.goal is Goal.PROGRAMMED:
            self.therapy.change(areas, now)
            self._follow_ramp(TherapyCause.COMMAND, now)
        return revision

    def require_program(self) -> Program:
        """The active program, or the refusal that says there is none."""
        program = self.active_program
        if program is None:
            raise unsafe(SafetyRule.BLOCKS_MISSING, area=WHOLE_PROGRAM, value=0, limit=1)
        return program

    @property
    def is_using_active_program(self) -> bool:
        """Whether therapy runs, or will run on after a measurement."""
        return self.therapy.is_on or self._resume_after_measurement

    # Therapy

    def start_therapy(self, now: int) -> None:
        """Start the active program, or go on with it; during a stop ramp, turn back up."""
        if self.therapy.goal in (Goal.PROGRAMMED, Goal.SWITCHING):
            return
        if not self.therapy.is_on:
            self.therapy.count_from(now)
            self.memory.count("therapy_starts")
            self.log(LogCode.THERAPY_STARTED, self.configuration.active_program, now)
        self._ramp_up(TherapyCause.COMMAND, now)

    def _ramp_up(self, cause: TherapyCause, now: int) -> None:
        self._limited.clear()
        self.therapy.start(self.require_program().areas, now)
        if self._therapy_since is None:
            self._therapy_since = now
        self._follow_ramp(cause, now)

    def _follow_ramp(self, cause: TherapyCause, now: int) -> None:
        limited = set(self.therapy.limited_areas())
        for area in sorted(limited - self._limited):
            self.memory.count("compliance_reached")
            self.log(LogCode.COMPLIANCE_REACHED, area, now)
        self._limited = limited
        end = self.therapy.ramp_end
        if end > now or self.state is not State.THERAPY:
            self._move(Trigger.RAMP_BEGAN, cause, now)
            self._await_ramp(now)

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
            self._move(Trigger.AMPLITUDE_REACHED, TherapyCause.RAMP_FINISHED, now)
        elif goal is Goal.SWITCHING:
            self.therapy.off(now)
            self._ramp_up(TherapyCause.COMMAND, now)
        else:
            self._end_therapy(TherapyCause.RAMP_FINISHED, now)

    def stop_therapy(self, mode: StopMode, now: int) -> None:
        """Stop, by the stop ramp or at once; a measurement under way is broken off."""
        self._resume_after_measurement = False
        if self.state is State.MEASURING:
            self._timers.cancel(Timer.MEASUREMENT)
            self._end_therapy(TherapyCause.COMMAND, now)
        elif not self.therapy.is_on:
            return
        elif mode is StopMode.IMMEDIATE:
            self._end_therapy(TherapyCause.COMMAND, now)
        else:
            self._ramp_down(Goal.STOPPING, now)

    def switch_program(self, now: int) -> None:
        """Go over to the program now active: down, and up again."""
        if not self.therapy.is_on or self.therapy.goal is Goal.STOPPING:
            return
        self._ramp_down(Goal.SWITCHING, now)

    def _ramp_down(self, goal: Goal, now: int) -> None:
        self.therapy.ramp_down(goal, now)
        self._move(Trigger.RAMP_BEGAN, TherapyCause.COMMAND, now)
        self._await_ramp(now)

    def _end_therapy(self, cause: TherapyCause, now: int) -> None:
        self.shut_down(cause, now)
        self._settle(Trigger.OUTPUT_OFF, cause, now)

    def shut_down(self, cause: TherapyCause, now: int) -> None:
        """End the output at once, and account for therapy."""
        self._output_off(now)
        if self._therapy_since is not None:
            self.memory.count("therapy_seconds", (now - self._therapy_since) // 1_000_000)
            self._therapy_since = None
            self.log(LogCode.THERAPY_STOPPED, cause, now)

    def _output_off(self, now: int) -> None:
        self.therapy.off(now)
        self._timers.cancel(Timer.RAMP)

    # Measurement

    def measure(self, pairs: list[tuple[int, int]], now: int) -> Measurement:
        """Suspend therapy and measure pair by pair."""
        self._resume_after_measurement = self.therapy.goal in (Goal.PROGRAMMED, Goal.SWITCHING)
        self._output_off(now)
        self.memory.count("measurements")
        measurement = self.measurements.begin(pairs)
        self._move(Trigger.MEASUREMENT_BEGAN, TherapyCause.MEASUREMENT, now)
        self._timers.set(Timer.MEASUREMENT, now + self.pair_us)
        return measurement

    @property
    def pair_us(self) -> int:
        return self.model.timing.measure_pair_ms * 1000

    def measurement_left_us(self, now: int) -> int:
        """How long the measurement under way still takes."""
        last = self.measurements.last
        next_pair = self._timers.deadline(Timer.MEASUREMENT)
        return 0 if next_pair is None else next_pair - now + (len(last.pairs) - len(last.rows) - 1) * self.pair_us

    def _pair_measured(self, now: int) -> None:
        row = self.measurements.measure_next()
        if row.verdict is ImpedanceVerdict.SHORT:
            self._latch(FaultCode.SHORT_CIRCUIT, row.cathode, row.ohms, now)
        if self.measurements.last.is_complete:
            self._measurement_finished(now)
        else:
            self._timers.set(Timer.MEASUREMENT, now + self.pair_us)

    def _measurement_finished(self, now: int) -> None:
        last = self.measurements.last
        self.log(LogCode.IMPEDANCE_MEASURED, len(last.rows), now)
        opens, shorts = last.count(ImpedanceVerdict.OPEN), last.count(ImpedanceVerdict.SHORT)
        self.notify(MeasurementDone(last.number, len(last.rows), opens, shorts), now)
        resume, self._resume_after_measurement = self._resume_after_measurement, False
        if resume and not self.memory.latched_faults:
            self._ramp_up(TherapyCause.MEASUREMENT, now)
        else:
            self._end_therapy(TherapyCause.MEASUREMENT, now)

    # Faults and battery

    def _latch(self, fault: FaultCode, contact: int, value: int, now: int) -> None:
        self.memory.raise_fault(fault, contact=contact, value=value, uptime_us=self.uptime_us(now))
        self.memory.count("faults")
        self.log(LogCode.FAULT_RAISED, fault, now)
        self.notify(FaultRaised(fault, contact, value), now)

    def clear_fault(self, fault: FaultCode, now: int) -> None:
        if fault in self.memory.latched_faults:
            self.memory.clear_fault(fault)
            self.log(LogCode.FAULT_CLEARED, fault, now)
            self.notify(FaultCleared(fault), now)
        if self.state is State.FAULT and not self.memory.latched_faults:
            self._move(Trigger.FAULTS_CLEARED, TherapyCause.COMMAND, now)

    def is_too_hot(self, now: int) -> bool:
        return self.board.temperature_millicelsius(now) > self.model.safety.over_temperature_millicelsius

    def read_battery(self, now: int) -> BatteryReading:
        return self.board.power.read(now)

    def _check_battery(self, now: int) -> None:
        self._timers.set(Timer.BATTERY_CHECK, now + self.model.timing.battery_check_ms * 1000)
        reading = self.read_battery(now)
        if self.battery.take(reading.millivolts):
            self.memory.battery_tier = self.battery.tier
            self.log(LogCode.BATTERY_TIER, self.battery.tier, now)
            self.notify(BatteryTierChanged(self.battery.tier, reading.millivolts), now)
            if self.battery.tier is BatteryTier.EOS:
                self._abandon(TherapyCause.BATTERY, now)
        if self.is_too_hot(now) and FaultCode.OVER_TEMPERATURE not in self.memory.latched_faults:
            self._latch(FaultCode.OVER_TEMPERATURE, WHOLE_MESSAGE, self.board.temperature_millicelsius(now), now)
            self._abandon(TherapyCause.FAULT, now)

    def _abandon(self, cause: TherapyCause, now: int) -> None:
        """Stop everything at once, for a reason of the device's own."""
        self._resume_after_measurement = False
        self._timers.cancel(Timer.MEASUREMENT)
        self._end_therapy(cause, now)
