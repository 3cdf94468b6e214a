"""Therapy: turns the active program into drives of the output stage. Every change of amplitude is a straight ramp."""

from __future__ import annotations

from enum import Enum, auto, unique

import msgspec
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import AreaTherapy, TherapyFlag

from ipg_emulator.board import Drive, Output

MAXIMUM_AREAS = 4


@unique
class Goal(Enum):
    """Where the output is heading."""

    OFF = auto()
    PROGRAMMED = auto()
    STOPPING = auto()
    SWITCHING = auto()


class Ramp(msgspec.Struct, frozen=True):
    """The amplitude of an area over time: straight from one value to the other, constant after. Microseconds, microamperes."""

    start: int
    end: int
    from_microamps: int
    to_microamps: int

    def level(self, now: int) -> int:
        """The amplitude at a time not before the start."""
        if now >= self.end:
            return self.to_microamps
        passed, length = now - self.start, self.end - self.start
        return self.from_microamps + (self.to_microamps - self.from_microamps) * passed // length


def _flat(level: int, now: int) -> Ramp:
    return Ramp(now, now, level, level)


def _changed(area: AreaSettings, old: AreaSettings, ramp: Ramp, now: int) -> Ramp:
    """The ramp to new settings. A wider pulse is never given at more than its own amplitude: its charge was judged by that."""
    level, target = ramp.level(now), area.amplitude_microamps
    if area.pulse_width_us > old.pulse_width_us and level > target:
        return _flat(target, now)
    if ramp.to_microamps == target:
        return ramp
    whole = area.ramp_seconds * 1_000_000
    return Ramp(now, now + whole * abs(target - level) // max(target, level, 1), level, target)


class Therapy:
    """The output of the active program's areas. Knows nothing of states, roles or the wire."""

    def __init__(self, output: Output, stop_ramp_us: int, now: int) -> None:
        self._output = output
        self._stop_ramp_us = stop_ramp_us
        self._areas: tuple[AreaSettings, ...] = ()
        self._ramps: tuple[Ramp, ...] = ()
        self._cycle_origin = 0
        self._before: tuple[tuple[int, int], ...] = ()
        self._deliverable: tuple[int, ...] = ()
        self.goal = Goal.OFF
        self.off(now)
        self.count_from(now)

    @property
    def is_on(self) -> bool:
        """Whether anything is or is about to be delivered."""
        return self.goal is not Goal.OFF

    @property
    def ramp_end(self) -> int:
        """When the last area reaches its amplitude."""
        return max((ramp.end for ramp in self._ramps), default=0)

    def start(self, areas: tuple[AreaSettings, ...], now: int) -> None:
        """Ramp every area up to its amplitude, from where it is if these same contacts are ramping down, else from 0."""
        goes_on = self.is_on and [a.contacts for a in areas] == [a.contacts for a in self._areas]
        levels = self._levels(now) if goes_on else [0] * len(areas)
        if not goes_on:
            self._cycle_origin = now
        self._areas = areas
        self.goal = Goal.PROGRAMMED
        self._drive(
            [
                Ramp(
                    now,
                    now + area.ramp_seconds * 1_000_000,
                    min(level, area.amplitude_microamps),
                    area.amplitude_microamps,
                )
                for area, level in zip(areas, levels, strict=True)
            ],
            now,
        )

    def count_from(self, now: int) -> None:
        """Count charge and on-time from now on."""
        self._before = tuple(self._totals(area, now) for area in range(MAXIMUM_AREAS))

    def change(self, areas: tuple[AreaSettings, ...], now: int) -> None:
        """Go on with new settings; an amplitude that differs is reached by its part of the area's ramp."""
        ramps = [_changed(area, old, ramp, now) for area, old, ramp in zip(areas, self._areas, self._ramps, strict=True)]
        self._areas = areas
        self._drive(ramps, now)

    def ramp_down(self, goal: Goal, now: int) -> None:
        """Ramp to zero within the stop ramp, on the way to `goal`; one that is under way is not begun again."""
        if self.goal is Goal.PROGRAMMED:
            end = now + self._stop_ramp_us
            self._drive([Ramp(now, end, level, 0) for level in self._levels(now)], now)
        self.goal = goal

    def off(self, now: int) -> None:
        """Deliver nothing from now on."""
        self.goal = Goal.OFF
        self._ramps = tuple(_flat(0, now) for _ in self._areas)
        self._output.drive((), now)

    def limited_areas(self) -> list[int]:
        """Areas whose programmed amplitude is more than compliance lets through."""
        if not self.is_on:
            return []
        pairs = zip(self._areas, self._deliverable, strict=True)
        return [area.area for area, deliverable in pairs if area.amplitude_microamps > deliverable]

    def report(self, settings: AreaSettings, now: int) -> AreaTherapy:
        """What an area is told to deliver, and what it delivers at this moment. While a stop or a switch is under way, the
        settings are those that are being output.
        """
        area = settings.area
        flags, delivered = TherapyFlag(0), 0
        if self.is_on and area < len(self._areas):
            settings = self._areas[area]
            delivered = self._output.delivered_microamps(area, now)
            flags = self._flags(area, delivered, now)
        charge, on_time = (total - before for total, before in zip(self._totals(area, now), self._before[area], strict=True))
        return AreaTherapy(
            area=area,
            pulse_width_us=settings.pulse_width_us,
            flags=flags,
            programmed_microamps=settings.amplitude_microamps,
            delivered_microamps=delivered,
            deliverable_microamps=self._output.deliverable_microamps(settings),
            rate_millihertz=settings.rate_millihertz,
            on_time_seconds=on_time // 1_000_000,
            charge_microcoulombs=charge // 1000,
        )

    def cycle_off(self, now: int) -> bool:
        """Whether every area that would deliver is in the off-part of its cycle."""
        if not self.is_on:
            return False
        flags = [self._flags(area.area, self._output.delivered_microamps(area.area, now), now) for area in self._areas]
        return all(TherapyFlag.CYCLE_OFF in each for each in flags)

    def _flags(self, area: int, delivered: int, now: int) -> TherapyFlag:
        ramp, deliverable = self._ramps[area], self._deliverable[area]
        level = ramp.level(now)
        flags = TherapyFlag.RUNNING
        if now < ramp.end:
            flags |= TherapyFlag.RAMPING
        if level > deliverable:
            flags |= TherapyFlag.COMPLIANCE_LIMITED
        if min(level, deliverable) and not delivered:
            flags |= TherapyFlag.CYCLE_OFF
        return flags

    def _totals(self, area: int, now: int) -> tuple[int, int]:
        """Charge in nanocoulombs and on-time in microseconds since the board was powered."""
        return self._output.charge_nanocoulombs(area, 0, now), self._output.on_time_us(area, 0, now)

    def _levels(self, now: int) -> list[int]:
        return [ramp.level(now) for ramp in self._ramps]

    def _drive(self, ramps: list[Ramp], now: int) -> None:
        self._ramps = tuple(ramps)
        self._deliverable = tuple(self._output.deliverable_microamps(area) for area in self._areas)
        drives: list[Drive] = []
        for area, ramp, deliverable in zip(self._areas, ramps, self._deliverable, strict=True):
            if now < ramp.end:
                drives += self._ramp_drives(area, ramp, deliverable, now)
            if ramp.to_microamps:
                flat = _flat(ramp.to_microamps, max(ramp.end, now))
                drives.append(self._piece(area, flat, None, deliverable))
        self._output.drive(drives, now)

    def _ramp_drives(self, area: AreaSettings, ramp: Ramp, deliverable: int, now: int) -> list[Drive]:
        """The rest of a ramp, cut where it crosses the compliance limit, so that each piece is straight."""
        rest = Ramp(now, ramp.end, ramp.level(now), ramp.to_microamps)
        low, high = sorted((rest.from_microamps, rest.to_microamps))
        if not low < deliverable < high:
            return [self._piece(area, rest, rest.end, deliverable)]
        share = (deliverable - rest.from_microamps) / (rest.to_microamps - rest.from_microamps)
        crossing = now + round((rest.end - now) * share)
        before = Ramp(now, crossing, rest.from_microamps, deliverable)
        after = Ramp(crossing, rest.end, deliverable, rest.to_microamps)
        return [self._piece(area, piece, piece.end, deliverable) for piece in (before, after)]

    def _piece(self, area: AreaSettings, ramp: Ramp, until: int | None, deliverable: int) -> Drive:
        return Drive(
            settings=area,
            start=ramp.start,
            until=until,
            programmed_from=ramp.from_microamps,
            programmed_to=ramp.to_microamps,
            delivered_from=min(ramp.from_microamps, deliverable),
            delivered_to=min(ramp.to_microamps, deliverable),
            cycle_origin=self._cycle_origin,
        )
