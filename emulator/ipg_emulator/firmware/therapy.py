"""Therapy: turns the active program into drives of the output stage. Every change of amplitude is a straight ramp."""

from __future__ import annotations

from enum import Enum, auto, unique
from itertools import chain

import msgspec
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import AreaTherapy, TherapyFlag

from ipg_emulator.board import Delivered, Drive, Output
from ipg_emulator.firmware.interleave import offsets_us, trains_of
from ipg_emulator.model import DeviceModel

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

    def __init__(self, output: Output, model: DeviceModel, now: int) -> None:
        self._output = output
        self._model = model
        self._stop_ramp_us = model.timing.stop_ramp_ms * 1000
        self._areas: tuple[AreaSettings, ...] = ()
        self._offsets_us: tuple[int, ...] = ()
        self._ramps: list[Ramp] = []
        self._drives: list[list[Drive]] = []
        self._deliverable: list[int] = []
        self._adjusted: dict[int, int] = {}
        """Areas whose amplitude is set pulse by pulse, and the amplitude that was asked for last."""
        self._over: set[int] = set()
        """Areas that have had their dose."""
        self._cycle_origin = 0
        self._before: tuple[Delivered, ...] = ()
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

    # What is delivered

    def start(self, areas: tuple[AreaSettings, ...], now: int) -> None:
        """Ramp every area up to its amplitude, from where it is if these same contacts are ramping down, else from 0."""
        goes_on = self.is_on and [a.contacts for a in areas] == [a.contacts for a in self._areas]
        levels = self._levels(now) if goes_on else [0] * len(areas)
        if not goes_on:
            self._cycle_origin = now
        self._over.clear()
        self.goal = Goal.PROGRAMMED
        ramps = [
            Ramp(now, now + area.ramp_seconds * 1_000_000, min(level, area.amplitude_microamps), area.amplitude_microamps)
            for area, level in zip(areas, levels, strict=True)
        ]
        self._deliver(areas, ramps, now)

    def count_from(self, now: int) -> None:
        """Count charge, pulses, energy and on-time from now on."""
        self._before = tuple(self._output.total(area, now) for area in range(MAXIMUM_AREAS))

    def change(self, areas: tuple[AreaSettings, ...], now: int) -> None:
        """Go on with new settings; an amplitude that differs is reached by its part of the area's ramp."""
        ramps = [
            ramp if area.area in self._over else _changed(area, old, ramp, now)
            for area, old, ramp in zip(areas, self._areas, self._ramps, strict=True)
        ]
        self._deliver(areas, ramps, now)

    def refresh(self, now: int) -> None:
        """Go on as before with what the contacts let through now, if that is not what it was."""
        if [self._output.deliverable_microamps(area, now) for area in self._areas] != self._deliverable:
            self.drive_on(now)

    def drive_on(self, now: int) -> None:
        """Drive anew what is still to come: the output sets its supply by that alone."""
        self._drive(self._ramps, now)

    def adjust(self, area: int, microamps: int, now: int) -> None:
        """Set the amplitude of one area at once, until the next start or change; the stored program stays as it is.

        Never above the area's patient maximum, which the limits and the rules of charge were judged by. An area that ramps
        down stays on its way.
        """
        if self.goal is not Goal.PROGRAMMED or area in self._over:
            return
        level = min(microamps, self._areas[area].patient_maximum_microamps)
        self._adjusted[area] = level
        self._ramps[area] = _flat(level, now)
        self._drives[area] = self._drives_of(area, now)
        self._output.drive(list(chain.from_iterable(self._drives)), now)

    def end_dose(self, area: int, now: int) -> None:
        """Ramp one area down to nothing within the stop ramp, and leave it there until the next start."""
        if area in self._over:
            return
        self._over.add(area)
        self._adjusted.pop(area, None)
        level = self._ramps[area].level(now)
        self._ramps[area] = Ramp(now, now + self._stop_ramp_us, level, 0) if level else _flat(0, now)
        self._drive(self._ramps, now)

    def ramp_down(self, goal: Goal, now: int) -> None:
        """Ramp to zero within the stop ramp, on the way to `goal`; one that is under way is not begun again."""
        if self.goal is Goal.PROGRAMMED:
            end = now + self._stop_ramp_us
            self._drive([Ramp(now, end, level, 0) for level in self._levels(now)], now)
        self.goal = goal

    def off(self, now: int) -> None:
        """Deliver nothing from now on."""
        self.goal = Goal.OFF
        self._adjusted.clear()
        self._ramps = [_flat(0, now) for _ in self._areas]
        self._output.drive((), now)

    # What is said of it

    def area(self, number: int) -> AreaSettings | None:
        """The settings that an area is output with; None while it is not."""
        return self._areas[number] if self.is_on and number < len(self._areas) else None

    def limited_areas(self) -> list[int]:
        """Areas that are told to deliver more than compliance lets through."""
        if not self.is_on:
            return []
        pairs = zip(self._areas, self._deliverable, strict=True)
        return [
            area.area for area, deliverable in pairs if area.area not in self._over and self._programmed(area) > deliverable
        ]

    def report(self, settings: AreaSettings, now: int) -> AreaTherapy:
        """What an area is told to deliver, and what it delivers at this moment. While a stop or a switch is under way, the
        settings are those that are being output.
        """
        area = settings.area
        flags, delivered = TherapyFlag(0), 0
        if self.is_on and area < len(self._areas):
            settings, deliverable = self._areas[area], self._deliverable[area]
            delivered = self._output.delivered_microamps(area, now)
            flags = self._flags(area, delivered, now)
        else:
            deliverable = self._output.deliverable_microamps(settings, now)
        total, before = self._output.total(area, now), self._before[area]
        return AreaTherapy(
            area=area,
            pulse_width_us=settings.pulse_width_us,
            flags=flags,
            programmed_microamps=self._programmed(settings),
            delivered_microamps=delivered,
            deliverable_microamps=deliverable,
            rate_millihertz=settings.rate_millihertz,
            on_time_seconds=(total.on_time_us - before.on_time_us) // 1_000_000,
            charge_microcoulombs=int(total.nanocoulombs - before.nanocoulombs) // 1000,
            pulses=int(total.pulses - before.pulses),
            energy_microjoules=int(total.microjoules - before.microjoules),
            residual_nanocoulombs=round(self._output.residual_nanocoulombs(settings, delivered, now)),
        )

    def cycle_off(self, now: int) -> bool:
        """Whether every area that would deliver is in the off-part of its cycle."""
        would = [area for area in self._areas if area.area not in self._over] if self.is_on else []
        if not would or not all(area.cycle_off_seconds for area in would):
            return False
        flags = [self._flags(area.area, self._output.delivered_microamps(area.area, now), now) for area in would]
        return all(TherapyFlag.CYCLE_OFF in each for each in flags)

    def _programmed(self, settings: AreaSettings) -> int:
        return self._adjusted.get(settings.area, settings.amplitude_microamps)

    def _flags(self, area: int, delivered: int, now: int) -> TherapyFlag:
        ramp, deliverable = self._ramps[area], self._deliverable[area]
        level = ramp.level(now)
        facts = {
            TherapyFlag.RAMPING: now < ramp.end,
            TherapyFlag.COMPLIANCE_LIMITED: level > deliverable,
            TherapyFlag.CYCLE_OFF: min(level, deliverable) > 0 and not delivered,
            TherapyFlag.CLOSED_LOOP: area in self._adjusted,
            TherapyFlag.DOSE_OVER: area in self._over,
        }
        return TherapyFlag(TherapyFlag.RUNNING | sum(flag for flag, is_so in facts.items() if is_so))

    def _levels(self, now: int) -> list[int]:
        return [ramp.level(now) for ramp in self._ramps]

    # Drives

    def _deliver(self, areas: tuple[AreaSettings, ...], ramps: list[Ramp], now: int) -> None:
        """Take other settings: their pulses are placed anew, and amplitudes are the programmed ones."""
        offsets = offsets_us(trains_of(self._model, areas))
        assert offsets is not None, "nothing is stored that cannot be interleaved"
        self._areas, self._offsets_us = areas, offsets
        self._adjusted.clear()
        self._drive(ramps, now)

    def _drive(self, ramps: list[Ramp], now: int) -> None:
        self._ramps = ramps
        self._deliverable = [self._output.deliverable_microamps(area, now) for area in self._areas]
        self._drives = [self._drives_of(area.area, now) for area in self._areas]
        self._output.drive(list(chain.from_iterable(self._drives)), now)

    def _drives_of(self, area: int, now: int) -> list[Drive]:
        """What is left of an area's ramp, and what stands after it."""
        ramp, drives = self._ramps[area], []
        if now < ramp.end and (ramp.from_microamps or ramp.to_microamps):
            drives = self._ramp_drives(area, ramp, now)
        if ramp.to_microamps:
            drives.append(self._piece(area, _flat(ramp.to_microamps, max(ramp.end, now)), None))
        return drives

    def _ramp_drives(self, area: int, ramp: Ramp, now: int) -> list[Drive]:
        """The rest of a ramp, cut where it crosses the compliance limit, so that each piece is straight."""
        rest = Ramp(now, ramp.end, ramp.level(now), ramp.to_microamps)
        deliverable = self._deliverable[area]
        low, high = sorted((rest.from_microamps, rest.to_microamps))
        if not low < deliverable < high:
            return [self._piece(area, rest, rest.end)]
        share = (deliverable - rest.from_microamps) / (rest.to_microamps - rest.from_microamps)
        crossing = now + round((rest.end - now) * share)
        before = Ramp(now, crossing, rest.from_microamps, deliverable)
        after = Ramp(crossing, rest.end, deliverable, rest.to_microamps)
        return [self._piece(area, piece, piece.end) for piece in (before, after)]

    def _piece(self, area: int, ramp: Ramp, until: int | None) -> Drive:
        deliverable = self._deliverable[area]
        return Drive(
            settings=self._areas[area],
            start=ramp.start,
            until=until,
            programmed_from=ramp.from_microamps,
            programmed_to=ramp.to_microamps,
            delivered_from=min(ramp.from_microamps, deliverable),
            delivered_to=min(ramp.to_microamps, deliverable),
            cycle_origin=self._cycle_origin,
            offset_us=self._offsets_us[area],
        )
