"""The course of charging over the cell's charge: trickle, constant current, taper at constant voltage, complete."""

from __future__ import annotations

import math

from ipg_protocol.commands.power import ChargingState

from ipg_emulator.board.discharge import DischargeCurve
from ipg_emulator.model import Charging

_NANOCOULOMBS_PER_MICROAMP_SECOND = 1000
_TOLERANCE_PERMILLE = 1e-6


class Profile:
    """Charge in permille of what the cell holds, currents in microamperes.

    In the taper the current falls in a straight line over the charge, from the full current at `taper_from_permille` to the
    current that counts as complete at 1000; over time, that is an exponential. A lower current reaches its taper later.
    """

    def __init__(self, figures: Charging, curve: DischargeCurve) -> None:
        self._trickle_microamps = figures.trickle_milliamps * 1000
        self._full_microamps = figures.current_milliamps * 1000
        self._complete_microamps = self._full_microamps * figures.complete_below_permille / 1000
        self._span_permille = (1000 - figures.taper_from_permille) / (1 - figures.complete_below_permille / 1000)
        self._no_current_permille = figures.taper_from_permille + self._span_permille
        self._again_below_permille = figures.taper_from_permille
        self._restart_permille = figures.restart_permille
        self._deep_permille = 1000 - curve.depth_at(figures.trickle_below_millivolts, 0)

    def state(self, charge: float, coupled_microamps: float, was: ChargingState, *, is_reviving: bool) -> ChargingState:
        """What is due at a charge. A cell that was full is charged again only when it has fallen to where the taper begins."""
        charge += _TOLERANCE_PERMILLE
        if charge >= 1000 or (was is ChargingState.COMPLETE and charge > self._again_below_permille):
            return ChargingState.COMPLETE
        if charge >= self._taper_from(coupled_microamps):
            return ChargingState.CONSTANT_VOLTAGE
        return ChargingState.TRICKLE if is_reviving else ChargingState.CONSTANT_CURRENT

    def is_reviving(self, charge: float, *, was_reviving: bool) -> bool:
        """Whether the cell is deeply discharged, or was and does not yet hold enough for the device to work."""
        if charge <= self._deep_permille:
            return True
        return was_reviving and charge + _TOLERANCE_PERMILLE < self._restart_permille

    def microamps(self, state: ChargingState, charge: float, coupled_microamps: float) -> float:
        """The current into the cell."""
        match state:
            case ChargingState.TRICKLE:
                return min(self._trickle_microamps, coupled_microamps)
            case ChargingState.CONSTANT_CURRENT:
                return coupled_microamps
            case ChargingState.CONSTANT_VOLTAGE:
                return min(coupled_microamps, self._full_microamps * (self._no_current_permille - charge) / self._span_permille)
            case _:
                return 0.0

    def taper_us(self, capacity_nanocoulombs: float) -> float:
        """The time constant of the taper."""
        return self._span_permille * capacity_nanocoulombs / self._full_microamps

    def taper_seconds(self, microamps: float, drain_microamps: float, capacity_nanocoulombs: float) -> float:
        """How long the taper takes from a current to COMPLETE, while this is drained; infinite if it never comes down."""
        if drain_microamps >= self._complete_microamps:
            return math.inf
        ratio = (microamps - drain_microamps) / (self._complete_microamps - drain_microamps)
        return self.taper_us(capacity_nanocoulombs) / 1e6 * math.log(max(ratio, 1.0))

    def seconds_in_state(
        self,
        state: ChargingState,
        charge: float,
        coupled_microamps: float,
        drain_microamps: float,
        capacity_nanocoulombs: float,
    ) -> float:
        """How long until the charge leads to another state, or is enough for the device to start again."""
        microamps = self.microamps(state, charge, coupled_microamps)
        if state is ChargingState.CONSTANT_VOLTAGE:
            return self.taper_seconds(microamps, drain_microamps, capacity_nanocoulombs)
        bounds = (self._restart_permille, self._taper_from(coupled_microamps))
        bound = min((bound for bound in bounds if bound > charge + _TOLERANCE_PERMILLE), default=math.inf)
        return _seconds(bound - charge, microamps - drain_microamps, capacity_nanocoulombs)

    def seconds_to_complete(
        self,
        state: ChargingState,
        charge: float,
        coupled_microamps: float,
        drain_microamps: float,
        capacity_nanocoulombs: float,
    ) -> float:
        """How long from a state of charging until COMPLETE; infinite if what is drained is too much."""
        steps = (
            (ChargingState.TRICKLE, self._restart_permille if state is ChargingState.TRICKLE else charge),
            (ChargingState.CONSTANT_CURRENT, self._taper_from(coupled_microamps)),
        )
        seconds = 0.0
        for step, bound in steps:
            if charge < bound:
                net_microamps = self.microamps(step, charge, coupled_microamps) - drain_microamps
                seconds += _seconds(bound - charge, net_microamps, capacity_nanocoulombs)
                charge = bound
        microamps = self.microamps(ChargingState.CONSTANT_VOLTAGE, charge, coupled_microamps)
        return seconds + self.taper_seconds(microamps, drain_microamps, capacity_nanocoulombs)

    def _taper_from(self, coupled_microamps: float) -> float:
        """The charge at which the taper's current is as much as the coils can give."""
        return min(1000.0, self._no_current_permille - self._span_permille * coupled_microamps / self._full_microamps)


def _seconds(permille: float, net_microamps: float, capacity_nanocoulombs: float) -> float:
    if net_microamps <= 0:
        return math.inf
    return permille / 1000 * capacity_nanocoulombs / (net_microamps * _NANOCOULOMBS_PER_MICROAMP_SECOND)
