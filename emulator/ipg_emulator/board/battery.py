"""The cell: charge taken from it is added up in closed form, so how often it is read changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from ipg_emulator.board import BatteryReading
from ipg_emulator.model import BatteryCell, VoltagePoint

_FEMTOCOULOMBS_PER_NANOCOULOMB = 1_000_000
_NANOCOULOMBS_PER_MILLIAMP_HOUR = 3_600_000_000


class TherapyLoad(Protocol):
    """What therapy takes from the battery."""

    def battery_nanocoulombs(self, now: int) -> float:
        """All charge taken up to `now`."""
        ...

    def battery_microamps(self, now: int) -> float:
        """The current at this moment."""
        ...


def mean_millivolts(curve: Sequence[VoltagePoint]) -> float:
    """The mean open-circuit voltage over a whole discharge: its energy over its charge."""
    areas = ((b.depth_permille - a.depth_permille) * (a.millivolts + b.millivolts) / 2 for a, b in pairwise(curve))
    return sum(areas) / 1000


def open_circuit_millivolts(curve: Sequence[VoltagePoint], depth_permille: float) -> float:
    """The voltage at a depth of discharge, straight between the points of the curve."""
    for a, b in pairwise(curve):
        if depth_permille <= b.depth_permille:
            share = (depth_permille - a.depth_permille) / (b.depth_permille - a.depth_permille)
            return a.millivolts + (b.millivolts - a.millivolts) * share
    return float(curve[-1].millivolts)


class Battery:
    """A cell that idle electronics, telemetry and therapy discharge from time 0 on."""

    def __init__(self, cell: BatteryCell, therapy: TherapyLoad, charge_permille: int = 1000) -> None:
        self._cell = cell
        self._therapy = therapy
        self._capacity_nanocoulombs = cell.capacity_milliamp_hours * _NANOCOULOMBS_PER_MILLIAMP_HOUR
        self._missing_nanocoulombs = self._capacity_nanocoulombs * (1 - charge_permille / 1000)
        self._idle_nanoamps = cell.idle_nanoamps
        self._idle_since = 0
        self._idle_femtocoulombs = 0
        self._telemetry_nanocoulombs = 0

    def read(self, now: int) -> BatteryReading:
        depth = self._depth_permille(now)
        drain_microamps = self._idle_nanoamps / 1000 + self._therapy.battery_microamps(now)
        drop_millivolts = drain_microamps * self._cell.internal_milliohms / 1e6
        return BatteryReading(
            millivolts=max(0, round(open_circuit_millivolts(self._cell.open_circuit, depth) - drop_millivolts)),
            charge_permille=round(1000 - depth),
            drain_microamps=round(drain_microamps),
        )

    def telemetry(self, byte_count: int, now: int) -> None:  # noqa: ARG002 - a byte costs the same whenever it is sent
        self._telemetry_nanocoulombs += byte_count * self._cell.telemetry_nanocoulombs_per_byte

    def sleep(self, asleep: bool, now: int) -> None:
        self._idle_femtocoulombs = self._idle(now)
        self._idle_since = now
        self._idle_nanoamps = self._cell.shelf_nanoamps if asleep else self._cell.idle_nanoamps

    def consumed_nanocoulombs(self, now: int) -> float:
        """All charge taken since the cell was put in."""
        idle = self._idle(now) / _FEMTOCOULOMBS_PER_NANOCOULOMB
        return idle + self._telemetry_nanocoulombs + self._therapy.battery_nanocoulombs(now)

    def _idle(self, now: int) -> int:
        return self._idle_femtocoulombs + self._idle_nanoamps * (now - self._idle_since)

    def _depth_permille(self, now: int) -> float:
        gone = self._missing_nanocoulombs + self.consumed_nanocoulombs(now)
        return min(1000.0, 1000 * gone / self._capacity_nanocoulombs)
