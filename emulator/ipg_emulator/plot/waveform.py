"""What each contact delivered: its current over the session, over a few pulses, and in one pulse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, Waveform

from ipg_emulator.board import Drive, Segment
from ipg_emulator.board.dose import delivered_at
from ipg_emulator.board.waveform import period_us, pulse_of
from ipg_emulator.model import DeviceModel
from ipg_emulator.plot import PlotError
from ipg_emulator.plot.sheet import ANODE, CATHODE, DASHES, INK, Axes, sheet
from ipg_emulator.record import OutputRecord

ROW_INCHES, MARGIN_INCHES = 1.15, 1.25
POINTS = 60_000
"""The most samples that a panel draws of a contact."""
MOST_PARTS = 2_000
"""The most on-parts of a cycle that are drawn one by one; of more, only their outline."""
PERIODS = 2.4
DIRECT_CURRENT_US = 20_000
HIGHEST_RATE_HZ = 20_000_000
MOST_MICROSECONDS = 5_000


class Part(NamedTuple):
    """A straight part of an area's delivered amplitude: times in seconds, amplitudes in microamperes."""

    start: float
    end: float
    start_microamps: int
    end_microamps: int


class Moment(NamedTuple):
    """A stretch of time to look at closely, in microseconds."""

    start: int
    end: int
    title: str


def draw(record: OutputRecord, model: DeviceModel, path: str) -> None:
    """Draw a record: a row for each contact that carried current.

    Raises:
        PlotError: nothing was delivered, matplotlib is missing, or the file's name has no known suffix.
    """
    segments = record.segments(0, 2**62)
    if not any(segment.drive.delivered_from or segment.drive.delivered_to for segment in segments):
        raise PlotError("nothing was delivered, so there is nothing to draw")
    contacts = sorted({share.contact for segment in segments for share in segment.drive.settings.contacts})
    strongest = max(segments, key=_strength).drive
    moments = closer_looks(record, segments, strongest, model)
    with sheet(path, 11, ROW_INCHES * len(contacts) + MARGIN_INCHES) as figure:
        figure.suptitle(f"What {model.name} delivered through each contact", fontweight="bold", x=0.02, ha="left")
        widths = [2.2, *[1.3] * len(moments)]
        grid = figure.subplots(len(contacts), len(widths), sharex="col", width_ratios=widths, squeeze=False)
        unit = "% of maximum" if model.is_magnetic else "mA"
        for row, contact in zip(grid, contacts, strict=True):
            _draw_session(row[0], segments, contact, model)
            for axes, moment in zip(row[1:], moments, strict=True):
                _draw_samples(axes, record, contact, moment, model)
            row[0].set_ylabel(f"{_name(contact, model)}\n{unit}")
        _label_session(grid, segments)
        for column, moment in enumerate(moments, 1):
            grid[0][column].set_title(moment.title, fontsize=10)
            grid[-1][column].set_xlabel(f"time, {_unit(moment)[0]}")


def _name(contact: int, model: DeviceModel) -> str:
    return "case" if contact == CASE_CONTACT else f"{'terminal' if model.is_magnetic else 'contact'} {contact}"


def _scale(model: DeviceModel) -> float:
    """How many of the device's amplitude units make one of the picture's: microamperes a milliampere, permille a percent."""
    return 10 if model.is_magnetic else 1000


def _strength(segment: Segment) -> tuple[int, int]:
    drive = segment.drive
    return drive.delivered_from + drive.delivered_to, drive.settings.pulse_width_us


def _end(drive: Drive) -> int:
    return drive.start if drive.until is None else drive.until


# Session


def parts(drive: Drive, end: int) -> Iterator[Part]:
    """The straight parts of a drive up to `end`, the off-parts of its cycle left out where they can be told apart."""
    on, off = drive.settings.cycle_on_seconds * 1_000_000, drive.settings.cycle_off_seconds * 1_000_000
    if not off or (end - drive.start) // (on + off) > MOST_PARTS:
        yield _part(drive, drive.start, end)
        return
    first = drive.start - (drive.start - drive.cycle_origin) % (on + off)
    for on_from in range(first, end, on + off):
        start, stop = max(drive.start, on_from), min(end, on_from + on)
        if start < stop:
            yield _part(drive, start, stop)


def _part(drive: Drive, start: int, end: int) -> Part:
    return Part(start / 1e6, end / 1e6, delivered_at(drive, start), delivered_at(drive, end))


def occasions(segments: Sequence[Segment]) -> list[tuple[float, str]]:
    """When therapy was started, changed and stopped, in seconds, as the first area's output shows it."""
    found: list[tuple[float, str]] = []
    programmed = 0
    area = segments[0].drive.settings.area
    for drive in (segment.drive for segment in segments if segment.drive.settings.area == area):
        target = drive.programmed_to
        if target != programmed:
            found.append((drive.start / 1e6, "start" if not programmed else "stop" if not target else "change"))
        programmed = target
    return found


def _draw_session(axes: Axes, segments: Sequence[Segment], contact: int, model: DeviceModel) -> None:
    for segment in segments:
        drive = segment.drive
        permille = sum(share.permille for share in drive.settings.contacts if share.contact == contact)
        for part in parts(drive, _end(drive)) if permille else ():
            heights = [level * permille / 1000 / _scale(model) for level in (part.start_microamps, part.end_microamps)]
            axes.fill_between((part.start, part.end), heights, color=CATHODE if permille < 0 else ANODE, linewidth=0)
            axes.plot((part.start, part.end), heights, color=INK, linewidth=0.9)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.grid(axis="y")
    for seconds, _ in occasions(segments):
        axes.axvline(seconds, color=INK, linewidth=0.8, linestyle=DASHES[2])
    axes.margins(y=0.15)


def _label_session(grid: Sequence[Sequence[Axes]], segments: Sequence[Segment]) -> None:
    for seconds, word in occasions(segments):
        grid[0][0].annotate(word, (seconds, 1.02), xycoords=("data", "axes fraction"), va="bottom", fontsize=9)
    grid[-1][0].set_xlabel("time since the device was switched on, s")


# Pulses


def closer_looks(record: OutputRecord, segments: Sequence[Segment], strongest: Drive, model: DeviceModel) -> list[Moment]:
    """A few periods, and one pulse, at the end of the last time that the strongest drive is on; of direct current, a moment."""
    on = _last_on(strongest)
    if strongest.settings.waveform is Waveform.DIRECT_CURRENT:
        return [Moment(max(on[0], on[1] - DIRECT_CURRENT_US), on[1], "direct current")]
    return [_train(segments, strongest, on), _pulse(record, strongest, on, model)]


def _last_on(drive: Drive) -> tuple[int, int]:
    """The last on-part of a drive's cycle, or all of a drive that does not cycle."""
    on, off = drive.settings.cycle_on_seconds * 1_000_000, drive.settings.cycle_off_seconds * 1_000_000
    end = _end(drive)
    if not off:
        return drive.start, end
    began = end - 1 - (end - 1 - drive.cycle_origin) % (on + off)
    return max(drive.start, began), min(end, began + on)


def _train(segments: Sequence[Segment], strongest: Drive, on: tuple[int, int]) -> Moment:
    """A few periods of the slowest area that runs beside the strongest."""
    beside = [s.drive.settings for s in segments if s.drive.start < on[1] <= _end(s.drive)]
    pulsed = [settings for settings in beside if settings.waveform is not Waveform.DIRECT_CURRENT]
    length = max(PERIODS * period_us(settings) for settings in (*pulsed, strongest.settings))
    settings = strongest.settings
    title = f"{settings.rate_millihertz / 1000:g} {'bursts' if settings.burst_pulses > 1 else 'pulses'} a second"
    return Moment(max(on[0], on[1] - round(length)), on[1], title)


def _pulse(record: OutputRecord, strongest: Drive, on: tuple[int, int], model: DeviceModel) -> Moment:
    """The last whole pulse or burst of a drive, with a little before and after, and pulses of other areas close behind."""
    settings = strongest.settings
    occupied = _occupied_us(settings, model)
    room = max(1, occupied // 8)
    pulses = record.pulses(max(on[0], on[1] - round(3 * period_us(settings))), on[1])
    own = pulses.times_us[pulses.areas == settings.area]
    whole = own[own + occupied + room <= on[1]]
    start = int(whole[-1]) if len(whole) else on[0]
    widths = {area: _occupied_us(each.drive.settings, model) for each in record.segments(*on) for area in [_area(each)]}
    near = [(int(at), widths[int(area)]) for at, area in zip(pulses.times_us, pulses.areas, strict=True)]
    ends = [at + width for at, width in near if start <= at < start + 2 * occupied and at + width < on[1]]
    return Moment(max(on[0], start - room), max(ends, default=start + occupied) + room, _pulse_title(strongest, model))


def _area(segment: Segment) -> int:
    return segment.drive.settings.area


def _occupied_us(settings: AreaSettings, model: DeviceModel) -> int:
    return pulse_of(settings, model.shape(settings.waveform)).occupied_us


def _pulse_title(drive: Drive, model: DeviceModel) -> str:
    settings = drive.settings
    width = (
        f"{settings.burst_pulses} of {settings.pulse_width_us} us"
        if settings.burst_pulses > 1
        else f"{settings.pulse_width_us} us"
    )
    charge = drive.delivered_to * pulse_of(settings, model.shape(settings.waveform)).charge_us / 1e6
    return width if model.is_magnetic else f"{width}, {charge:.3g} uC"


def _draw_samples(axes: Axes, record: OutputRecord, contact: int, moment: Moment, model: DeviceModel) -> None:
    rate_hz = min(HIGHEST_RATE_HZ, POINTS * 1_000_000 // (moment.end - moment.start))
    heights = record.samples(contact, moment.start, moment.end, rate_hz) / _scale(model)
    unit_us = _unit(moment)[1]
    times = [number * 1_000_000 / rate_hz / unit_us for number in range(len(heights))]
    axes.fill_between(times, heights, where=heights < 0, color=CATHODE, linewidth=0)
    axes.fill_between(times, heights, where=heights > 0, color=ANODE, linewidth=0)
    axes.plot(times, heights, color=INK, linewidth=0.9)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.grid(axis="y")
    axes.margins(y=0.15)


def _unit(moment: Moment) -> tuple[str, int]:
    """What to count a moment's time in, and how many microseconds that is."""
    return ("ms", 1000) if moment.end - moment.start > MOST_MICROSECONDS else ("us", 1)
