"""The output stage: holds the plan that the firmware has set, limits by compliance, and accounts for what is delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
from ipg_protocol.commands.programs import AreaSettings, Waveform

from ipg_emulator.board import Drive, Electrodes, Load
from ipg_emulator.board.dose import Dose, delivered_at, dose, dose_per_second, is_on, programmed_at
from ipg_emulator.board.history import History
from ipg_emulator.model import OutputStage

Record = Callable[[Drive], None]
"""Is given every drive, or the part of it that was output, once it is over or replaced."""

PHASES_FROM_SUPPLY = {Waveform.TONIC_ACTIVE_RECHARGE: 2, Waveform.TONIC_PASSIVE_RECHARGE: 1}
"""How many phases of a pulse draw on the supply: active recharge drives the second one too."""


def pulse_ohms(load: Load, pulse_width_us: int) -> float:
    """R + PW / C: the voltage that a load needs at a pulse's end, over the current."""
    return load.ohms + pulse_width_us / 1e6 / load.farads


def cut(drive: Drive, start: int, until: int | None) -> Drive:
    """The part of a drive from `start` to `until`, as a drive of its own."""
    end = start if until is None else until
    return msgspec.structs.replace(
        drive,
        start=start,
        until=until,
        programmed_from=programmed_at(drive, start),
        programmed_to=programmed_at(drive, end),
        delivered_from=delivered_at(drive, start),
        delivered_to=delivered_at(drive, end),
    )


def keep_no_record(_: Drive) -> None:
    """The record when nobody asked for one."""


class CurrentOutput:
    """Delivers the drives of the present plan. The supply is set once for a plan, to what its worst area needs."""

    def __init__(
        self, stage: OutputStage, electrodes: Electrodes, battery_millivolts: float, record: Record = keep_no_record
    ) -> None:
        self._stage = stage
        self._electrodes = electrodes
        self._battery_millivolts = battery_millivolts
        self._record = record
        self._drives: tuple[Drive, ...] = ()
        self._set_at = 0
        self._supply_millivolts = 0.0
        self._history: defaultdict[int, History] = defaultdict(History)
        self._drawn_nanocoulombs = 0.0

    def deliverable_microamps(self, settings: AreaSettings) -> int:
        """(V_compliance - V_headroom) / (R + PW / C)."""
        available_millivolts = self._stage.compliance_millivolts - self._stage.headroom_millivolts
        return int(available_millivolts * 1000 / self._pulse_ohms(settings))

    def drive(self, drives: Sequence[Drive], now: int) -> None:
        self._settle(now)
        ahead = (cut(d, max(d.start, now), d.until) for d in drives if d.until is None or d.until > max(d.start, now))
        self._drives = tuple(sorted(ahead, key=lambda drive: drive.start))
        self._set_at = now
        self._supply_millivolts = self._needed_millivolts()

    def delivered_microamps(self, area: int, now: int) -> int:
        return sum(delivered_at(d, now) for d in self._drives if d.settings.area == area and is_on(d, now))

    def charge_nanocoulombs(self, area: int, since: int, now: int) -> int:
        return round(self._total(area, now).nanocoulombs - self._total(area, since).nanocoulombs)

    def on_time_us(self, area: int, since: int, now: int) -> int:
        return self._total(area, now).on_time_us - self._total(area, since).on_time_us

    def battery_nanocoulombs(self, now: int) -> float:
        """All the charge that therapy has taken from the battery up to `now`, which is not before the last change."""
        return self._drawn_nanocoulombs + sum(self._drawn(d, dose(d, self._set_at, now)) for d in self._drives)

    def battery_microamps(self, now: int) -> float:
        """What therapy takes from the battery at this moment."""
        return sum(self._drawn(d, dose_per_second(d, now)) for d in self._drives) / 1000

    def _total(self, area: int, now: int) -> Dose:
        total = self._history[area].total(now)
        for drive in self._drives:
            if drive.settings.area == area:
                total = total.plus(dose(drive, self._set_at, now))
        return total

    def _settle(self, now: int) -> None:
        self._drawn_nanocoulombs = self.battery_nanocoulombs(now)
        for drive in self._drives:
            end = now if drive.until is None else min(now, drive.until)
            if end > drive.start:
                self._history[drive.settings.area].add(drive, drive.start, end)
                self._record(cut(drive, drive.start, end))

    def _drawn(self, drive: Drive, delivered: Dose) -> float:
        """Battery charge for a dose, in nanocoulombs: energy from the supply through the converter, and the pulses' own."""
        efficiency = self._stage.converter_efficiency_permille / 1000
        from_supply = delivered.nanocoulombs * PHASES_FROM_SUPPLY[drive.settings.waveform]
        energy_share = self._supply_millivolts / (self._battery_millivolts * efficiency)
        return from_supply * energy_share + delivered.pulses * self._stage.pulse_overhead_nanocoulombs

    def _needed_millivolts(self) -> float:
        """What the worst drive needs at its highest, and the supply's margin over it."""
        peaks = (max(d.delivered_from, d.delivered_to) * self._pulse_ohms(d.settings) / 1000 for d in self._drives)
        return max(peaks, default=0.0) + self._stage.headroom_millivolts + self._stage.supply_margin_millivolts

    def _pulse_ohms(self, settings: AreaSettings) -> float:
        return pulse_ohms(self._electrodes.load(settings.contacts), settings.pulse_width_us)
