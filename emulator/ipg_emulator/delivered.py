"""What a device delivered between two times: from the stretches of its output, by the closed form; no pulse is expanded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from ipg_emulator.board import Drive, Segment
from ipg_emulator.board.account import circuit_of
from ipg_emulator.board.dose import cut, cycle_us, delivered_at, moments
from ipg_emulator.model import DeviceModel

_MICROSECONDS = 1_000_000


class Stretch(msgspec.Struct, frozen=True):
    """Output of one area from one time to another, its amplitude in a straight line; on-time leaves out the off-part of cycles.

    Amplitudes are microamperes, or permille of a coil's maximum.
    """

    area: int
    from_seconds: float
    until_seconds: float
    from_microamps: int
    to_microamps: int
    pulse_width_us: int
    rate_millihertz: int
    waveform: str
    on_time_seconds: float

    def __str__(self) -> str:
        amplitude = f"{self.to_microamps} uA"
        if self.from_microamps != self.to_microamps:
            amplitude = f"{self.from_microamps} to {amplitude}"
        rate = f"{self.rate_millihertz / 1000:g} Hz"
        times = f"{self.from_seconds:.6f} s to {self.until_seconds:.6f} s"
        return f"area {self.area}, {times}: {amplitude}, {self.pulse_width_us} us, {rate} ({self.waveform})"


class AreaDelivery(msgspec.Struct, frozen=True):
    """What one area delivered; `pulses` is rate times on-time, `nanocoulombs` the charge of the stimulating phases."""

    area: int
    on_time_seconds: float = 0.0
    pulses: float = 0.0
    nanocoulombs: float = 0.0
    peak_microamps: int = 0
    stretches: list[Stretch] = msgspec.field(default_factory=list[Stretch])


class Delivery(msgspec.Struct, frozen=True):
    """What was delivered between two times of the device, area by area; areas that delivered nothing are left out."""

    from_seconds: float
    until_seconds: float
    areas: list[AreaDelivery]

    @property
    def is_nothing(self) -> bool:
        return not self.areas

    @property
    def stretches(self) -> list[Stretch]:
        """Those of all areas, in order of time."""
        return sorted((each for area in self.areas for each in area.stretches), key=_begin)

    @property
    def pulses(self) -> float:
        return sum(area.pulses for area in self.areas)

    @property
    def nanocoulombs(self) -> float:
        return sum(area.nanocoulombs for area in self.areas)

    @property
    def peak_microamps(self) -> int:
        return max((area.peak_microamps for area in self.areas), default=0)

    @property
    def on_time_seconds(self) -> float:
        """The longest of any area."""
        return max((area.on_time_seconds for area in self.areas), default=0.0)

    def area(self, number: int) -> AreaDelivery:
        """What one area delivered."""
        return next((area for area in self.areas if area.area == number), AreaDelivery(number))

    def __str__(self) -> str:
        lines = [str(stretch) for stretch in self.stretches] or ["nothing"]
        return "\n".join(f"  {line}" for line in lines)


def delivered(segments: Iterable[Segment], model: DeviceModel, start: int, end: int, area: int | None = None) -> Delivery:
    """What segments, those of each area in order of time, come to between two times in microseconds."""
    of_area: dict[int, list[Segment]] = {}
    for segment in segments:
        number = segment.drive.settings.area
        if area in (None, number) and moments(segment.drive, start, end).microamp_us:
            of_area.setdefault(number, []).append(segment)
    areas = [_delivery(number, of_area[number], model, (start, end)) for number in sorted(of_area)]
    return Delivery(start / _MICROSECONDS, end / _MICROSECONDS, areas)


def _delivery(area: int, segments: list[Segment], model: DeviceModel, window: tuple[int, int]) -> AreaDelivery:
    on_time_us, pulses, nanocoulombs = 0, 0.0, 0.0
    for segment in segments:
        circuit = circuit_of(segment.drive.settings, model, segment.load)
        account = circuit.account(moments(segment.drive, *window), supply_millivolts=0)
        on_time_us += account.on_time_us
        pulses += account.pulses
        nanocoulombs += account.nanocoulombs
    drives = [_within(segment.drive, window) for segment in segments]
    stretches = [_stretch(drive) for drive in _joined(drives)]
    return AreaDelivery(area, on_time_us / _MICROSECONDS, pulses, nanocoulombs, max(map(_peak, drives)), stretches)


def _within(drive: Drive, window: tuple[int, int]) -> Drive:
    start, end = window
    return cut(drive, max(drive.start, start), end if drive.until is None else min(drive.until, end))


def _joined(drives: list[Drive]) -> Iterator[Drive]:
    """Drives that go on with the same settings at the same amplitude, as one."""
    last = drives[0]
    for drive in drives[1:]:
        if _goes_on(last, drive):
            last = msgspec.structs.replace(last, until=drive.until)
        else:
            yield last
            last = drive
    yield last


def _goes_on(last: Drive, drive: Drive) -> bool:
    levels = {last.delivered_from, last.delivered_to, drive.delivered_from, drive.delivered_to}
    return len(levels) == 1 and last.until == drive.start and last.settings == drive.settings


def _stretch(drive: Drive) -> Stretch:
    until = _end(drive)
    return Stretch(
        area=drive.settings.area,
        from_seconds=drive.start / _MICROSECONDS,
        until_seconds=until / _MICROSECONDS,
        from_microamps=drive.delivered_from,
        to_microamps=drive.delivered_to,
        pulse_width_us=drive.settings.pulse_width_us,
        rate_millihertz=drive.settings.rate_millihertz,
        waveform=drive.settings.waveform.name,
        on_time_seconds=moments(drive, drive.start, until).on_time_us / _MICROSECONDS,
    )


def _peak(drive: Drive) -> int:
    """The highest amplitude of the on-time: at its first moment or its last, as the line is straight."""
    on, period = cycle_us(drive.settings)
    since_first, since_last = (drive.start - drive.cycle_origin) % period, (_end(drive) - drive.cycle_origin) % period
    first = drive.start if since_first < on else drive.start + period - since_first
    last = _end(drive) if 0 < since_last <= on else _end(drive) - (since_last - on) % period
    return max(delivered_at(drive, first), delivered_at(drive, last))


def _end(drive: Drive) -> int:
    assert drive.until is not None, "a drive that was cut ends"
    return drive.until


def _begin(stretch: Stretch) -> tuple[float, int]:
    return stretch.from_seconds, stretch.area
