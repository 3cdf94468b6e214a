"""The device behind the wire: what handlers of any dialect act on. Its time moves only by the `now` it is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import msgspec
from ipg_protocol.commands.link import CapabilityRow, ResetCause, ResetHappened
from ipg_protocol.commands.log import FaultCleared, FaultRaised, LogCode
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import AmplitudeChanged, TherapyCause, TherapyStateChanged
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import BatteryTier, FaultCode, State
from ipg_protocol.wire import Message

from ipg_emulator.board import Board
from ipg_emulator.firmware.capabilities import capability_rows, supported_commands
from ipg_emulator.firmware.configuration import Configuration, Program, areas_checksum
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.feedback import feedback_of
from ipg_emulator.firmware.host_watch import HostWatch
from ipg_emulator.firmware.memory import Memory
from ipg_emulator.firmware.modes import Modes
from ipg_emulator.firmware.refusal import unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM, is_charge_density_high
from ipg_emulator.firmware.schedule import Schedule
from ipg_emulator.firmware.self_test import SelfTestRun
from ipg_emulator.firmware.states import TRANSITIONS, Transitions, Trigger
from ipg_emulator.firmware.supply import PowerSupply
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.firmware.use_period import UsePeriod
from ipg_emulator.model import DeviceModel

_I32 = 2**31


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
        self.transitions: Transitions = TRANSITIONS
        """From each state, what leads where."""
        self.restart_requested = False
        self.shadow: Shadow | None = None
        self.listeners: list[Callable[[Message, int], None]] = []
        """Called with every event, which is then kept until it is acknowledged."""
        self.stream_listeners: list[Callable[[Message, int], None]] = []
        """Called with what is sent once and not kept."""
        self._timers = timers
        self._booted_at = now
        self.boot_cause = cause
        self._judged: tuple[Program | None, bool] = (None, False)
        self.delivery = Delivery(self, timers, now)
        self.supply = PowerSupply(self, timers, now)
        self.modes = Modes(self, timers, now)
        self.schedule = Schedule(self, timers)
        self.host_watch = HostWatch(self, timers, now)
        self.use_period = UsePeriod(self, timers)
        self.self_test = SelfTestRun(self, timers)
        self.feedback = feedback_of(self, timers)
        timers.on(Timer.BOOT, self._boot_finished)
        for code, argument in memory.findings():
            self.log(code, argument, now)
        self.log(LogCode.BOOT, cause, now)
        board.power.sleep(False, now)
        timers.set(Timer.BOOT, now + model.timing.boot_ms * 1000)

    def uptime_us(self, now: int) -> int:
        return now - self._booted_at

    def log(self, code: LogCode, argument: int, now: int) -> None:
        """Log an occurrence; its argument as far as 32 bits reach."""
        self.memory.log(code, max(-_I32, min(argument, _I32 - 1)), uptime_us=self.uptime_us(now))

    def notify(self, event: Message, now: int) -> None:
        for listener in self.listeners:
            listener(event, now)

    def stream(self, event: Message, now: int) -> None:
        for listener in self.stream_listeners:
            listener(event, now)

    def board_changed(self, now: int) -> None:
        """The board's interrupt: something that the firmware senses by itself is otherwise now."""
        self.delivery.load_changed(now)
        self.modes.board_changed(now)
        self.supply.board_changed(now)
        self.schedule.clock_changed(now)

    # State

    def move(self, trigger: Trigger, cause: TherapyCause, now: int) -> None:
        self.enter(self.transitions[self.state][trigger], cause, now)

    def enter(self, state: State, cause: TherapyCause, now: int) -> None:
        """Be in a state from now on, whichever way leads there."""
        previous, self.state = self.state, state
        if self.state is not previous:
            self.notify(TherapyStateChanged(previous, self.state, cause), now)
            if self.feedback is not None:
                self.feedback.state_changed(previous, now)
            if self.state is State.IDLE:
                self.modes.hold_again(now)

    def _boot_finished(self, now: int) -> None:
        self.notify(ResetHappened(self.boot_cause, self.memory.boot_counter), now)
        self.supply.begin(now)
        self.modes.begin(now)
        self.schedule.begin(now)
        self.use_period.begin(now)
        self.settle(Trigger.BOOTED, TherapyCause.COMMAND, now)
        self.delivery.resume_after_reset(now)

    def settle(self, trigger: Trigger, cause: TherapyCause, now: int) -> None:
        """Come to rest without therapy: at EOS or in FAULT if there is reason to, else where the trigger leads."""
        if self.supply.tier is BatteryTier.EOS:
            trigger, cause = Trigger.BATTERY_DEPLETED, TherapyCause.BATTERY
        elif self.memory.latched_faults:
            trigger, cause = Trigger.FAULT_LATCHED, TherapyCause.FAULT
        self.move(trigger, cause, now)

    def shelve(self, now: int) -> None:
        """Hibernate; only a restart ends it."""
        self.log(LogCode.SHELF_ENTERED, 0, now)
        self.supply.end()
        self.schedule.end()
        self.use_period.end()
        self.board.power.sleep(True, now)
        self.move(Trigger.SHELVED, TherapyCause.COMMAND, now)

    # Configuration

    def select(self, number: int, cause: TherapyCause, now: int) -> None:
        """Make a stored program the active one; if therapy runs, it goes over to it."""
        was_active = self.configuration.active_program
        self.memory.commit(msgspec.structs.replace(self.configuration, active_program=number))
        self.log(LogCode.PROGRAM_SELECTED, number, now)
        if number != was_active:
            self.delivery.switch_program(cause, now)

    @cached_property
    def capabilities(self) -> tuple[CapabilityRow, ...]:
        return capability_rows(self.model)

    @cached_property
    def supported_commands(self) -> frozenset[int]:
        """The opcodes of the commands that this model has."""
        return supported_commands(self.model)

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
        self.delivery.change(areas, now)
        if self.feedback is not None:
            self.feedback.settings_changed(now)
        return revision

    @property
    def delivered_program(self) -> Program | None:
        """The program that is, or would be, delivered; None where there is none."""
        return self.configuration.stored(self.delivery.program_number)

    def delivered_area(self, area: int) -> AreaSettings | None:
        """An area as it is output; while nothing is, of the program that would be. None if there is no such area."""
        if self.delivery.therapy.is_on:
            return self.delivery.therapy.area(area)
        program = self.delivered_program
        return program.areas[area] if program is not None and area < len(program.areas) else None

    @property
    def is_charge_density_high(self) -> bool:
        """Whether an area of the active program is above the model's warning level. Judged once a program: hosts ask often."""
        program = self.active_program
        if program is not self._judged[0]:
            areas = program.areas if program else ()
            self._judged = (program, any(is_charge_density_high(self.model, area) for area in areas))
        return self._judged[1]

    def require_program(self, number: int | None = None) -> Program:
        """The active program or the one of a slot, or the refusal that says there is none."""
        program = self.active_program if number is None else self.configuration.stored(number)
        if program is None:
            raise unsafe(SafetyRule.BLOCKS_MISSING, area=WHOLE_PROGRAM, value=0, limit=1)
        return program

    # Faults

    def latch(self, fault: FaultCode, contact: int, value: int, now: int) -> None:
        """Latch a fault; the caller stops therapy where that is due."""
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
            self.move(Trigger.FAULTS_CLEARED, TherapyCause.COMMAND, now)
