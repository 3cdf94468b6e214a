"""Starting, stopping and adjusting therapy, and the limits that hold for every role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from ipg_protocol.command import Request
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import (
    Amplitude,
    AreaTherapy,
    Limits,
    PulseWidth,
    Rate,
    ReadLimits,
    ReadTherapy,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    StopTherapy,
    TherapyState,
    WriteLimits,
)
from ipg_protocol.refusal import RevisionDetail
from ipg_protocol.vocabulary import State, Status

from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import Refused, out_of_range
from ipg_emulator.firmware.rules import (
    amplitude_bounds,
    charge_per_phase_nanocoulombs,
    check_areas,
    check_safety,
    check_value,
    highest_microamps,
    is_charge_density_high,
)
from ipg_emulator.firmware.start import check_start
from ipg_emulator.model import DeviceModel


def _state(device: Device, now: int) -> TherapyState:
    left = device.delivery.therapy.ramp_end - now if device.state is State.RAMPING else 0
    return TherapyState(device.state, max(left, 0) // 1000)


@handles(StartTherapy)
def start_therapy(_: StartTherapy, context: Context) -> TherapyState:
    device, now = context.device, context.now
    check_start(device, device.configuration.active_program, now)
    device.delivery.start(now)
    return _state(device, now)


@handles(StopTherapy)
def stop_therapy(request: StopTherapy, context: Context) -> TherapyState:
    context.device.delivery.stop(request.mode, context.now)
    return _state(context.device, context.now)


def area_of(device: Device, request: Request[Any], number: int) -> AreaSettings:
    """An area of the active program, or the refusal that says which there are."""
    program = device.require_program()
    if number >= len(program.areas):
        raise out_of_range(request, "area", 0, len(program.areas) - 1, value=number)
    return program.areas[number]


def _apply(context: Context, settings: AreaSettings, code: LogCode, value: int) -> int:
    device, areas = context.device, context.device.require_program().areas
    check_safety(device.model, device.configuration.limits, settings)
    check_areas(device.model, [settings if area.area == settings.area else area for area in areas])
    is_new = not is_charge_density_high(device.model, areas[settings.area])
    revision = device.change_area(settings, context.now)
    device.log(code, value, context.now)
    if is_new and is_charge_density_high(device.model, settings):
        device.log(LogCode.CHARGE_DENSITY_WARNED, settings.area, context.now)
    return revision


@handles(SetAmplitude)
def set_amplitude(request: SetAmplitude, context: Context) -> Amplitude:
    device, value = context.device, request.amplitude_microamps
    area = area_of(device, request, request.area)
    grid = device.model.ranges.amplitude_microamps
    low, high = amplitude_bounds(device.model, device.configuration.limits, area, context.role)
    if not low <= value <= high:
        nearest = grid.nearest(min(max(value, low), high))
        raise out_of_range(request, "amplitude_microamps", low, high, value=value, step=grid.step_at(value), nearest=nearest)
    check_value(request, "amplitude_microamps", value, grid)
    return _set_amplitude(context, area, value)


def _set_amplitude(context: Context, area: AreaSettings, microamps: int) -> Amplitude:
    settings = msgspec.structs.replace(area, amplitude_microamps=microamps)
    return Amplitude(area.area, microamps, _apply(context, settings, LogCode.AMPLITUDE_SET, microamps))


@handles(StepAmplitude)
def step_amplitude(request: StepAmplitude, context: Context) -> Amplitude:
    device = context.device
    area = area_of(device, request, request.area)
    revision = device.configuration.revision
    if request.expected_revision != revision:
        raise Refused(Status.CONFLICT, RevisionDetail(revision))
    low, high = amplitude_bounds(device.model, device.configuration.limits, area, context.role)
    grid = [v for v in device.model.ranges.amplitude_microamps.values() if low <= v <= high]
    above = [v for v in grid if v > area.amplitude_microamps]
    below = [v for v in reversed(grid) if v < area.amplitude_microamps]
    if not -len(below) <= request.steps <= len(above):
        raise out_of_range(request, "steps", -len(below), len(above), value=request.steps)
    target = area.amplitude_microamps
    if request.steps:
        target = above[request.steps - 1] if request.steps > 0 else below[-request.steps - 1]
    return _set_amplitude(context, area, target)


@handles(SetPulseWidth)
def set_pulse_width(request: SetPulseWidth, context: Context) -> PulseWidth:
    device, value = context.device, request.pulse_width_us
    area = area_of(device, request, request.area)
    limits = device.configuration.limits
    check_value(request, "pulse_width_us", value, device.model.ranges.pulse_width_us, maximum=limits.pulse_width_us)
    settings = msgspec.structs.replace(area, pulse_width_us=value)
    return PulseWidth(area.area, value, _apply(context, settings, LogCode.PULSE_WIDTH_SET, value))


@handles(SetRate)
def set_rate(request: SetRate, context: Context) -> Rate:
    device, value = context.device, request.rate_millihertz
    area = area_of(device, request, request.area)
    limits = device.configuration.limits
    check_value(request, "rate_millihertz", value, device.model.ranges.rate_millihertz, maximum=limits.rate_millihertz)
    settings = msgspec.structs.replace(area, rate_millihertz=value)
    return Rate(area.area, value, _apply(context, settings, LogCode.RATE_SET, value))


@handles(ReadLimits)
def read_limits(_: ReadLimits, context: Context) -> Limits:
    return context.device.configuration.limits


_USED: dict[str, Callable[[DeviceModel, AreaSettings], int]] = {
    "amplitude_microamps": lambda _, area: highest_microamps(area),
    "pulse_width_us": lambda _, area: area.pulse_width_us,
    "rate_millihertz": lambda _, area: area.rate_millihertz,
    "charge_per_phase_nanocoulombs": lambda model, area: charge_per_phase_nanocoulombs(model, area, highest_microamps(area)),
}
"""What an area asks of each limit."""


def _check_limits(device: Device, request: WriteLimits) -> None:
    """Refuse limits above the model's, below what a stored program uses, or off the grid."""
    ranges = device.model.ranges
    stored = [area for program in device.configuration.programs if program for area in program.areas]
    for name, used in _USED.items():
        value: int = getattr(request, name)
        allowed = getattr(ranges, name, None)
        highest = allowed.maximum if allowed else device.model.limits.charge_per_phase_nanocoulombs.value
        lowest = max((used(device.model, area) for area in stored), default=allowed.minimum if allowed else 0)
        if not lowest <= value <= highest:
            raise out_of_range(request, name, lowest, highest, value=value, step=allowed.step_at(value) if allowed else 1)
        if allowed:
            check_value(request, name, value, allowed)


@handles(WriteLimits)
def write_limits(request: WriteLimits, context: Context) -> Limits:
    device = context.device
    _check_limits(device, request)
    limits = Limits(
        amplitude_microamps=request.amplitude_microamps,
        pulse_width_us=request.pulse_width_us,
        rate_millihertz=request.rate_millihertz,
        charge_per_phase_nanocoulombs=request.charge_per_phase_nanocoulombs,
        revision=device.configuration.revision + 1,
    )
    revision = device.memory.commit(msgspec.structs.replace(device.configuration, limits=limits))
    device.log(LogCode.LIMITS_WRITTEN, revision, context.now)
    return limits


@handles(ReadTherapy)
def read_therapy(request: ReadTherapy, context: Context) -> AreaTherapy:
    return context.device.delivery.therapy.report(area_of(context.device, request, request.area), context.now)
