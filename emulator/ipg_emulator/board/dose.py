"""What a drive delivers, by the closed form: no pulse is ever expanded. All arithmetic on time is in whole microseconds."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from ipg_protocol.commands.programs import AreaSettings

from ipg_emulator.board import Drive

_MICROSECONDS = 1_000_000


class Moments(NamedTuple):
    """The on-time of a drive, and the integrals of its delivered amplitude and of the amplitude's square over it."""

    on_time_us: int = 0
    microamp_us: float = 0
    square_microamp_us: float = 0


NOTHING = Moments()


def moments(drive: Drive, since: int, until: int) -> Moments:
    """The moments of a drive between two times; parts outside of the drive count nothing."""
    begin = since if since > drive.start else drive.start
    end = until if drive.until is None or until < drive.until else drive.until
    if end <= begin:
        return NOTHING
    if drive.until is None or drive.delivered_from == drive.delivered_to:
        is_cycled, level = drive.settings.cycle_off_seconds, drive.delivered_to
        on_time_us = _on_time(drive, end) - _on_time(drive, begin) if is_cycled else end - begin
        return Moments(on_time_us, level * on_time_us, level * level * on_time_us)
    return _ramp_moments(drive, begin, end)


def cut(drive: Drive, start: int, until: int) -> Drive:
    """The part of a drive from `start` to `until`, as a drive of its own."""
    return msgspec.structs.replace(
        drive,
        start=start,
        until=until,
        programmed_from=programmed_at(drive, start),
        programmed_to=programmed_at(drive, until),
        delivered_from=delivered_at(drive, start),
        delivered_to=delivered_at(drive, until),
    )


def is_on(drive: Drive, now: int) -> bool:
    """Whether the drive covers this moment, and it is not in the off-part of a cycle."""
    if now < drive.start or (drive.until is not None and now >= drive.until):
        return False
    on, period = cycle_us(drive.settings)
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


def cycle_us(settings: AreaSettings) -> tuple[int, int]:
    """The on-part and the whole of a cycle; continuous output is a cycle that is all on."""
    on = settings.cycle_on_seconds * _MICROSECONDS
    off = settings.cycle_off_seconds * _MICROSECONDS
    return (on, on + off) if on and off else (1, 1)


def _on_time(drive: Drive, now: int) -> int:
    """The on-time from the cycle's origin to `now`."""
    on, period = cycle_us(drive.settings)
    cycles, within = divmod(now - drive.cycle_origin, period)
    return cycles * on + min(within, on)


def _time_integrals(drive: Drive, now: int) -> tuple[int, int, int]:
    """From the cycle's origin to `now`: the on-time, twice the integral of time over it, three times that of time squared.

    Over c whole cycles, the sums of (kP + on)^n - (kP)^n for k from 0 to c - 1; then the part of the last. Whole numbers.
    """
    on, period = cycle_us(drive.settings)
    cycles, within = divmod(now - drive.cycle_origin, period)
    begun, part = cycles * period, min(within, on)
    twice_sum = cycles * (cycles - 1)
    sixfold_squares = twice_sum * (2 * cycles - 1)
    first = period * on * twice_sum + cycles * on**2
    second = period**2 * on * sixfold_squares // 2 + 3 * period * on**2 * twice_sum // 2 + cycles * on**3
    return (
        cycles * on + part,
        first + part * (2 * begun + part),
        second + (begun + part) ** 3 - begun**3,
    )


def _ramp_moments(drive: Drive, begin: int, end: int) -> Moments:
    """The amplitude is first + rise * (t - start) / length; its integrals follow from those of 1, t and t^2."""
    assert drive.until is not None, "a ramp ends"
    before, after = _time_integrals(drive, begin), _time_integrals(drive, end)
    on_time_us, twice_first, thrice_second = (b - a for a, b in zip(before, after, strict=True))
    offset = drive.start - drive.cycle_origin
    twice_time = twice_first - 2 * offset * on_time_us
    thrice_square = thrice_second - 3 * offset * twice_first + 3 * offset**2 * on_time_us
    first, rise, length = drive.delivered_from, drive.delivered_to - drive.delivered_from, drive.until - drive.start
    return Moments(
        on_time_us,
        first * on_time_us + rise * twice_time / (2 * length),
        first**2 * on_time_us + first * rise * twice_time / length + rise**2 * thrice_square / (3 * length**2),
    )
