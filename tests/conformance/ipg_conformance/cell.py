"""How to bring the device's cell to a tier, or take it away, and back again as far as there is a way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress

from ipg_protocol import State
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.power import BatteryTierChanged
from ipg_protocol.vocabulary import BatteryTier

from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, NotApplicable, OutOfReach

LONGEST_LOOK_SECONDS = 24 * 3600.0
"""After so long a device has looked at its battery as often as it takes to see another tier."""
STRIDE_SECONDS = 1800.0
SHORTEST_STRIDE_SECONDS = 10.0
"""A device that has to hear of its host more often would be spoken to thousands of times before it looks at its battery."""
REAL_STRIDE_SECONDS = 1.0
DARK_SECONDS = 0.3


@contextmanager
def cell_at(device: Device, tier: BatteryTier) -> Generator[None]:
    """The device has found its battery at a tier, or a worse one, meanwhile; it is brought back as far as it can be.

    Raises:
        OutOfReach: there is no way to do it, or the device looks at its battery too seldom.
    """
    try:
        if device.status().battery_tier < tier:
            run_down(device, tier)
        yield
    finally:
        bring_back(device)


def run_down(device: Device, tier: BatteryTier) -> None:
    """Hold the cell at a tier, and let time pass until the device says so. A session that is idle so long is over."""
    _expect_a_way_back(device)
    device.inputs.battery(tier)
    stride = _stride_seconds(device)
    waited = 0.0
    while (found := device.status().battery_tier) < tier:
        if waited >= LONGEST_LOOK_SECONDS:
            what = f"the tier of the battery within {LONGEST_LOOK_SECONDS / 3600:g} h"
            raise Failure(what, expected=tier.name, got=found.name)
        if not device.inputs.has_time and waited >= device.patience_seconds:
            raise OutOfReach(f"the device has not looked at its battery within {waited:g} s, and there is no input `time`")
        device.let_pass(stride)
        waited += stride
        if device.inputs.has_time:  # where hours pass at once, the cell runs down further meanwhile
            device.inputs.battery(tier)
    device.open_session()


def _expect_a_way_back(device: Device) -> None:
    if is_rechargeable(device):
        device.inputs.charger(False)
    device.inputs.battery(BatteryTier.OK)


def _stride_seconds(device: Device) -> float:
    """At once where there is an input `time`, but no longer than the device bears a silent host."""
    if not device.inputs.has_time:
        return REAL_STRIDE_SECONDS
    stride = min(STRIDE_SECONDS, device.capabilities.limit(Capability.HOST_SILENCE_MS) / 2000 or STRIDE_SECONDS)
    if stride < SHORTEST_STRIDE_SECONDS:
        raise OutOfReach(f"the device bears a silent host for {2 * stride:g} s only, and looks at its battery more seldom")
    return stride


def bring_back(device: Device) -> None:
    """Bring the cell to OK, and the device out of EOS where charging or another cell does so."""
    with suppress(OutOfReach, NotApplicable):
        device.inputs.battery(BatteryTier.OK)
        if device.status().battery_tier is BatteryTier.EOS:
            if is_rechargeable(device):
                recharge(device)
            else:
                change_cell(device)


def recharge(device: Device) -> None:
    """Charge for as long as it takes the device to leave EOS."""
    device.inputs.charger(True)
    try:
        device.wait_for_state(lambda state: state is not State.EOS)
    finally:
        device.inputs.charger(False)


def change_cell(device: Device) -> None:
    """Take the power away: where its user can change the cell, the device looks at it anew when it is back."""
    lose_power(device)


def lose_power(device: Device) -> None:
    """Take the power away for a moment, and wait until the device has booted."""
    device.inputs.power(False)
    try:
        device.tester.listen(DARK_SECONDS)
    finally:
        device.inputs.power(True)
    device.wait_for_boot()


def is_rechargeable(device: Device) -> bool:
    return bool(device.capabilities.limit(Capability.RECHARGEABLE_BATTERY))


def tier_told(device: Device, tier: BatteryTier) -> BatteryTierChanged:
    """The event that tells of the tier, waiting for it if need be.

    Raises:
        Failure: none came.
    """
    device.tester.wait_for_event(BatteryTierChanged)
    found = device.tester.events_of(BatteryTierChanged)
    for told in found:
        if told.tier is tier:
            return told
    raise Failure("BATTERY_TIER_CHANGED", expected=tier.name, got=", ".join(told.tier.name for told in found))
