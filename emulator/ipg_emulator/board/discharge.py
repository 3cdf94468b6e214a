"""The discharge curve of a cell: open-circuit voltage and internal resistance, straight between the points of its table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from ipg_emulator.model import VoltagePoint

MICROAMP_MILLIOHMS_PER_MILLIVOLT = 1e6


def mean_millivolts(points: Sequence[VoltagePoint]) -> float:
    """The mean open-circuit voltage over a whole discharge: its energy over its charge."""
    return DischargeCurve(points).mean_millivolts(0, 1000)


class DischargeCurve:
    """Depths of discharge in permille, from 0 to 1000; a depth beyond is taken as the nearest of them."""

    def __init__(self, points: Sequence[VoltagePoint]) -> None:
        self._points = points
        self._depths = [point.depth_permille for point in points]
        self._slopes = [
            (
                (b.millivolts - a.millivolts) / (b.depth_permille - a.depth_permille),
                (b.milliohms - a.milliohms) / (b.depth_permille - a.depth_permille),
            )
            for a, b in pairwise(points)
        ]
        self._areas = [0.0]
        for a, b in pairwise(points):
            area = (b.depth_permille - a.depth_permille) * (a.millivolts + b.millivolts) / 2
            self._areas.append(self._areas[-1] + area)

    def at(self, depth_permille: float) -> tuple[float, float]:
        """Open-circuit millivolts, and milliohms."""
        place, beyond = self._place(depth_permille)
        point, (millivolts_slope, milliohms_slope) = self._points[place], self._slopes[place]
        return point.millivolts + millivolts_slope * beyond, point.milliohms + milliohms_slope * beyond

    def mean_millivolts(self, first_permille: float, last_permille: float) -> float:
        """The mean open-circuit voltage from one depth to another, either way."""
        if first_permille == last_permille:
            return self.at(first_permille)[0]
        return (self._area(last_permille) - self._area(first_permille)) / (last_permille - first_permille)

    def depth_at(self, millivolts: float, drain_microamps: float) -> float:
        """The depth at which the terminal voltage under a drain has fallen to `millivolts`; 1000 if it does not."""
        drain = drain_microamps / MICROAMP_MILLIOHMS_PER_MILLIVOLT
        for a, b in pairwise(self._points):
            above, below = a.millivolts - drain * a.milliohms, b.millivolts - drain * b.milliohms
            if above <= millivolts:
                return float(a.depth_permille)
            if below <= millivolts:
                return a.depth_permille + (b.depth_permille - a.depth_permille) * (above - millivolts) / (above - below)
        return 1000.0

    def _area(self, depth_permille: float) -> float:
        """The integral of the open-circuit voltage from depth 0; before 0 and beyond 1000 it goes on at the last voltage."""
        if not 0 <= depth_permille <= 1000:
            end = 0 if depth_permille < 0 else -1
            return self._areas[end] + (depth_permille - self._depths[end]) * self._points[end].millivolts
        place, beyond = self._place(depth_permille)
        return self._areas[place] + beyond * (self._points[place].millivolts + self._slopes[place][0] * beyond / 2)

    def _place(self, depth_permille: float) -> tuple[int, float]:
        depth = min(max(depth_permille, 0.0), 1000.0)
        place = bisect_right(self._depths, depth, 1, len(self._depths) - 1) - 1
        return place, depth - self._depths[place]
