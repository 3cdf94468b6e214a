"""What was delivered: segments, pulses, samples, charge and energy between any two times. Only the looked-at pulses are made.

Times are in microseconds, the end not included. The current through a contact is negative while it stimulates as a cathode.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from math import copysign
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, Waveform

from ipg_emulator.board import Delivered, Segment
from ipg_emulator.board.account import Account, Circuit, circuit_of
from ipg_emulator.board.dose import cut, delivered_at, moments
from ipg_emulator.board.recharge import residual_nanocoulombs
from ipg_emulator.board.waveform import pulse_of
from ipg_emulator.model import DeviceModel
from ipg_emulator.pulses import Currents, Integers, Run, Window, end_of, runs
from ipg_emulator.recording import read_segments


class Pulses(NamedTuple):
    """Pulses or bursts in order of time, a row of each array for each: its beginning, its area, and its amplitude."""

    times_us: Integers
    areas: npt.NDArray[np.uint8]
    delivered_microamps: Integers
    programmed_microamps: Integers


class OutputRecord:
    """The record of one device's output. Pass it to the board as its `record`, or read it from a file.

    What is still being output is told by `CurrentOutput.flush`.
    """

    def __init__(self, model: DeviceModel, segments: Iterable[Segment] = ()) -> None:
        self.contacts = (*range(len(model.contacts)), *[CASE_CONTACT] * model.has_case)
        """The rows of `all_samples`."""
        self._model = model
        self._areas: dict[int, list[Segment]] = {}
        for segment in segments:
            self(segment)

    @classmethod
    def read(cls, model: DeviceModel, path: str) -> OutputRecord:
        """The record in a file that `ipg-emulator run --record` has written.

        Raises:
            OSError: it cannot be read.
            msgspec.DecodeError: it is no such file, or one of another model.
        """
        return cls(model, read_segments(path, model.name))

    def __call__(self, segment: Segment) -> None:
        """Take in a segment; those of one area come in order of time."""
        self._areas.setdefault(segment.drive.settings.area, []).append(segment)

    # What was output

    def segments(self, start: int, end: int) -> list[Segment]:
        """The segments between two times, cut to them, in order of time."""
        found = [_cut(segment, start, end) for area in self._areas for segment in self._between(area, start, end)]
        return sorted(found, key=_start)

    def pulses(self, start: int, end: int) -> Pulses:
        """Every pulse or burst that begins between two times. Direct current has none."""
        rows = [_pulse_rows(run, start, end) for run in self._runs(start, end)]
        if not rows:
            return _pulses(np.empty((4, 0), np.int64))
        found = np.concatenate(rows, axis=1)
        return _pulses(found[:, np.argsort(found[0], kind="stable")])

    def samples(self, contact: int, start: int, end: int, rate_hz: int) -> Currents:
        """The current through one contact from `start` on, in microamperes."""
        currents: Currents = self._samples((contact,), Window(start, end, rate_hz))[0]
        return currents

    def all_samples(self, start: int, end: int, rate_hz: int) -> Currents:
        """The current through every contact, a row for each of `contacts`."""
        return self._samples(self.contacts, Window(start, end, rate_hz))

    def _samples(self, contacts: tuple[int, ...], window: Window) -> Currents:
        currents = np.zeros((len(contacts), window.places(window.end)), np.float32)
        for run in self._runs(window.start, window.end):
            shares = [share for share in run.settings.contacts if share.contact in contacts]
            if shares:
                microamps = run.current(self._model, window)
                for share in shares:
                    currents[contacts.index(share.contact)] += microamps * np.float32(share.permille / 1000)
        return currents

    # What it comes to

    def delivered(self, area: int, start: int, end: int) -> Delivered:
        """Charge, on-time, pulses and energy of an area between two times, by the closed form over segments."""
        account = Account()
        for segment, circuit in self._circuits(area, start, end):
            account = account.plus(circuit.account(moments(segment.drive, start, end), supply_millivolts=0))
        return Delivered(account.nanocoulombs, account.on_time_us, account.pulses, account.load_microjoules)

    def dose_microcoulombs_per_second(self, start: int, end: int) -> float:
        """The charge of all stimulating phases in the mean over a time: nanocoulombs per microsecond are 1000 uC/s."""
        return sum(self.delivered(area, start, end).nanocoulombs for area in self._areas) * 1000 / (end - start)

    def charge_nanocoulombs(self, contact: int, start: int, end: int) -> float:
        """The charge of the stimulating phases through a contact, negative through a cathode."""
        charge = 0.0
        for area in self._areas:
            for segment, circuit in self._circuits(area, start, end):
                nanocoulombs = circuit.account(moments(segment.drive, start, end), supply_millivolts=0).nanocoulombs
                charge += nanocoulombs * _share(circuit.settings, contact)
        return charge

    def net_nanocoulombs(self, contact: int, start: int, end: int) -> float:
        """The charge that has stayed at a contact: stimulating minus recovered, and what its capacitor let leak.

        Of each area that recovers charge, what the last recharge left behind: it does not add up from pulse to pulse. Of direct
        current, all that was delivered. Leakage, in the direction of the contact's stimulating phase, adds up over the on-time.
        """
        return sum(self._net(area, contact, start, end) for area in self._areas)

    def _net(self, area: int, contact: int, start: int, end: int) -> float:
        net = last = 0.0
        for segment, circuit in self._circuits(area, start, end):
            share = _share(circuit.settings, contact)
            account = circuit.account(moments(segment.drive, start, end), supply_millivolts=0)
            leakage = copysign(self._model.output.leakage_nanoamps * account.on_time_us / 1e6, share) if share else 0.0
            if circuit.settings.waveform is Waveform.DIRECT_CURRENT:
                net += share * account.nanocoulombs
            else:
                microamps = delivered_at(segment.drive, min(end, end_of(segment.drive)))
                last = share * residual_nanocoulombs(circuit, self._model, microamps)
            net += leakage
        return net + last

    # Finding

    def _between(self, area: int, start: int, end: int) -> list[Segment]:
        segments = self._areas.get(area, [])
        first = bisect_right(segments, start, key=_end)
        return segments[first : bisect_left(segments, end, lo=first, key=_start)]

    def _runs(self, start: int, end: int) -> Iterator[Run]:
        """The runs between two times, and as much before as a pulse that is still under way may have begun."""
        for area in self._areas:
            found = self._between(area, start, end)
            if found:
                settings = found[0].drive.settings
                before = pulse_of(settings, self._model.shape(settings.waveform)).occupied_us
                yield from runs(self._between(area, start - before, end))

    def _circuits(self, area: int, start: int, end: int) -> Iterator[tuple[Segment, Circuit]]:
        circuit: Circuit | None = None
        for segment in self._between(area, start, end):
            settings, load = segment.drive.settings, segment.load
            if circuit is None or circuit.settings != settings or circuit.load != load:
                circuit = circuit_of(settings, self._model, load)
            yield segment, circuit


def _start(segment: Segment) -> int:
    return segment.drive.start


def _end(segment: Segment) -> int:
    return end_of(segment.drive)


def _cut(segment: Segment, start: int, end: int) -> Segment:
    drive = segment.drive
    return Segment(cut(drive, max(drive.start, start), min(end_of(drive), end)), segment.load)


def _share(settings: AreaSettings, contact: int) -> float:
    return sum(share.permille for share in settings.contacts if share.contact == contact) / 1000


def _pulse_rows(run: Run, start: int, end: int) -> Integers:
    times = run.pulse_times(start, end)
    area = np.full_like(times, run.settings.area)
    return np.stack([times, area, run.amplitudes(times), run.amplitudes(times, programmed=True)])


def _pulses(rows: Integers) -> Pulses:
    times, areas, delivered, programmed = rows
    return Pulses(times, areas.astype(np.uint8), delivered, programmed)
