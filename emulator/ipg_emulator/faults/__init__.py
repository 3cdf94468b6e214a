"""Faults of the hardware: wrappers that stand in for a sound part. The core never asks whether one is there."""

from ipg_emulator.faults.lead import ElectrodeFault, LeadFaultError, OpenContact, ShortedContact, parse_lead_faults

__all__ = ["ElectrodeFault", "LeadFaultError", "OpenContact", "ShortedContact", "parse_lead_faults"]
