"""The output stage's account: charge and energy of an area, linear in the moments of what drives it."""

from __future__ import annotations

import msgspec
from ipg_protocol.commands.programs import AreaSettings

from ipg_emulator.board import Load
from ipg_emulator.board.dose import Moments
from ipg_emulator.board.energy import TherapyEnergy
from ipg_emulator.board.waveform import PERIOD_MILLIHERTZ_US, Pulse, pulse_of
from ipg_emulator.model import DeviceModel, OutputStage

_MICROSECONDS = 1_000_000
_PICOCOULOMBS = 1e3
_MICROJOULES_PER_SQUARE = 1e-12
"""Of a square microampere, a microsecond and an ohm."""
_MICROJOULES_PER_STORED = 1e-18
"""Of a square picocoulomb over a farad."""
_MICROJOULES_PER_PRODUCT = 1e-6
"""Of a nanocoulomb and a millivolt."""


class Account(msgspec.Struct, frozen=True):
    """Sums over the stretches of output."""

    on_time_us: int = 0
    pulses: float = 0.0
    nanocoulombs: float = 0.0
    load_microjoules: float = 0.0
    """I^2 R of the stimulating phases."""
    recharge_microjoules: float = 0.0
    """I^2 R of active recharge; what passive recharge takes out of the capacitances."""
    supply_microjoules: float = 0.0

    def plus(self, other: Account) -> Account:
        """Both together."""
        return Account(
            self.on_time_us + other.on_time_us,
            self.pulses + other.pulses,
            self.nanocoulombs + other.nanocoulombs,
            self.load_microjoules + other.load_microjoules,
            self.recharge_microjoules + other.recharge_microjoules,
            self.supply_microjoules + other.supply_microjoules,
        )

    def energy(self, stage: OutputStage, battery_millivolts: float) -> TherapyEnergy:
        """What a battery of this voltage gives for it, by way of the stage's converter."""
        from_battery_microjoules = self.supply_microjoules * 1000 / stage.converter_efficiency_permille
        return TherapyEnergy(
            converter_nanocoulombs=from_battery_microjoules / (battery_millivolts * _MICROJOULES_PER_PRODUCT),
            overhead_nanocoulombs=self.pulses * stage.pulse_overhead_nanocoulombs,
            supply_microjoules=self.supply_microjoules,
            load_microjoules=self.load_microjoules,
            recharge_microjoules=self.recharge_microjoules,
        )


class Circuit(msgspec.Struct, frozen=True):
    """An area's settings on a load, and what they make of the moments of its amplitude: see `circuit_of`."""

    settings: AreaSettings
    load: Load
    pulse: Pulse
    peak_ohms: float
    """The most voltage that a pulse needs, over its amplitude: R + t / C."""
    pulses_per_us: float
    nanocoulombs_per_microamp_us: float
    supply_nanocoulombs_per_microamp_us: float
    load_microjoules_per_square: float
    recharge_microjoules_per_square: float

    def account(self, moments: Moments, supply_millivolts: float) -> Account:
        """What a stretch with these moments delivers and takes, from a supply of this voltage."""
        on_time_us, microamp_us, square = moments
        supply_nanocoulombs = microamp_us * self.supply_nanocoulombs_per_microamp_us
        return Account(
            on_time_us,
            on_time_us * self.pulses_per_us,
            microamp_us * self.nanocoulombs_per_microamp_us,
            square * self.load_microjoules_per_square,
            square * self.recharge_microjoules_per_square,
            supply_nanocoulombs * supply_millivolts * _MICROJOULES_PER_PRODUCT,
        )

    def account_of_a_second(self, microamps: int, supply_millivolts: float) -> Account:
        """What a second at a steady amplitude delivers and takes."""
        return self.account(Moments(_MICROSECONDS, microamps * _MICROSECONDS, microamps**2 * _MICROSECONDS), supply_millivolts)


def circuit_of(settings: AreaSettings, model: DeviceModel, load: Load) -> Circuit:
    """The circuit of an area. Energy of a stimulating phase is I^2 R t; of active recharge as much again, at its lower current.

    Passive recharge turns into heat what the capacitances hold, Q^2 / 2 C. A coil's current is no current through the load.
    """
    pulse = pulse_of(settings, model.shape(settings.waveform))
    rate = settings.rate_millihertz / PERIOD_MILLIHERTZ_US
    joule = rate * load.ohms * _MICROJOULES_PER_SQUARE
    stored = rate * pulse.accumulated_us**2 / (2 * load.farads) * _MICROJOULES_PER_STORED
    return Circuit(
        settings=settings,
        load=load,
        pulse=pulse,
        peak_ohms=load.ohms + pulse.accumulated_us / 1e6 / load.farads,
        pulses_per_us=rate * pulse.counts,
        nanocoulombs_per_microamp_us=rate * pulse.charge_us / _PICOCOULOMBS,
        supply_nanocoulombs_per_microamp_us=rate * pulse.supply_us / _PICOCOULOMBS,
        load_microjoules_per_square=joule * pulse.square_us,
        recharge_microjoules_per_square=stored if pulse.is_passive else joule * pulse.recharge_square_us,
    )
