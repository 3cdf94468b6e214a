"""REQ-CHG: what a charger does to the device when it comes and goes. They take the input `charger`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ipg_protocol.commands.link import Alert
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.power import UNKNOWN_MINUTES, Charging, ChargingChanged, ChargingState, GetBattery, GetCharging
from ipg_protocol.vocabulary import BatteryTier

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.inputs import SENSED_SECONDS
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.power import CHARGING
from ipg_conformance.device import Device
from ipg_conformance.expect import NotApplicable, expect, expect_that
from ipg_conformance.predicate import has_commands

CHARGED_SECONDS = 1800.0
CHARGES = has_commands(GetCharging)


@contextmanager
def charger(device: Device) -> Generator[None]:
    """A charger that is there meanwhile, and is gone whatever happens.

    Raises:
        NotApplicable: the device is being charged already.
    """
    device.inputs.charger(False)
    if device.ask(GetCharging()).state is not ChargingState.ABSENT:
        raise NotApplicable("the charger of this device cannot be taken away")
    device.forget_events()
    device.inputs.charger(True)
    try:
        yield
    finally:
        device.inputs.charger(False)


def charging_told(device: Device) -> ChargingState:
    """The state that the next CHARGING_CHANGED tells."""
    return device.tester.wait_for_event(ChargingChanged, SENSED_SECONDS).state


def _logged(device: Device, since: int) -> list[int]:
    return [entry.argument for entry in entries_from(device, since + 1) if entry.code is LogCode.CHARGING]


def _expect_agreement(device: Device, state: ChargingState) -> Charging:
    """GET_CHARGING, its current, and the alert CHARGING are as the state says."""
    charging = device.ask(GetCharging())
    expect("the state of GET_CHARGING", charging.state, state)
    expect("whether current flows", charging.current_microamps > 0, state in CHARGING)
    is_up = bool(device.status().alerts & Alert.CHARGING)
    expect("whether the alert CHARGING is up", is_up, state is not ChargingState.ABSENT)
    return charging


@case("CHG/PLACE/BV-01", "REQ-CHG-001", "REQ-LOG-002", applies=CHARGES)
def charger_that_comes_and_goes_is_told(device: Device) -> None:
    """A charger that comes, and one that goes, is told by CHARGING_CHANGED, the alert, GET_CHARGING and the log."""
    newest = device.ask(LogInfo()).newest
    with charger(device):
        come = charging_told(device)
        expect_that("CHARGING_CHANGED tells of a charger", come is not ChargingState.ABSENT, come)
        _expect_agreement(device, come)
        device.forget_events()
    expect("what CHARGING_CHANGED tells when it has gone", charging_told(device), ChargingState.ABSENT)
    _expect_agreement(device, ChargingState.ABSENT)
    expect("the entries CHARGING", _logged(device, newest), [come, ChargingState.ABSENT])


@case("CHG/PLACE/BO-01", "REQ-CHG-001", applies=CHARGES)
def charger_that_stays_is_told_once(device: Device) -> None:
    """A charger that is laid on twice, or taken away where none is, is no change: it is neither told again nor logged."""
    newest = device.ask(LogInfo()).newest
    with charger(device):
        come = charging_told(device)
        device.inputs.charger(True)
        _expect_agreement(device, come)
    device.inputs.charger(False)
    _expect_agreement(device, ChargingState.ABSENT)
    told = [event.state for event in device.tester.events_of(ChargingChanged)]
    expect("what CHARGING_CHANGED told", told, [come, ChargingState.ABSENT])
    expect("the entries CHARGING", _logged(device, newest), told)


@case("CHG/CHARGE/BV-01", "REQ-CHG-001", "REQ-BAT-001", profile=Profile.FULL, applies=CHARGES)
def charging_fills_the_battery(device: Device) -> None:
    """In half an hour on the charger the charge rises, in GET_BATTERY and in GET_CHARGING alike, and the time left falls."""
    device.inputs.battery(BatteryTier.OK)
    with charger(device):
        first = device.ask(GetCharging())
        expect_that("the cell is being charged", first.state in CHARGING, first)
        device.let_pass(CHARGED_SECONDS)
        later, battery = device.ask(GetCharging()), device.ask(GetBattery())
        expect_that("the charge has risen", later.charge_permille > first.charge_permille, (first, later))
        difference = abs(later.charge_permille - battery.charge_permille)
        expect_that("GET_BATTERY tells the same charge", difference <= 1, (later, battery))
        if UNKNOWN_MINUTES not in (first.minutes_left, later.minutes_left):
            expect_that("the time left has fallen", later.minutes_left < first.minutes_left, (first, later))
