"""Impedance measurement: one pair after another, each judged by the model's thresholds."""

from __future__ import annotations

import msgspec
from ipg_protocol.commands.measurement import Impedance, ImpedanceVerdict

from ipg_emulator.board import Electrodes, PairReading
from ipg_emulator.model import ImpedanceTest

_U16_MAXIMUM = 0xFFFF


class Measurement(msgspec.Struct):
    """One measurement: its pairs, and the results so far."""

    number: int
    pairs: list[tuple[int, int]]
    rows: list[Impedance]

    @property
    def is_complete(self) -> bool:
        return len(self.rows) == len(self.pairs)

    def count(self, verdict: ImpedanceVerdict) -> int:
        return sum(row.verdict is verdict for row in self.rows)


class Measurements:
    """Carries out measurements and keeps what is known of each contact. A pair's verdict belongs to its cathode."""

    def __init__(self, electrodes: Electrodes, test: ImpedanceTest) -> None:
        self._electrodes = electrodes
        self._test = test
        self.last = Measurement(0, [], [])
        self.of_contact: dict[int, Impedance] = {}

    def begin(self, pairs: list[tuple[int, int]]) -> Measurement:
        self.last = Measurement(self.last.number % _U16_MAXIMUM + 1, pairs, [])
        return self.last

    def measure_next(self, now: int) -> Impedance:
        """Measure the next pair of the measurement under way."""
        cathode, anode = self.last.pairs[len(self.last.rows)]
        reading = self._electrodes.measure(cathode, anode, now)
        verdict = self._judge(reading)
        ohms = self._test.open_reads_ohms if verdict is ImpedanceVerdict.OPEN else round(reading.ohms)
        row = Impedance(cathode, anode, verdict, ohms)
        self.last.rows.append(row)
        self.of_contact[cathode] = row
        return row

    def _judge(self, reading: PairReading) -> ImpedanceVerdict:
        if reading.ohms > self._test.open_above_ohms:
            return ImpedanceVerdict.OPEN
        if reading.ohms < self._test.short_below_ohms:
            return ImpedanceVerdict.SHORT
        return ImpedanceVerdict.OK if reading.in_compliance else ImpedanceVerdict.COMPLIANCE
