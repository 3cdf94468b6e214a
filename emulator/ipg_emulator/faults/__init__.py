"""Faults of the hardware: wrappers that stand in for a sound part. The core never asks whether one is there."""

from ipg_emulator.faults.flash import FailingFlash, Moment, PowerCut
from ipg_emulator.faults.lead import LEAD_FAULTS, LeadFaultError, Leads

__all__ = ["LEAD_FAULTS", "FailingFlash", "LeadFaultError", "Leads", "Moment", "PowerCut"]
