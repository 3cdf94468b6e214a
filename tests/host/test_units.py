"""Quantities with their units."""

from __future__ import annotations

import pytest
from ipg_host.errors import InputError
from ipg_host.units import AmplitudeUnit, Quantity, amplitude_in, in_words, label, named_in, parse_amplitude, parse_quantity


@pytest.mark.parametrize("text", ["2.5mA", "2500uA", "2.5 mA", "2500 µA", "2500μA"])
def test_a_current_may_be_written_in_several_ways(text):
    assert parse_quantity(text, Quantity.CURRENT) == 2500


def test_decimal_fractions_are_exact():
    assert parse_quantity("0.1mA", Quantity.CURRENT) == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2.5", "'2.5' has no unit: write it in uA or mA, such as 2.5mA"),
        ("2.5V", "has the unit 'V': write it in uA or mA"),
        ("2.0005mA", "is not a whole number of uA"),
        ("-1mA", "is not a whole number of uA, 0 or more"),
        ("much", "is not a number with a unit"),
        ("", "is not a number with a unit"),
    ],
)
def test_a_bad_quantity_is_told_what_would_be_right(text, message):
    with pytest.raises(InputError, match=message):
        parse_quantity(text, Quantity.CURRENT)


@pytest.mark.parametrize(
    ("text", "quantity", "value"),
    [
        ("20 min", Quantity.DURATION, 1200),
        ("1.5 h", Quantity.MINUTES, 90),
        ("45 %", Quantity.PROPORTION, 450),
        ("62.5%", Quantity.PROPORTION, 625),
        ("30uV", Quantity.VOLTAGE, 30),
        ("0.5 mA/s", Quantity.SLEW, 500),
    ],
)
def test_each_quantity_has_its_units(text, quantity, value):
    assert parse_quantity(text, quantity) == value


def test_an_amplitude_is_a_current_or_a_part_of_the_maximum():
    assert parse_amplitude("2.5mA") == ("2.5mA", 2500, AmplitudeUnit.MICROAMPS)
    assert parse_amplitude("45 %") == ("45 %", 450, AmplitudeUnit.PERMILLE_OF_MAXIMUM)


@pytest.mark.parametrize(
    ("unit", "text", "message"),
    [
        (AmplitudeUnit.MICROAMPS, "45%", "this device takes amplitudes in uA or mA, got '45%'"),
        (AmplitudeUnit.PERMILLE_OF_MAXIMUM, "0.5mA", "this device takes amplitudes in % of its maximum output, got '0.5mA'"),
    ],
)
def test_an_amplitude_in_the_other_unit_is_told(unit, text, message):
    with pytest.raises(InputError, match=message):
        amplitude_in(unit, parse_amplitude(text))


def test_only_amplitudes_are_renamed_on_a_magnetic_device():
    unit = AmplitudeUnit.PERMILLE_OF_MAXIMUM
    assert named_in(unit, "delivered_microamps") == "delivered_permille"
    assert named_in(unit, "drain_microamps") == "drain_microamps"
    assert named_in(AmplitudeUnit.MICROAMPS, "delivered_microamps") == "delivered_microamps"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("amplitude_microamps", 2500, "amplitude 2.5 mA"),
        ("millivolts", 4100, "voltage 4.1 V"),
        ("charge_permille", 998, "charge 99.8 %"),
        ("unacknowledged_events", 2, "unacknowledged events 2"),
        ("rate_limit_microamps_per_second", 500, "rate limit 0.5 mA/s"),
        ("deviation_nanovolts", 4200, "deviation 4.2 uV"),
        ("days_to_eri", 12, "days to eri 12"),
        ("mean_drain_nanoamps", 14_500, "mean drain 14.5 uA"),
        ("shannon_k_permille", 1750, "Shannon k 1.75"),
        ("charge_density_nanocoulombs_per_square_millimetre", 300, "charge density 300 nC/mm²"),
        ("minutes_left", 12, "minutes left 12"),
    ],
)
def test_a_field_is_shown_in_the_unit_people_use(field, value, words):
    assert f"{label(field)} {in_words(field, value)}" == words
