"""How charge is recovered after a pulse, and how much of it is not."""

from __future__ import annotations

import math

from ipg_emulator.board import Load
from ipg_emulator.board.account import Circuit
from ipg_emulator.model import DeviceModel, OutputStage


def recharge_tau_us(load: Load, stage: OutputStage) -> float:
    """The time constant of passive recharge, (R + R_switches) C, in microseconds."""
    return (load.ohms + stage.recharge_ohms) * load.farads * 1e6


def residual_nanocoulombs(circuit: Circuit, model: DeviceModel, microamps: int) -> float:
    """The charge that recharge leaves behind, in the steady state, with pulses of this amplitude.

    Passive: q r / (1 - r) with r = exp(-recharge_us / tau), and q the charge of a pulse or burst. Active and sine: what the
    phases differ by. Direct current recovers nothing, and a coil leaves nothing: 0.
    """
    charge = microamps * circuit.pulse.accumulated_us / 1000
    if not circuit.pulse.is_passive:
        return charge * model.output.active_mismatch_permille / 1000
    window_us = model.shape(circuit.settings.waveform).recharge_us
    left = math.exp(-window_us / recharge_tau_us(circuit.load, model.output))
    return charge * left / (1 - left)
