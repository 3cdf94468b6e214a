"""Group 05: power."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Request, command, event
from ipg_protocol.vocabulary import ANY_STATE, BatteryTier, Role
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


@unique
class ChargingState(IntEnum):
    """What the charger does. TRICKLE brings a deeply discharged cell back; PAUSED waits for the case to cool."""

    ABSENT = 0
    TRICKLE = 1
    CONSTANT_CURRENT = 2
    CONSTANT_VOLTAGE = 3
    COMPLETE = 4
    PAUSED = 5


UNKNOWN_MINUTES = 0xFFFF


class Charging(Message, frozen=True):
    """Charging at this moment: current into the cell, how well the coils couple, minutes to COMPLETE (65535: unknown)."""

    state: ChargingState
    coupling_permille: U16
    current_microamps: U32
    charge_permille: U16
    case_millicelsius: I32
    minutes_left: U16


@command(0x0502, role=None, states=ANY_STATE, optional=True)
class GetCharging(Request[Charging], frozen=True):
    """Read what the charger does."""


UNKNOWN_DAYS = 0xFFFF_FFFF


class Longevity(Message, frozen=True):
    """How long the battery will last with the therapy that now runs: until ERI, until EOS (4294967295: no end in sight).

    Of a rechargeable cell, until it must be charged. `mean_drain_nanoamps` is the mean of the coming day.
    """

    days_to_eri: U32
    days_to_eos: U32
    mean_drain_nanoamps: U32


@command(0x0503, role=Role.OBSERVER)
class GetLongevity(Request[Longevity], frozen=True):
    """Estimate how long the battery will last."""


@event(0x8501)
class BatteryTierChanged(Message, frozen=True):
    """The battery has reached another tier."""

    tier: BatteryTier
    millivolts: U16


@event(0x8502)
class ChargingChanged(Message, frozen=True):
    """The charger does something else now."""

    state: ChargingState
    charge_permille: U16
