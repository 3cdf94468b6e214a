"""Impedance, battery, temperature: what is measured, and what follows from it."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.measurement import (
    ImpedancePage,
    ImpedanceVerdict,
    MeasureImpedance,
    MeasurementDone,
    ReadImpedance,
    ReadTemperature,
    Temperature,
)
from ipg_protocol.commands.power import Battery, Charging, GetBattery, GetCharging, GetLongevity, Longevity
from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.vocabulary import BatteryTier, State
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, due, going_by, inside, part, put, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.therapy import Goal
from ipg_emulator.firmware.timers import Timer
from ipg_emulator.model import DeviceModel


@part("device.delivery", "resume")
def measurement_leaves_therapy_off(usual: Usual[None], delivery: Delivery, cause: TherapyCause, now: int) -> None:
    """Therapy that a measurement has suspended is not resumed."""
    if cause is TherapyCause.MEASUREMENT:
        put(delivery, _will_resume=False)
    usual(cause, now)


@part("device.delivery", "resume")
def measurement_resumes_without_ramp(usual: Usual[None], delivery: Delivery, cause: TherapyCause, now: int) -> None:
    """After a measurement, therapy comes back at its amplitude."""
    usual(cause, now)
    therapy, device = delivery.therapy, inside(delivery, "_device")
    if cause is TherapyCause.MEASUREMENT and device.state is State.RAMPING:
        therapy.off(now)
        therapy.start(tuple(replace(area, ramp_seconds=0) for area in device.delivered_program.areas), now)
        inside(delivery, "_await_ramp")(now)


@serving(MeasureImpedance)
def second_measurement_takes_over(usual: Usual[Message], request: MeasureImpedance, context: Context) -> Message:
    """MEASURE_IMPEDANCE while one is under way begins it anew, and is not refused."""
    device = context.device
    if device.state is State.MEASURING:
        inside(device.delivery, "_timers").cancel(Timer.MEASUREMENT)
        device.delivery.resume(TherapyCause.MEASUREMENT, context.now)
    return usual(request, context)


@going_by
def short_threshold_in_another_unit(model: DeviceModel) -> DeviceModel:
    """The threshold below which a contact is short is taken in kiloohms for one in ohms."""
    test = model.impedance
    return replace(model, impedance=replace(test, short_below_ohms=test.short_below_ohms // 1000))


@answering(ReadImpedance)
def open_reads_nothing(page: ImpedancePage, _: Context) -> ImpedancePage:
    """A contact that is open is told with 0 ohms."""
    rows = tuple(replace(row, ohms=0) if row.verdict is ImpedanceVerdict.OPEN else row for row in page.rows)
    return replace(page, rows=rows)


@answering(ReadImpedance)
def impedance_rows_shifted(page: ImpedancePage, _: Context) -> ImpedancePage:
    """READ_IMPEDANCE tells each impedance under the number of the contact before."""
    return replace(page, rows=tuple(replace(row, cathode=max(row.cathode - 1, 0)) for row in page.rows))


@answering(ReadImpedance)
def impedances_told_at_the_end(page: ImpedancePage, context: Context) -> ImpedancePage:
    """READ_IMPEDANCE tells nothing before the whole measurement is over."""
    return replace(page, measured=0, rows=()) if context.device.state is State.MEASURING else page


@part("device", "notify")
def end_of_measurement_untold(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """No event tells that a measurement is over."""
    if not isinstance(event, MeasurementDone):
        usual(event, now)


@serving(MeasureImpedance)
def anode_measured_against_itself(usual: Usual[Message], request: MeasureImpedance, context: Context) -> Message:
    """MEASURE_IMPEDANCE of a contact against itself is taken, and measures another."""
    other = (request.anode + 1) % len(context.device.model.contacts)
    return usual(replace(request, cathode=other) if request.cathode == request.anode else request, context)


# Power


@booting
def stale_battery(firmware: Firmware) -> None:
    """The battery is read once a boot, and that reading told ever after."""
    reading = firmware.device.supply.read(inside(firmware, "_now"))
    vars(firmware.device.supply)["read"] = _Told(reading)


class _Told:
    """Tells the same, whatever the time."""

    def __init__(self, reading: Any) -> None:
        self._reading = reading

    def __call__(self, _: int) -> Any:
        return self._reading


@answering(GetBattery)
def charge_counts_up(battery: Battery, context: Context) -> Battery:
    """The charge told rises with every second of the uptime: what is drawn is added."""
    spent = context.device.uptime_us(context.now) // 1_000_000
    return replace(battery, charge_permille=min(500 + spent, 1000))


@answering(GetBattery)
def battery_in_centivolts(battery: Battery, _: Context) -> Battery:
    """GET_BATTERY tells hundredths of a volt where thousandths are asked for."""
    return replace(battery, millivolts=battery.millivolts // 10)


@answering(GetBattery)
def tier_of_another_scale(battery: Battery, _: Context) -> Battery:
    """GET_BATTERY tells a full battery as LOW: the tiers are counted from 1."""
    return replace(battery, tier=BatteryTier.LOW if battery.tier is BatteryTier.OK else battery.tier)


@answering(GetLongevity)
def longevity_unaware_of_therapy(told: Longevity, _: Context) -> Longevity:
    """GET_LONGEVITY reckons with a fixed drain, whether therapy runs or not."""
    return replace(told, days_to_eri=1000, days_to_eos=1100, mean_drain_nanoamps=5000)


@answering(GetLongevity)
def longevity_in_the_wrong_order(told: Longevity, _: Context) -> Longevity:
    """GET_LONGEVITY tells the time to ERI as the time to EOS, and the other way round."""
    return replace(told, days_to_eri=told.days_to_eos + 1, days_to_eos=told.days_to_eri)


@answering(ReadTemperature)
def temperature_a_degree_off(told: Temperature, _: Context) -> Temperature:
    """READ_TEMPERATURE tells one degree more than GET_BATTERY."""
    return Temperature(told.case_millicelsius + 1000)


@answering(ReadTemperature, GetBattery, GetCharging)
def temperature_in_kelvin(told: Any, _: Context) -> Any:
    """Temperatures are told in thousandths of a kelvin."""
    field = "case_millicelsius" if isinstance(told, Temperature | Charging) else "temperature_millicelsius"
    return replace(told, **{field: getattr(told, field) + 273_150})


@answering(GetCharging)
def charging_without_charger(told: Charging, _: Context) -> Charging:
    """GET_CHARGING tells a current while there is no charger."""
    return replace(told, current_microamps=told.current_microamps + 1000)


@part("device.delivery", "abandon")
def therapy_not_stopped_at_eos(usual: Usual[None], _: Delivery, cause: TherapyCause, now: int) -> None:
    """Therapy goes on when the battery is at its end of service."""
    if cause is not TherapyCause.BATTERY:
        usual(cause, now)


@serving(ReadImpedance)
def impedance_pages_are_the_first(usual: Usual[Message], request: ReadImpedance, context: Context) -> Message:
    """READ_IMPEDANCE begins with the first row, whichever is asked for."""
    return usual(replace(request, first=0), context)


@part("device.delivery", "_hold_off")
def stopped_therapy_resumed_after_measurement(usual: Usual[None], delivery: Delivery, cause: TherapyCause, now: int) -> None:
    """Therapy that was ramping down when a measurement cut it off is resumed after it."""
    is_stopping = delivery.therapy.goal is Goal.STOPPING
    usual(cause, now)
    if is_stopping:
        put(delivery, _will_resume=True)


@due(Timer.MEASUREMENT)
def measurement_restarts_the_counts(usual: Usual[None], firmware: Firmware, now: int) -> None:
    """Charge, on-time, pulses and energy begin at 0 again after a measurement."""
    firmware.device.delivery.therapy.count_from(now)
    usual(now)


@part("device.delivery", "measurement_left_us")
def busy_for_one_pair(usual: Usual[int], delivery: Delivery, now: int) -> int:
    """BUSY tells how long the pair still takes, and not the measurement of all."""
    left_us = usual(now)
    return min(left_us, delivery.pair_us)
