"""Puts a board together. The only module of the board where a seed becomes randomness: one stream for each use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from random import Random

import msgspec

from ipg_emulator.board import Electrodes
from ipg_emulator.board.battery import Battery, mean_millivolts
from ipg_emulator.board.electrodes import ElectrodeArray
from ipg_emulator.board.interface import interfaces
from ipg_emulator.board.output import CurrentOutput, Record, keep_no_record
from ipg_emulator.faults import parse_lead_faults
from ipg_emulator.model import DeviceModel
from ipg_emulator.patient import Patient
from ipg_emulator.patient.tissue import grow


class VirtualBoard(msgspec.Struct, frozen=True):
    """The parts of one device, in one patient."""

    electrodes: Electrodes
    output: CurrentOutput
    power: Battery
    patient: Patient

    def temperature_millicelsius(self, now: int) -> int:  # noqa: ARG002 - nothing warms the device yet
        return self.patient.temperature_millicelsius


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
) -> VirtualBoard:
    """A board as it is at time 0, in a patient: the one given, or one drawn from the seed.

    Args:
        model: What the board belongs to.
        seed: What measurement noise and, without a patient, the tissue are drawn from.
        patient: Whom the leads are in.
        lead_faults: Contact number to "open" or "short".
        record: Is given every stretch of output once it is over or replaced.
        charge_permille: How full the cell is.

    Raises:
        LeadFaultError: there is no such fault, or no such contact.
    """
    patient = patient or seeded_patient(model, seed)
    noise = Random(f"measurement {seed}")
    sound: Electrodes = ElectrodeArray(interfaces(model, patient.tissue), model.impedance, model.output, noise)
    electrodes = reduce(lambda inner, fault: fault(inner), parse_lead_faults(lead_faults or {}, model), sound)
    battery_millivolts = mean_millivolts(model.battery.open_circuit)
    output = CurrentOutput(model.output, electrodes, battery_millivolts, record or keep_no_record)
    return VirtualBoard(electrodes, output, Battery(model.battery, output, charge_permille), patient)
