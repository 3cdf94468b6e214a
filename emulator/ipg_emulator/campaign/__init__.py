"""Deterministic worlds of devices, hosts and bad links, judged by a reference model; and many of them at once."""

from ipg_emulator.campaign.history import History
from ipg_emulator.campaign.script import history_of
from ipg_emulator.campaign.world import Outcome, Violation, run_world

__all__ = ["History", "Outcome", "Violation", "history_of", "run_world"]
