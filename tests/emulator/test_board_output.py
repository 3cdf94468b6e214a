"""The output stage: closed forms against sums over time, compliance by its formula, and totals that never grow."""

from __future__ import annotations

import math
import random
import tracemalloc

import msgspec
import pytest
from ipg_emulator.board import Drive, Load, Segment
from ipg_emulator.board.dose import delivered_at, is_on, moments
from ipg_emulator.board.output import CurrentOutput
from ipg_emulator.model import load
from ipg_emulator.published import area_of
from ipg_protocol.commands.programs import ContactShare, Waveform

MODEL = load("scs-rechargeable")
SECOND = 1_000_000
replace = msgspec.structs.replace
HOUR = 3600 * SECOND
DAY = 24 * HOUR

SETTINGS = area_of(
    load("scs-rechargeable"),
    waveform=Waveform.TONIC_PASSIVE_RECHARGE,
    ramp_seconds=2,
    pulse_width_us=300,
    amplitude_microamps=4000,
    rate_millihertz=50_000,
    patient_maximum_microamps=6000,
    contacts=(ContactShare(0, -1000), ContactShare(1, 1000)),
)
CYCLED = replace(SETTINGS, cycle_on_seconds=3, cycle_off_seconds=7)


class FixedLoad:
    """Electrodes that present one load, whatever the pattern."""

    def __init__(self, ohms: float = 500.0, farads: float = 1.0) -> None:
        self._load = Load(ohms, farads, 1.1e-6, 0)

    def load(self, contacts, now):
        return self._load

    def measure(self, cathode, anode, now):
        raise NotImplementedError


def with_waveform(waveform, **figures):
    """The model with one waveform more, and other figures of its output stage."""
    shape = replace(MODEL.shape(Waveform.TONIC_PASSIVE_RECHARGE), name=waveform.name)
    return replace(MODEL, waveforms=(*MODEL.waveforms, shape), output=replace(MODEL.output, **figures))


def drive(settings=SETTINGS, start=0, until=None, *, first=4000, last=4000, origin=0, programmed=None) -> Drive:
    first_programmed, last_programmed = programmed or (first, last)
    return Drive(settings, start, until, first_programmed, last_programmed, first, last, origin)


def output(electrodes=None, record=None, model=MODEL) -> CurrentOutput:
    return CurrentOutput(model, electrodes or FixedLoad(), 3700.0, record)


def ramp_then_steady(settings=SETTINGS, start=0) -> list[Drive]:
    return [
        drive(settings, start, start + 2 * SECOND, first=0, origin=start),
        drive(settings, start + 2 * SECOND, origin=start),
    ]


def test_charge_of_a_steady_minute_is_amplitude_times_width_times_pulses() -> None:
    stage = output()
    stage.drive([drive()], 0)
    assert stage.total(0, 60 * SECOND).nanocoulombs == 4 * 300 * 50 * 60


def test_charge_of_a_ramp_is_half_of_that_at_its_top() -> None:
    stage = output()
    stage.drive(ramp_then_steady(), 0)
    assert stage.total(0, 2 * SECOND).nanocoulombs == 4 * 300 * 50 * 2 // 2


def test_a_cycled_hour_is_on_for_its_share() -> None:
    stage = output()
    stage.drive([drive(CYCLED)], 0)
    assert stage.total(0, HOUR).on_time_us == HOUR * 3 // 10
    assert stage.total(0, HOUR).nanocoulombs == 4 * 300 * 50 * 3600 * 3 // 10


@pytest.mark.parametrize("seed", range(40))
def test_the_closed_form_is_the_sum_over_milliseconds(seed: int) -> None:
    chance = random.Random(seed)
    settings = replace(SETTINGS, cycle_on_seconds=chance.choice([0, 1, 2, 5]), cycle_off_seconds=chance.choice([0, 1, 3]))
    start = chance.randrange(0, 5000) * 1000
    until = chance.choice([None, start + chance.randrange(1, 20_000) * 1000])
    last = chance.randrange(0, 5000)
    first = last if until is None else chance.randrange(0, 5000)
    ramp = drive(settings, start, until, first=first, last=last, origin=chance.randrange(5) * 1000)
    since, to = sorted(chance.randrange(0, 30_000) * 1000 for _ in range(2))
    on_time, linear, square = 0, 0.0, 0.0
    for begin in range(since, to, 1000):
        if is_on(ramp, begin):
            length = 1 if ramp.until is None else ramp.until - ramp.start
            slope = (ramp.delivered_to - ramp.delivered_from) / length
            middle = ramp.delivered_from + slope * (begin + 500 - start)
            on_time += 1000
            linear += middle * 1000
            square += (middle**2 + (slope * 1000) ** 2 / 12) * 1000
    assert moments(ramp, since, to) == (
        on_time,
        pytest.approx(linear, rel=1e-9, abs=1e-6),
        pytest.approx(square, rel=1e-9, abs=1e-6),
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_dose_of_two_spans_is_the_dose_of_both_together(seed: int) -> None:
    chance = random.Random(seed)
    ramp = drive(CYCLED, 1 * SECOND, 100 * SECOND, first=0, last=5000, origin=SECOND)
    first, middle, last = sorted(chance.randrange(0, 110 * SECOND) for _ in range(3))
    pairs = zip(moments(ramp, first, middle), moments(ramp, middle, last), strict=True)
    assert [a + b for a, b in pairs] == pytest.approx(moments(ramp, first, last), rel=1e-12, abs=1e-9)


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
    assert stage.total(0, DAY).nanocoulombs == 4 * 300 * 50 // 4
    assert stage.total(0, DAY).on_time_us == SECOND


def test_a_drive_that_goes_on_is_counted_once() -> None:
    stage = output()
    steady = drive()
    stage.drive([steady], 0)
    stage.drive([steady], 30 * SECOND)
    assert stage.total(0, 60 * SECOND).nanocoulombs == 4 * 300 * 50 * 60


def test_areas_are_counted_apart() -> None:
    other = replace(SETTINGS, area=1, pulse_width_us=100)
    stage = output()
    stage.drive([drive(), drive(other)], 0)
    assert stage.total(0, SECOND).nanocoulombs == pytest.approx(3 * stage.total(1, SECOND).nanocoulombs)
    assert stage.total(2, SECOND).nanocoulombs == stage.delivered_microamps(2, 0) == 0


def test_ten_thousand_changes_add_up_and_leave_nothing_behind() -> None:
    stage = output()
    tracemalloc.start()
    for second in range(10_000):
        stage.drive([drive(start=second * SECOND)], second * SECOND)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stage.total(0, 10_000 * SECOND).nanocoulombs == pytest.approx(4 * 300 * 50 * 10_000)
    assert kept < 20_000


@pytest.mark.parametrize(("ohms", "farads", "width"), [(500.0, 5e-6, 300), (1600.0, 1e-6, 1000), (900.0, 3.3e-6, 60)])
def test_compliance_is_the_voltage_left_over_resistance_and_charging(ohms: float, farads: float, width: int) -> None:
    stage = output(FixedLoad(ohms, farads))
    volts = (MODEL.output.compliance_millivolts - MODEL.output.headroom_millivolts) / 1000
    expected = volts / (ohms + width * 1e-6 / farads) * 1e6
    assert stage.deliverable_microamps(replace(SETTINGS, pulse_width_us=width), 0) == int(expected)


def test_the_record_is_what_was_output_and_nothing_that_was_not() -> None:
    record: list[Segment] = []
    stage = output(record=record.append)
    ramp, steady = ramp_then_steady()
    stage.drive([ramp, steady], 0)
    stage.drive([drive(first=4000, last=0, start=5 * SECOND, until=6 * SECOND)], 5 * SECOND)
    assert [segment.drive for segment in record] == [ramp, replace(steady, until=5 * SECOND)]
    stage.drive([], 5 * SECOND + SECOND // 2)
    assert record[2].drive == drive(first=4000, last=2000, start=5 * SECOND, until=5 * SECOND + SECOND // 2)


def test_a_flush_reports_what_is_under_way_and_changes_nothing() -> None:
    record: list[Segment] = []
    flushed, whole = output(record=record.append), output()
    for stage in (flushed, whole):
        stage.drive(ramp_then_steady(), 0)
    flushed.flush(SECOND)
    assert [segment.drive for segment in record] == [drive(first=0, last=2000, start=0, until=SECOND)]
    flushed.flush(3 * SECOND)
    assert [(s.drive.start, s.drive.until) for s in record[1:]] == [(SECOND, 2 * SECOND), (2 * SECOND, 3 * SECOND)]
    assert flushed.total(0, HOUR).nanocoulombs == pytest.approx(whole.total(0, HOUR).nanocoulombs)
    assert flushed.delivered_microamps(0, SECOND * 7 // 2) == 4000


def test_a_recorded_segment_reads_back_from_json() -> None:
    segment = Segment(drive(CYCLED, 0, SECOND, first=0, programmed=(0, 5000)), Load(500.0, 1e-6, 2e-6, 3))
    assert msgspec.json.decode(msgspec.json.encode(segment), type=Segment) == segment


def test_a_drive_is_a_straight_line() -> None:
    ramp = drive(start=0, until=4, first=8, last=0)
    assert [delivered_at(ramp, now) for now in range(5)] == [8, 6, 4, 2, 0]


# Physics, against figures worked out elsewhere


def test_delivered_energy_is_the_published_one_for_deep_brain_stimulation() -> None:
    """TEED = I^2 R PW f: 70.2 uW for 3 mA, 1 kilohm, 60 us, 130 Hz."""
    settings = replace(SETTINGS, pulse_width_us=60, rate_millihertz=130_000)
    stage = output(FixedLoad(1000.0))
    stage.drive([drive(settings, first=3000, last=3000)], 0)
    assert stage.total(0, SECOND).microjoules == pytest.approx(70.2)


def test_a_burst_piles_its_charge_up_on_the_coupling_capacitor() -> None:
    """BurstDR: five pulses of 0.6 mA and 1 ms are 3 uC, and 1.36 V on 2.2 uF."""
    burst = replace(
        SETTINGS,
        waveform=Waveform.BURST_PASSIVE_RECHARGE,
        pulse_width_us=1000,
        rate_millihertz=40_000,
        burst_pulses=5,
        intra_burst_millihertz=500_000,
    )
    stage = output(model=with_waveform(Waveform.BURST_PASSIVE_RECHARGE, coupling_microfarads=2.2))
    stage.drive([drive(burst, first=600, last=600)], 0)
    assert stage.total(0, SECOND).nanocoulombs / 40 == pytest.approx(3000)
    assert stage.coupling_millivolts(burst, 600) == pytest.approx(1364, abs=1)


def test_a_burst_needs_the_voltage_of_all_its_pulses() -> None:
    burst = replace(SETTINGS, waveform=Waveform.BURST_PASSIVE_RECHARGE, burst_pulses=5, intra_burst_millihertz=500_000)
    stage = output(FixedLoad(500.0, 2e-6), model=with_waveform(Waveform.BURST_PASSIVE_RECHARGE))
    volts = (MODEL.output.compliance_millivolts - MODEL.output.headroom_millivolts) / 1000
    assert stage.deliverable_microamps(burst, 0) == int(volts / (500 + 5 * 300e-6 / 2e-6) * 1e6)


def test_direct_current_delivers_its_charge_without_pulses() -> None:
    stage = output(FixedLoad(5000.0), model=with_waveform(Waveform.DIRECT_CURRENT))
    stage.drive([drive(replace(SETTINGS, waveform=Waveform.DIRECT_CURRENT), first=2000, last=2000)], 0)
    total = stage.total(0, 20 * 60 * SECOND)
    assert total.nanocoulombs == pytest.approx(2 * 1200 * 1e6)
    assert total.pulses == 0
    assert total.microjoules == pytest.approx(2e-3**2 * 5000 * 1200 * 1e6)


def test_a_coil_puts_no_charge_into_the_tissue_and_delivers_up_to_its_maximum() -> None:
    stage = output(model=with_waveform(Waveform.MAGNETIC_BIPHASIC))
    coil = replace(SETTINGS, waveform=Waveform.MAGNETIC_BIPHASIC, rate_millihertz=10_000)
    assert stage.deliverable_microamps(coil, 0) == 1000
    stage.drive([drive(coil, first=600, last=600)], 0)
    assert stage.total(0, 4 * SECOND).nanocoulombs == 0
    assert stage.total(0, 4 * SECOND).pulses == pytest.approx(40)


def test_passive_recharge_leaves_a_geometric_series_behind() -> None:
    stage = output(FixedLoad(500.0, 5e-6))
    shape = MODEL.shape(Waveform.TONIC_PASSIVE_RECHARGE)
    tau_us = (500 + MODEL.output.recharge_ohms) * 5
    left, charge = 0.0, 4000 * 300 / 1000
    for _ in range(200):
        left = (left + charge) * math.exp(-shape.recharge_us / tau_us)
    assert stage.residual_nanocoulombs(SETTINGS, 4000, 0) == pytest.approx(left)


def test_active_recharge_leaves_what_its_phases_differ_by() -> None:
    active = replace(SETTINGS, waveform=Waveform.TONIC_ACTIVE_RECHARGE)
    mismatch = MODEL.output.active_mismatch_permille / 1000
    assert output().residual_nanocoulombs(active, 4000, 0) == pytest.approx(4000 * 300 / 1000 * mismatch)


def test_a_load_is_looked_at_again_when_the_firmware_asks_what_can_be_delivered() -> None:
    electrodes = FixedLoad(500.0)
    stage = output(electrodes)
    before = stage.deliverable_microamps(SETTINGS, 0)
    electrodes._load = Load(5000.0, 1.0, 1.1e-6, 0)
    assert stage.deliverable_microamps(SETTINGS, 1) < before / 9


@pytest.mark.parametrize("waveform", [Waveform.TONIC_ACTIVE_RECHARGE, Waveform.TONIC_PASSIVE_RECHARGE])
def test_what_the_supply_gives_is_the_load_s_and_the_recharge_s_and_what_the_source_drops(waveform) -> None:
    """The source drops what is left of the supply: over a pulse at A, on R and C, V - A R - A t / C in the mean."""
    load = Load(600.0, 2e-6, 4e-6, 0)
    stage = output(FixedLoad(load.ohms, load.farads))
    settings = replace(SETTINGS, waveform=waveform)
    stage.drive([drive(settings)], 0)
    energy = stage.energy(SECOND)
    volts = (4e-3 * (600 + 300e-6 / 2e-6)) + (MODEL.output.headroom_millivolts + MODEL.output.supply_margin_millivolts) / 1000
    phases = 2 if waveform is Waveform.TONIC_ACTIVE_RECHARGE else 1
    assert energy.supply_microjoules == pytest.approx(50 * phases * 4e-3 * 300e-6 * volts * 1e6)
    assert energy.load_microjoules == pytest.approx(50 * 4e-3**2 * 600 * 300e-6 * 1e6)
    assert energy.recharge_microjoules == pytest.approx(
        energy.load_microjoules if phases == 2 else 50 * (4e-3 * 300e-6) ** 2 / (2 * 2e-6) * 1e6
    )
    efficiency = MODEL.output.converter_efficiency_permille / 1000
    assert energy.converter_nanocoulombs == pytest.approx(energy.supply_microjoules / efficiency / 3.7 * 1000)
    assert energy.overhead_nanocoulombs == pytest.approx(50 * MODEL.output.pulse_overhead_nanocoulombs)
    assert stage.battery_nanocoulombs(SECOND) == pytest.approx(energy.converter_nanocoulombs + energy.overhead_nanocoulombs)


def test_the_supply_goes_no_higher_than_the_stage_has() -> None:
    """Clipped to compliance, a worse load costs no more: the charge is less and the voltage is the most there is."""
    stage = output(FixedLoad(2000.0))
    most = stage.deliverable_microamps(SETTINGS, 0)
    stage.drive([drive(first=most, last=most)], 0)
    per_charge = stage.energy(SECOND).supply_microjoules / stage.total(0, SECOND).nanocoulombs
    assert per_charge * 1e6 == pytest.approx(MODEL.output.compliance_millivolts)
