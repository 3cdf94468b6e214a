"""What can go wrong with a device, its leads and the line to its host. The core never asks whether anything does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ipg_emulator.faults.flash import FailingFlash, Moment, PowerCut
from ipg_emulator.faults.lead import LEAD_FAULTS, LeadFaultError, Leads

if TYPE_CHECKING:
    from ipg_emulator.faults.board import (
        BatteryLevel,
        BatterySag,
        BrownOut,
        ChargerMisaligned,
        ClockDrift,
        FlashWorn,
        MagnetHeld,
        OverTemperature,
    )
    from ipg_emulator.faults.fault import Fault, FaultError, When
    from ipg_emulator.faults.firmware import Hung, SlowCommand, StuckState, WatchdogReset
    from ipg_emulator.faults.injector import inject
    from ipg_emulator.faults.leads import ImpedanceDrift, LeadBreach, LeadIntermittent, LeadMigration, LeadOpen, LeadShort
    from ipg_emulator.faults.line import (
        Corrupt,
        Cut,
        Delay,
        Drop,
        Duplicate,
        Garbage,
        NoiseBurst,
        Reorder,
        SlowBytes,
        Stuck,
        Truncate,
    )
    from ipg_emulator.faults.plan import FaultPlan, fault_from, load_plan
    from ipg_emulator.faults.reply import Busy, Refused, ReplyLate, ReplyLost, ReplyRepeated, WrongId

_MODULES = ("fault", "plan", "injector", "line", "reply", "leads", "board", "firmware")
"""Where what is loaded when it is first asked for is found: a device without faults starts without them."""

__all__ = [
    "LEAD_FAULTS",
    "BatteryLevel",
    "BatterySag",
    "BrownOut",
    "Busy",
    "ChargerMisaligned",
    "ClockDrift",
    "Corrupt",
    "Cut",
    "Delay",
    "Drop",
    "Duplicate",
    "FailingFlash",
    "Fault",
    "FaultError",
    "FaultPlan",
    "FlashWorn",
    "Garbage",
    "Hung",
    "ImpedanceDrift",
    "LeadBreach",
    "LeadFaultError",
    "LeadIntermittent",
    "LeadMigration",
    "LeadOpen",
    "LeadShort",
    "Leads",
    "MagnetHeld",
    "Moment",
    "NoiseBurst",
    "OverTemperature",
    "PowerCut",
    "Refused",
    "Reorder",
    "ReplyLate",
    "ReplyLost",
    "ReplyRepeated",
    "SlowBytes",
    "SlowCommand",
    "Stuck",
    "StuckState",
    "Truncate",
    "WatchdogReset",
    "When",
    "WrongId",
    "fault_from",
    "inject",
    "load_plan",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f"{__name__}.{module}"))
            if name in found:
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
