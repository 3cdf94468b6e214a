"""The nerve: what a pulse evokes in it, and how much of that reaches the recording contact."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from ipg_protocol.commands.programs import AreaSettings, ContactShare

from ipg_emulator.model import Contact, DeviceModel, NerveFigures
from ipg_emulator.patient.body import Patient

_FAR = 30.0
"""So many knees from the bend, the curve is its straight line in double precision."""


class Site(msgspec.Struct, frozen=True):
    """What the place of the cathodes means: the part of the charge that counts at the nerve, and N1's latency."""

    coupling: float
    latency_us: int


class Nerve:
    """The growth curve, moved by distance in two ways of its own: stimulation by g^n, measurement by g^-m.

    The recorded height is `slope * max(0, coupling * charge - threshold * g^n) * g^-m`, bent softly at the threshold and
    at saturation, where every fibre within reach answers already; g is the patient's distance, relative to standing.
    """

    def __init__(self, figures: NerveFigures, places: Mapping[int, Contact], patient: Patient) -> None:
        self._figures = figures
        self._places = places
        self._patient = patient
        self._stimulation_exponent = figures.stimulation_exponent_permille / 1000
        self._measurement_exponent = figures.measurement_exponent_permille / 1000
        self._microvolts_per_nanocoulomb = figures.slope_nanovolts_per_nanocoulomb / 1000
        self._knee_microvolts = figures.knee_nanocoulombs * self._microvolts_per_nanocoulomb
        self._site_of: tuple[tuple[ContactShare, ...], float] = ((), 0.0)
        self._site = Site(0.0, figures.latency_us)

    def response_microvolts(self, settings: AreaSettings, microamps: int, now: int) -> float:
        """The height of the ECAP at the recording contact, without noise, after a pulse of this delivered amplitude."""
        figures, distance = self._figures, self._patient.distance(now)
        charge = microamps * settings.pulse_width_us / 1000 * self.site(settings.contacts).coupling
        threshold = figures.threshold_nanocoulombs * math.pow(distance, self._stimulation_exponent)
        grown = self._microvolts_per_nanocoulomb * soft_plus(charge - threshold, figures.knee_nanocoulombs)
        ceiling = figures.saturation_microvolts
        seen = math.pow(distance, -self._measurement_exponent)
        return (ceiling - soft_plus(ceiling - grown, self._knee_microvolts)) * seen

    def threshold_nanocoulombs(self, contacts: tuple[ContactShare, ...], now: int) -> float:
        """The charge of a phase from which the nerve answers; infinite where no cathode is near it."""
        grown = math.pow(self._patient.distance(now), self._stimulation_exponent)
        coupling = self.site(contacts).coupling
        return self._figures.threshold_nanocoulombs * grown / coupling if coupling else math.inf

    def site(self, contacts: tuple[ContactShare, ...]) -> Site:
        """What the place of these contacts means, as the leads lie now."""
        of = (contacts, self._patient.lead_shift_contacts)
        if of != self._site_of:
            self._site_of, self._site = of, self._find_site(contacts)
        return self._site

    def _find_site(self, contacts: tuple[ContactShare, ...]) -> Site:
        """Cathodes count by their share, and less with the distance from where the nerve is nearest: 1 / (1 + (x / w)^2).

        N1 is recorded at that end of the cathodes' lead which is farther from them, and travels there.
        """
        figures = self._figures
        near = [c for c in contacts if c.permille < 0 and c.contact in self._places]
        cathodes = [(-c.permille / 1000, self._places[c.contact]) for c in near]
        if not cathodes:
            return Site(0.0, figures.latency_us)
        coupling = sum(share * self._field_at(place.position) for share, place in cathodes)
        _, nearest = max(cathodes, key=lambda cathode: cathode[0])
        last = max(place.position for place in self._places.values() if place.lead == nearest.lead)
        contacts_away = max(nearest.position, last - nearest.position)
        millimetres = contacts_away * figures.contact_spacing_millimetres
        return Site(coupling, round(figures.latency_us + 1000 * millimetres / figures.conduction_metres_per_second))

    def _field_at(self, position: int) -> float:
        away = position + self._patient.lead_shift_contacts - self._figures.target_contact
        return 1 / (1 + (away / self._figures.field_width_contacts) ** 2)


def nerve_of(model: DeviceModel, patient: Patient) -> Nerve | None:
    """The nerve that a model's leads are meant for, if it says how that answers."""
    return None if model.nerve is None else Nerve(model.nerve, dict(enumerate(model.contacts)), patient)


def soft_plus(value: float, knee: float) -> float:
    """max(0, value), bent over the width `knee`: knee * ln(1 + exp(value / knee))."""
    bend = value / knee
    if bend > _FAR:
        return value
    return knee * math.log1p(math.exp(bend)) if bend > -_FAR else 0.0
