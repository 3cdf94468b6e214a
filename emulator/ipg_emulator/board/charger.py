"""Charging through the skin: between two changes of state current and heat are closed forms, and the next is foreseen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from ipg_protocol.commands.power import ChargingState

from ipg_emulator.board import ChargingReading
from ipg_emulator.board.case import Case
from ipg_emulator.board.decay import Decay
from ipg_emulator.board.profile import Profile
from ipg_emulator.model import Charging

_SECOND_US = 1_000_000
_LOOK_AGAIN_US = 3600 * _SECOND_US
"""Forecasts take the drain as it is; when therapy changes they err a little, and are made again."""

_MICROAMP_US_PER_NANOCOULOMB = 1000
_CHARGING = frozenset({ChargingState.TRICKLE, ChargingState.CONSTANT_CURRENT, ChargingState.CONSTANT_VOLTAGE})
_IDLE = frozenset({ChargingState.ABSENT, ChargingState.PAUSED})


class ChargedCell(Protocol):
    """The cell as its charger sees it."""

    def depth_permille(self, now: int) -> float: ...
    def capacity_nanocoulombs(self, now: int) -> float: ...
    def expected_microamps(self, now: int) -> float: ...
    def settle(self, now: int) -> None: ...


class InductiveCharger:
    """The coil under the skin and the charging circuit. No current flows when the coils couple less than the least coupling.

    The field is the same however the coils lie: what couples less charges less, and heats as much.
    """

    def __init__(
        self, figures: Charging, profile: Profile, cell: ChargedCell, case: Case, body_millicelsius: Callable[[], int]
    ) -> None:
        self._figures = figures
        self._profile = profile
        self._cell = cell
        self._case = case
        self._body_millicelsius = body_millicelsius
        self._state: ChargingState = ChargingState.ABSENT
        self._is_reviving = False
        self._placed_permille = 0
        self._misalignments: list[int] = []
        self._body_seen_millicelsius = 0
        self._current = Decay()
        self._received_nanocoulombs = 0.0
        self._change_at: int | None = None

    # The world

    def place(self, coupling_permille: int, now: int) -> None:
        """Lay the external charger over the implant, or move it; 0 to 1000, of perfect alignment."""
        self._advance(now)
        self._placed_permille = coupling_permille
        self._change(now)

    def remove(self, now: int) -> None:
        """Take the external charger away."""
        self.place(0, now)

    def misalign(self, most_permille: int, now: int) -> None:
        """Let the coils couple no better than so, wherever the charger is laid."""
        self._advance(now)
        self._misalignments.append(most_permille)
        self._change(now)

    def realign(self, most_permille: int, now: int) -> None:
        """End one such misalignment."""
        self._advance(now)
        self._misalignments.remove(most_permille)
        self._change(now)

    def cell_changed(self, now: int) -> None:
        """Look at the cell anew, which has more or less charge all of a sudden."""
        self._advance(now)
        self._change(now)

    @property
    def _coupling_permille(self) -> int:
        return min([self._placed_permille, *self._misalignments])

    # What the firmware sees

    def read(self, now: int) -> ChargingReading:
        self._advance(now)
        if self._state is not ChargingState.ABSENT and self._body_millicelsius() != self._body_seen_millicelsius:
            self._change(now)
        microamps = round(self._current.at(now))
        return ChargingReading(self._state, self._coupling_permille, microamps, self._minutes_left(now))

    def wake_at(self) -> int | None:
        return self._change_at

    # What cell and case see

    def received_nanocoulombs(self, now: int) -> float:
        """All charge put into the cell up to `now`."""
        self._advance(now)
        return self._received_nanocoulombs + self._current.integral(now) / _MICROAMP_US_PER_NANOCOULOMB

    def charging_microamps(self, now: int) -> float:
        """The current into the cell."""
        self._advance(now)
        return self._current.at(now)

    def held_millivolts(self, now: int) -> int | None:
        """The constant voltage of the taper; None outside of it."""
        self._advance(now)
        return self._figures.constant_millivolts if self._state is ChargingState.CONSTANT_VOLTAGE else None

    def rise_millikelvin(self, now: int) -> float:
        """How far charging has warmed the case above the body."""
        self._advance(now)
        return self._case.rise_millikelvin(now)

    # From change to change

    def _advance(self, now: int) -> None:
        while self._change_at is not None and self._change_at <= now:
            self._change(self._change_at)

    def _change(self, now: int) -> None:
        """End one stretch and begin the next, in the state that is due."""
        self._received_nanocoulombs += self._current.integral(now) / _MICROAMP_US_PER_NANOCOULOMB
        self._current = Decay(now)
        self._change_at = None
        self._cell.settle(now)
        self._body_seen_millicelsius = self._body_millicelsius()
        charge = self._charge_permille(now)
        self._is_reviving = self._profile.is_reviving(charge, was_reviving=self._is_reviving)
        self._state = self._due_state(charge, now)
        self._current = self._begin(charge, now)
        self._case.heat(self._current.scaled(self._figures.heating_millikelvin_per_milliamp / max(1, self._coupling_permille)))
        self._change_at = self._next_change(charge, now)

    def _due_state(self, charge: float, now: int) -> ChargingState:
        figures = self._figures
        if self._coupling_permille < max(1, figures.least_coupling_permille):
            return ChargingState.ABSENT
        case = self._body_seen_millicelsius + self._case.rise_millikelvin(now)
        is_hot = case >= figures.pause_millicelsius
        if is_hot or (self._state is ChargingState.PAUSED and case > figures.resume_millicelsius):
            return ChargingState.PAUSED
        return self._profile.state(charge, self._coupled_microamps, self._state, is_reviving=self._is_reviving)

    def _begin(self, charge: float, now: int) -> Decay:
        """The current from now on. A taper nears the drain: there the cell takes in what is drawn from it."""
        microamps = self._profile.microamps(self._state, charge, self._coupled_microamps)
        drain = self._cell.expected_microamps(now)
        if self._state is not ChargingState.CONSTANT_VOLTAGE or drain >= microamps:
            return Decay(now, microamps)
        return Decay(now, drain, microamps - drain, self._profile.taper_us(self._cell.capacity_nanocoulombs(now)))

    def _next_change(self, charge: float, now: int) -> int | None:
        """Not within a second, so that a forecast that comes a little early is made again but a few times."""
        moments = [self._case_limit_at(now)]
        if self._state not in _IDLE:
            drain, capacity = self._cell.expected_microamps(now), self._cell.capacity_nanocoulombs(now)
            seconds = self._profile.seconds_in_state(self._state, charge, self._coupled_microamps, drain, capacity)
            moments.append(now + math.ceil(min(seconds * _SECOND_US, _LOOK_AGAIN_US)))
        at = min((moment for moment in moments if moment is not None), default=None)
        return None if at is None else max(at, now + _SECOND_US)

    def _case_limit_at(self, now: int) -> int | None:
        figures, body = self._figures, self._body_seen_millicelsius
        if self._state is ChargingState.PAUSED:
            return self._case.when_below(figures.resume_millicelsius - body, now)
        if self._state in _CHARGING:
            return self._case.when_above(figures.pause_millicelsius - body, now)
        return None

    @property
    def _coupled_microamps(self) -> float:
        return self._figures.current_milliamps * self._coupling_permille

    def _charge_permille(self, now: int) -> float:
        return 1000 - self._cell.depth_permille(now)

    def _minutes_left(self, now: int) -> int | None:
        if self._state is ChargingState.COMPLETE:
            return 0
        if self._state in _IDLE:
            return None
        drain, capacity = self._cell.expected_microamps(now), self._cell.capacity_nanocoulombs(now)
        charge = self._charge_permille(now)
        seconds = self._profile.seconds_to_complete(self._state, charge, self._coupled_microamps, drain, capacity)
        return None if math.isinf(seconds) else math.ceil(seconds / 60)
