"""Reading the battery, the charger, and how long the battery will last."""

from __future__ import annotations

from ipg_protocol.commands.power import (
    UNKNOWN_DAYS,
    UNKNOWN_MINUTES,
    Battery,
    Charging,
    GetBattery,
    GetCharging,
    GetLongevity,
    Longevity,
)

from ipg_emulator.firmware.dispatch import Context, handles


@handles(GetBattery)
def get_battery(_: GetBattery, context: Context) -> Battery:
    device, now = context.device, context.now
    reading = device.supply.read(now)
    return Battery(
        millivolts=reading.millivolts,
        charge_permille=reading.charge_permille,
        tier=device.supply.tier,
        temperature_millicelsius=device.board.temperature_millicelsius(now),
        drain_microamps=reading.drain_microamps,
    )


@handles(GetCharging)
def get_charging(_: GetCharging, context: Context) -> Charging:
    device, now = context.device, context.now
    charger = device.board.charger
    assert charger is not None, "a model without a charger has no such command"
    reading = charger.read(now)
    minutes = reading.minutes_left
    return Charging(
        state=reading.state,
        coupling_permille=reading.coupling_permille,
        current_microamps=reading.current_microamps,
        charge_permille=device.supply.read(now).charge_permille,
        case_millicelsius=device.board.temperature_millicelsius(now),
        minutes_left=UNKNOWN_MINUTES if minutes is None else min(minutes, UNKNOWN_MINUTES - 1),
    )


@handles(GetLongevity)
def get_longevity(_: GetLongevity, context: Context) -> Longevity:
    supply, now = context.device.supply, context.now
    cell = context.device.model.battery
    return Longevity(
        days_to_eri=_whole_days(supply.days_to(cell.eri_millivolts, now)),
        days_to_eos=_whole_days(supply.days_to(cell.eos_millivolts, now)),
        mean_drain_nanoamps=round(supply.expected_microamps(now) * 1000),
    )


def _whole_days(days: float) -> int:
    return int(min(days, UNKNOWN_DAYS))
