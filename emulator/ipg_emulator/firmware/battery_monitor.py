"""The battery's tier: by voltage, and only after several readings in a row agree."""

from __future__ import annotations

from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.model import BatteryCell


class BatteryMonitor:
    """Judges readings. A primary cell's tier never improves, and EOS is for good."""

    def __init__(self, cell: BatteryCell, tier: BatteryTier) -> None:
        self._cell = cell
        self.tier = tier
        self._candidate: BatteryTier = tier
        self._agreeing = 0

    def tier_of(self, millivolts: int) -> BatteryTier:
        """The tier that a voltage belongs to."""
        cell = self._cell
        thresholds = (
            (cell.eos_millivolts, BatteryTier.EOS),
            (cell.eri_millivolts, BatteryTier.ERI),
            (cell.low_millivolts, BatteryTier.LOW),
        )
        reached: list[BatteryTier] = [tier for threshold, tier in thresholds if millivolts <= threshold]
        return max(reached, default=BatteryTier.OK)

    def take(self, millivolts: int) -> bool:
        """Take one reading; True when the tier changes by it."""
        tier = self.tier_of(millivolts)
        may_improve = self._cell.rechargeable and self.tier is not BatteryTier.EOS
        if tier == self.tier or (tier < self.tier and not may_improve):
            self._agreeing = 0
            return False
        self._agreeing = self._agreeing + 1 if tier == self._candidate else 1
        self._candidate = tier
        if self._agreeing < self._cell.consecutive_readings:
            return False
        self._agreeing = 0
        self.tier = tier
        return True
