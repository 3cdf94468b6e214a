"""Limits: what a setting by itself, or a limit that comes later, is not held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipg_protocol.commands.programs import CommitProgram, WriteProgramBlock
from ipg_protocol.commands.therapy import (
    Amplitude,
    Limits,
    PulseWidth,
    Rate,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StepAmplitude,
    WriteLimits,
)
from ipg_protocol.refusal import SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.board.waveform import PERIOD_MILLIHERTZ_US, pulse_of
from ipg_emulator.faults.defects.defect import Usual, forgiving, serving
from ipg_emulator.firmware.configuration import Configuration, Program
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.refusal import Refused

HIGHEST = 2**31 - 1


def _going_by(configuration: Configuration, usual: Usual[Message], request: Message, context: Context) -> Message:
    """The answer of a handler that takes this for the configuration."""
    memory = context.device.memory
    true = memory.configuration
    memory.configuration = configuration
    try:
        answer = usual(request, context)
    finally:
        now = memory.configuration
        memory.configuration = replace(
            now,
            limits=true.limits if now.limits is configuration.limits else now.limits,
            programs=true.programs if now.programs is configuration.programs else now.programs,
        )
    return answer


# Limits below what is stored


def _forgetting(
    what: Callable[[int, Program], Program | None], usual: Usual[Message], request: WriteLimits, context: Context
) -> Message:
    """The answer where each stored program, by its number, is seen so."""
    configuration = context.device.configuration
    seen = tuple(program and what(number, program) for number, program in enumerate(configuration.programs))
    return _going_by(replace(configuration, programs=seen), usual, request, context)


@serving(WriteLimits)
def limits_below_stored_programs(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS takes limits below what a stored program uses."""
    return _forgetting(lambda _, __: None, usual, request, context)


@serving(WriteLimits)
def limits_look_at_the_selected_program(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS takes limits below what a program uses that is stored and not selected."""
    selected = context.device.configuration.active_program
    return _forgetting(lambda number, program: program if number == selected else None, usual, request, context)


@serving(WriteLimits)
def limits_look_at_first_areas(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS looks at the first area of each program alone."""
    return _forgetting(lambda _, program: replace(program, areas=program.areas[:1]), usual, request, context)


@serving(WriteLimits)
def limits_below_a_patient_maximum(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS looks at amplitudes alone, and not at what a patient may set them to."""

    def as_it_is_set(_: int, program: Program) -> Program:
        areas = (replace(area, patient_maximum_microamps=0) for area in program.areas)
        return replace(program, areas=tuple(areas))

    return _forgetting(as_it_is_set, usual, request, context)


@serving(WriteLimits)
def charge_limit_not_kept(usual: Usual[Message], request: WriteLimits, context: Context) -> Message:
    """WRITE_LIMITS leaves the limit of charge as it is."""
    kept = context.device.configuration.limits.charge_per_phase_nanocoulombs
    usual(request, context)
    memory = context.device.memory
    limits: Limits = replace(memory.configuration.limits, charge_per_phase_nanocoulombs=kept)
    memory.configuration = replace(memory.configuration, limits=limits)
    return limits


# What is not held against them


def _unlimited(usual: Usual[Message], request: Message, context: Context) -> Message:
    configuration = context.device.configuration
    names = ("amplitude_microamps", "pulse_width_us", "rate_millihertz", "charge_per_phase_nanocoulombs")
    limits = replace(configuration.limits, **dict.fromkeys(names, HIGHEST))
    return _going_by(replace(configuration, limits=limits), usual, request, context)


@serving(SetAmplitude)
def limits_forgotten_for_clinicians(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """The limits hold for patients and for program writes, but a clinician's SET_AMPLITUDE goes beyond."""
    configuration = context.device.configuration
    highest = context.device.model.ranges.amplitude_microamps.maximum
    limits = replace(configuration.limits, amplitude_microamps=highest)
    return _going_by(replace(configuration, limits=limits), usual, request, context)


@serving(CommitProgram)
def limits_not_looked_at_on_commit(usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    """COMMIT_PROGRAM takes blocks that were within the limits when they were written, and are no longer."""
    return _unlimited(usual, request, context)


@serving(StepAmplitude)
def steps_know_no_limits(usual: Usual[Message], request: StepAmplitude, context: Context) -> Message:
    """The clinician's limits hold for SET_AMPLITUDE, but STEP_AMPLITUDE goes beyond."""
    return _unlimited(usual, request, context)


# Rules between values


def _set_in_spite_of(rule: SafetyRule, usual: Usual[Message], request: Any, context: Context) -> Message:
    """The answer, also where the setting breaks a rule."""
    return forgiving(rule, usual, request, context) or _set(request, context)


_SETTING: dict[type[Message], tuple[str, Callable[[int, int, int], Message]]] = {
    SetAmplitude: ("amplitude_microamps", Amplitude),
    SetPulseWidth: ("pulse_width_us", PulseWidth),
    SetRate: ("rate_millihertz", Rate),
}
"""What each request sets, and how it is answered."""


def _set(request: Any, context: Context) -> Message:
    field, answer = _SETTING[type(request)]
    number, value = int(request.area), int(getattr(request, field))
    area = context.device.require_program().areas[number]
    return answer(area.area, value, context.device.change_area(replace(area, **{field: value}), context.now))


@serving(SetAmplitude)
def charge_not_checked_by_set_amplitude(usual: Usual[Message], request: SetAmplitude, context: Context) -> Message:
    """SET_AMPLITUDE is held against the range, and not against the limit of charge."""
    return _set_in_spite_of(SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, usual, request, context)


@serving(SetPulseWidth)
def charge_not_checked_by_set_pulse_width(usual: Usual[Message], request: SetPulseWidth, context: Context) -> Message:
    """SET_PULSE_WIDTH is held against the range, and not against the limit of charge."""
    return _set_in_spite_of(SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, usual, request, context)


@serving(SetRate)
def period_not_checked_by_set_rate(usual: Usual[Message], request: SetRate, context: Context) -> Message:
    """SET_RATE takes a rate at which the pulse is longer than its period."""
    return _set_in_spite_of(SafetyRule.PULSE_EXCEEDS_PERIOD_US, usual, request, context)


@serving(SetRate)
def sum_of_rates_not_checked_by_set_rate(usual: Usual[Message], request: SetRate, context: Context) -> Message:
    """The sum of rates is looked at by COMMIT_PROGRAM, and not by SET_RATE."""
    return _set_in_spite_of(SafetyRule.SUM_OF_RATES_MILLIHERTZ, usual, request, context)


@serving(WriteProgramBlock)
def full_period_refused(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """A pulse that takes exactly its period is refused: the comparison is with `>=` where `>` is right."""
    settings, period_us = request.settings, PERIOD_MILLIHERTZ_US // max(request.settings.rate_millihertz, 1)
    answer = usual(request, context)
    if pulse_of(settings, context.device.model.shape(settings.waveform)).occupied_us == period_us:
        rule = SafetyRule.PULSE_EXCEEDS_PERIOD_US
        raise Refused(Status.UNSAFE_COMBINATION, SafetyDetail(rule, settings.area, period_us, period_us))
    return answer
