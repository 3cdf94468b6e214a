"""A fault of each kind, as the tests that hold for all kinds take it."""

from __future__ import annotations

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
from ipg_emulator.faults.fault import Fault, When
from ipg_emulator.faults.firmware import Hung, SlowCommand, StuckState, WatchdogReset
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
from ipg_emulator.faults.reply import Busy, Refused, ReplyLate, ReplyLost, ReplyRepeated, WrongId

EXAMPLES: dict[str, Fault] = {
    "drop": Drop(when=When(command="GET_BATTERY")),
    "corrupt": Corrupt(bits=3),
    "truncate": Truncate(bytes=2),
    "duplicate": Duplicate(towards="host"),
    "delay": Delay(milliseconds=40, jitter=20),
    "reorder": Reorder(),
    "garbage": Garbage(bytes=12),
    "stuck": Stuck(when=When(at_ms=300), level="low"),
    "cut": Cut(when=When(command="START_THERAPY"), for_ms=2500),
    "noise-burst": NoiseBurst(),
    "slow-bytes": SlowBytes(baud=2400),
    "reply-lost": ReplyLost(when=When(command="START_THERAPY")),
    "reply-late": ReplyLate(when=When(nth=2), milliseconds=300),
    "wrong-id": WrongId(when=When(state="THERAPY")),
    "reply-repeated": ReplyRepeated(copies=2),
    "busy": Busy(times=2),
    "refused": Refused(when=When(command="MEASURE_IMPEDANCE"), status="COMPLIANCE", detail={"contact": 3}),
    "lead-open": LeadOpen(contact=5),
    "lead-short": LeadShort(contact=5),
    "lead-breach": LeadBreach(contact=5, ohms=300),
    "lead-intermittent": LeadIntermittent(contact=5, postures=("standing",)),
    "impedance-drift": ImpedanceDrift(ohms_per_hour=60_000),
    "lead-migration": LeadMigration(contacts=1.5),
    "battery-sag": BatterySag(millivolts=700),
    "battery-level": BatteryLevel(permille=40),
    "charger-misaligned": ChargerMisaligned(coupling_permille=250),
    "over-temperature": OverTemperature(millicelsius=48_000),
    "magnet-held": MagnetHeld(),
    "flash-worn": FlashWorn(weak=0.5),
    "clock-drift": ClockDrift(ppm=200),
    "brown-out": BrownOut(when=When(at_ms=500)),
    "watchdog-reset": WatchdogReset(when=When(at_ms=500)),
    "hung": Hung(when=When(at_ms=200), watchdog_ms=300),
    "stuck-state": StuckState(state="IDLE"),
    "slow-handler": SlowCommand(command="PING", milliseconds=300),
}
"""By the fault's name."""
