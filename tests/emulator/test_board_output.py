"""The output stage: closed forms against sums over time, compliance by its formula, and totals that never grow."""

from __future__ import annotations

import random

import msgspec
import pytest
from ipg_emulator.board import Drive, Load
from ipg_emulator.board.dose import delivered_at, dose, is_on
from ipg_emulator.board.history import KEPT_STRETCHES
from ipg_emulator.board.output import CurrentOutput
from ipg_emulator.model import load
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

MODEL = load("scs-rechargeable")
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

SETTINGS = AreaSettings(
    area=0,
    waveform=Waveform.TONIC_PASSIVE_RECHARGE,
    ramp_seconds=2,
    pulse_width_us=300,
    amplitude_microamps=4000,
    rate_millihertz=50_000,
    cycle_on_seconds=0,
    cycle_off_seconds=0,
    patient_minimum_microamps=0,
    patient_maximum_microamps=6000,
    contacts=(ContactShare(0, -1000), ContactShare(1, 1000)),
)
CYCLED = msgspec.structs.replace(SETTINGS, cycle_on_seconds=3, cycle_off_seconds=7)


class FixedLoad:
    """Electrodes that present one load, whatever the pattern."""

    def __init__(self, ohms: float = 500.0, farads: float = 1.0) -> None:
        self._load = Load(ohms, farads, 0)

    def load(self, contacts):
        return self._load

    def measure(self, cathode, anode):
        raise NotImplementedError


def drive(settings=SETTINGS, start=0, until=None, *, first=4000, last=4000, origin=0, programmed=None) -> Drive:
    first_programmed, last_programmed = programmed or (first, last)
    return Drive(settings, start, until, first_programmed, last_programmed, first, last, origin)


def output(electrodes=None, record=None) -> CurrentOutput:
    return CurrentOutput(MODEL.output, electrodes or FixedLoad(), 3700.0, record or (lambda _: None))


def ramp_then_steady(settings=SETTINGS, start=0) -> list[Drive]:
    return [
        drive(settings, start, start + 2 * SECOND, first=0, origin=start),
        drive(settings, start + 2 * SECOND, origin=start),
    ]


def test_charge_of_a_steady_minute_is_amplitude_times_width_times_pulses() -> None:
    stage = output()
    stage.drive([drive()], 0)
    assert stage.charge_nanocoulombs(0, 0, 60 * SECOND) == 4 * 300 * 50 * 60


def test_charge_of_a_ramp_is_half_of_that_at_its_top() -> None:
    stage = output()
    stage.drive(ramp_then_steady(), 0)
    assert stage.charge_nanocoulombs(0, 0, 2 * SECOND) == 4 * 300 * 50 * 2 // 2


def test_a_cycled_hour_is_on_for_its_share() -> None:
    stage = output()
    stage.drive([drive(CYCLED)], 0)
    assert stage.on_time_us(0, 0, HOUR) == HOUR * 3 // 10
    assert stage.charge_nanocoulombs(0, 0, HOUR) == 4 * 300 * 50 * 3600 * 3 // 10


@pytest.mark.parametrize("seed", range(40))
def test_the_closed_form_is_the_sum_over_milliseconds(seed: int) -> None:
    chance = random.Random(seed)
    settings = msgspec.structs.replace(
        SETTINGS, cycle_on_seconds=chance.choice([0, 1, 2, 5]), cycle_off_seconds=chance.choice([0, 1, 3])
    )
    start = chance.randrange(0, 5000) * 1000
    until = chance.choice([None, start + chance.randrange(1, 20_000) * 1000])
    last = chance.randrange(0, 5000)
    first = last if until is None else chance.randrange(0, 5000)
    ramp = drive(settings, start, until, first=first, last=last, origin=chance.randrange(5) * 1000)
    since, to = sorted(chance.randrange(0, 30_000) * 1000 for _ in range(2))
    on_time, picocoulombs = 0, 0.0
    for begin in range(since, to, 1000):
        if is_on(ramp, begin):
            length = 1 if ramp.until is None else ramp.until - ramp.start
            middle = ramp.delivered_from + (ramp.delivered_to - ramp.delivered_from) * (begin + 500 - start) / length
            on_time += 1000
            picocoulombs += middle * settings.pulse_width_us * settings.rate_millihertz / 1e9 * 1000
    delivered = dose(ramp, since, to)
    assert delivered.on_time_us == on_time
    assert delivered.nanocoulombs == pytest.approx(picocoulombs / 1000, rel=1e-9, abs=1e-9)
    assert delivered.pulses == pytest.approx(on_time * settings.rate_millihertz / 1e9)


@pytest.mark.parametrize("seed", range(20))
def test_the_dose_of_two_spans_is_the_dose_of_both_together(seed: int) -> None:
    chance = random.Random(seed)
    ramp = drive(CYCLED, 1 * SECOND, 100 * SECOND, first=0, last=5000, origin=SECOND)
    first, middle, last = sorted(chance.randrange(0, 110 * SECOND) for _ in range(3))
    together = dose(ramp, first, middle).plus(dose(ramp, middle, last))
    expected = pytest.approx(msgspec.structs.astuple(dose(ramp, first, last)), rel=1e-12, abs=1e-9)
    assert msgspec.structs.astuple(together) == expected


def test_the_amplitude_follows_the_ramp_and_then_stands() -> None:
    stage = output()
    stage.drive(ramp_then_steady(start=SECOND), 0)
    times = [0, SECOND, SECOND * 3 // 2, 2 * SECOND, 3 * SECOND, DAY]
    assert [stage.delivered_microamps(0, now) for now in times] == [0, 0, 1000, 2000, 4000, 4000]


def test_the_amplitude_is_zero_in_the_off_part_of_a_cycle() -> None:
    stage = output()
    stage.drive([drive(CYCLED)], 0)
    assert [stage.delivered_microamps(0, seconds * SECOND) for seconds in (0, 2, 3, 9, 10, 12, 13)] == [
        4000,
        4000,
        0,
        0,
        4000,
        4000,
        0,
    ]


def test_what_was_set_for_later_is_dropped_by_new_drives() -> None:
    stage = output()
    stage.drive(ramp_then_steady(), 0)
    stage.drive([], SECOND)
    assert stage.delivered_microamps(0, 3 * SECOND) == 0
    assert stage.charge_nanocoulombs(0, 0, DAY) == 4 * 300 * 50 // 4
    assert stage.on_time_us(0, 0, DAY) == SECOND


def test_a_drive_that_goes_on_is_counted_once() -> None:
    stage = output()
    steady = drive()
    stage.drive([steady], 0)
    stage.drive([steady], 30 * SECOND)
    assert stage.charge_nanocoulombs(0, 0, 60 * SECOND) == 4 * 300 * 50 * 60


def test_charge_counts_from_any_time_asked_for() -> None:
    stage = output()
    for hour in range(10):
        stage.drive([drive(start=hour * HOUR)], hour * HOUR)
    per_hour = 4 * 300 * 50 * 3600
    assert stage.charge_nanocoulombs(0, 3 * HOUR, 8 * HOUR + HOUR // 2) == per_hour * 11 // 2


def test_areas_are_counted_apart() -> None:
    other = msgspec.structs.replace(SETTINGS, area=1, pulse_width_us=100)
    stage = output()
    stage.drive([drive(), drive(other)], 0)
    assert stage.charge_nanocoulombs(0, 0, SECOND) == 3 * stage.charge_nanocoulombs(1, 0, SECOND)
    assert stage.charge_nanocoulombs(2, 0, SECOND) == stage.delivered_microamps(2, 0) == 0


def test_ten_thousand_changes_keep_the_lifetime_total_and_no_more_than_the_recent_stretches() -> None:
    stage = output()
    for second in range(10_000):
        stage.drive([drive(start=second * SECOND)], second * SECOND)
    assert stage.charge_nanocoulombs(0, 0, 10_000 * SECOND) == 4 * 300 * 50 * 10_000
    recent = 10_000 - KEPT_STRETCHES
    assert stage.charge_nanocoulombs(0, recent * SECOND, 10_000 * SECOND) == 4 * 300 * 50 * KEPT_STRETCHES
    assert len(stage._history[0]._stretches) <= 2 * KEPT_STRETCHES


@pytest.mark.parametrize(("ohms", "farads", "width"), [(500.0, 5e-6, 300), (1600.0, 1e-6, 1000), (900.0, 3.3e-6, 60)])
def test_compliance_is_the_voltage_left_over_resistance_and_charging(ohms: float, farads: float, width: int) -> None:
    stage = output(FixedLoad(ohms, farads))
    volts = (MODEL.output.compliance_millivolts - MODEL.output.headroom_millivolts) / 1000
    expected = volts / (ohms + width * 1e-6 / farads) * 1e6
    assert stage.deliverable_microamps(msgspec.structs.replace(SETTINGS, pulse_width_us=width)) == int(expected)


def test_the_record_is_what_was_output_and_nothing_that_was_not() -> None:
    record: list[Drive] = []
    stage = output(record=record.append)
    ramp, steady = ramp_then_steady()
    stage.drive([ramp, steady], 0)
    stage.drive([drive(first=4000, last=0, start=5 * SECOND, until=6 * SECOND)], 5 * SECOND)
    assert record == [ramp, msgspec.structs.replace(steady, until=5 * SECOND)]
    stage.drive([], 5 * SECOND + SECOND // 2)
    assert record[2:] == [drive(first=4000, last=2000, start=5 * SECOND, until=5 * SECOND + SECOND // 2)]


def test_a_recorded_drive_reads_back_from_json() -> None:
    ramp = drive(CYCLED, 0, SECOND, first=0, programmed=(0, 5000))
    assert msgspec.json.decode(msgspec.json.encode(ramp), type=Drive) == ramp


def test_a_drive_is_a_straight_line() -> None:
    ramp = drive(start=0, until=4, first=8, last=0)
    assert [delivered_at(ramp, now) for now in range(5)] == [8, 6, 4, 2, 0]
