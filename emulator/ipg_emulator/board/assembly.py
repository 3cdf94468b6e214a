"""Puts a board together. The only module of the board where a seed becomes randomness: one stream for each use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random

import msgspec

from ipg_emulator.board import Flash
from ipg_emulator.board.amplifier import EcapAmplifier
from ipg_emulator.board.battery import Battery
from ipg_emulator.board.case import Case
from ipg_emulator.board.charger import InductiveCharger
from ipg_emulator.board.clock import RealTimeClock
from ipg_emulator.board.discharge import DischargeCurve, mean_millivolts
from ipg_emulator.board.electrodes import ElectrodeArray
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.board.interface import interfaces
from ipg_emulator.board.output import CurrentOutput, Record
from ipg_emulator.board.profile import Profile
from ipg_emulator.faults import Leads
from ipg_emulator.model import DeviceModel
from ipg_emulator.patient import Patient
from ipg_emulator.patient.ecap import nerve_of
from ipg_emulator.patient.tissue import grow


class VirtualBoard(msgspec.Struct):
    """The parts of one device, in one patient. A magnet is laid on, or taken away, by setting `magnet_present`."""

    electrodes: Leads
    output: CurrentOutput
    power: Battery
    patient: Patient
    flash: Flash
    clock: RealTimeClock
    charger: InductiveCharger | None = None
    amplifier: EcapAmplifier | None = None
    magnet_laid_on: bool = False
    magnets_held: int = 0
    """Magnets that do not go away with the one that is laid on."""

    @property
    def magnet_present(self) -> bool:
        """Whether a magnet is there."""
        return self.magnet_laid_on or self.magnets_held > 0

    @magnet_present.setter
    def magnet_present(self, present: bool) -> None:
        self.magnet_laid_on = present

    def temperature_millicelsius(self, now: int) -> int:
        """Of the case: the patient's, and what charging adds."""
        rise_millikelvin = self.charger.rise_millikelvin(now) if self.charger else 0
        return self.patient.temperature_millicelsius + round(rise_millikelvin)

    def discharge_to(self, depth_permille: float, now: int) -> None:
        """The cell is at another depth of discharge at once, and the charger, if there is one, sees it."""
        self.power.jump_to(depth_permille, now)
        if self.charger is not None:
            self.charger.cell_changed(now)


def seeded_patient(model: DeviceModel, seed: int) -> Patient:
    """A patient whose tissue is drawn from the seed."""
    return Patient(grow(model.electrode, len(model.contacts), Random(f"tissue {seed}")))


def build_board(
    model: DeviceModel,
    *,
    seed: int,
    patient: Patient | None = None,
    lead_faults: Mapping[int, str] | None = None,
    record: Record | None = None,
    charge_permille: int = 1000,
    flash: Flash | None = None,
) -> VirtualBoard:
    """A board as it is at time 0, in a patient: the one given, or one drawn from the seed.

    Args:
        model: What the board belongs to.
        seed: What measurement noise and, without a patient, the tissue are drawn from.
        patient: Whom the leads are in.
        lead_faults: Contact number to a word of `faults.LEAD_FAULTS`.
        record: Is given every stretch of output once it is over or replaced.
        charge_permille: How full the cell is.
        flash: What the firmware stores its data in; a new one if not given.

    Raises:
        LeadFaultError: there is no such fault, or no such contact.
    """
    patient = patient or seeded_patient(model, seed)
    electrodes = _leads(model, patient, seed)
    electrodes.break_contacts(lead_faults or {})
    battery_millivolts = mean_millivolts(model.battery.open_circuit)
    output = CurrentOutput(model, electrodes, battery_millivolts, record)
    battery = Battery(model.battery, output, charge_permille)
    charger = _charger(model, battery, patient)
    amplifier = _amplifier(model, patient, seed)
    memory, clock = flash or FlashMemory(), RealTimeClock()
    return VirtualBoard(electrodes, output, battery, patient, memory, clock, charger, amplifier)


def _leads(model: DeviceModel, patient: Patient, seed: int) -> Leads:
    noise = Random(f"measurement {seed}")
    contacts = interfaces(model, patient.tissue)
    return Leads(ElectrodeArray(contacts, model.impedance, model.output, patient.tissue.ratio, noise), model, patient)


def _charger(model: DeviceModel, battery: Battery, patient: Patient) -> InductiveCharger | None:
    if model.charging is None:
        return None
    profile = Profile(model.charging, DischargeCurve(model.battery.open_circuit))
    case = Case(model.charging.heating_seconds * 1_000_000)
    charger = InductiveCharger(model.charging, profile, battery, case, partial(_body_millicelsius, patient))
    battery.charge_from(charger)
    return charger


def _body_millicelsius(patient: Patient) -> int:
    return patient.temperature_millicelsius


def _amplifier(model: DeviceModel, patient: Patient, seed: int) -> EcapAmplifier | None:
    nerve = nerve_of(model, patient)
    if model.sensing is None or nerve is None:
        return None
    return EcapAmplifier(model.sensing, nerve, Random(f"ecap {seed}"))
