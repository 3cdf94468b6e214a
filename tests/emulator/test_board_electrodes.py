"""Electrodes: by the formulas of the electrode interface, on patterns that can be worked out by hand."""

from __future__ import annotations

import math
from random import Random

import msgspec
import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.electrodes import LOAD_HOLDS_US, ElectrodeArray
from ipg_emulator.board.interface import DoubleLayer, Interface, PhaseElement, interfaces, surface
from ipg_emulator.model import load
from ipg_emulator.patient import Tissue
from ipg_protocol.commands.programs import CASE_CONTACT, ContactShare

MODEL = load("scs-rechargeable")
COUPLING_FARADS = MODEL.output.coupling_microfarads / 1e6
LAYER = DoubleLayer(5e-6, 5e3)


class Silence:
    """Noise of zero."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return 0.0


def array(*ohms: float, surface=LAYER, ratio=lambda _: 1.0, noise=None) -> ElectrodeArray:
    contacts = {number: Interface(0.0, resistance, surface) for number, resistance in enumerate(ohms)}
    return ElectrodeArray(contacts, MODEL.impedance, MODEL.output, ratio, noise or Silence())


def shares(**permille: int) -> tuple[ContactShare, ...]:
    return tuple(ContactShare(int(name[1:]), value) for name, value in permille.items())


def in_series(*farads: float) -> float:
    return 1 / sum(1 / each for each in farads)


class TestLoad:
    def test_two_contacts_are_in_series_with_their_coupling_capacitors(self) -> None:
        load_seen = array(400.0, 700.0).load(shares(c0=-1000, c1=1000), 0)
        assert load_seen.ohms == pytest.approx(1100)
        assert load_seen.coupling_farads == pytest.approx(COUPLING_FARADS / 2)
        assert load_seen.farads == pytest.approx(in_series(5e-6, 5e-6, COUPLING_FARADS, COUPLING_FARADS))
        assert load_seen.limiting_contact == 1

    def test_equal_cathodes_with_equal_shares_are_in_parallel(self) -> None:
        load_seen = array(600.0, 600.0, 600.0, 100.0).load(shares(c0=-334, c1=-333, c2=-333, c3=1000), 0)
        assert load_seen.ohms == pytest.approx(600 / 3 + 100, rel=2e-3)
        assert load_seen.coupling_farads == pytest.approx(in_series(3 * COUPLING_FARADS, COUPLING_FARADS), rel=2e-3)
        assert load_seen.farads == pytest.approx(in_series(15e-6, 5e-6, 3 * COUPLING_FARADS, COUPLING_FARADS), rel=2e-3)

    def test_shares_that_follow_conductance_give_the_parallel_combination(self) -> None:
        load_seen = array(400.0, 1200.0, 100.0).load(shares(c0=-750, c1=-250, c2=1000), 0)
        assert load_seen.ohms == pytest.approx(1 / (1 / 400 + 1 / 1200) + 100)

    def test_a_contact_that_carries_more_than_its_part_raises_the_load(self) -> None:
        load_seen = array(400.0, 1200.0, 100.0).load(shares(c0=-250, c1=-750, c2=1000), 0)
        assert load_seen.ohms == pytest.approx(0.75 * 1200 + 100)

    def test_a_constant_phase_element_counts_as_what_it_is_to_the_test_pulse(self) -> None:
        element, pulse_us = PhaseElement(2e4, 0.8, 1e9), MODEL.impedance.test_pulse_us
        load_seen = array(400.0, 700.0, surface=element).load(shares(c0=-1000, c1=1000), 0)
        of_surfaces = 1 / (1 / load_seen.farads - 1 / load_seen.coupling_farads)
        assert pulse_us / 1e6 / of_surfaces == pytest.approx(2 * element.step_ohms(pulse_us))

    def test_tissue_that_doubles_its_resistance_doubles_the_load_within_a_minute(self) -> None:
        electrodes = array(400.0, 700.0, ratio=lambda now: 2.0 if now >= LOAD_HOLDS_US else 1.0)
        pattern = shares(c0=-1000, c1=1000)
        loads = [electrodes.load(pattern, now).ohms for now in (0, LOAD_HOLDS_US - 1, LOAD_HOLDS_US)]
        assert loads == pytest.approx([1100, 1100, 2200])

    def test_a_load_is_worked_out_once_in_a_minute(self) -> None:
        electrodes = array(400.0, 700.0)
        assert electrodes.load(shares(c0=-1000, c1=1000), 0) is electrodes.load(shares(c0=-1000, c1=1000), 1000)


class TestPublished:
    """The OSS-DBS example's table of electrode surfaces: its case of 2174 ohm of tissue, at 1 kHz."""

    def test_a_thousand_ohms_of_surface_add_in_series(self) -> None:
        assert array(1000.0, 2174.0).load(shares(c0=-1000, c1=1000), 0).ohms == pytest.approx(3216, rel=0.02)

    def test_a_constant_phase_element_adds_in_series(self) -> None:
        seen = Interface(0.0, 2174.0, PhaseElement(1e5, 0.5, math.inf)).impedance(1000)
        assert seen.real == pytest.approx(3110, rel=0.02)
        assert seen.imag == pytest.approx(-896, rel=0.02)

    @pytest.mark.parametrize(("k", "alpha", "ohms"), [(1.5e6, 0.8, 1370), (1.0e6, 0.75, 1400)], ids=["day 1", "day 15"])
    def test_a_chronic_electrode_has_its_magnitude(self, k: float, alpha: float, ohms: float) -> None:
        """Lempka 2009, as given there."""
        assert abs(PhaseElement(k, alpha, math.inf).impedance(1000)) == pytest.approx(ohms, rel=0.02)


class TestSurface:
    @pytest.mark.parametrize("pulse_us", [10, 60, 300, 1000])
    def test_a_pulse_charges_the_double_layer_past_its_faradaic_branch(self, pulse_us: int) -> None:
        steps, volts = 20_000, 0.0
        for _ in range(steps):
            volts += (1.0 - volts / 5e3) / 5e-6 * pulse_us / 1e6 / steps
        assert LAYER.step_ohms(pulse_us) == pytest.approx(volts, rel=1e-4)
        assert LAYER.step_ohms(pulse_us) < pulse_us / 1e6 / LAYER.farads(pulse_us)

    @pytest.mark.parametrize("alpha", [0.5, 0.75, 0.9])
    def test_a_pulse_into_a_constant_phase_element_is_the_sum_over_its_spectrum(self, alpha: float) -> None:
        """The same voltage by the Grünwald-Letnikov sum of order alpha over a step of current."""
        element, pulse_us, steps = PhaseElement(2e4, alpha, math.inf), 300, 20_000
        weight = total = 1.0
        for step in range(1, steps):
            weight *= (step - 1 + alpha) / step
            total += weight
        assert element.step_ohms(pulse_us) == pytest.approx(2e4 * (pulse_us / 1e6 / steps) ** alpha * total, rel=1e-3)

    def test_a_constant_phase_element_of_exponent_one_is_a_capacitor(self) -> None:
        element = PhaseElement(2e5, 1.0, 1e12)
        assert element.step_ohms(100) == pytest.approx(DoubleLayer(5e-6, 1e12).step_ohms(100))
        assert element.farads(100) == pytest.approx(5e-6)
        assert element.impedance(50) == pytest.approx(DoubleLayer(5e-6, 1e12).impedance(50))

    def test_impedance_goes_from_resistance_with_the_faradaic_branch_to_resistance_alone(self) -> None:
        interface = Interface(100.0, 400.0, LAYER)
        assert interface.impedance(1e-6).real == pytest.approx(5500, rel=1e-6)
        assert abs(interface.impedance(1e9) - 500) < 1e-3
        corner = 1 / (2 * math.pi * 5e3 * 5e-6)
        assert interface.impedance(corner) == pytest.approx(500 + 2500 - 2500j)

    def test_capacitance_and_faradaic_resistance_follow_the_contact_area(self) -> None:
        found = interfaces(MODEL, Tissue((300.0,) * 16, 60.0))
        area_square_centimetres = 0.1225
        assert found[0].ohms() == MODEL.electrode.lead_ohms + 300
        assert found[0].surface == DoubleLayer(
            pytest.approx(55e-6 * area_square_centimetres), pytest.approx(500 / area_square_centimetres)
        )
        assert found[CASE_CONTACT].ohms() == 60.0

    def test_a_model_with_a_constant_phase_element_has_it_by_area(self) -> None:
        figures = msgspec.structs.replace(
            MODEL.electrode, phase_element_ohm_square_centimetre=1000, phase_element_alpha_permille=800
        )
        assert surface(figures, 50.0) == PhaseElement(2000.0, 0.8, 1000.0)

    def test_a_model_without_case_has_no_contact_255(self) -> None:
        model = load("drg-primary")
        assert CASE_CONTACT not in interfaces(msgspec.structs.replace(model, has_case=False), Tissue((300.0,) * 16, 60.0))


class TestMeasurement:
    def test_a_measurement_reads_both_contacts_in_series(self) -> None:
        expected = 400 + 700 + 2 * LAYER.step_ohms(MODEL.impedance.test_pulse_us)
        reading = array(400.0, 700.0).measure(0, 1, 0)
        assert reading.ohms == pytest.approx(expected)
        assert reading.in_compliance

    def test_a_measurement_follows_the_tissue(self) -> None:
        grown = array(400.0, 700.0, ratio=lambda _: 1.5).measure(0, 1, 0).ohms
        assert grown - array(400.0, 700.0).measure(0, 1, 0).ohms == pytest.approx(1100 / 2)

    def test_a_pair_that_needs_more_than_the_compliance_voltage_says_so(self) -> None:
        assert not array(8000.0, 2000.0).measure(0, 1, 0).in_compliance

    def test_noise_has_the_spread_of_the_model(self) -> None:
        noisy = array(500.0, 500.0, noise=Random(1))
        true = array(500.0, 500.0).measure(0, 1, 0).ohms
        deviations = [noisy.measure(0, 1, 0).ohms / true - 1 for _ in range(2000)]
        assert sum(deviations) / 2000 == pytest.approx(0, abs=5e-4)
        assert math.sqrt(sum(d * d for d in deviations) / 2000) == pytest.approx(MODEL.impedance.noise_permille / 1000, rel=0.1)

    @pytest.mark.parametrize("name", ["scs-rechargeable", "drg-primary", "dbs-rechargeable"])
    def test_a_sound_device_reads_no_open_and_no_short_in_a_hundred_patients(self, name: str) -> None:
        model = load(name)
        for seed in range(100):
            electrodes = build_board(model, seed=seed).electrodes
            for contact in range(1, 16):
                reading = electrodes.measure(contact, CASE_CONTACT if model.has_case else 0, 0)
                assert model.impedance.short_below_ohms < reading.ohms < model.impedance.open_above_ohms
                assert reading.in_compliance
