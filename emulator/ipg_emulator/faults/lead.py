"""Broken leads: a fractured conductor, one that opens in some postures, breached insulation, and impedance that drifts.

They can come and go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ipg_protocol.commands.programs import CASE_CONTACT, ContactShare

from ipg_emulator.board import Electrodes, Load, PairReading
from ipg_emulator.model import DeviceModel
from ipg_emulator.patient import Patient

FRACTURE_OHMS = 100e6
SHORT_OHMS = 30.0
BREACH_OHMS = 200.0
"""Of insulation that leaks without being a short."""
HOUR_US = 3_600_000_000
OPENING_POSTURES = frozenset({"sitting", "supine"})
"""Where an intermittent contact opens unless it is said otherwise: not as the patient stands at first."""


class LeadFaultError(ValueError):
    """A lead fault was asked for that does not exist, or on a contact that does not."""


class OpenContact:
    """A fractured conductor: megohms in series with one contact."""

    def __init__(self, inner: Electrodes, contact: int) -> None:
        self._inner = inner
        self._contact = contact

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        load = self._inner.load(contacts, now)
        share = sum(abs(c.permille) for c in contacts if c.contact == self._contact) / 1000
        return Load(load.ohms + share * FRACTURE_OHMS, load.farads, load.coupling_farads, self._contact) if share else load

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        reading = self._inner.measure(cathode, anode, now)
        if self._contact not in (cathode, anode):
            return reading
        return PairReading(reading.ohms + FRACTURE_OHMS, False)


class IntermittentContact:
    """A conductor that is fractured, but whose ends touch: it is open only in some postures."""

    def __init__(self, inner: Electrodes, contact: int, patient: Patient, open_in: Iterable[str] = OPENING_POSTURES) -> None:
        self._touching = inner
        self._apart = OpenContact(inner, contact)
        self._patient = patient
        self._open_in = frozenset(open_in)

    @property
    def _present(self) -> Electrodes:
        return self._apart if self._patient.posture.name in self._open_in else self._touching

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        return self._present.load(contacts, now)

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        return self._present.measure(cathode, anode, now)


class ShuntedContact:
    """Breached insulation: a shunt from one contact's conductor to whichever returns its current."""

    def __init__(self, inner: Electrodes, contact: int, shunt_ohms: float) -> None:
        self._inner = inner
        self._contact = contact
        self._shunt_ohms = shunt_ohms

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        load = self._inner.load(contacts, now)
        if all(c.contact != self._contact for c in contacts):
            return load
        return Load(self._parallel(load.ohms), load.farads, load.coupling_farads, load.limiting_contact)

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        reading = self._inner.measure(cathode, anode, now)
        if self._contact not in (cathode, anode):
            return reading
        return PairReading(self._parallel(reading.ohms), True)

    def _parallel(self, ohms: float) -> float:
        return ohms * self._shunt_ohms / (ohms + self._shunt_ohms)


class DriftingContacts:
    """Contacts whose resistance grows by the hour: one of them, or all."""

    def __init__(
        self,
        inner: Electrodes,
        contact: int | None,
        *,
        ohms_per_hour: int,
        since: int,
        most_millivolts: int,
        test_microamps: int,
    ) -> None:
        self._inner = inner
        self._contact = contact
        self._ohms_per_hour = ohms_per_hour
        self._since = since
        self._most_millivolts = most_millivolts
        self._test_microamps = test_microamps

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        load = self._inner.load(contacts, now)
        groups = [[c for c in contacts if c.permille < 0], [c for c in contacts if c.permille > 0]]
        shares = sum(max((abs(c.permille) / 1000 for c in group if self._drifts(c.contact)), default=0.0) for group in groups)
        ohms = load.ohms + shares * self._grown_ohms(now)
        return Load(ohms, load.farads, load.coupling_farads, load.limiting_contact)

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        reading = self._inner.measure(cathode, anode, now)
        ohms = reading.ohms + sum(map(self._drifts, (cathode, anode))) * self._grown_ohms(now)
        needed_millivolts = ohms * self._test_microamps / 1000
        return PairReading(ohms, reading.in_compliance and needed_millivolts <= self._most_millivolts)

    def _drifts(self, contact: int) -> bool:
        return contact != CASE_CONTACT if self._contact is None else contact == self._contact

    def _grown_ohms(self, now: int) -> float:
        return self._ohms_per_hour * (now - self._since) / HOUR_US


LEAD_FAULTS: dict[str, Callable[[Electrodes, int, Patient], Electrodes]] = {
    "open": lambda inner, contact, _: OpenContact(inner, contact),
    "short": lambda inner, contact, _: ShuntedContact(inner, contact, SHORT_OHMS),
    "breach": lambda inner, contact, _: ShuntedContact(inner, contact, BREACH_OHMS),
    "intermittent": IntermittentContact,
}
"""By the word for it, what wraps electrodes in a fault of one contact."""


Wrap = Callable[[Electrodes], Electrodes]
"""Puts something that is wrong with electrodes round them."""


class Leads:
    """The electrodes behind leads that can break and be mended while the device runs; whoever does it calls `board_changed`."""

    def __init__(self, sound: Electrodes, model: DeviceModel, patient: Patient) -> None:
        self._sound = sound
        self._model = model
        self._patient = patient
        self._faults: dict[int, str] = {}
        self._wraps: list[Wrap] = []
        self._present = sound

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        return self._present.load(contacts, now)

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        return self._present.measure(cathode, anode, now)

    @property
    def broken(self) -> dict[int, str]:
        """The contacts that have a fault, and its word."""
        return dict(self._faults)

    def break_contacts(self, faults: Mapping[int, str]) -> None:
        """Give contacts faults by the words of `LEAD_FAULTS`, each in place of the one it has.

        Raises:
            LeadFaultError: names the word or the contact, and what is allowed; then nothing is broken.
        """
        check_lead_faults(faults, self._model)
        self._faults |= faults
        self._wrap()

    def mend(self, contact: int) -> None:
        """Make a contact sound, if it is not."""
        self._faults.pop(contact, None)
        self._wrap()

    def put_on(self, wrap: Wrap) -> None:
        """Let something more be wrong, beside the faults by their words."""
        self._wraps.append(wrap)
        self._wrap()

    def take_off(self, wrap: Wrap) -> None:
        """End what `put_on` began."""
        self._wraps.remove(wrap)
        self._wrap()

    def _wrap(self) -> None:
        self._present = self._sound
        for contact, word in self._faults.items():
            self._present = LEAD_FAULTS[word](self._present, contact, self._patient)
        for wrap in self._wraps:
            self._present = wrap(self._present)


def check_lead_faults(faults: Mapping[int, str], model: DeviceModel) -> None:
    """Refuse what is no fault, or no contact of the model.

    Raises:
        LeadFaultError: names the word or the contact, and what is allowed.
    """
    for contact, word in faults.items():
        if word not in LEAD_FAULTS:
            raise LeadFaultError(f"lead fault {word!r} of contact {contact} is none of {', '.join(LEAD_FAULTS)}")
        if not 0 <= contact < len(model.contacts):
            raise LeadFaultError(f"lead fault of contact {contact}: {model.name} has contacts 0 to {len(model.contacts) - 1}")
