"""One contact's way into the body: lead wire and tissue in series with the electrode's surface."""

from __future__ import annotations

import math
from typing import Protocol

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_emulator.model import DeviceModel, ElectrodeFigures
from ipg_emulator.patient import Tissue

_SQUARE_MILLIMETRES_PER_SQUARE_CENTIMETRE = 100


class Surface(Protocol):
    """Where metal meets tissue."""

    def impedance(self, hertz: float) -> complex:
        """Ohms at one frequency, for small signals."""
        ...

    def step_ohms(self, pulse_us: int) -> float:
        """Voltage at the end of a constant-current pulse from rest, over the current."""
        ...

    def farads(self, pulse_us: int) -> float:
        """The capacitance that reaches the same voltage by a pulse of this width."""
        ...


class DoubleLayer(msgspec.Struct, frozen=True):
    """A capacitance parallel to the resistance of the Faradaic branch: the usual two-terminal model of an electrode."""

    capacitance_farads: float
    faradaic_ohms: float

    def impedance(self, hertz: float) -> complex:
        """Z = 1 / (jwC + 1 / Rf)."""
        return 1 / (2j * math.pi * hertz * self.capacitance_farads + 1 / self.faradaic_ohms)

    def step_ohms(self, pulse_us: int) -> float:
        """Rf (1 - exp(-t / Rf C))."""
        return -self.faradaic_ohms * math.expm1(-pulse_us / 1e6 / (self.faradaic_ohms * self.capacitance_farads))

    def farads(self, pulse_us: int) -> float:  # noqa: ARG002 - what leaks past it within a pulse is less than 1 %
        return self.capacitance_farads


class PhaseElement(msgspec.Struct, frozen=True):
    """A constant phase element, Z = k / (jw)^alpha, parallel to the Faradaic branch; k in ohm / second^alpha."""

    k: float
    alpha: float
    faradaic_ohms: float

    def impedance(self, hertz: float) -> complex:
        """Z = 1 / ((jw)^alpha / k + 1 / Rf)."""
        return 1 / ((2j * math.pi * hertz) ** self.alpha / self.k + 1 / self.faradaic_ohms)

    def step_ohms(self, pulse_us: int) -> float:
        """k t^alpha / Gamma(1 + alpha). A pulse is over long before (Rf / k)^(1 / alpha), when the Faradaic branch counts."""
        return self.k * math.pow(pulse_us / 1e6, self.alpha) / math.gamma(1 + self.alpha)

    def farads(self, pulse_us: int) -> float:
        return pulse_us / 1e6 / self.step_ohms(pulse_us)


class Interface(msgspec.Struct, frozen=True):
    """A contact's series resistances, the tissue's as it was at time 0, and its surface."""

    lead_ohms: float
    tissue_ohms: float
    surface: Surface

    def ohms(self, tissue_ratio: float = 1.0) -> float:
        """The series resistance while the tissue's is so many times what it was at time 0."""
        return self.lead_ohms + self.tissue_ohms * tissue_ratio

    def pulse_ohms(self, pulse_us: int, tissue_ratio: float = 1.0) -> float:
        """Voltage at the end of a constant-current pulse from rest, over the current."""
        return self.ohms(tissue_ratio) + self.surface.step_ohms(pulse_us)

    def impedance(self, hertz: float, tissue_ratio: float = 1.0) -> complex:
        """Ohms at one frequency."""
        return self.ohms(tissue_ratio) + self.surface.impedance(hertz)


def interfaces(model: DeviceModel, tissue: Tissue) -> dict[int, Interface]:
    """Every contact's interface by its number, the case included if the model has one."""
    figures = model.electrode
    found = {
        number: Interface(figures.lead_ohms, access, surface(figures, contact.area_square_millimetres))
        for number, (contact, access) in enumerate(zip(model.contacts, tissue.access_ohms, strict=True))
    }
    if model.has_case:
        found[CASE_CONTACT] = Interface(0.0, tissue.case_ohms, surface(figures, figures.case_area_square_millimetres))
    return found


def surface(figures: ElectrodeFigures, area_square_millimetres: float) -> Surface:
    """The surface of an electrode of this area: a constant phase element where the model has one, else a double layer."""
    area_square_centimetres = area_square_millimetres / _SQUARE_MILLIMETRES_PER_SQUARE_CENTIMETRE
    faradaic_ohms = figures.faradaic_ohms_square_centimetre / area_square_centimetres
    if figures.phase_element_ohm_square_centimetre:
        k = figures.phase_element_ohm_square_centimetre / area_square_centimetres
        return PhaseElement(k, figures.phase_element_alpha_permille / 1000, faradaic_ohms)
    microfarads = figures.double_layer_microfarads_per_square_centimetre * area_square_centimetres
    return DoubleLayer(microfarads / 1e6, faradaic_ohms)
