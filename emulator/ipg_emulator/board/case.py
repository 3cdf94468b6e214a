"""The warmth of the case: a body of one time constant between what heats it and the patient, known in closed form."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

from ipg_emulator.board.decay import Decay

_SETTLED = 40
"""After so many time constants nothing moves any more."""


class Case:
    """How far the case is above the body: tau * dr/dt = heat - r, `heat` being the rise at which it would come to rest."""

    def __init__(self, time_constant_us: int) -> None:
        self._tau_us = time_constant_us
        self._heat = Decay()
        self._rise_at_start = 0.0

    def rise_millikelvin(self, now: int) -> float:
        """Above the body, at a time not before the heat last changed."""
        heat = self._heat
        passed = now - heat.start
        following = self._following()
        own = self._rise_at_start - heat.steady - following
        return heat.steady + following * math.exp(-passed / heat.tau_us) + own * math.exp(-passed / self._tau_us)

    def heat(self, heat: Decay) -> None:
        """From the start of `heat` on, be heated so: to so many millikelvin above the body in the end."""
        self._rise_at_start = self.rise_millikelvin(heat.start)
        if math.isclose(heat.tau_us, self._tau_us, rel_tol=1e-6):  # at equality the closed form is another one
            heat = Decay(heat.start, heat.steady, heat.decaying, heat.tau_us * 1.00001)
        self._heat = heat

    def when_above(self, millikelvin: float, now: int) -> int | None:
        """When the rise, if it is below, will have reached `millikelvin`; None: never."""
        return self._when(lambda at: self.rise_millikelvin(at) >= millikelvin, now)

    def when_below(self, millikelvin: float, now: int) -> int | None:
        """When the rise, if it is above, will have fallen to `millikelvin`; None: never."""
        return self._when(lambda at: self.rise_millikelvin(at) <= millikelvin, now)

    def _when(self, is_reached: Callable[[int], bool], now: int) -> int | None:
        """Looked for up to the one moment at which the rise can turn round, and from there on to the end."""
        early = now
        for late in (self._turn(), now + int(_SETTLED * max(self._tau_us, self._heat.tau_us))):
            if late > early and is_reached(late):
                return early + 1 + bisect_left(range(early + 1, late), True, key=is_reached)
            early = max(early, late)
        return None

    def _turn(self) -> int:
        """When the rise is highest or lowest, if it ever turns round; else the heat's start."""
        heat, following = self._heat, self._following()
        own = self._rise_at_start - heat.steady - following
        if following == 0 or own == 0:
            return heat.start
        ratio = -(own * heat.tau_us) / (following * self._tau_us)
        if ratio <= 0:
            return heat.start
        return heat.start + round(math.log(ratio) / (1 / self._tau_us - 1 / heat.tau_us))

    def _following(self) -> float:
        """The part of the rise that goes with the heat's own decay."""
        heat = self._heat
        return heat.decaying * heat.tau_us / (heat.tau_us - self._tau_us) if heat.decaying else 0.0
