"""The energy account of a cell: what it gave, and where that went. One side is the cell's, the other the consumers'."""

from __future__ import annotations

import msgspec

from ipg_emulator.board.discharge import MICROAMP_MILLIOHMS_PER_MILLIVOLT, DischargeCurve

_PICOJOULES_PER_MICROJOULE = 1e6


class TherapyEnergy(msgspec.Struct, frozen=True):
    """What therapy has taken: charge from the cell by way of the converter and for the pulses' own electronics, and what
    the converter then gave out, of which a part reached the load in the stimulating and the recharging phases.
    """

    converter_nanocoulombs: float = 0.0
    overhead_nanocoulombs: float = 0.0
    supply_microjoules: float = 0.0
    load_microjoules: float = 0.0
    recharge_microjoules: float = 0.0


class Taken(msgspec.Struct, frozen=True):
    """All that was taken from a cell and put into it up to a time."""

    now: int
    depth_permille: float
    idle_nanocoulombs: float = 0.0
    telemetry_nanocoulombs: float = 0.0
    received_nanocoulombs: float = 0.0
    therapy: TherapyEnergy = TherapyEnergy()


class EnergyAccount(msgspec.Struct, frozen=True):
    """Microjoules. `given` = open-circuit voltage times charge drawn, and equals the sum of the parts that follow it."""

    received: float = 0.0
    """Put in by charging, at the open-circuit voltage."""
    given: float = 0.0
    load: float = 0.0
    recharge: float = 0.0
    output_stage: float = 0.0
    """What the current source and its coupling capacitors keep of what the converter gives."""
    converter: float = 0.0
    pulse_overhead: float = 0.0
    idle: float = 0.0
    telemetry: float = 0.0
    internal_resistance: float = 0.0

    def plus(self, other: EnergyAccount) -> EnergyAccount:
        """Both together."""
        return EnergyAccount(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


class Ledger:
    """Books stretch by stretch. Within one, every consumer is taken to draw in the same proportion, at the mean voltage of
    the stretch; so how the whole is split depends a little on how long the stretches are, but the whole does not.
    """

    def __init__(self, curve: DischargeCurve, start: Taken) -> None:
        self.last = start
        self.account = EnergyAccount()
        self._curve = curve

    def book(self, taken: Taken) -> EnergyAccount:
        """Book what was taken since the last time, and return the account."""
        if taken.now > self.last.now:
            self.account = self.account.plus(self._stretch(self.last, taken))
            self.last = taken
        return self.account

    def _stretch(self, before: Taken, after: Taken) -> EnergyAccount:
        therapy, earlier = after.therapy, before.therapy
        idle = after.idle_nanocoulombs - before.idle_nanocoulombs
        telemetry = after.telemetry_nanocoulombs - before.telemetry_nanocoulombs
        converter = therapy.converter_nanocoulombs - earlier.converter_nanocoulombs
        overhead = therapy.overhead_nanocoulombs - earlier.overhead_nanocoulombs
        drawn = idle + telemetry + converter + overhead
        open_circuit = self._curve.mean_millivolts(before.depth_permille, after.depth_permille)
        milliohms = self._curve.at((before.depth_permille + after.depth_permille) / 2)[1]
        microamps = drawn * 1000 / (after.now - before.now)
        drop = microamps * milliohms / MICROAMP_MILLIOHMS_PER_MILLIVOLT
        terminal = (open_circuit - drop) / _PICOJOULES_PER_MICROJOULE
        supply = therapy.supply_microjoules - earlier.supply_microjoules
        load = therapy.load_microjoules - earlier.load_microjoules
        recharge = therapy.recharge_microjoules - earlier.recharge_microjoules
        received = after.received_nanocoulombs - before.received_nanocoulombs
        return EnergyAccount(
            received=received * open_circuit / _PICOJOULES_PER_MICROJOULE,
            given=drawn * open_circuit / _PICOJOULES_PER_MICROJOULE,
            load=load,
            recharge=recharge,
            output_stage=supply - load - recharge,
            converter=converter * terminal - supply,
            pulse_overhead=overhead * terminal,
            idle=idle * terminal,
            telemetry=telemetry * terminal,
            internal_resistance=drawn * drop / _PICOJOULES_PER_MICROJOULE,
        )
