"""Group 05: power."""

from __future__ import annotations

from ipg_protocol.command import Request, command, event
from ipg_protocol.vocabulary import ANY_STATE, BatteryTier
from ipg_protocol.wire import I32, U16, U32, Message


class Battery(Message, frozen=True):
    """Terminal voltage under load, charge left, tier, temperature, and the present drain."""

    millivolts: U16
    charge_permille: U16
    tier: BatteryTier
    temperature_millicelsius: I32
    drain_microamps: U32


@command(0x0501, role=None, states=ANY_STATE)
class GetBattery(Request[Battery], frozen=True):
    """Read the battery."""


@event(0x8501)
class BatteryTierChanged(Message, frozen=True):
    """The battery has reached another tier."""

    tier: BatteryTier
    millivolts: U16
