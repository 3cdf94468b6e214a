"""A quantity that nears a steady value exponentially, as a charging current does in its taper, and heat."""

from __future__ import annotations

import math

import msgspec


class Decay(msgspec.Struct, frozen=True):
    """steady + decaying * exp(-(now - start) / tau); times in microseconds."""

    start: int = 0
    steady: float = 0.0
    decaying: float = 0.0
    tau_us: float = 1.0

    def at(self, now: int) -> float:
        return self.steady + self.decaying * math.exp(-(now - self.start) / self.tau_us)

    def integral(self, now: int) -> float:
        """Over time from the start on, in the quantity's unit times microseconds."""
        passed = now - self.start
        return self.steady * passed - self.decaying * self.tau_us * math.expm1(-passed / self.tau_us)

    def scaled(self, factor: float) -> Decay:
        """So many times as much."""
        return Decay(self.start, self.steady * factor, self.decaying * factor, self.tau_us)
