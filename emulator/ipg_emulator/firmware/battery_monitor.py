"""The battery's tier: by voltage, and only after several readings in a row agree."""

from __future__ import annotations

from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.model import BatteryCell, Supply

_CHANGED_BY_ITS_USER = frozenset({Supply.REPLACEABLE, Supply.WORN})


class BatteryMonitor:
    """Judges readings. A primary cell's tier never improves, and EOS is for good unless the cell is charged or changed."""

    def __init__(self, cell: BatteryCell, tier: BatteryTier) -> None:
        self._cell = cell
        self.tier = tier
        self._candidate: BatteryTier = tier
        self._agreeing = 0

    def tier_of(self, millivolts: int) -> BatteryTier:
        """The tier that a voltage belongs to."""
        cell = self._cell
        if millivolts > cell.low_millivolts:
            return BatteryTier.OK
        if millivolts > cell.eri_millivolts:
            return BatteryTier.LOW
        return BatteryTier.ERI if millivolts > cell.eos_millivolts else BatteryTier.EOS

    def take(self, millivolts: int) -> bool:
        """Take one reading; True when the tier changes by it."""
        tier = self.tier_of(millivolts)
        may_improve = self._cell.supply is not Supply.PRIMARY and self.tier is not BatteryTier.EOS
        if tier == self.tier or (tier < self.tier and not may_improve):
            self._agreeing = 0
            return False
        self._agreeing = self._agreeing + 1 if tier == self._candidate else 1
        self._candidate = tier
        if self._agreeing < self._cell.consecutive_readings:
            return False
        self._settle_on(tier)
        return True

    def recover(self, millivolts: int) -> None:
        """The cell has been charged enough to leave EOS."""
        self._settle_on(min(self.tier_of(millivolts), BatteryTier.ERI))

    def power_came(self, millivolts: int) -> bool:
        """A cell that its user can change may be another one since the power went; True when the tier changes by it."""
        before = self.tier
        if self._cell.supply in _CHANGED_BY_ITS_USER:
            self._settle_on(self.tier_of(millivolts))
        return self.tier is not before

    def _settle_on(self, tier: BatteryTier) -> None:
        self._agreeing = 0
        self.tier = tier
