"""Whom the leads are in. What the body does to the device is decided here, never in the board or the firmware."""

from ipg_emulator.patient.body import Patient
from ipg_emulator.patient.ecap import Nerve
from ipg_emulator.patient.posture import POSTURES, Posture, PostureError
from ipg_emulator.patient.tissue import Tissue

__all__ = ["POSTURES", "Nerve", "Patient", "Posture", "PostureError", "Tissue"]
