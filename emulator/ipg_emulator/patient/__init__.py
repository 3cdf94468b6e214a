"""Whom the leads are in. What the body does to the device is decided here, never in the board or the firmware."""

from __future__ import annotations

import msgspec

from ipg_emulator.patient.tissue import Tissue


class Patient(msgspec.Struct, frozen=True):
    """One patient with leads implanted."""

    tissue: Tissue
    temperature_millicelsius: int = 37_000


__all__ = ["Patient", "Tissue"]
