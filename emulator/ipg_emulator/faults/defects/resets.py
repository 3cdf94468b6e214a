"""Resets: what outlives them, and what comes after."""

from __future__ import annotations

from typing import Any

from ipg_protocol.command import Command
from ipg_protocol.commands.link import EnterShelfMode, FactoryReset, Reset, ResetCause, ResetHappened
from ipg_protocol.commands.log import Counters
from ipg_protocol.vocabulary import AWAKE, State
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, keeping, part, put, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import CHECKPOINTS, factory_configuration
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.memory import Memory


@part("device.delivery", "resume_after_reset")
def therapy_not_resumed_after_reset(_: Usual[None], __: Delivery, ___: int) -> None:
    """Therapy that ran when the device was reset stays off."""


@part("memory", "note")
def stopped_therapy_resumed_after_reset(usual: Usual[None], _: Memory, **changes: Any) -> None:
    """It is not written down that therapy was stopped: a reset starts it again."""
    usual(**{name: value for name, value in changes.items() if (name, value) != ("therapy_on", False)})


@part("link", "send_first")
def reset_unanswered(_: Usual[None], __: Link, ___: bytes) -> None:
    """RESET restarts the device before its answer has gone out."""


@booting
def boot_counter_stands(firmware: Firmware) -> None:
    """The boot counter does not rise."""
    firmware.memory.note(boot_counter=1)


@part("device", "notify")
def reset_cause_is_power_on(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """RESET_HAPPENED gives POWER_ON as the cause of every reset."""
    usual(replace(event, cause=ResetCause.POWER_ON) if isinstance(event, ResetHappened) else event, now)


@part("link", "_execute")
def served_while_booting(usual: Usual[Any], _: Link, entry: Command, *others: Any) -> Any:
    """Commands that need no session are served before the boot is over."""
    states = entry.states | {State.BOOT} if entry.role is None else entry.states
    return usual(entry._replace(states=states), *others)


@serving(Reset)
def reset_not_carried_out(usual: Usual[Message], request: Reset, context: Context) -> Message:
    """RESET is answered OK, and nothing follows."""
    answer = usual(request, context)
    context.device.restart_requested = False
    return answer


@serving(EnterShelfMode)
def shelf_mode_closes_the_session(usual: Usual[Message], request: EnterShelfMode, context: Context) -> Message:
    """ENTER_SHELF_MODE closes the session."""
    answer = usual(request, context)
    context.link.close_session(None, context.now)
    return answer


@part("link", "_execute")
def woken_by_any_request(usual: Usual[Any], _: Link, entry: Command, frame: Any, request: Message, *others: Any) -> Any:
    """In SHELF the device takes requests as if it were awake."""
    states = entry.states | {State.SHELF} if entry.states >= AWAKE else entry.states
    return usual(entry._replace(states=states), frame, request, *others)


@serving(FactoryReset)
def factory_reset_leaves_the_limits(usual: Usual[Message], request: FactoryReset, context: Context) -> Message:
    """FACTORY_RESET leaves the limits as they are."""
    return keeping("limits", usual, request, context)


@serving(FactoryReset)
def factory_reset_leaves_the_selection(usual: Usual[Message], request: FactoryReset, context: Context) -> Message:
    """FACTORY_RESET leaves the selected program selected."""
    return keeping("active_program", usual, request, context)


@serving(FactoryReset)
def factory_reset_leaves_the_schedule(usual: Usual[Message], request: FactoryReset, context: Context) -> Message:
    """FACTORY_RESET leaves the schedule as it is."""
    return keeping("schedule", usual, request, context)


@serving(FactoryReset)
def factory_reset_drops_checkpoints(usual: Usual[Message], request: FactoryReset, context: Context) -> Message:
    """FACTORY_RESET empties the checkpoints."""
    answer = usual(request, context)
    context.device.memory.checkpoints = (None,) * CHECKPOINTS
    return answer


@booting
def selection_lost_in_reset(firmware: Firmware) -> None:
    """After a reset the first program is selected."""
    firmware.memory.configuration = replace(firmware.memory.configuration, active_program=0)


@booting
def limits_lost_in_reset(firmware: Firmware) -> None:
    """After a reset the limits are those of the factory."""
    configuration = firmware.memory.configuration
    limits = factory_configuration(firmware.model, configuration.revision).limits
    firmware.memory.configuration = replace(configuration, limits=limits)


@booting
def schedule_lost_in_reset(firmware: Firmware) -> None:
    """The schedule does not outlive a reset."""
    firmware.memory.configuration = replace(firmware.memory.configuration, schedule=())


@booting
def feedback_lost_in_reset(firmware: Firmware) -> None:
    """What was written of feedback does not outlive a reset."""
    configuration = firmware.memory.configuration
    programs = tuple(program and replace(program, feedback=()) for program in configuration.programs)
    firmware.memory.configuration = replace(configuration, programs=programs)


@booting
def fault_records_lost_in_reset(firmware: Firmware) -> None:
    """The faults that were ever raised are forgotten in a reset."""
    firmware.memory.faults = {}


@part("memory", "flush")
def last_change_lost_in_reset(usual: Usual[None], memory: Memory, now: int) -> None:
    """A change of the configuration is written to flash when the next one comes: a reset takes the last one away."""
    latest = memory.configuration
    before, last = vars(memory).get("_changes", (latest, latest))
    if latest != last:
        before = last
    put(memory, _changes=(before, latest))
    memory.configuration = before
    usual(now)
    memory.configuration = latest


@answering(FactoryReset)
def factory_reset_drops_events(answer: Message, context: Context) -> Message:
    """FACTORY_RESET drops the events that were not acknowledged."""
    context.device.memory.acknowledge(context.device.memory.last_event)
    return answer


@answering(FactoryReset)
def factory_reset_stops_the_clock(answer: Message, context: Context) -> Message:
    """FACTORY_RESET stops the clock."""
    context.device.memory.note(clock_set=None)
    return answer


@answering(FactoryReset)
def factory_reset_clears_the_counters(answer: Message, context: Context) -> Message:
    """FACTORY_RESET sets all counters to 0."""
    context.device.memory.counters = Counters(*[0] * len(Counters.__struct_fields__))
    return answer


@answering(FactoryReset)
def factory_reset_forgets_faults(answer: Message, context: Context) -> Message:
    """FACTORY_RESET forgets the faults that were ever raised."""
    context.device.memory.faults = {}
    return answer
