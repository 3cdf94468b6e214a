"""Device models: what differs from device to device, read from TOML and checked on the way in.

The modules of tables do not defer their annotations: msgspec would compile each one at the first load, 6 ms of every start.
"""

from ipg_emulator.model.device import Contact, DefaultArea, DefaultProgram, DeviceModel, HardLimits, Lead, Ranges
from ipg_emulator.model.hardware import (
    AfterReset,
    BatteryCell,
    Charging,
    ElectrodeFigures,
    Gesture,
    ImpedanceTest,
    Magnet,
    MagnetAction,
    MriMode,
    NerveFigures,
    OutputStage,
    Safety,
    Sensing,
    Shape,
    Supply,
    Timing,
    VoltagePoint,
)
from ipg_emulator.model.load import ModelError, load, names, parse
from ipg_emulator.model.ranges import Confidence, Figure, Figures, Provenance, Range, Segment, Table

__all__ = [
    "AfterReset",
    "BatteryCell",
    "Charging",
    "Confidence",
    "Contact",
    "DefaultArea",
    "DefaultProgram",
    "DeviceModel",
    "ElectrodeFigures",
    "Figure",
    "Figures",
    "Gesture",
    "HardLimits",
    "ImpedanceTest",
    "Lead",
    "Magnet",
    "MagnetAction",
    "ModelError",
    "MriMode",
    "NerveFigures",
    "OutputStage",
    "Provenance",
    "Range",
    "Ranges",
    "Safety",
    "Segment",
    "Sensing",
    "Shape",
    "Supply",
    "Table",
    "Timing",
    "VoltagePoint",
    "load",
    "names",
    "parse",
]
