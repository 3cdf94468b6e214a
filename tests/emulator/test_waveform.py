"""Waveforms: the arithmetic of a pulse against the integral of its own current, and currents that recover what they gave."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from ipg_emulator.board.waveform import pulse_of
from ipg_emulator.currents import Form, unit_current
from ipg_emulator.model import Confidence
from ipg_emulator.model.hardware import Shape
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

TAU_US = 900.0
STEPS_PER_US = 20

replace = msgspec.structs.replace


def settings(waveform, width=200, rate=40_000, pulses=1, intra=0) -> AreaSettings:
    contacts = (ContactShare(0, -1000), ContactShare(1, 1000))
    return AreaSettings(0, waveform, 0, width, 1000, rate, pulses, intra, 0, 0, 0, 0, 1000, contacts)


def shape(waveform, phases=0, recharge=0, gap=50) -> Shape:
    return Shape(
        name=waveform.name,
        recharge_phases=phases,
        recharge_us=recharge,
        interphase_us=gap,
        source="a test",
        confidence=Confidence.DESIGN,
    )


W = Waveform
CASES = {
    "symmetric": (settings(W.TONIC_ACTIVE_RECHARGE), shape(W.TONIC_ACTIVE_RECHARGE, phases=1)),
    "10 kHz": (settings(W.TONIC_ACTIVE_RECHARGE, 30, 10_000_000), shape(W.TONIC_ACTIVE_RECHARGE, phases=1, gap=20)),
    "asymmetric": (settings(W.TONIC_ASYMMETRIC_RECHARGE), shape(W.TONIC_ASYMMETRIC_RECHARGE, phases=8)),
    "passive": (settings(W.TONIC_PASSIVE_RECHARGE), shape(W.TONIC_PASSIVE_RECHARGE, recharge=3000)),
    "burst": (
        settings(W.BURST_PASSIVE_RECHARGE, 1000, pulses=5, intra=500_000),
        shape(W.BURST_PASSIVE_RECHARGE, recharge=15_000 - 50),
    ),
    "sine": (settings(W.SINE_BURST, 100, 25_000, 5, 5_000_000), shape(W.SINE_BURST, gap=0)),
    "coil": (settings(W.MAGNETIC_BIPHASIC, 300, 5_000, 3, 50_000), shape(W.MAGNETIC_BIPHASIC, gap=0)),
}
OCCUPIED_US = {
    "symmetric": 200 + 50 + 200,
    "10 kHz": 80,
    "asymmetric": 200 + 50 + 8 * 200,
    "passive": 200 + 50 + 3000,
    "burst": 4 * 2000 + 1000 + 15_000,
    "sine": 5 * 200,
    "coil": 2 * 20_000 + 300,
}


def current_of(name) -> tuple[np.ndarray, float]:
    """One whole pulse, sampled in the middle of each step, and the step in microseconds."""
    area, figures = CASES[name]
    steps = (OCCUPIED_US[name] + 20) * STEPS_PER_US
    times = (np.arange(-10 * STEPS_PER_US, steps) + 0.5) / STEPS_PER_US
    return unit_current(times, Form(area, figures, np.full_like(times, TAU_US))), 1 / STEPS_PER_US


@pytest.mark.parametrize("name", CASES)
def test_a_pulse_occupies_what_its_parts_take(name) -> None:
    assert pulse_of(*CASES[name]).occupied_us == OCCUPIED_US[name]


@pytest.mark.parametrize("name", CASES)
def test_there_is_current_up_to_the_end_of_what_a_pulse_occupies_and_none_around_it(name) -> None:
    current, step = current_of(name)
    active = np.flatnonzero(current) * step - 10
    assert active[0] == pytest.approx(0, abs=step)
    assert active[-1] == pytest.approx(OCCUPIED_US[name], abs=2 * step)


@pytest.mark.parametrize("name", CASES)
def test_a_pulse_takes_back_what_it_gave(name) -> None:
    current, step = current_of(name)
    assert current.sum() * step == pytest.approx(0, abs=1e-3 * np.abs(current).sum() * step)


@pytest.mark.parametrize("name", [name for name in CASES if name != "coil"])
def test_the_charge_of_a_pulse_is_the_integral_of_its_stimulating_phases(name) -> None:
    current, step = current_of(name)
    assert pulse_of(*CASES[name]).charge_us == pytest.approx(current[current > 0].sum() * step, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in CASES if name != "coil"])
def test_the_squares_of_a_pulse_are_the_integrals_over_its_phases(name) -> None:
    current, step = current_of(name)
    pulse = pulse_of(*CASES[name])
    assert pulse.square_us == pytest.approx((current[current > 0] ** 2).sum() * step, rel=1e-4)
    if not pulse.is_passive:
        assert pulse.recharge_square_us == pytest.approx((current[current < 0] ** 2).sum() * step, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in CASES if name != "coil"])
def test_what_piles_up_is_the_highest_the_charge_comes_to(name) -> None:
    current, step = current_of(name)
    assert pulse_of(*CASES[name]).accumulated_us == pytest.approx(np.cumsum(current).max() * step, rel=1e-4)


def test_active_recharge_draws_on_the_supply_again_and_passive_does_not() -> None:
    assert pulse_of(*CASES["symmetric"]).supply_us == 2 * 200
    assert pulse_of(*CASES["asymmetric"]).supply_us == 2 * 200
    assert pulse_of(*CASES["passive"]).supply_us == 200


def test_passive_recharge_decays_with_its_time_constant() -> None:
    times = np.array([250.0, 250.0 + TAU_US, 250.0 + 2 * TAU_US])
    first, second, third = unit_current(times, Form(*CASES["passive"], np.full_like(times, TAU_US)))
    assert second / first == pytest.approx(third / second) == pytest.approx(np.exp(-1))


def test_direct_current_is_constant_takes_all_the_time_and_piles_nothing_up() -> None:
    area = settings(W.DIRECT_CURRENT, rate=50_000)
    pulse = pulse_of(area, shape(W.DIRECT_CURRENT))
    assert (pulse.occupied_us, pulse.charge_us, pulse.counts, pulse.accumulated_us) == (20_000, 20_000, 0, 0)
    assert set(unit_current(np.arange(5.0), Form(area, shape(W.DIRECT_CURRENT), np.full(5, TAU_US)))) == {1.0}
