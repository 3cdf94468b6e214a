"""Program files: what is read, what is written, and what is said of a bad one."""

from __future__ import annotations

import pytest
from ipg_host.errors import InputError
from ipg_host.programs import load_program, parse_program, program_toml
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

NUMBERS = """
name = "Walking"

[[areas]]
waveform = "TONIC_ACTIVE_RECHARGE"
amplitude_microamps = 2000
pulse_width_us = 300
rate_millihertz = 40000
ramp_seconds = 2
patient_minimum_microamps = 0
patient_maximum_microamps = 4000
contacts = { "0" = -600, "1" = -400, "case" = 1000 }
"""

QUANTITIES = """
name = "Walking"

[[areas]]
waveform = "TONIC_ACTIVE_RECHARGE"
amplitude = "2.0 mA"
pulse_width = "0.3 ms"
rate = "40 Hz"
ramp = "2 s"
patient_minimum = "0 mA"
patient_maximum = "4mA"
contacts = { "0" = -600, "1" = -400, "case" = 1000 }
"""

SHARES = (ContactShare(0, -600), ContactShare(1, -400), ContactShare(255, 1000))
AREA = AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 2000, 40_000, 0, 0, 0, 4000, SHARES)


@pytest.mark.parametrize("text", [NUMBERS, QUANTITIES])
def test_numbers_and_quantities_say_the_same(text):
    assert parse_program(text).areas == (AREA,)


def test_what_is_written_is_read_back():
    program = parse_program(NUMBERS.replace('"Walking"', r'"A \"b\" \\ µ"'))
    assert parse_program(program_toml(program)) == program


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"1" = -400', '"1" = -300', r"areas\[0\]\.contacts: the cathodes sum to -900 permille, and must sum to -1000"),
        ('"case" = 1000', '"case" = 500', r"the anodes sum to \+500 permille, and must sum to \+1000"),
        ('"case" = 1000', '"lead" = 1000', "'lead' is neither a contact number nor \"case\""),
        ('"case" = 1000', '"case" = 1001', r"Expected `int` <= 1000 - at `\$.areas\[0\].contacts"),
        ("TONIC_ACTIVE_RECHARGE", "BURST", r"areas\[0\].waveform: 'BURST' is none of TONIC_ACTIVE_RECHARGE"),
        ("pulse_width_us", "pulse_width_ms", "unknown field `pulse_width_ms`"),
        ("amplitude_microamps = 2000", "", "missing required field `amplitude_microamps`"),
        (
            "amplitude_microamps = 2000",
            'amplitude = "2 V"',
            r"areas\[0\].amplitude: '2 V' has the unit 'V': write it in uA or mA",
        ),
        ("amplitude_microamps = 2000", "amplitude = 2", r"areas\[0\].amplitude: '2' has no unit"),
        ("= 2000", "= -5", "Expected `int` >= 0"),
        ('"Walking"', '"A name of far too many bytes"', "takes 28 bytes, and at most 16 are allowed"),
        ("[[areas]]", "[[area", "Expected"),
        ("[[areas]]", "[areas]", "Expected `array`, got `object`"),
    ],
)
def test_a_bad_file_is_told_where_and_what_is_allowed(tmp_path, old, new, message):
    file = tmp_path / "walking.toml"
    file.write_text(NUMBERS.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        load_program(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="No such file or directory"):
        load_program(tmp_path / "none.toml")


def test_a_file_that_is_not_text_is_told(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8 text"):
        load_program(tmp_path / "bad.toml")
