"""Every operation there is; importing this fills `OPERATIONS`."""

from ipg_emulator.control.operation import OPERATIONS
from ipg_emulator.control.operations.device import Advance, Describe, GetState, GetTime
from ipg_emulator.control.operations.faults import (
    ClearFaults,
    FaultNumber,
    InjectFault,
    ListFaults,
    PlannedFault,
    RemoveFault,
)
from ipg_emulator.control.operations.keeping import ExportSnapshot, ListSnapshots, RestoreSnapshot, TakeSnapshot
from ipg_emulator.control.operations.observing import Delivered, Events, ReadCounters, ReadLog, Refusals, Silences, Trace
from ipg_emulator.control.operations.surroundings import (
    BreakLead,
    Cough,
    CutPower,
    GiveWay,
    HoldMagnet,
    MendLead,
    MigrateLeads,
    PlaceCharger,
    ReplaceBattery,
    RestorePower,
    SetBattery,
    TakePosture,
    WearDisc,
)
from ipg_emulator.control.operations.waiting import Waited, WaitFor

__all__ = [
    "OPERATIONS",
    "Advance",
    "BreakLead",
    "ClearFaults",
    "Cough",
    "CutPower",
    "Delivered",
    "Describe",
    "Events",
    "ExportSnapshot",
    "FaultNumber",
    "GetState",
    "GetTime",
    "GiveWay",
    "HoldMagnet",
    "InjectFault",
    "ListFaults",
    "ListSnapshots",
    "MendLead",
    "MigrateLeads",
    "PlaceCharger",
    "PlannedFault",
    "ReadCounters",
    "ReadLog",
    "Refusals",
    "RemoveFault",
    "ReplaceBattery",
    "RestorePower",
    "RestoreSnapshot",
    "SetBattery",
    "Silences",
    "TakePosture",
    "TakeSnapshot",
    "Trace",
    "WaitFor",
    "Waited",
    "WearDisc",
]
