"""Electrodes: by the formulas of the two-terminal model, on patterns that can be worked out by hand."""

from __future__ import annotations

import math
from random import Random

import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.electrodes import ElectrodeArray
from ipg_emulator.board.interface import Interface, interfaces
from ipg_emulator.board.output import pulse_ohms
from ipg_emulator.model import load
from ipg_emulator.patient import Tissue
from ipg_protocol.commands.programs import CASE_CONTACT, ContactShare

MODEL = load("scs-rechargeable")


class Silence:
    """Noise of zero."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return 0.0


def array(*ohms: float, farads: float = 5e-6, faradaic_ohms: float = 5e3, noise=None) -> ElectrodeArray:
    contacts = {number: Interface(resistance, farads, faradaic_ohms) for number, resistance in enumerate(ohms)}
    return ElectrodeArray(contacts, MODEL.impedance, MODEL.output, noise or Silence())


def shares(**permille: int) -> list[ContactShare]:
    return [ContactShare(int(name[1:]), value) for name, value in permille.items()]


def test_two_contacts_are_in_series() -> None:
    load_seen = array(400.0, 700.0).load(shares(c0=-1000, c1=1000))
    assert load_seen.ohms == pytest.approx(1100)
    assert load_seen.farads == pytest.approx(2.5e-6)
    assert load_seen.limiting_contact == 1


def test_equal_cathodes_with_equal_shares_are_in_parallel() -> None:
    load_seen = array(600.0, 600.0, 600.0, 100.0).load(shares(c0=-334, c1=-333, c2=-333, c3=1000))
    assert load_seen.ohms == pytest.approx(600 / 3 + 100, rel=2e-3)
    assert load_seen.farads == pytest.approx(1 / (1 / 15e-6 + 1 / 5e-6), rel=2e-3)


def test_shares_that_follow_conductance_give_the_parallel_combination() -> None:
    load_seen = array(400.0, 1200.0, 100.0).load(shares(c0=-750, c1=-250, c2=1000))
    assert load_seen.ohms == pytest.approx(1 / (1 / 400 + 1 / 1200) + 100)


def test_a_contact_that_carries_more_than_its_part_raises_the_load() -> None:
    load_seen = array(400.0, 1200.0, 100.0).load(shares(c0=-250, c1=-750, c2=1000))
    assert load_seen.ohms == pytest.approx(0.75 * 1200 + 100)


def test_series_addition_meets_the_published_field_model() -> None:
    """OSS-DBS example README: 2174 ohm of tissue, and 3216 ohm once 1 kohm is in the way."""
    assert array(1000.0, 2174.0).load(shares(c0=-1000, c1=1000)).ohms == pytest.approx(3216, rel=0.02)


@pytest.mark.parametrize("pulse_us", [10, 60, 300, 1000])
def test_a_pulse_charges_the_double_layer_past_its_faradaic_branch(pulse_us: int) -> None:
    interface = Interface(500.0, 5e-6, 5e3)
    steps = 20_000
    volts = 0.0
    for _ in range(steps):
        volts += (1.0 - volts / 5e3) / 5e-6 * pulse_us / 1e6 / steps
    assert interface.pulse_ohms(pulse_us) == pytest.approx(500 + volts, rel=1e-4)
    assert interface.pulse_ohms(pulse_us) < pulse_ohms(
        array(250.0, 250.0, farads=10e-6).load(shares(c0=-1000, c1=1000)), pulse_us
    )


def test_impedance_goes_from_resistance_with_the_faradaic_branch_to_resistance_alone() -> None:
    interface = Interface(500.0, 5e-6, 5e3)
    assert interface.impedance(1e-6).real == pytest.approx(5500, rel=1e-6)
    assert abs(interface.impedance(1e9) - 500) < 1e-3
    corner = 1 / (2 * math.pi * 5e3 * 5e-6)
    assert interface.impedance(corner) == pytest.approx(500 + 2500 - 2500j)


def test_capacitance_and_faradaic_resistance_follow_the_contact_area() -> None:
    found = interfaces(MODEL, Tissue((300.0,) * 16, 60.0))
    area_square_centimetres = 0.1225
    assert found[0].ohms == MODEL.electrode.lead_ohms + 300
    assert found[0].farads == pytest.approx(55e-6 * area_square_centimetres)
    assert found[0].faradaic_ohms == pytest.approx(500 / area_square_centimetres)
    assert found[CASE_CONTACT].ohms == 60.0


def test_a_model_without_case_has_no_contact_255() -> None:
    assert CASE_CONTACT not in interfaces(load("drg-primary"), Tissue((300.0,) * 16, 60.0))


def test_a_measurement_reads_both_contacts_in_series() -> None:
    interface = Interface(400.0, 5e-6, 5e3)
    expected = 400 + 700 + 2 * (interface.pulse_ohms(MODEL.impedance.test_pulse_us) - 400)
    reading = array(400.0, 700.0).measure(0, 1)
    assert reading.ohms == pytest.approx(expected)
    assert reading.in_compliance


def test_a_pair_that_needs_more_than_the_compliance_voltage_says_so() -> None:
    assert not array(8000.0, 2000.0).measure(0, 1).in_compliance


def test_noise_has_the_spread_of_the_model() -> None:
    noisy = array(500.0, 500.0, noise=Random(1))
    true = array(500.0, 500.0).measure(0, 1).ohms
    deviations = [noisy.measure(0, 1).ohms / true - 1 for _ in range(2000)]
    assert sum(deviations) / 2000 == pytest.approx(0, abs=5e-4)
    assert math.sqrt(sum(d * d for d in deviations) / 2000) == pytest.approx(MODEL.impedance.noise_permille / 1000, rel=0.1)


@pytest.mark.parametrize("name", ["scs-rechargeable", "drg-primary", "dbs-rechargeable"])
def test_a_sound_device_reads_no_open_and_no_short_in_a_hundred_patients(name: str) -> None:
    model = load(name)
    for seed in range(100):
        electrodes = build_board(model, seed=seed).electrodes
        for contact in range(1, 16):
            reading = electrodes.measure(contact, CASE_CONTACT if model.has_case else 0)
            assert model.impedance.short_below_ohms < reading.ohms < model.impedance.open_above_ohms
            assert reading.in_compliance
