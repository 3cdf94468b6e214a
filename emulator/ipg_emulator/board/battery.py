"""The cell: charge taken from it and put into it is added up in closed form, so how often it is read changes nothing."""

from __future__ import annotations

from typing import Protocol

from ipg_emulator.board import BatteryReading
from ipg_emulator.board.discharge import MICROAMP_MILLIOHMS_PER_MILLIVOLT, DischargeCurve
from ipg_emulator.board.energy import EnergyAccount, Ledger, Taken, TherapyEnergy
from ipg_emulator.model import BatteryCell, Supply

_FEMTOCOULOMBS_PER_NANOCOULOMB = 1_000_000
NANOCOULOMBS_PER_MILLIAMP_HOUR = 3_600_000_000
_DAY_US = 86_400_000_000
_YEAR_US = 365.25 * _DAY_US


class TherapyLoad(Protocol):
    """What therapy takes from the battery."""

    def battery_nanocoulombs(self, now: int) -> float:
        """All charge taken up to `now`; for a time to come, if nothing is changed."""
        ...

    def battery_microamps(self, now: int) -> float:
        """The current at this moment."""
        ...

    def energy(self, now: int) -> TherapyEnergy:
        """The same charge, and where it went."""
        ...


class ChargeSource(Protocol):
    """What puts charge into the cell."""

    def received_nanocoulombs(self, now: int) -> float:
        """All charge put in up to `now`."""
        ...

    def charging_microamps(self, now: int) -> float:
        """The current at this moment."""
        ...

    def held_millivolts(self, now: int) -> int | None:
        """The voltage that the terminals are held at; None while they are not."""
        ...


class NoSource:
    """What charges a cell that nothing charges."""

    def received_nanocoulombs(self, now: int) -> float:  # noqa: ARG002 - never anything
        return 0.0

    def charging_microamps(self, now: int) -> float:  # noqa: ARG002 - never anything
        return 0.0

    def held_millivolts(self, now: int) -> int | None:  # noqa: ARG002 - never anything
        return None


class Battery:
    """A cell that idle electronics, telemetry and therapy discharge from time 0 on. Mains is a cell that stays full."""

    def __init__(self, cell: BatteryCell, therapy: TherapyLoad, charge_permille: int = 1000) -> None:
        self._cell = cell
        self._therapy = therapy
        self._source: ChargeSource = NoSource()
        self.drop_millivolts = 0
        """What is lost on the way from the cell to the electronics, as at a bad contact."""
        self._curve = DischargeCurve(cell.open_circuit)
        self._new_nanocoulombs = cell.capacity_milliamp_hours * NANOCOULOMBS_PER_MILLIAMP_HOUR
        self._put_in_at = 0
        self._missing_at_first = self._new_nanocoulombs * (1 - charge_permille / 1000)
        self._received_by_earlier_cells = 0.0
        self._idle_nanoamps = cell.idle_nanoamps
        self._idle_since = 0
        self._idle_femtocoulombs = 0
        self._telemetry_nanocoulombs = 0
        self._ledger = Ledger(self._curve, Taken(0, self.depth_permille(0)))

    def charge_from(self, source: ChargeSource) -> None:
        """From now on, be charged by this."""
        self._source = source

    # What the firmware sees

    def read(self, now: int) -> BatteryReading:
        depth = self.depth_permille(now)
        drain_microamps = self._drain_microamps(now)
        terminal_millivolts = max(0, round(self._terminal_millivolts(depth, drain_microamps, now)) - self.drop_millivolts)
        if abs(depth - self._ledger.last.depth_permille) >= 1:
            self.energy(now)
        return BatteryReading(terminal_millivolts, round(1000 - depth), round(drain_microamps))

    def telemetry(self, byte_count: int, now: int) -> None:  # noqa: ARG002 - a byte costs the same whenever it is sent
        self._telemetry_nanocoulombs += byte_count * self._cell.telemetry_nanocoulombs_per_byte

    def sleep(self, asleep: bool, now: int) -> None:
        self._idle_at(self._cell.shelf_nanoamps if asleep else self._cell.idle_nanoamps, now)

    def disconnect(self, now: int) -> None:
        self._idle_at(0, now)

    def expected_microamps(self, now: int) -> float:
        therapy = self._therapy.battery_nanocoulombs(now + _DAY_US) - self._therapy.battery_nanocoulombs(now)
        return self._idle_nanoamps / 1000 + therapy * 1000 / _DAY_US

    def milliamp_hours_to(self, millivolts: int, drain_microamps: float, now: int) -> float:
        if self._cell.supply is Supply.MAINS:
            return float("inf")
        permille = max(0.0, self._curve.depth_at(millivolts, drain_microamps) - self.depth_permille(now))
        return permille / 1000 * self.capacity_nanocoulombs(now) / NANOCOULOMBS_PER_MILLIAMP_HOUR

    # The cell itself

    def replace(self, now: int) -> None:
        """Put in a new, full cell."""
        self.energy(now)
        self._put_in_at = now
        self._received_by_earlier_cells = self._source.received_nanocoulombs(now)
        self._missing_at_first = -self.consumed_nanocoulombs(now)
        self._ledger.last = self._taken(now)

    def jump_to(self, depth_permille: float, now: int) -> None:
        """Be at another depth of discharge at once: charge is gone that nothing has drawn, or there that nothing put in."""
        self.energy(now)
        missing = depth_permille / 1000 * self.capacity_nanocoulombs(now)
        self._missing_at_first += missing - self._missing_nanocoulombs(now)
        self._ledger.last = self._taken(now)

    def depth_at(self, millivolts: int, now: int) -> float:
        """The depth of discharge, in permille, at which the present drain takes the voltage down to `millivolts`."""
        return self._curve.depth_at(millivolts + self.drop_millivolts, self._drain_microamps(now))

    def settle(self, now: int) -> None:
        """Forget what was drawn from an empty cell, or put into a full one: the next charge counts from its true bounds."""
        self.energy(now)
        missing = self._missing_nanocoulombs(now)
        self._missing_at_first += min(max(missing, 0.0), self.capacity_nanocoulombs(now)) - missing

    def depth_permille(self, now: int) -> float:
        """The depth of discharge: the part of the present capacity that is missing."""
        if self._cell.supply is Supply.MAINS:
            return 0.0
        return min(max(1000 * self._missing_nanocoulombs(now) / self.capacity_nanocoulombs(now), 0.0), 1000.0)

    def capacity_nanocoulombs(self, now: int) -> float:
        """What the cell holds when full: less by its parts each year and each hundred full charges, compounded."""
        cell, capacity = self._cell, self._new_nanocoulombs
        if cell.fade_permille_per_year:
            years = (now - self._put_in_at) / _YEAR_US
            capacity *= (1 - cell.fade_permille_per_year / 1000) ** years
        if cell.fade_permille_per_hundred_cycles:
            cycles = self._received_nanocoulombs(now) / self._new_nanocoulombs
            capacity *= (1 - cell.fade_permille_per_hundred_cycles / 1000) ** (cycles / 100)
        return capacity

    def consumed_nanocoulombs(self, now: int) -> float:
        """All charge taken since time 0."""
        return self._idle_nanocoulombs(now) + self._telemetry_nanocoulombs + self._therapy.battery_nanocoulombs(now)

    def energy(self, now: int) -> EnergyAccount:
        """The account from time 0 up to `now`, over all cells. It holds while the cell is not empty."""
        return self._ledger.book(self._taken(now))

    def _drain_microamps(self, now: int) -> float:
        return self._idle_nanoamps / 1000 + self._therapy.battery_microamps(now)

    def _terminal_millivolts(self, depth: float, drain_microamps: float, now: int) -> float:
        held = self._source.held_millivolts(now)
        if held is not None:
            return held
        millivolts, milliohms = self._curve.at(depth)
        net_microamps = drain_microamps - self._source.charging_microamps(now)
        return millivolts - net_microamps * milliohms / MICROAMP_MILLIOHMS_PER_MILLIVOLT

    def _taken(self, now: int) -> Taken:
        return Taken(
            now,
            self.depth_permille(now),
            self._idle_nanocoulombs(now),
            self._telemetry_nanocoulombs,
            self._source.received_nanocoulombs(now),
            self._therapy.energy(now),
        )

    def _received_nanocoulombs(self, now: int) -> float:
        return self._source.received_nanocoulombs(now) - self._received_by_earlier_cells

    def _missing_nanocoulombs(self, now: int) -> float:
        return self._missing_at_first + self.consumed_nanocoulombs(now) - self._received_nanocoulombs(now)

    def _idle_at(self, nanoamps: int, now: int) -> None:
        self._idle_femtocoulombs += self._idle_nanoamps * (now - self._idle_since)
        self._idle_since = now
        self._idle_nanoamps = nanoamps

    def _idle_nanocoulombs(self, now: int) -> float:
        femtocoulombs = self._idle_femtocoulombs + self._idle_nanoamps * (now - self._idle_since)
        return femtocoulombs / _FEMTOCOULOMBS_PER_NANOCOULOMB
