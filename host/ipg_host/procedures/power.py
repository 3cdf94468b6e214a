"""The battery, its charger, and how long it will last."""

from __future__ import annotations

from ipg_protocol.commands.power import Battery, Charging, GetBattery, GetCharging, GetLongevity, Longevity

from ipg_host.conversation import Procedure, ask


def battery() -> Procedure[Battery]:
    """Read the battery."""
    return ask(GetBattery())


def charging() -> Procedure[Charging]:
    """Read what the charger does."""
    return ask(GetCharging())


def longevity() -> Procedure[Longevity]:
    """Estimate how long the battery will last with the therapy that now runs."""
    return ask(GetLongevity())
