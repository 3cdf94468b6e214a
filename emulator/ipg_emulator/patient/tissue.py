"""The tissue round the contacts: how much resistance each of them meets."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec

from ipg_emulator.model import ElectrodeFigures


class Chance(Protocol):
    """The one thing asked of a source of randomness, as `random.Random` gives it."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """A normally distributed value."""
        ...


class Tissue(msgspec.Struct, frozen=True):
    """The access resistance of each contact and of the case, in ohms."""

    access_ohms: tuple[float, ...]
    case_ohms: float


def grow(figures: ElectrodeFigures, contact_count: int, chance: Chance) -> Tissue:
    """Tissue whose access resistances spread log-normally about the model's figure, which is their median."""
    spread = figures.access_spread_permille / 1000
    access = (figures.access_ohms * math.exp(chance.gauss(0.0, spread)) for _ in range(contact_count))
    return Tissue(tuple(access), float(figures.case_ohms))
