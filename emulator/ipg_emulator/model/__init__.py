"""Device models: what differs from device to device, read from TOML and checked on the way in."""

from ipg_emulator.model.device import (
    BatteryCell,
    Contact,
    DefaultArea,
    DefaultProgram,
    DeviceModel,
    ElectrodeFigures,
    HardLimits,
    ImpedanceTest,
    Lead,
    OutputStage,
    Ranges,
    Safety,
    Timing,
    VoltagePoint,
)
from ipg_emulator.model.load import ModelError, load, names, parse
from ipg_emulator.model.ranges import Confidence, Figure, Figures, Provenance, Range, Segment, Table

__all__ = [
    "BatteryCell",
    "Confidence",
    "Contact",
    "DefaultArea",
    "DefaultProgram",
    "DeviceModel",
    "ElectrodeFigures",
    "Figure",
    "Figures",
    "HardLimits",
    "ImpedanceTest",
    "Lead",
    "ModelError",
    "OutputStage",
    "Provenance",
    "Range",
    "Ranges",
    "Safety",
    "Segment",
    "Table",
    "Timing",
    "VoltagePoint",
    "load",
    "names",
    "parse",
]
