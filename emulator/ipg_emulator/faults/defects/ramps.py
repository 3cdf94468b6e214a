"""Levels: how each area gets from one to another, and what is counted of it."""

from __future__ import annotations

from ipg_protocol.commands.link import Alert, DeviceStatus, GetStatus
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import AmplitudeChanged, AreaTherapy, ReadTherapy, TherapyCause
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, inside, part, put
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.therapy import Goal, Ramp, Therapy

Areas = tuple[AreaSettings, ...]


@part("device.delivery.therapy", "ramp_down")
def stop_ramps_from_the_programmed_amplitude(usual: Usual[None], therapy: Therapy, goal: Goal, now: int) -> None:
    """The stop ramp begins at the programmed amplitude, also when a stop on the way up finds the output below it."""
    if therapy.goal is Goal.PROGRAMMED:
        levels: Areas = inside(therapy, "_areas")
        inside(therapy, "_drive")([Ramp(now, now, area.amplitude_microamps, area.amplitude_microamps) for area in levels], now)
    usual(goal, now)


@part("device.delivery.therapy", "start")
def areas_ramp_as_the_first(usual: Usual[None], therapy: Therapy, areas: Areas, now: int) -> None:
    """All areas of a program take the ramp of the first."""
    usual(tuple(replace(area, ramp_seconds=areas[0].ramp_seconds) for area in areas), now)
    put(therapy, _areas=areas)


@part("device.delivery.therapy", "start")
def second_area_without_ramp(usual: Usual[None], therapy: Therapy, areas: Areas, now: int) -> None:
    """Only the first area of a program ramps up; the others start at their amplitude."""
    usual((areas[0], *(replace(area, ramp_seconds=0) for area in areas[1:])), now)
    put(therapy, _areas=areas)


@part("device.delivery", "start")
def second_start_ramps_again(
    usual: Usual[None], delivery: Delivery, now: int, cause: TherapyCause = TherapyCause.COMMAND
) -> None:
    """START_THERAPY while therapy runs takes the output to 0, and ramps it up again."""
    if delivery.therapy.goal is Goal.PROGRAMMED:
        delivery.therapy.off(now)
    usual(now, cause)


@part("device.delivery.therapy", "change")
def wider_pulse_at_the_old_amplitude(usual: Usual[None], therapy: Therapy, areas: Areas, now: int) -> None:
    """A pulse that is made wider while the output comes down is given at what it has come down to, above the programmed."""
    output: Areas = inside(therapy, "_areas")
    put(therapy, _areas=tuple(replace(old, pulse_width_us=new.pulse_width_us) for old, new in zip(output, areas, strict=True)))
    usual(areas, now)


@part("device", "notify")
def amplitude_event_of_the_first_area(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """AMPLITUDE_CHANGED names area 0, whichever was set."""
    usual(replace(event, area=0) if isinstance(event, AmplitudeChanged) else event, now)


@answering(ReadTherapy)
def energy_untold(told: AreaTherapy, _: Context) -> AreaTherapy:
    """READ_THERAPY tells 0 as the energy, whatever was delivered."""
    return replace(told, energy_microjoules=0)


@answering(ReadTherapy)
def on_time_is_the_uptime(told: AreaTherapy, context: Context) -> AreaTherapy:
    """READ_THERAPY tells the uptime of the device as the on-time of the output."""
    return replace(told, on_time_seconds=context.device.uptime_us(context.now) // 1_000_000)


@answering(GetStatus)
def cycle_alert_missing(status: DeviceStatus, _: Context) -> DeviceStatus:
    """GET_STATUS does not show that the output pauses."""
    return replace(status, alerts=status.alerts & ~Alert.CYCLE_OFF)


@part("device.delivery", "_note_limits")
def compliance_not_logged(_: Usual[None], __: Delivery, ___: int) -> None:
    """That compliance limits the output is flagged, and not logged."""
