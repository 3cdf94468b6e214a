"""Broken leads: a conductor that is fractured, and one whose insulation is breached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ipg_protocol.commands.programs import ContactShare

from ipg_emulator.board import Electrodes, Load, PairReading
from ipg_emulator.model import DeviceModel

FRACTURE_OHMS = 100e6
BREACH_OHMS = 30.0

ElectrodeFault = Callable[[Electrodes], Electrodes]
"""Wraps electrodes in a fault."""


class LeadFaultError(ValueError):
    """A lead fault was asked for that does not exist, or on a contact that does not."""


class OpenContact:
    """A fractured conductor: megohms in series with one contact."""

    def __init__(self, inner: Electrodes, contact: int) -> None:
        self._inner = inner
        self._contact = contact

    def load(self, contacts: Sequence[ContactShare]) -> Load:
        load = self._inner.load(contacts)
        share = sum(abs(c.permille) for c in contacts if c.contact == self._contact) / 1000
        return Load(load.ohms + share * FRACTURE_OHMS, load.farads, self._contact) if share else load

    def measure(self, cathode: int, anode: int) -> PairReading:
        reading = self._inner.measure(cathode, anode)
        if self._contact not in (cathode, anode):
            return reading
        return PairReading(reading.ohms + FRACTURE_OHMS, False)


class ShortedContact:
    """A breached insulation: a shunt of tens of ohms from one contact's conductor to whichever returns its current."""

    def __init__(self, inner: Electrodes, contact: int) -> None:
        self._inner = inner
        self._contact = contact

    def load(self, contacts: Sequence[ContactShare]) -> Load:
        load = self._inner.load(contacts)
        if all(c.contact != self._contact for c in contacts):
            return load
        return Load(_parallel(load.ohms, BREACH_OHMS), load.farads, load.limiting_contact)

    def measure(self, cathode: int, anode: int) -> PairReading:
        reading = self._inner.measure(cathode, anode)
        if self._contact not in (cathode, anode):
            return reading
        return PairReading(_parallel(reading.ohms, BREACH_OHMS), True)


LEAD_FAULTS: dict[str, Callable[[Electrodes, int], Electrodes]] = {"open": OpenContact, "short": ShortedContact}


def parse_lead_faults(faults: Mapping[int, str], model: DeviceModel) -> tuple[ElectrodeFault, ...]:
    """The wrappers for faults given as contact number and word.

    Raises:
        LeadFaultError: names the word or the contact, and what is allowed.
    """
    for contact, word in faults.items():
        if word not in LEAD_FAULTS:
            raise LeadFaultError(f"lead fault {word!r} of contact {contact} is none of {', '.join(LEAD_FAULTS)}")
        if not 0 <= contact < len(model.contacts):
            raise LeadFaultError(f"lead fault of contact {contact}: {model.name} has contacts 0 to {len(model.contacts) - 1}")
    return tuple(partial(_wrapped, LEAD_FAULTS[word], contact) for contact, word in faults.items())


def _wrapped(fault: Callable[[Electrodes, int], Electrodes], contact: int, inner: Electrodes) -> Electrodes:
    return fault(inner, contact)


def _parallel(ohms: float, shunt_ohms: float) -> float:
    return ohms * shunt_ohms / (ohms + shunt_ohms)
