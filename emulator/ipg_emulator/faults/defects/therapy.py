"""Therapy: when the output starts, how it gets to its amplitude, what it may be set to, and what is said of it."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.log import ClearFault, FaultList, Latch, ReadFaults
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import (
    AreaTherapy,
    ReadTherapy,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyFlag,
    TherapyState,
    TherapyStateChanged,
    WriteLimits,
)
from ipg_protocol.refusal import BootDetail, RangeDetail, StateDetail
from ipg_protocol.vocabulary import Role, State, Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, built, inside, keeping, part, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.refusal import Refused, field_number
from ipg_emulator.firmware.states import Trigger
from ipg_emulator.firmware.therapy import Goal, Therapy

# Starting and stopping


@answering(StartTherapy)
def ramp_not_announced(answer: TherapyState, _: Context) -> TherapyState:
    """START_THERAPY answers 0 as the time that the ramp takes."""
    return replace(answer, ramp_ms=0)


@answering(StartTherapy)
def ramp_announced_in_seconds(answer: TherapyState, _: Context) -> TherapyState:
    """START_THERAPY tells the time that the ramp takes in seconds."""
    return replace(answer, ramp_ms=answer.ramp_ms // 1000)


def _at_once(areas: tuple[AreaSettings, ...]) -> tuple[AreaSettings, ...]:
    return tuple(replace(area, ramp_seconds=0) for area in areas)


@part("device.delivery.therapy", "start")
def therapy_starts_without_ramp(usual: Usual[None], _: Therapy, areas: tuple[AreaSettings, ...], now: int) -> None:
    """Therapy starts at its amplitude."""
    usual(_at_once(areas), now)


@part("device.delivery.therapy", "start")
def restart_ramps_from_zero(usual: Usual[None], therapy: Therapy, areas: tuple[AreaSettings, ...], now: int) -> None:
    """START_THERAPY during the stop ramp goes back to 0 before it ramps up."""
    therapy.off(now)
    usual(areas, now)


@part("device.delivery", "switch_program")
def ramp_skipped_on_select(_: Usual[None], delivery: Delivery, cause: TherapyCause, now: int) -> None:
    """SELECT_PROGRAM goes over to the other program at once while therapy runs."""
    therapy, device = delivery.therapy, inside(delivery, "_device")
    if therapy.is_on:
        therapy.off(now)
        therapy.start(_at_once(device.require_program().areas), now)
        inside(delivery, "_follow_ramp")(cause, now)


@serving(StopTherapy)
def stop_wants_a_session(usual: Usual[Message], request: StopTherapy, context: Context) -> Message:
    """STOP_THERAPY is refused without a session."""
    if context.link.session is None:
        raise Refused(Status.NO_SESSION, BootDetail(context.device.memory.boot_counter))
    return usual(request, context)


@part("link", "_execute")
def stop_refused_when_idle(usual: Usual[Any], link: Link, entry: Any, frame: Any, request: Message, *others: Any) -> Any:
    """STOP_THERAPY is refused while there is nothing to stop."""
    if isinstance(request, StopTherapy) and link.device.state is State.IDLE:
        raise Refused(Status.WRONG_STATE, StateDetail(State.IDLE))
    return usual(entry, frame, request, *others)


@serving(StopTherapy)
def immediate_stop_ramps(usual: Usual[Message], request: StopTherapy, context: Context) -> Message:
    """An immediate stop takes the stop ramp."""
    return usual(replace(request, mode=StopMode.RAMP), context)


@serving(StopTherapy)
def ramped_stop_is_immediate(usual: Usual[Message], request: StopTherapy, context: Context) -> Message:
    """A stop by the ramp is immediate."""
    return usual(replace(request, mode=StopMode.IMMEDIATE), context)


@serving(StopTherapy)
def second_stop_lengthens_the_ramp(usual: Usual[Message], request: StopTherapy, context: Context) -> Message:
    """Each STOP_THERAPY begins the stop ramp anew."""
    delivery = context.device.delivery
    if request.mode is StopMode.RAMP and delivery.therapy.goal is Goal.STOPPING:
        delivery.therapy.goal = Goal.PROGRAMMED
    return usual(request, context)


@part("memory", "raise_fault")
def fault_not_latched(usual: Usual[None], memory: Any, fault: Any, **told: Any) -> None:
    """A fault is told and listed, but does not stay: therapy starts in spite of it."""
    usual(fault, **told)
    memory.clear_fault(fault)


@part("device", "latch")
def short_not_latched(_: Usual[None], __: Device, ___: object, *____: object) -> None:
    """A short is measured, and nothing follows."""


@serving(ClearFault)
def fault_cleared_while_it_lasts(usual: Usual[Message], request: ClearFault, context: Context) -> Message:
    """CLEAR_FAULT clears a fault whose cause is still there."""
    try:
        return usual(request, context)
    except Refused:
        context.device.clear_fault(request.fault, context.now)
        return StateDetail(context.device.state)


@answering(ReadFaults)
def cleared_faults_unlisted(faults: FaultList, _: Context) -> FaultList:
    """READ_FAULTS lists the faults that are latched, and not those that were."""
    return FaultList(tuple(row for row in faults.rows if row.latch is Latch.LATCHED))


@serving(StartTherapy)
def open_contact_started(usual: Usual[Message], request: StartTherapy, context: Context) -> Message:
    """START_THERAPY does not look whether a contact was last measured open."""
    context.device.delivery.measurements.of_contact.clear()
    return usual(request, context)


# Adjusting


@serving(SetAmplitude)
def patient_range_not_checked(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """A patient may set what a clinician may."""
    return usual(request, context._replace(role=max(context.role, Role.CLINICIAN)))


@serving(SetAmplitude)
def clinician_held_to_patient_range(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """A clinician may set what a patient may, and no more."""
    return usual(request, context._replace(role=Role.PATIENT))


@serving(StepAmplitude)
def step_by_one_too_many(usual: Usual[Message], request: StepAmplitude, context: Context) -> Message:
    """STEP_AMPLITUDE of more than one step goes one further."""
    steps = request.steps + 1 if request.steps > 1 else request.steps
    return usual(replace(request, steps=steps), context)


@serving(StepAmplitude)
def step_at_any_revision(usual: Usual[Message], request: StepAmplitude, context: Context) -> Message:
    """STEP_AMPLITUDE does not look at the revision that its host goes by."""
    return usual(replace(request, expected_revision=context.device.configuration.revision), context)


@serving(StepAmplitude)
def step_stops_at_the_end(usual: Usual[Message], request: StepAmplitude, context: Context) -> Message:
    """STEP_AMPLITUDE past an end of the range goes as far as it can, and is not refused."""
    try:
        answer = usual(request, context)
    except Refused as refused:
        detail = refused.detail
        if not isinstance(detail, RangeDetail) or detail.field != field_number(request, "steps"):
            raise
        answer = usual(replace(request, steps=detail.nearest), context)
    return answer


@part("device.delivery.therapy", "change")
def amplitude_jumps(usual: Usual[None], _: Therapy, areas: tuple[AreaSettings, ...], now: int) -> None:
    """An amplitude that is set while therapy runs is reached at once."""
    usual(_at_once(areas), now)


def _nothing(*_: object) -> None:
    """In place of a change of the output."""


@serving(SetRate)
def rate_waits_for_the_next_start(usual: Usual[Message], request: SetRate, context: Context) -> Message:
    """A rate that is set while therapy runs is stored, and delivered from the next start on."""
    delivery = context.device.delivery
    vars(delivery)["change"] = _nothing
    try:
        return usual(request, context)
    finally:
        del vars(delivery)["change"]


@serving(SetAmplitude)
def amplitude_not_stored(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """SET_AMPLITUDE changes the output, and not the stored program."""
    return keeping("programs", usual, request, context)


@serving(SetAmplitude, SetPulseWidth, SetRate)
def missing_area_is_the_last(usual: Usual[Message], request: Any, context: Context) -> Message:
    """An area that the program does not have stands for its last one."""
    program = context.device.active_program
    last = len(program.areas) - 1 if program else 0
    return usual(replace(request, area=min(request.area, last)), context)


@part("link", "_execute")
def limits_written_while_ramping(usual: Usual[Any], _: Link, entry: Any, *others: Any) -> Any:
    """WRITE_LIMITS is taken during a ramp, which may come down from more."""
    states = entry.states | {State.RAMPING} if entry.request is WriteLimits else entry.states
    return usual(entry._replace(states=states), *others)


# What is said of it


@answering(ReadTherapy)
def programmed_told_as_delivered(told: AreaTherapy, _: Context) -> AreaTherapy:
    """READ_THERAPY tells the programmed amplitude as the one delivered, also while nothing is."""
    return replace(told, delivered_microamps=told.programmed_microamps)


@answering(ReadTherapy)
def compliance_limit_unseen(told: AreaTherapy, _: Context) -> AreaTherapy:
    """READ_THERAPY does not flag that compliance limits the output."""
    return replace(told, flags=told.flags & ~TherapyFlag.COMPLIANCE_LIMITED)


@answering(ReadTherapy)
def pulse_counter_of_4_bits(told: AreaTherapy, _: Context) -> AreaTherapy:
    """The pulses of a course are counted in 4 bits."""
    return replace(told, pulses=told.pulses % 16)


@part("device", "notify")
def therapy_reached_untold(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """No event tells that the ramp is over."""
    if not isinstance(event, TherapyStateChanged) or event.state is not State.THERAPY:
        usual(event, now)


@part("device", "notify")
def every_cause_is_command(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """THERAPY_STATE_CHANGED gives COMMAND as the cause of everything."""
    usual(replace(event, cause=TherapyCause.COMMAND) if isinstance(event, TherapyStateChanged) else event, now)


@built
def ramp_up_is_therapy(firmware: Firmware) -> None:
    """The table of states leads from IDLE to THERAPY at once, whatever the ramp."""
    rows = firmware.transitions
    rows[State.IDLE] = {**rows[State.IDLE], Trigger.RAMP_BEGAN: State.THERAPY}
    rows[State.THERAPY] = {**rows[State.THERAPY], Trigger.AMPLITUDE_REACHED: State.THERAPY}
