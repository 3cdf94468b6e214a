"""The record: what it answers between any two times, against the drives it was given and against its own pulses."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import numpy as np
import pytest
from ipg_emulator.board import Delivered, Drive, Load, Segment
from ipg_emulator.model import load
from ipg_emulator.published import area_of
from ipg_emulator.record import OutputRecord
from ipg_emulator.recording import SegmentFile
from ipg_protocol.commands.programs import ContactShare, SelectProgram, Waveform
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude, StartTherapy, StopMode, StopTherapy

MODEL = load("scs-rechargeable")
SECOND = 1_000_000
LOAD = Load(500.0, 2e-6, 4e-6, 0)
replace = msgspec.structs.replace

SETTINGS = area_of(
    MODEL,
    waveform=Waveform.TONIC_ACTIVE_RECHARGE,
    ramp_seconds=2,
    pulse_width_us=300,
    amplitude_microamps=4000,
    rate_millihertz=50_000,
    patient_maximum_microamps=6000,
    contacts=(ContactShare(3, -1000), ContactShare(2, 600), ContactShare(255, 400)),
)
PASSIVE = replace(SETTINGS, waveform=Waveform.TONIC_PASSIVE_RECHARGE)


def segment(start, until, first=4000, last=4000, *, settings=SETTINGS, programmed=None, offset=0, origin=0) -> Segment:
    wanted = programmed or (first, last)
    return Segment(Drive(settings, start, until, *wanted, first, last, origin, offset), LOAD)


def record_of(*segments, model=MODEL) -> OutputRecord:
    return OutputRecord(model, segments)


def test_segments_are_cut_to_the_times_asked_for_and_keep_both_amplitudes():
    record = record_of(segment(0, 2 * SECOND, 0, 2000, programmed=(0, 4000)), segment(2 * SECOND, 9 * SECOND, 2000, 2000))
    ramp, steady = (each.drive for each in record.segments(SECOND, 3 * SECOND))
    assert (ramp.start, ramp.until, steady.start, steady.until) == (SECOND, 2 * SECOND, 2 * SECOND, 3 * SECOND)
    assert (ramp.delivered_from, ramp.programmed_from, ramp.delivered_to, ramp.programmed_to) == (1000, 2000, 2000, 4000)


def test_pulses_begin_by_the_rate_rounded_down_from_the_offset_on():
    record = record_of(segment(100, SECOND, settings=replace(SETTINGS, rate_millihertz=130_000), offset=77, origin=100))
    times = record.pulses(0, SECOND).times_us
    assert list(times[:4]) == [177, 177 + 7692, 177 + 15384, 177 + 23076]
    assert len(times) == 130


def test_pulses_far_from_the_origin_are_as_exact():
    """Ten years at 10 kHz are 3 x 10^12 pulses; those looked at are made in whole numbers."""
    years, rate = 315_576_000 * SECOND, 9_999_999
    record = record_of(segment(0, years, settings=replace(SETTINGS, rate_millihertz=rate, pulse_width_us=20)))
    times = record.pulses(years - 5000, years).times_us
    first = -(-(years - 5000) * rate // 10**9)
    assert list(times) == [n * 10**9 // rate for n in range(first, first + len(times))]
    assert times[-1] < years <= (first + len(times)) * 10**9 // rate


def test_a_pulse_has_the_amplitude_that_its_ramp_has_at_its_beginning():
    pulses = record_of(segment(0, 2 * SECOND, 0, 2000, programmed=(0, 4000))).pulses(SECOND, SECOND + 40_000)
    assert list(pulses.delivered_microamps) == [1000, 1020]
    assert list(pulses.programmed_microamps) == [2000, 2040]


def test_pulses_of_several_areas_come_in_order_of_time():
    other = replace(SETTINGS, area=1, rate_millihertz=40_000)
    pulses = record_of(segment(0, SECOND), segment(0, SECOND, settings=other, offset=5000)).pulses(0, 60_000)
    assert list(zip(pulses.times_us.tolist(), pulses.areas.tolist(), strict=True)) == [
        (0, 0),
        (5000, 1),
        (20_000, 0),
        (30_000, 1),
        (40_000, 0),
        (55_000, 1),
    ]


def test_a_cycle_has_pulses_only_while_it_is_on():
    cycled = replace(SETTINGS, cycle_on_seconds=3, cycle_off_seconds=7)
    times = record_of(segment(0, 100 * SECOND, settings=cycled)).pulses(0, 100 * SECOND).times_us
    assert len(times) == 10 * 3 * 50
    assert (times % (10 * SECOND)).max() < 3 * SECOND


def test_a_sample_is_the_current_through_a_contact_negative_through_the_cathode():
    record = record_of(segment(0, SECOND))
    for contact, share in ((3, -1.0), (2, 0.6), (255, 0.4), (5, 0.0)):
        samples = record.samples(contact, 20_000, 21_000, 1_000_000)
        assert samples.dtype == np.float32
        assert samples[:300] == pytest.approx(np.full(300, 4000 * share))
        assert not samples[300:350].any()
        assert samples[350:650] == pytest.approx(np.full(300, -4000 * share))
        assert not samples[650:].any()


@pytest.mark.parametrize("rate_hz", [1_000, 44_100, 1_000_000, 4_000_000])
def test_samples_of_all_contacts_are_those_of_each(rate_hz):
    record = record_of(segment(0, SECOND, settings=PASSIVE))
    every = record.all_samples(15_000, 65_000, rate_hz)
    assert every.shape == (17, 50 * rate_hz // 1000)
    for row, contact in enumerate(record.contacts):
        assert (every[row] == record.samples(contact, 15_000, 65_000, rate_hz)).all()


def test_samples_do_not_depend_on_where_one_begins_to_look():
    record = record_of(segment(0, 30_000, settings=PASSIVE), segment(30_000, SECOND, 3000, 3000, settings=PASSIVE))
    whole = record.samples(3, 0, 100_000, 1_000_000)
    for start in (100, 299, 1000, 20_100, 30_000, 40_200, 44_000):
        assert (record.samples(3, start, 100_000, 1_000_000) == whole[start:]).all()


def test_a_pulse_keeps_its_amplitude_when_the_next_segment_begins_within_it():
    samples = record_of(segment(0, 20_400), segment(20_400, SECOND, 1000, 1000)).samples(3, 20_000, 41_000, 1_000_000)
    assert set(samples[:20_000].tolist()) == {-4000.0, 0.0, 4000.0}
    assert set(samples[20_000:].tolist()) == {-1000.0, 0.0, 1000.0}


def test_a_pulse_ends_with_its_segment_when_nothing_follows():
    samples = record_of(segment(0, 20_400)).samples(3, 20_000, 21_000, 1_000_000)
    assert np.flatnonzero(samples)[-1] == 399


@pytest.mark.parametrize(("origin", "offset", "later"), [(0, 851, [40_851]), (30_000, 251, [30_251, 50_251])])
def test_the_same_settings_placed_anew_have_their_pulses_where_they_are_then(origin, offset, later):
    record = record_of(segment(0, 30_000, offset=251), segment(30_000, SECOND, offset=offset, origin=origin))
    assert list(record.pulses(0, 60_000).times_us) == [251, 20_251, *later]


def test_passive_recharge_decays_by_the_load_that_its_pulse_met_wherever_one_begins_to_look():
    grown = Segment(segment(30_000, SECOND, settings=PASSIVE).drive, Load(2000.0, 2e-6, 4e-6, 0))
    record = record_of(segment(0, 30_000, settings=PASSIVE), grown)
    whole = record.samples(3, 0, 60_000, 1_000_000)
    assert (record.samples(3, 35_000, 60_000, 1_000_000) == whole[35_000:]).all()
    for begins, ohms in ((350, 500), (40_350, 2000)):
        tau_us = (ohms + MODEL.output.recharge_ohms) * 2e-6 * 1e6
        assert whole[begins + 1000] / whole[begins] == pytest.approx(np.exp(-1000 / tau_us), rel=1e-4)


def test_an_area_that_was_never_on_has_delivered_nothing():
    assert record_of(segment(0, SECOND)).delivered(1, 0, SECOND) == Delivered()


def test_another_rate_begins_its_own_pulses():
    faster = replace(SETTINGS, rate_millihertz=100_000)
    record = record_of(segment(0, 10_100), segment(10_100, SECOND, settings=faster))
    assert not record.samples(3, 10_100, 20_000, 1_000_000).any()


def test_direct_current_is_its_amplitude_at_every_sample():
    shape = replace(MODEL.shape(Waveform.TONIC_PASSIVE_RECHARGE), name="DIRECT_CURRENT")
    model = replace(MODEL, waveforms=(*MODEL.waveforms, shape))
    direct = replace(SETTINGS, waveform=Waveform.DIRECT_CURRENT)
    record = record_of(
        segment(0, SECOND, 0, 2000, settings=direct), segment(SECOND, 9 * SECOND, 2000, 2000, settings=direct), model=model
    )
    assert record.samples(3, 0, 3 * SECOND, 2).tolist() == [0, -1000, -2000, -2000, -2000, -2000]
    assert len(record.pulses(0, 9 * SECOND).times_us) == 0
    assert record.net_nanocoulombs(3, SECOND, 2 * SECOND) == pytest.approx(-2e6, rel=1e-4)


@pytest.mark.parametrize("settings", [SETTINGS, PASSIVE])
def test_what_the_closed_form_says_is_what_the_samples_sum_to(settings):
    record = record_of(segment(0, SECOND, settings=settings))
    samples = record.samples(3, 0, SECOND, 4_000_000).astype(float) / 4
    delivered = record.delivered(0, 0, SECOND)
    stimulating = samples[samples < 0]
    assert -stimulating.sum() / 1000 == pytest.approx(delivered.nanocoulombs, rel=1e-3)
    assert (stimulating**2).sum() * 4 * LOAD.ohms * 1e-12 == pytest.approx(delivered.microjoules, rel=1e-3)
    assert record.charge_nanocoulombs(3, 0, SECOND) == pytest.approx(-delivered.nanocoulombs)
    assert record.charge_nanocoulombs(2, 0, SECOND) == pytest.approx(0.6 * delivered.nanocoulombs)
    assert record.dose_microcoulombs_per_second(0, SECOND) == pytest.approx(4 * 0.3 * 50)


@pytest.mark.parametrize(
    ("microamps", "width", "rate", "pulses", "dose"),
    [(6000, 300, 50_000, 1, 90), (3000, 30, 10_000_000, 1, 900), (600, 1000, 40_000, 5, 120)],
)
def test_charge_rates_are_the_published_ones(microamps, width, rate, pulses, dose):
    """Tonic, 10 kHz and burst: 90, 900 and 120 uC/s."""
    waveform = Waveform.BURST_PASSIVE_RECHARGE if pulses > 1 else Waveform.TONIC_ACTIVE_RECHARGE
    settings = replace(
        SETTINGS,
        waveform=waveform,
        pulse_width_us=width,
        rate_millihertz=rate,
        burst_pulses=pulses,
        intra_burst_millihertz=500_000 if pulses > 1 else 0,
    )
    record = record_of(segment(0, SECOND, microamps, microamps, settings=settings), model=load("scs-burst"))
    assert record.dose_microcoulombs_per_second(0, SECOND) == pytest.approx(dose)


def test_net_charge_is_what_recharge_leaves_and_what_leaks():
    record = record_of(segment(0, 100 * SECOND, settings=PASSIVE))
    leak = MODEL.output.leakage_nanoamps * 100
    tau_us = (LOAD.ohms + MODEL.output.recharge_ohms) * LOAD.farads * 1e6
    left = np.exp(-MODEL.shape(Waveform.TONIC_PASSIVE_RECHARGE).recharge_us / tau_us)
    residual = 1200 * left / (1 - left)
    assert record.net_nanocoulombs(3, 0, 100 * SECOND) == pytest.approx(-(residual + leak))
    assert record.net_nanocoulombs(2, 0, 100 * SECOND) == pytest.approx(0.6 * residual + leak)
    assert record.net_nanocoulombs(7, 0, 100 * SECOND) == 0


def test_ten_years_at_ten_kilohertz_are_answered_from_one_segment():
    years = 315_576_000 * SECOND
    record = record_of(segment(0, years, settings=replace(SETTINGS, rate_millihertz=10_000_000, pulse_width_us=20)))
    delivered = record.delivered(0, 0, years)
    assert delivered.pulses == pytest.approx(315_576_000 * 1e4)
    assert delivered.nanocoulombs == pytest.approx(4 * 20 * 1e4 * 315_576_000)
    assert delivered.on_time_us == years


def test_what_is_under_way_is_answered_after_a_flush(make_bench):
    record = OutputRecord(MODEL)
    bench = make_bench(record=record)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    began = bench.now
    bench.advance(10)
    bench.device.board.output.flush(bench.now)
    report = bench.ask(ReadTherapy(0))
    assert record.delivered(0, began, bench.now).nanocoulombs // 1000 == report.charge_microcoulombs
    assert len(record.pulses(began, bench.now).times_us) == report.pulses + bench.ask(ReadTherapy(1)).pulses


def test_a_recorded_file_answers_as_the_live_record_does(make_bench, tmp_path):
    path, live = str(tmp_path / "output.jsonl"), OutputRecord(MODEL)
    to_file = SegmentFile(path, MODEL.name)

    def both(found):
        live(found)
        to_file(found)

    bench = make_bench(record=both)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(3)
    bench.ask(SetAmplitude(bench.transaction(), 0, 2000))
    bench.advance(4)
    bench.ask(SelectProgram(bench.transaction(), 1))
    bench.advance(5)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(2)
    read = OutputRecord.read(MODEL, path)
    assert read.segments(0, bench.now) == live.segments(0, bench.now) != []
    assert (read.all_samples(0, 2 * SECOND, 10_000) == live.all_samples(0, 2 * SECOND, 10_000)).all()


def test_a_file_of_another_model_is_refused(make_bench, tmp_path):
    path = str(tmp_path / "output.jsonl")
    bench = make_bench(record=SegmentFile(path, MODEL.name))
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(3)
    bench.device.board.output.flush(bench.now)
    with pytest.raises(msgspec.DecodeError, match=f"{MODEL.name} has written it, not tms"):
        OutputRecord.read(load("tms"), path)


def test_pulses_of_a_program_s_areas_never_overlap(make_bench):
    record = OutputRecord(MODEL)
    bench = make_bench(record=record)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    bench.device.board.output.flush(bench.now)
    pulses = record.pulses(0, bench.now)
    assert set(pulses.areas.tolist()) == {0, 1}
    occupied = np.array([2 * 300 + 50, 2 * 250 + 50])
    assert (pulses.times_us[:-1] + occupied[pulses.areas[:-1]] <= pulses.times_us[1:]).all()


def test_a_running_device_does_without_numpy():
    modules = "ipg_emulator.factory, ipg_emulator.runner, ipg_emulator.recording, ipg_emulator.ports.pty"
    program = f"import sys, {modules}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
