"""REQ-BAT: what the battery reports. EOS cannot be reached by commands."""

from __future__ import annotations

from ipg_protocol.commands.link import Alert
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.vocabulary import BatteryTier

from ipg_conformance.case import case, expect, expect_that
from ipg_conformance.device import Device


@case("BAT/READ/BV-01", "REQ-BAT-001")
def battery_is_plausible(device: Device) -> None:
    """GET_BATTERY needs no session, and reports 1.5 to 5 V, at most 1000 permille, and the tier of GET_STATUS."""
    device.ask(CloseSession())
    battery = device.ask(GetBattery())
    expect_that("the voltage is between 1500 and 5000 mV", 1500 <= battery.millivolts <= 5000, battery)
    expect_that("the charge is at most 1000 permille", battery.charge_permille <= 1000, battery)
    expect("the tier", battery.tier, device.status().battery_tier)


@case("BAT/DRAIN/BV-01", "REQ-BAT-001")
def charge_never_rises(device: Device) -> None:
    """Without charging, the charge does not rise, and therapy drains more than rest."""
    resting = device.ask(GetBattery())
    device.run_therapy()
    running = device.ask(GetBattery())
    expect_that("the charge does not rise", running.charge_permille <= resting.charge_permille, (resting, running))
    expect_that("therapy drains more than rest", running.drain_microamps > resting.drain_microamps, (resting, running))


@case("BAT/TIER/BV-01", "REQ-BAT-001")
def tier_allows_therapy(device: Device) -> None:
    """The tier is not EOS, and therapy runs without a fault."""
    battery = device.ask(GetBattery())
    expect_that("a device under test is not at EOS", battery.tier is not BatteryTier.EOS, battery)
    device.begin_therapy()
    expect("the alert FAULT_LATCHED", bool(device.status().alerts & Alert.FAULT_LATCHED), False)
