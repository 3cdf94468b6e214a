"""REQ-BAT, REQ-CHG, REQ-LON, REQ-TMP: battery, charger and temperature as reported. No command leads to EOS."""

from __future__ import annotations

from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.power import UNKNOWN_DAYS, ChargingState, GetBattery, GetCharging, GetLongevity
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.vocabulary import BatteryTier, State

from ipg_conformance.case import case
from ipg_conformance.device import Device
from ipg_conformance.expect import NotApplicable, expect, expect_that

CHARGING = (ChargingState.TRICKLE, ChargingState.CONSTANT_CURRENT, ChargingState.CONSTANT_VOLTAGE)
TOLERANCE_MILLICELSIUS = 50
LEAST_MILLIVOLTS = 1_000
"""A device that answers runs on a cell that is not empty, or on several."""


@case("BAT/READ/BV-01", "REQ-BAT-001")
def battery_is_plausible(device: Device) -> None:
    """GET_BATTERY needs no session, and reports a plausible voltage, at most 1000 permille, and the tier of GET_STATUS."""
    device.ask(CloseSession())
    battery = device.ask(GetBattery())
    expect_that(f"the voltage is at least {LEAST_MILLIVOLTS} mV", battery.millivolts >= LEAST_MILLIVOLTS, battery)
    expect_that("the charge is at most 1000 permille", battery.charge_permille <= 1000, battery)
    expect("the tier", battery.tier, device.status().battery_tier)


@case("BAT/DRAIN/BV-01", "REQ-BAT-001")
def charge_never_rises(device: Device) -> None:
    """Without charging, the charge does not rise, and therapy drains more than rest."""
    if is_charging(device):
        raise NotApplicable("the device is being charged")
    resting = device.ask(GetBattery())
    device.run_therapy()
    running = device.ask(GetBattery())
    expect_that("the charge does not rise", running.charge_permille <= resting.charge_permille, (resting, running))
    expect_that("therapy drains more than rest", running.drain_microamps > resting.drain_microamps, (resting, running))


def is_charging(device: Device) -> bool:
    return device.capabilities.supports(GetCharging) and device.ask(GetCharging()).state in CHARGING


@case("BAT/TIER/BV-01", "REQ-BAT-001")
def tier_allows_therapy(device: Device) -> None:
    """The tier is not EOS, and therapy runs without a fault."""
    battery = device.ask(GetBattery())
    expect_that("a device under test is not at EOS", battery.tier is not BatteryTier.EOS, battery)
    device.begin_therapy()
    expect("the alert FAULT_LATCHED", bool(device.status().alerts & Alert.FAULT_LATCHED), False)


@case("BAT/EOS/BV-01", "REQ-BAT-002", bare=True)
def end_of_service_ends_therapy(device: Device) -> None:
    """A device whose battery is at EOS, after however long, has the state EOS: therapy is over."""
    status = device.status()
    if status.battery_tier is not BatteryTier.EOS:
        raise NotApplicable("the battery is not at EOS")
    expect_that("the state is EOS, or FAULT", status.state in (State.EOS, State.FAULT), status)


@case("CHG/READ/BV-01", "REQ-CHG-001")
def charging_agrees_with_the_battery(device: Device) -> None:
    """GET_CHARGING needs no session, tells the charge of GET_BATTERY, and current exactly while the alert CHARGING is up."""
    device.need(GetCharging)
    device.ask(CloseSession())
    charging, battery = device.ask(GetCharging()), device.ask(GetBattery())
    expect_that("the charge is that of GET_BATTERY", abs(charging.charge_permille - battery.charge_permille) <= 1, charging)
    expect_that("the coupling is at most 1000 permille", charging.coupling_permille <= 1000, charging)
    expect("whether current flows", charging.current_microamps > 0, charging.state in CHARGING)
    if charging.state in CHARGING:
        expect_that("the alert CHARGING is up", bool(device.status().alerts & Alert.CHARGING), device.status())
    if charging.state is ChargingState.ABSENT:
        expect("the alert CHARGING", bool(device.status().alerts & Alert.CHARGING), False)


@case("LON/READ/BV-01", "REQ-LON-001")
def longevity_is_in_order(device: Device) -> None:
    """ERI does not come after EOS, and a device that drains its battery without end does not last for ever."""
    longevity = device.ask(GetLongevity())
    expect_that("ERI is not after EOS", longevity.days_to_eri <= longevity.days_to_eos, longevity)
    if longevity.days_to_eos != UNKNOWN_DAYS:
        expect_that("the mean drain is above zero", longevity.mean_drain_nanoamps > 0, longevity)


@case("LON/READ/BV-02", "REQ-LON-001")
def therapy_shortens_longevity(device: Device) -> None:
    """While therapy runs the mean drain of the coming day is higher than at rest, and the battery lasts no longer."""
    resting = device.ask(GetLongevity())
    device.run_therapy()
    running = device.ask(GetLongevity())
    higher = running.mean_drain_nanoamps > resting.mean_drain_nanoamps
    expect_that("the mean drain is higher", higher, (resting, running))
    expect_that("EOS does not come later", running.days_to_eos <= resting.days_to_eos, (resting, running))


@case("TMP/READ/BV-01", "REQ-TMP-001")
def temperature_is_the_battery_s(device: Device) -> None:
    """READ_TEMPERATURE tells the temperature that GET_BATTERY tells, and where there is a charger, GET_CHARGING."""
    told = [device.ask(ReadTemperature()).case_millicelsius, device.ask(GetBattery()).temperature_millicelsius]
    if device.capabilities.supports(GetCharging):
        told.append(device.ask(GetCharging()).case_millicelsius)
    expect_that("all tell the same temperature", max(told) - min(told) <= TOLERANCE_MILLICELSIUS, told)
    expect_that("it is between -40 and 85 degrees", -40_000 <= told[0] <= 85_000, told)


@case("CAP/POWER/BV-01", "REQ-CAP-002", "REQ-CHG-001")
def rechargeable_devices_charge(device: Device) -> None:
    """A device whose battery is rechargeable names GET_CHARGING."""
    if not device.capabilities.limit(Capability.RECHARGEABLE_BATTERY):
        raise NotApplicable("the battery is not rechargeable")
    expect("GET_CHARGING is named", device.capabilities.supports(GetCharging), True)
