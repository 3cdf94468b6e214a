"""The current of each waveform at any moment of its pulse, as numpy arrays: for whoever looks at pulses."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
from ipg_protocol.commands.programs import AreaSettings, Waveform

from ipg_emulator.board.waveform import intra_burst_us
from ipg_emulator.model import Shape

Floats = npt.NDArray[np.float64]


class Form(msgspec.Struct, frozen=True):
    """What the current of pulses depends on beside their amplitude; `recharge_tau_us` is that of passive recharge, at each
    moment that is asked for.
    """

    settings: AreaSettings
    shape: Shape
    recharge_tau_us: Floats


def _active(after_us: Floats, form: Form) -> Floats:
    width, phases = form.settings.pulse_width_us, form.shape.recharge_phases
    recharge = width + form.shape.interphase_us
    edges = (0, width, recharge, recharge + width * phases)
    return _steps(after_us, edges, (1.0, 0.0, -1 / phases))


def _passive(after_us: Floats, form: Form) -> Floats:
    """In the steady state recharge takes back what the pulse brought, from what has piled up: q / (1 - exp(-window / tau))."""
    width, pulses = form.settings.pulse_width_us, form.settings.burst_pulses
    interval = intra_burst_us(form.settings)
    begins = (pulses - 1) * interval + width + form.shape.interphase_us
    window = form.shape.recharge_us
    current = _repeated(after_us, pulses, interval, lambda within: np.where(within < width, 1.0, 0.0))
    recharging = (after_us >= begins) & (after_us < begins + window)
    tau = form.recharge_tau_us[recharging]
    first = pulses * width / tau / -np.expm1(-window / tau)
    current[recharging] = -first * np.exp((begins - after_us[recharging]) / tau)
    return current


def _direct(after_us: Floats, _: Form) -> Floats:
    return np.ones_like(after_us)


def _sine(after_us: Floats, form: Form) -> Floats:
    width, periods = form.settings.pulse_width_us, form.settings.burst_pulses
    sine = np.sin(after_us * (math.pi / width))
    sine[(after_us < 0) | (after_us >= 2 * width * periods)] = 0.0
    return sine


def _magnetic(after_us: Floats, form: Form) -> Floats:
    width = form.settings.pulse_width_us

    def one(within: Floats) -> Floats:
        return np.where(within < width, np.cos(within * (2 * math.pi / width)), 0.0)

    return _repeated(after_us, form.settings.burst_pulses, intra_burst_us(form.settings), one)


def _repeated(after_us: Floats, pulses: int, interval: int, one: Callable[[Floats], Floats]) -> Floats:
    """The same pulse so many times in a row; `one` is asked for times not before its beginning."""
    within = after_us if pulses == 1 else np.where(after_us < pulses * interval, after_us % interval, math.inf)
    during = (after_us >= 0) & np.isfinite(within)
    current = np.zeros_like(after_us)
    current[during] = one(within[during])
    return current


def _steps(after_us: Floats, edges: tuple[float, ...], levels: tuple[float, ...]) -> Floats:
    """Constant between edges, nothing before the first and after the last."""
    return np.array((0.0, *levels, 0.0))[np.searchsorted(edges, after_us, side="right")]


_CURRENTS: dict[Waveform, Callable[[Floats, Form], Floats]] = {
    Waveform.TONIC_ACTIVE_RECHARGE: _active,
    Waveform.TONIC_ASYMMETRIC_RECHARGE: _active,
    Waveform.TONIC_PASSIVE_RECHARGE: _passive,
    Waveform.BURST_PASSIVE_RECHARGE: _passive,
    Waveform.DIRECT_CURRENT: _direct,
    Waveform.SINE_BURST: _sine,
    Waveform.MAGNETIC_BIPHASIC: _magnetic,
}


def unit_current(after_us: Floats, form: Form) -> Floats:
    """The current over its amplitude, so long after the beginning of a pulse or burst; the stimulating phase is positive."""
    return _CURRENTS[form.settings.waveform](after_us, form)
