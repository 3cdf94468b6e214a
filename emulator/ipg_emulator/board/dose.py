"""What a drive delivers, by the closed form: no pulse is ever expanded. All arithmetic on time is in whole microseconds."""

from __future__ import annotations

import msgspec
from ipg_protocol.commands.programs import AreaSettings

from ipg_emulator.board import Drive

_MICROSECONDS = 1_000_000
_MILLIHERTZ_MICROSECONDS = 1e9
_PICOCOULOMBS = 1000


class Dose(msgspec.Struct, frozen=True):
    """Charge of the stimulating phases, time that the output was on, and how many pulses it made meanwhile."""

    nanocoulombs: float = 0.0
    on_time_us: int = 0
    pulses: float = 0.0

    def plus(self, other: Dose) -> Dose:
        """Both together."""
        return Dose(
            self.nanocoulombs + other.nanocoulombs,
            self.on_time_us + other.on_time_us,
            self.pulses + other.pulses,
        )


def dose(drive: Drive, since: int, until: int) -> Dose:
    """What a drive delivers between two times; parts outside of the drive count nothing."""
    begin = max(since, drive.start)
    end = until if drive.until is None else min(until, drive.until)
    if end <= begin:
        return Dose()
    on_before, moment_before = _on_moments(drive, begin)
    on_after, moment_after = _on_moments(drive, end)
    on_time_us = on_after - on_before
    pulses_per_us = drive.settings.rate_millihertz / _MILLIHERTZ_MICROSECONDS
    microamp_us = _amplitude_integral(drive, on_time_us, moment_after - moment_before)
    picocoulombs = microamp_us * pulses_per_us * drive.settings.pulse_width_us
    return Dose(picocoulombs / _PICOCOULOMBS, on_time_us, on_time_us * pulses_per_us)


def dose_per_second(drive: Drive, now: int) -> Dose:
    """What a drive would deliver in a second that went on as it is at this moment."""
    if not is_on(drive, now):
        return Dose()
    pulses = drive.settings.rate_millihertz / 1000
    picocoulombs = delivered_at(drive, now) * drive.settings.pulse_width_us * pulses
    return Dose(picocoulombs / _PICOCOULOMBS, _MICROSECONDS, pulses)


def is_on(drive: Drive, now: int) -> bool:
    """Whether the drive covers this moment, and it is not in the off-part of a cycle."""
    if now < drive.start or (drive.until is not None and now >= drive.until):
        return False
    on, period = _cycle(drive.settings)
    return (now - drive.cycle_origin) % period < on


def delivered_at(drive: Drive, now: int) -> int:
    """The delivered amplitude on the drive's line, cycling left aside."""
    return _on_line(drive, now, drive.delivered_from, drive.delivered_to)


def programmed_at(drive: Drive, now: int) -> int:
    """The programmed amplitude on the drive's line, cycling left aside."""
    return _on_line(drive, now, drive.programmed_from, drive.programmed_to)


def _on_line(drive: Drive, now: int, first: int, last: int) -> int:
    if drive.until is None or drive.until <= drive.start:
        return last
    return first + (last - first) * (now - drive.start) // (drive.until - drive.start)


def _cycle(settings: AreaSettings) -> tuple[int, int]:
    """The on-part and the whole of a cycle; continuous output is a cycle that is all on."""
    on = settings.cycle_on_seconds * _MICROSECONDS
    off = settings.cycle_off_seconds * _MICROSECONDS
    return (on, on + off) if on and off else (1, 1)


def _on_moments(drive: Drive, now: int) -> tuple[int, int]:
    """From the cycle's origin to `now`: the on-time, and twice the integral of time over it (both whole numbers)."""
    on, period = _cycle(drive.settings)
    cycles, within = divmod(now - drive.cycle_origin, period)
    part = min(within, on)
    begun = cycles * period
    twice_full_cycles = on * (period * cycles * (cycles - 1) + on * cycles)
    return cycles * on + part, twice_full_cycles + part * (2 * begun + part)


def _amplitude_integral(drive: Drive, on_time_us: int, twice_time_integral: int) -> float:
    """The integral of the delivered amplitude over the on-time, in microampere-microseconds."""
    if drive.until is None or drive.until <= drive.start:
        return drive.delivered_to * on_time_us
    twice_from_start = twice_time_integral - 2 * (drive.start - drive.cycle_origin) * on_time_us
    rise = drive.delivered_to - drive.delivered_from
    return drive.delivered_from * on_time_us + rise * twice_from_start / (2 * (drive.until - drive.start))
