"""Program files: what is read, what is written, and what is said of a bad one."""

from __future__ import annotations

import msgspec
import pytest
from ipg_host.errors import InputError
from ipg_host.programs import Program, load_program, parse_program, program_toml
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
AREA = AreaSettings(0, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 2000, 40_000, 1, 0, 0, 0, 0, 0, 4000, SHARES)


@pytest.mark.parametrize("text", [NUMBERS, QUANTITIES])
def test_numbers_and_quantities_say_the_same(text):
    assert parse_program(text).areas == (AREA,)


def test_what_is_written_is_read_back():
    program = parse_program(NUMBERS.replace('"Walking"', r'"A \"b\" \\ µ"'))
    assert parse_program(program_toml(program)) == program


BURST = """
name = "Burst"

[[areas]]
waveform = "BURST_PASSIVE_RECHARGE"
amplitude = "1.6 mA"
pulse_width = "1 ms"
rate = "40 Hz"
burst_pulses = 5
intra_burst = "500 Hz"
ramp = "2 s"
cycle_on = "30 s"
cycle_off = "90 s"
dose = "20 min"
patient_minimum = "0 mA"
patient_maximum = "4mA"
contacts = { "0" = -1000, "1" = 1000 }
"""

MAGNETIC = """
name = "Theta burst"

[[areas]]
waveform = "MAGNETIC_BIPHASIC"
amplitude = "45 %"
pulse_width = "280 us"
rate = "5 Hz"
burst_pulses = 3
intra_burst = "50 Hz"
ramp = "0 s"
dose = "40 s"
patient_minimum = "0 %"
patient_maximum = "62.5%"
contacts = { "0" = -1000, "1" = 1000 }
"""


def test_a_burst_and_a_dose_are_written_with_their_units():
    (area,) = parse_program(BURST).areas
    assert (area.waveform, area.burst_pulses, area.intra_burst_millihertz) == (Waveform.BURST_PASSIVE_RECHARGE, 5, 500_000)
    assert (area.cycle_on_seconds, area.cycle_off_seconds, area.dose_seconds) == (30, 90, 1200)


def test_amplitudes_of_a_magnetic_waveform_are_parts_of_the_maximum():
    (area,) = parse_program(MAGNETIC).areas
    assert (area.amplitude_microamps, area.patient_minimum_microamps, area.patient_maximum_microamps) == (450, 0, 625)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MAGNETIC.replace("45 %", "2 mA"), r"areas\[0\].amplitude: '2 mA' has the unit 'mA': write it in permille or %"),
        (BURST.replace("1.6 mA", "16 %"), r"areas\[0\].amplitude: '16 %' has the unit '%': write it in uA or mA"),
    ],
)
def test_a_current_is_never_taken_for_a_part_of_the_maximum(text, message):
    with pytest.raises(InputError, match=message):
        parse_program(text)


@pytest.mark.parametrize("text", [NUMBERS, BURST, MAGNETIC])
def test_every_kind_of_program_is_read_back_as_it_was_written(text):
    program = parse_program(text)
    assert parse_program(program_toml(program)) == program


@pytest.mark.parametrize("waveform", list(Waveform))
def test_every_waveform_can_be_written(waveform):
    program = Program("Any", (msgspec.structs.replace(AREA, waveform=waveform),))
    assert parse_program(program_toml(program)) == program


def test_what_is_not_in_use_is_not_written():
    assert "burst" not in program_toml(parse_program(NUMBERS))
    assert 'amplitude = "45 %"' in program_toml(parse_program(MAGNETIC))


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
