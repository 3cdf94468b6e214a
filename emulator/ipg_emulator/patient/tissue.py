"""The tissue round the contacts: how much resistance each of them meets, by the hour and by the years."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from ipg_emulator.model import ElectrodeFigures

DAY_US = 86_400_000_000
AGEING_SPREAD = 0.7
"""Of the logarithm of time: with a median of 14 days, 84 % of the growth is done after 4 weeks and 98 % after 8."""


class Chance(Protocol):
    """The one thing asked of a source of randomness, as `random.Random` gives it."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """A normally distributed value."""
        ...


class Tissue(msgspec.Struct, frozen=True):
    """The access resistance of each contact and of the case at implantation, in ohms, and how it changes from then on."""

    access_ohms: tuple[float, ...]
    case_ohms: float
    daily: float = 0.0
    """How far it swings over a day, as a part of itself."""
    ageing: float = 0.0
    """How much it has grown in the end, as a part of itself."""
    ageing_days: float = 14.0

    def ratio(self, now: int) -> float:
        """The resistance at `now`, in microseconds from implantation, over that at time 0.

        A sine over the day, and encapsulation that grows by the cumulative log-normal distribution to a plateau.
        """
        days = now / DAY_US
        swing = self.daily * math.sin(2 * math.pi * days)
        grown = self.ageing * _log_normal(days / self.ageing_days) if days > 0 else 0.0
        return (1 + swing) * (1 + grown)


def _log_normal(time: float) -> float:
    """The cumulative distribution at so many medians."""
    return (1 + math.erf(math.log(time) / (AGEING_SPREAD * math.sqrt(2)))) / 2


def grow(figures: ElectrodeFigures, contact_count: int, chance: Chance) -> Tissue:
    """Tissue whose access resistances spread log-normally about the model's figure, which is their median."""
    spread = figures.access_spread_permille / 1000
    access = tuple(figures.access_ohms * math.exp(chance.gauss(0.0, spread)) for _ in range(contact_count))
    daily, ageing = figures.daily_permille / 1000, figures.ageing_permille / 1000
    return Tissue(access, float(figures.case_ohms), daily, ageing, float(figures.ageing_days))
