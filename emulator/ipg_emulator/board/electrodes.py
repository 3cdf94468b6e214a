"""The contacts as the output stage sees them: the load of a pattern, and the reading of a test pulse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ipg_protocol.commands.programs import ContactShare

from ipg_emulator.board import Load, PairReading
from ipg_emulator.board.interface import Interface
from ipg_emulator.model import ImpedanceTest, OutputStage
from ipg_emulator.patient.tissue import Chance

LOAD_HOLDS_US = 60_000_000
"""Tissue is looked at once in a minute: it changes by less than a thousandth meanwhile, and loads can be kept."""

RATIO_RESOLUTION = 0.002
"""A change of the tissue smaller than this is let pass: it is less than the noise of a measurement."""

TissueRatio = Callable[[int], float]
"""The tissue's resistance at a time, over that at time 0."""


class ElectrodeArray:
    """All contacts of a device, each with a current source of its own."""

    def __init__(
        self,
        interfaces: Mapping[int, Interface],
        test: ImpedanceTest,
        stage: OutputStage,
        tissue_ratio: TissueRatio,
        noise: Chance,
    ) -> None:
        self._interfaces = interfaces
        self._elastances = {number: 1 / i.surface.farads(test.test_pulse_us) for number, i in interfaces.items()}
        self._coupling_elastance = 1e6 / stage.coupling_microfarads
        self._test = test
        self._test_millivolts = stage.compliance_millivolts - stage.headroom_millivolts
        self._tissue_ratio = tissue_ratio
        self._noise = noise
        self._minute: int | None = None
        self._ratio = 1.0
        self._loads: dict[tuple[ContactShare, ...], Load] = {}

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        """Cathodes in series with anodes; a contact counts by its share of the current.

        A group needs the voltage of its worst contact, `share * (R + t / C)`. Where the shares follow the contacts'
        conductances, that is the parallel combination of the group. A constant phase element counts as the capacitance
        that it is to the model's test pulse.
        """
        self._look_at_tissue(now)
        pattern = tuple(contacts)
        load = self._loads.get(pattern)
        if load is None:
            load = self._loads[pattern] = self._load(pattern)
        return load

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        """The voltage at the end of the model's test pulse over its current, with the model's noise."""
        self._look_at_tissue(now)
        pulse_us, ratio = self._test.test_pulse_us, self._ratio
        ohms = sum(self._interfaces[contact].pulse_ohms(pulse_us, ratio) for contact in (cathode, anode))
        needed_millivolts = ohms * self._test.test_current_microamps / 1000
        noisy = ohms * (1 + self._noise.gauss(0.0, self._test.noise_permille / 1000))
        return PairReading(max(noisy, 0.0), needed_millivolts <= self._test_millivolts)

    def _look_at_tissue(self, now: int) -> None:
        minute = now // LOAD_HOLDS_US
        if minute != self._minute:
            self._minute = minute
            ratio = self._tissue_ratio(minute * LOAD_HOLDS_US)
            if abs(ratio - self._ratio) > RATIO_RESOLUTION * self._ratio:
                self._ratio = ratio
                self._loads.clear()

    def _load(self, contacts: tuple[ContactShare, ...]) -> Load:
        groups = [[c for c in contacts if c.permille < 0], [c for c in contacts if c.permille > 0]]
        ohms = sum(max((abs(c.permille) / 1000 * self._ohms(c.contact) for c in group), default=0.0) for group in groups)
        elastance = sum(
            max((abs(c.permille) / 1000 * self._elastances[c.contact] for c in group), default=0.0) for group in groups
        )
        coupling = self._coupling_elastance * sum(max((abs(c.permille) / 1000 for c in group), default=0.0) for group in groups)
        limiting = max(contacts, key=lambda c: self._ohms(c.contact))
        return Load(ohms, 1 / (elastance + coupling), 1 / coupling, limiting.contact)

    def _ohms(self, contact: int) -> float:
        return self._interfaces[contact].ohms(self._ratio)
