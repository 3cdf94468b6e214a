"""The contacts as the output stage sees them: the load of a pattern, and the reading of a test pulse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipg_protocol.commands.programs import ContactShare

from ipg_emulator.board import Load, PairReading
from ipg_emulator.board.interface import Interface
from ipg_emulator.model import ImpedanceTest, OutputStage
from ipg_emulator.patient.tissue import Chance


class ElectrodeArray:
    """All contacts of a device, each with a current source of its own."""

    def __init__(self, interfaces: Mapping[int, Interface], test: ImpedanceTest, stage: OutputStage, noise: Chance) -> None:
        self._interfaces = interfaces
        self._test = test
        self._test_millivolts = stage.compliance_millivolts - stage.headroom_millivolts
        self._noise = noise

    def load(self, contacts: Sequence[ContactShare]) -> Load:
        """Cathodes in series with anodes; a contact counts by its share of the current.

        A group needs the voltage of its worst contact, `share * (R + t / C)`. Where the shares follow the contacts'
        conductances, that is the parallel combination of the group.
        """
        groups = [[c for c in contacts if c.permille < 0], [c for c in contacts if c.permille > 0]]
        ohms = sum(max((self._share_ohms(c) for c in group), default=0.0) for group in groups)
        elastance = sum(max((self._share_elastance(c) for c in group), default=0.0) for group in groups)
        limiting = max(contacts, key=lambda c: self._interfaces[c.contact].ohms)
        return Load(ohms, 1 / elastance, limiting.contact)

    def measure(self, cathode: int, anode: int) -> PairReading:
        """The voltage at the end of the model's test pulse over its current, with the model's noise."""
        ohms = sum(self._interfaces[contact].pulse_ohms(self._test.test_pulse_us) for contact in (cathode, anode))
        needed_millivolts = ohms * self._test.test_current_microamps / 1000
        noisy = ohms * (1 + self._noise.gauss(0.0, self._test.noise_permille / 1000))
        return PairReading(max(noisy, 0.0), needed_millivolts <= self._test_millivolts)

    def _share_ohms(self, contact: ContactShare) -> float:
        return abs(contact.permille) / 1000 * self._interfaces[contact.contact].ohms

    def _share_elastance(self, contact: ContactShare) -> float:
        return abs(contact.permille) / 1000 / self._interfaces[contact.contact].farads
