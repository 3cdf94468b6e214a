"""One contact's way into the body: lead wire and tissue in series with the double layer and its Faradaic branch."""

from __future__ import annotations

import math

import msgspec
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_emulator.model import DeviceModel, ElectrodeFigures
from ipg_emulator.patient import Tissue

_SQUARE_MILLIMETRES_PER_SQUARE_CENTIMETRE = 100


class Interface(msgspec.Struct, frozen=True):
    """R in series with (C parallel to Rf): the usual two-terminal model of an electrode."""

    ohms: float
    farads: float
    faradaic_ohms: float

    def pulse_ohms(self, pulse_us: int) -> float:
        """Voltage at the end of a constant-current pulse from rest, over the current: R + Rf (1 - exp(-t / Rf C))."""
        seconds = pulse_us / 1e6
        return self.ohms - self.faradaic_ohms * math.expm1(-seconds / (self.faradaic_ohms * self.farads))

    def impedance(self, hertz: float) -> complex:
        """Z = R + 1 / (jwC + 1 / Rf)."""
        return self.ohms + 1 / (2j * math.pi * hertz * self.farads + 1 / self.faradaic_ohms)


def interfaces(model: DeviceModel, tissue: Tissue) -> dict[int, Interface]:
    """Every contact's interface by its number, the case included if the model has one."""
    figures = model.electrode
    found = {
        number: _interface(figures, figures.lead_ohms + access, contact.area_square_millimetres)
        for number, (contact, access) in enumerate(zip(model.contacts, tissue.access_ohms, strict=True))
    }
    if model.has_case:
        found[CASE_CONTACT] = _interface(figures, tissue.case_ohms, figures.case_area_square_millimetres)
    return found


def _interface(figures: ElectrodeFigures, ohms: float, area_square_millimetres: float) -> Interface:
    area_square_centimetres = area_square_millimetres / _SQUARE_MILLIMETRES_PER_SQUARE_CENTIMETRE
    return Interface(
        ohms,
        figures.double_layer_microfarads_per_square_centimetre * area_square_centimetres / 1e6,
        figures.faradaic_ohms_square_centimetre / area_square_centimetres,
    )
