"""Quantities with their units."""

from __future__ import annotations

import pytest
from ipg_host.errors import InputError
from ipg_host.units import Quantity, in_words, label, parse_quantity


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
    ("field", "value", "words"),
    [
        ("amplitude_microamps", 2500, "amplitude 2.5 mA"),
        ("millivolts", 4100, "voltage 4.1 V"),
        ("charge_permille", 998, "charge 99.8 %"),
        ("unacknowledged_events", 2, "unacknowledged events 2"),
    ],
)
def test_a_field_is_shown_in_the_unit_people_use(field, value, words):
    assert f"{label(field)} {in_words(field, value)}" == words
