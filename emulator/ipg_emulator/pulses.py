"""The pulses of one area, expanded from its segments as numpy arrays when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from ipg_protocol.commands.programs import AreaSettings, Waveform

from ipg_emulator.board import Drive, Segment
from ipg_emulator.board.dose import cycle_us
from ipg_emulator.board.recharge import recharge_tau_us
from ipg_emulator.board.waveform import PERIOD_MILLIHERTZ_US, pulse_of
from ipg_emulator.currents import Floats, Form, unit_current
from ipg_emulator.model import DeviceModel

Integers = npt.NDArray[np.int64]
Currents = npt.NDArray[np.float32]
"""Microamperes."""

_MICROSECONDS = 1_000_000


class Window(NamedTuple):
    """Samples at `start + k / rate`, for whole k, before `end`."""

    start: int
    end: int
    rate_hz: int

    def places(self, at: int) -> int:
        """How many samples come before a time; before the end, all."""
        return max(0, -(-(at - self.start) * self.rate_hz // _MICROSECONDS))


class Run(msgspec.Struct, frozen=True):
    """Segments of one area that follow each other without a gap, and whose pulses are one train."""

    segments: Sequence[Segment]

    @property
    def first(self) -> Segment:
        return self.segments[0]

    @property
    def start(self) -> int:
        return self.first.drive.start

    @property
    def end(self) -> int:
        return end_of(self.segments[-1].drive)

    @property
    def settings(self) -> AreaSettings:
        return self.first.drive.settings

    def pulse_times(self, start: int, end: int) -> Integers:
        """When pulses or bursts begin, in the part of the run between two times."""
        drive = self.first.drive
        begins, rate = drive.cycle_origin + drive.offset_us, drive.settings.rate_millihertz
        low, high = max(start, self.start) - begins, min(end, self.end) - begins
        if high <= low or self.settings.waveform is Waveform.DIRECT_CURRENT:
            return np.empty(0, np.int64)
        first, last = (max(0, -(-at * rate // PERIOD_MILLIHERTZ_US)) for at in (low, high))
        whole, rest = divmod(first * PERIOD_MILLIHERTZ_US, rate)
        times = begins + whole + (rest + np.arange(last - first, dtype=np.int64) * PERIOD_MILLIHERTZ_US) // rate
        return times[_is_on(drive, times)]

    def amplitudes(self, times: Integers, *, programmed: bool = False) -> Integers:
        """Delivered or programmed amplitudes at times within the run."""
        drives = [segment.drive for segment in self.segments]
        lines = [
            (d.start, end_of(d), *((d.programmed_from, d.programmed_to) if programmed else (d.delivered_from, d.delivered_to)))
            for d in drives
        ]
        starts, ends, first, last = np.array(lines, np.int64).T
        place = self._places(times)
        passed = times - starts[place]
        amplitudes: Integers = first[place] + (last - first)[place] * passed // (ends - starts)[place]
        return amplitudes

    def current(self, model: DeviceModel, window: Window) -> Currents:
        """The total current at every sample of a window."""
        current = np.zeros(window.places(window.end), np.float32)
        if self.settings.waveform is Waveform.DIRECT_CURRENT:
            places = np.arange(window.places(max(self.start, window.start)), window.places(min(self.end, window.end)))
            times = window.start + places * _MICROSECONDS // window.rate_hz
            current[places] = self.amplitudes(times) * _is_on(self.first.drive, times)
        else:
            self._add_pulses(model, window, current)
        return current

    def _add_pulses(self, model: DeviceModel, window: Window, current: Currents) -> None:
        shape = model.shape(self.settings.waveform)
        occupied = pulse_of(self.settings, shape).occupied_us
        times = self.pulse_times(window.start - occupied, window.end)
        first = _places(window, times)
        counts = _places(window, np.minimum(times + occupied, min(self.end, window.end))) - first
        owner = np.repeat(np.arange(len(times)), counts)
        places = np.arange(len(owner)) + (first - np.cumsum(counts) + counts)[owner]
        after_us: Floats = places * np.float64(_MICROSECONDS / window.rate_hz) - (times - window.start)[owner]
        taus_us = np.array([recharge_tau_us(segment.load, model.output) for segment in self.segments])[self._places(times)]
        form = Form(self.settings, shape, taus_us[owner])
        current[places] = unit_current(after_us, form) * self.amplitudes(times)[owner]

    def _places(self, times: Integers) -> Integers:
        """Which segments hold times within the run."""
        return np.searchsorted([segment.drive.start for segment in self.segments], times, side="right") - 1


def runs(segments: Sequence[Segment]) -> Iterator[Run]:
    """The runs of one area's segments, which are in order of time."""
    run: list[Segment] = []
    for segment in segments:
        if run and not _goes_on(run[-1].drive, segment.drive):
            yield Run(run)
            run = []
        run.append(segment)
    if run:
        yield Run(run)


def end_of(drive: Drive) -> int:
    """When a drive that is over ended."""
    assert drive.until is not None, "a recorded drive is over"
    return drive.until


def _goes_on(before: Drive, after: Drive) -> bool:
    return before.until == after.start and _train(before) == _train(after)


def _train(drive: Drive) -> tuple[object, ...]:
    """What decides when pulses begin, and their form."""
    settings = drive.settings
    pulse = (settings.waveform, settings.pulse_width_us, settings.burst_pulses, settings.intra_burst_millihertz)
    times = (settings.rate_millihertz, settings.cycle_on_seconds, settings.cycle_off_seconds)
    return (*pulse, *times, settings.contacts, drive.cycle_origin, drive.offset_us)


def _is_on(drive: Drive, times: Integers) -> npt.NDArray[np.bool_]:
    on, period = cycle_us(drive.settings)
    return np.asarray((times - drive.cycle_origin) % period < on)


def _places(window: Window, times: Integers) -> Integers:
    return np.maximum(0, -(-(times - window.start) * window.rate_hz // _MICROSECONDS))
