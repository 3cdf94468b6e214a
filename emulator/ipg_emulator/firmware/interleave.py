"""Places the pulses of areas that share a current source so that no two ever overlap. Pure, in whole numbers throughout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings

from ipg_emulator.board.waveform import PERIOD_MILLIHERTZ_US, pulse_of
from ipg_emulator.model import DeviceModel

GUARD_US = 1
"""Pulses begin at whole microseconds, rounded down: what is placed exactly can come so much nearer."""

MOST_PLACEMENTS = 20_000
"""Where no rates share a common period, there are ever more places to try; after so many, there is taken to be none."""


class Train(msgspec.Struct, frozen=True):
    """What an area asks for: windows of `window_us`, recharge included, at a rate."""

    window_us: int
    rate_millihertz: int
    leads: frozenset[int] = frozenset()
    """The leads whose own sources it takes; empty on a device with one source for all."""

    @property
    def needed_us(self) -> int:
        return self.window_us + GUARD_US


def trains_of(model: DeviceModel, areas: Sequence[AreaSettings]) -> tuple[Train, ...]:
    """What areas ask for on a device of this model."""
    return tuple(
        Train(pulse_of(area, model.shape(area.waveform)).occupied_us, area.rate_millihertz, _leads_of(model, area))
        for area in areas
    )


def _leads_of(model: DeviceModel, area: AreaSettings) -> frozenset[int]:
    if not model.output.independent_leads:
        return frozenset()
    return frozenset(model.contacts[share.contact].lead for share in area.contacts if share.contact != CASE_CONTACT)


def _compete(first: Train, second: Train) -> bool:
    """Whether two trains take the same source."""
    return first.leads == second.leads or bool(first.leads & second.leads)


def needed_us(trains: Sequence[Train]) -> int:
    """What one window of each takes, side by side."""
    return sum(train.needed_us for train in trains)


def common_us(trains: Sequence[Train]) -> int:
    """The greatest common divisor of all periods, rounded down: 1 / lcm(rates)."""
    return PERIOD_MILLIHERTZ_US // math.lcm(*(train.rate_millihertz for train in trains))


def offsets_us(trains: Sequence[Train]) -> tuple[int, ...] | None:
    """When each train begins, in microseconds, so that no windows ever overlap; None if there is no way.

    Two trains come as near as they ever do modulo g, the greatest common divisor of their periods: train j may begin d after
    train i if d mod g >= window i and -d mod g >= window j. Any way of placing them can be pushed together until each touches
    one that is placed, so only such places are tried.
    """
    if len(trains) == 1:
        return (0,)
    if any(not _fits(a, b) for place, a in enumerate(trains) for b in trains[:place]):
        return None
    search = _Search(trains)
    placed = search.place({0: 0})
    return tuple(placed[number] for number in range(len(trains))) if placed else None


def _fits(first: Train, second: Train) -> bool:
    if not _compete(first, second):
        return True
    common = math.lcm(first.rate_millihertz, second.rate_millihertz)
    return (first.needed_us + second.needed_us) * common <= PERIOD_MILLIHERTZ_US


def _may_follow(first: Train, second: Train, after_us: int) -> bool:
    """Whether the second may begin `after_us` after the first, now and for ever; exact, in units of 1 / lcm microseconds."""
    if not _compete(first, second):
        return True
    common = math.lcm(first.rate_millihertz, second.rate_millihertz)
    after = after_us * common % PERIOD_MILLIHERTZ_US
    return first.needed_us * common <= after <= PERIOD_MILLIHERTZ_US - second.needed_us * common


class _Search:
    """Depth first, and bounded."""

    def __init__(self, trains: Sequence[Train]) -> None:
        self._trains = trains
        self._tries = 0

    def place(self, placed: dict[int, int]) -> dict[int, int] | None:
        """All trains, those already placed where they are; None if they cannot stay there."""
        if len(placed) == len(self._trains):
            return placed
        for number in range(len(self._trains)):
            if number in placed:
                continue
            for offset in self._touching(number, placed):
                self._tries += 1
                if self._tries > MOST_PLACEMENTS:
                    return None
                if self._is_free(number, offset, placed):
                    found = self.place({**placed, number: offset})
                    if found:
                        return found
        return None

    def _touching(self, number: int, placed: dict[int, int]) -> Iterator[int]:
        """The offsets at which a train comes right after one that is placed, within one of its own periods; 0 where none is
        in its way.
        """
        train = self._trains[number]
        rivals = {other: begins for other, begins in placed.items() if _compete(train, self._trains[other])}
        if not rivals:
            yield 0
        for other, begins in rivals.items():
            before = self._trains[other]
            common = math.lcm(before.rate_millihertz, train.rate_millihertz)
            for turn in range(common // train.rate_millihertz):
                yield begins + before.needed_us - (-turn * PERIOD_MILLIHERTZ_US // common)

    def _is_free(self, number: int, offset: int, placed: dict[int, int]) -> bool:
        train = self._trains[number]
        return all(_may_follow(self._trains[other], train, offset - begins) for other, begins in placed.items())
