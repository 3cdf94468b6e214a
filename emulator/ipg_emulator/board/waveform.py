"""What one pulse or burst of a waveform is: how long it takes, and what charge and energy go with it. Pure arithmetic.

Figures are for an amplitude of one: microseconds times the amplitude give charge, times its square and the load give energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
from ipg_protocol.commands.programs import AreaSettings, Waveform

from ipg_emulator.model import Shape

PERIOD_MILLIHERTZ_US = 1_000_000_000
"""A period in microseconds times a rate in millihertz."""

SINE_MEAN = 2 / math.pi
"""The mean of half a sine over its peak."""

BURSTS = frozenset({Waveform.BURST_PASSIVE_RECHARGE, Waveform.SINE_BURST, Waveform.MAGNETIC_BIPHASIC})
"""The waveforms whose pulses may come in bursts."""


class Pulse(msgspec.Struct, frozen=True):
    """One pulse, or one burst, of unit amplitude. Of a waveform without pulses, one period of its rate."""

    occupied_us: int
    """From its beginning to where the next may begin, recharge included."""
    charge_us: float = 0.0
    """The integral of the stimulating phases: of a burst all of them, of a sine the cathodic halves."""
    accumulated_us: float = 0.0
    """The integral of what piles up on the capacitances before any of it is recovered: what the rules of charge count."""
    square_us: float = 0.0
    """The integral of the square of the stimulating phases."""
    recharge_square_us: float = 0.0
    """The integral of the square of the phases that drive the charge back."""
    supply_us: float = 0.0
    """The integral of what is taken from the supply: active recharge takes as much again."""
    is_passive: bool = False
    """Whether charge is recovered by joining the contacts, so that what the capacitances store is spent as heat."""
    counts: int = 1
    """How many pulses it counts as."""


def period_us(settings: AreaSettings) -> float:
    """From one pulse or burst to the next."""
    return PERIOD_MILLIHERTZ_US / settings.rate_millihertz


def intra_burst_us(settings: AreaSettings) -> int:
    """From one pulse of a burst to the next, in whole microseconds, rounded down; 0 of single pulses."""
    return PERIOD_MILLIHERTZ_US // settings.intra_burst_millihertz if settings.intra_burst_millihertz else 0


def _before_last_us(settings: AreaSettings) -> int:
    return (settings.burst_pulses - 1) * intra_burst_us(settings)


def _active(settings: AreaSettings, shape: Shape) -> Pulse:
    width = settings.pulse_width_us
    return Pulse(
        occupied_us=width * (1 + shape.recharge_phases) + shape.interphase_us,
        charge_us=width,
        accumulated_us=width,
        square_us=width,
        recharge_square_us=width / shape.recharge_phases,
        supply_us=2 * width,
    )


def _passive(settings: AreaSettings, shape: Shape) -> Pulse:
    width = settings.pulse_width_us
    all_widths = width * settings.burst_pulses
    return Pulse(
        occupied_us=_before_last_us(settings) + width + shape.interphase_us + shape.recharge_us,
        charge_us=all_widths,
        accumulated_us=all_widths,
        square_us=all_widths,
        supply_us=all_widths,
        is_passive=True,
    )


def _direct(settings: AreaSettings, _: Shape) -> Pulse:
    whole = period_us(settings)
    return Pulse(int(whole), charge_us=whole, square_us=whole, supply_us=whole, counts=0)


def _sine(settings: AreaSettings, _: Shape) -> Pulse:
    width, periods = settings.pulse_width_us, settings.burst_pulses
    return Pulse(
        occupied_us=2 * width * periods,
        charge_us=width * periods * SINE_MEAN,
        accumulated_us=width * SINE_MEAN,
        square_us=width * periods / 2,
        recharge_square_us=width * periods / 2,
        supply_us=2 * width * periods * SINE_MEAN,
    )


def _magnetic(settings: AreaSettings, _: Shape) -> Pulse:
    return Pulse(_before_last_us(settings) + settings.pulse_width_us)


_PULSES: dict[Waveform, Callable[[AreaSettings, Shape], Pulse]] = {
    Waveform.TONIC_ACTIVE_RECHARGE: _active,
    Waveform.TONIC_ASYMMETRIC_RECHARGE: _active,
    Waveform.TONIC_PASSIVE_RECHARGE: _passive,
    Waveform.BURST_PASSIVE_RECHARGE: _passive,
    Waveform.DIRECT_CURRENT: _direct,
    Waveform.SINE_BURST: _sine,
    Waveform.MAGNETIC_BIPHASIC: _magnetic,
}


def pulse_of(settings: AreaSettings, shape: Shape) -> Pulse:
    """The pulse or burst that these settings ask for, as a device with this shape makes it."""
    return _PULSES[settings.waveform](settings, shape)
