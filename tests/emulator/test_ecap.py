"""The ECAP: how the nerve answers by charge, distance and place, what the amplifier makes of it, and the stream."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random
from statistics import mean, pstdev

import msgspec
import pytest
from ipg_emulator.board.amplifier import EcapAmplifier
from ipg_emulator.firmware.configuration import areas_checksum
from ipg_emulator.model import load
from ipg_emulator.patient import Nerve, Patient, Tissue
from ipg_emulator.patient.ecap import soft_plus
from ipg_protocol import State, Status
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    BeginProgramWrite,
    CommitProgram,
    ContactShare,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import EcapSamples, Feedback, RecordEcap, StartEcapStream, StopEcapStream, WriteFeedback
from ipg_protocol.commands.session import CloseSession, KeepAlive
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import RangeDetail, StateDetail

MODEL = load("scs-closed-loop")
assert MODEL.sensing is not None
assert MODEL.nerve is not None
FIGURES = MODEL.nerve
SENSING = MODEL.sensing
SETTINGS = MODEL.programs[0].areas[0].settings(0)
SECOND = 1_000_000
RATE = SETTINGS.rate_millihertz // 1000


class Still(Patient):
    """A patient whose cord stays at one distance."""

    def distance(self, now: int) -> float:
        return self.came_from


def at(distance: float) -> Still:
    return Still(Tissue((300.0,) * 24, 60.0), came_from=distance)


def nerve(patient: Patient, **figures: object) -> Nerve:
    return Nerve(msgspec.structs.replace(FIGURES, **figures), dict(enumerate(MODEL.contacts)), patient)


def cathode(contact: int) -> tuple[ContactShare, ...]:
    return (ContactShare(contact, -1000), ContactShare(CASE_CONTACT, 1000))


def height(nerve: Nerve, nanocoulombs: float) -> float:
    return nerve.response_microvolts(SETTINGS, round(nanocoulombs * 1000 / SETTINGS.pulse_width_us), 0)


class TestGrowth:
    def test_nothing_answers_well_below_the_threshold(self) -> None:
        assert height(nerve(at(1.0)), 0) == pytest.approx(0, abs=1e-3)
        assert height(nerve(at(1.0)), FIGURES.threshold_nanocoulombs / 2) == pytest.approx(0, abs=0.01)

    def test_above_the_threshold_it_grows_by_its_slope(self) -> None:
        sharp = nerve(at(1.0), knee_nanocoulombs=1)
        start = FIGURES.threshold_nanocoulombs
        assert height(sharp, start + 300) == pytest.approx(300 * FIGURES.slope_nanovolts_per_nanocoulomb / 1000)
        assert height(sharp, start + 600) == pytest.approx(600 * FIGURES.slope_nanovolts_per_nanocoulomb / 1000)

    def test_the_knee_is_smooth_and_worth_its_width_times_log_two(self) -> None:
        assert soft_plus(0.0, 40.0) == pytest.approx(40 * math.log(2))
        assert soft_plus(4000.0, 40.0) == 4000.0
        assert soft_plus(-4000.0, 40.0) == 0.0

    def test_it_never_passes_saturation(self) -> None:
        course = [height(nerve(at(1.0)), charge) for charge in range(0, 8000, 10)]
        assert course == sorted(course)
        assert course[-1] == pytest.approx(FIGURES.saturation_microvolts)

    @pytest.mark.parametrize("exponent_permille", [1000, 1500, 2000])
    def test_the_threshold_goes_with_the_distance_to_its_power(self, exponent_permille: int) -> None:
        thresholds = [
            nerve(at(distance), stimulation_exponent_permille=exponent_permille).threshold_nanocoulombs(SETTINGS.contacts, 0)
            for distance in (1.0, 1.2)
        ]
        assert thresholds == pytest.approx([800, 800 * 1.2 ** (exponent_permille / 1000)])

    @pytest.mark.parametrize("exponent_permille", [0, 1000, 2000])
    def test_the_recorded_height_goes_with_the_distance_to_minus_another_power(self, exponent_permille: int) -> None:
        figures = {"stimulation_exponent_permille": 0, "measurement_exponent_permille": exponent_permille}
        near, far = (height(nerve(at(distance), **figures), 1100) for distance in (0.8, 1.0))
        assert near / far == pytest.approx(0.8 ** (-exponent_permille / 1000))


class TestPlace:
    def test_a_contact_over_the_nerve_needs_least_and_one_a_field_width_away_twice_as_much(self) -> None:
        here = round(FIGURES.target_contact)
        away = here + round(FIGURES.field_width_contacts)
        thresholds = {c: nerve(at(1.0)).threshold_nanocoulombs(cathode(c), 0) for c in range(12)}
        assert min(thresholds, key=lambda contact: thresholds[contact]) == here
        assert thresholds[away] == pytest.approx(2 * thresholds[here])

    def test_both_leads_lie_along_the_same_nerve(self) -> None:
        seen = nerve(at(1.0))
        assert seen.site(cathode(15)) == seen.site(cathode(3))

    def test_cathodes_count_by_their_shares_and_anodes_not_at_all(self) -> None:
        seen = nerve(at(1.0))
        split = (ContactShare(3, -750), ContactShare(7, -250), ContactShare(5, 1000))
        assert seen.site(split).coupling == pytest.approx(0.75 + 0.25 / 2)

    def test_a_cathode_at_the_case_evokes_nothing(self) -> None:
        seen = nerve(at(1.0))
        pattern = (ContactShare(CASE_CONTACT, -1000), ContactShare(3, 1000))
        assert seen.threshold_nanocoulombs(pattern, 0) == math.inf
        settings = msgspec.structs.replace(SETTINGS, contacts=pattern)
        assert seen.response_microvolts(settings, 12_000, 0) == pytest.approx(0, abs=1e-3)

    def test_migration_moves_the_best_contact(self) -> None:
        patient = at(1.0)
        seen = nerve(patient)
        before = seen.threshold_nanocoulombs(cathode(3), 0)
        patient.migrate_leads(2.0)
        assert seen.threshold_nanocoulombs(cathode(1), 0) == pytest.approx(before)
        assert seen.threshold_nanocoulombs(cathode(3), 0) == pytest.approx(
            before * (1 + (2 / FIGURES.field_width_contacts) ** 2)
        )

    def test_n1_comes_after_the_way_to_the_farther_end_of_the_lead(self) -> None:
        seen = nerve(at(1.0))
        millimetres = 8 * FIGURES.contact_spacing_millimetres
        travel = millimetres * 1000 / FIGURES.conduction_metres_per_second
        assert seen.site(cathode(3)).latency_us == round(FIGURES.latency_us + travel)
        assert seen.site(cathode(11)).latency_us > seen.site(cathode(3)).latency_us


class TestAmplifier:
    def test_noise_is_white_and_of_the_models_size(self) -> None:
        amplifier = EcapAmplifier(SENSING, nerve(at(1.0)), Random(1))
        seen = [amplifier.record(SETTINGS, 5500, now).microvolts for now in range(4000)]
        sigma = SENSING.noise_nanovolts / 1000
        true = nerve(at(1.0)).response_microvolts(SETTINGS, 5500, 0)
        assert mean(seen) == pytest.approx(true, abs=4 * sigma / math.sqrt(4000))
        assert pstdev(seen) == pytest.approx(sigma, rel=0.05)
        neighbours = mean((a - true) * (b - true) for a, b in pairwise(seen))
        assert abs(neighbours) < 4 * sigma**2 / math.sqrt(4000)

    def test_it_clips_at_its_limits(self) -> None:
        near = EcapAmplifier(msgspec.structs.replace(SENSING, saturation_microvolts=100), nerve(at(0.6)), Random(1))
        assert near.record(SETTINGS, 7000, 0).microvolts == 100.0


@pytest.fixture
def sensing(make_bench):
    bench = make_bench("scs-closed-loop")
    bench.open()
    return bench


def stimulate(bench) -> None:
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(3)
    assert bench.device.state is State.THERAPY


def rows(bench) -> list[tuple[int, int]]:
    """Number and time in milliseconds of each sample streamed so far."""
    batches = bench.happened(EcapSamples)
    return [(b.first_sample + place, b.uptime_ms + row.after_ms) for b in batches for place, row in enumerate(b.rows)]


class TestRecord:
    def test_a_recording_gives_the_response_to_the_amplitude_delivered(self, sensing) -> None:
        stimulate(sensing)
        ecap = sensing.ask(RecordEcap(0))
        expected = nerve(sensing.firmware.board.patient).response_microvolts(SETTINGS, 5500, sensing.now)
        assert ecap.microvolts == pytest.approx(expected, abs=5 * SENSING.noise_nanovolts / 1000)
        assert (ecap.amplitude_microamps, ecap.noise_microvolts) == (5500, 4)
        assert ecap.latency_us == nerve(at(1.0)).site(SETTINGS.contacts).latency_us

    def test_while_a_switch_ramps_down_the_response_is_to_the_pulses_that_are_output(self, sensing) -> None:
        wide = msgspec.structs.replace(SETTINGS, pulse_width_us=500, patient_maximum_microamps=0, amplitude_microamps=0)
        sensing.ask(BeginProgramWrite(2, 1, "wide"))
        sensing.ask(WriteProgramBlock(2, wide))
        sensing.ask(CommitProgram(sensing.transaction(), 2, areas_checksum((wide,))))
        stimulate(sensing)
        sensing.ask(SelectProgram(sensing.transaction(), 2))
        sensing.advance(0.1)
        ecap = sensing.ask(RecordEcap(0))
        patient = sensing.firmware.board.patient
        expected = nerve(patient).response_microvolts(SETTINGS, ecap.amplitude_microamps, sensing.now)
        assert ecap.amplitude_microamps > 4000
        assert ecap.microvolts == pytest.approx(expected, abs=5 * SENSING.noise_nanovolts / 1000)

    def test_the_same_seed_records_the_same(self, make_bench) -> None:
        def recorded(seed: int) -> list[int]:
            bench = make_bench("scs-closed-loop", seed=seed)
            bench.open()
            stimulate(bench)
            found = []
            for _ in range(20):
                bench.advance(0.1)
                found.append(bench.ask(RecordEcap(0)).microvolts)
            return found

        assert recorded(1) == recorded(1) != recorded(2)

    def test_another_amplitude_at_the_same_moment_evokes_another_response(self, sensing) -> None:
        stimulate(sensing)
        before = sensing.ask(RecordEcap(0))
        sensing.ask(StopTherapy(StopMode.IMMEDIATE))
        sensing.ask(StartTherapy(sensing.transaction()))
        after = sensing.ask(RecordEcap(0))
        assert (before.amplitude_microamps, after.amplitude_microamps) == (5500, 0)
        assert after.microvolts < before.microvolts - 20

    def test_there_is_none_without_output(self, sensing) -> None:
        assert sensing.refused(RecordEcap(0)) == (Status.WRONG_STATE, StateDetail(State.IDLE))

    @pytest.mark.parametrize("request_of", [RecordEcap, lambda area: StartEcapStream(area, 1)])
    def test_an_area_that_is_not_there_is_out_of_range(self, sensing, request_of) -> None:
        stimulate(sensing)
        assert sensing.refused(request_of(1)) == (Status.OUT_OF_RANGE, RangeDetail(0, 0, 0, 1, 0))

    def test_a_model_without_an_amplifier_has_none_of_it(self, bench) -> None:
        assert bench.refused(StartEcapStream(0, 1))[0] is Status.NOT_SUPPORTED


class TestStream:
    def test_each_pulse_has_its_sample_and_none_is_left_out(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(10)
        numbers, times = zip(*rows(sensing), strict=True)
        assert list(numbers) == list(range(len(numbers)))
        assert len(numbers) == 10 * RATE
        assert {after - before for before, after in pairwise(times)} == {1000 // RATE}

    def test_every_tenth_pulse_makes_a_tenth_of_the_samples(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 10))
        sensing.advance(10)
        sensing.ask(StopEcapStream())
        assert len(rows(sensing)) == RATE

    def test_samples_are_not_kept_for_a_host_that_does_not_acknowledge(self, sensing) -> None:
        stimulate(sensing)
        unacknowledged = len(sensing.firmware.link.events)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(5)
        assert {number for number, event in sensing.events if isinstance(event, EcapSamples)} == {0}
        assert len(sensing.firmware.link.events) == unacknowledged

    def test_the_sample_of_a_pulse_is_the_one_that_the_loop_acted_on(self, sensing) -> None:
        loop = Feedback(0, 1, 50, 300, 1_000, 7_000, 50_000, 1, 5, 20)
        sensing.ask(WriteFeedback(sensing.transaction(), loop))
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(2)
        samples = [row for batch in sensing.happened(EcapSamples) for row in batch.rows]
        moved = [
            (after.amplitude_microamps - before.amplitude_microamps, 50 - before.microvolts)
            for before, after in pairwise(samples)
        ]
        per_microvolt = 300 / 167 * 1000 / SETTINGS.pulse_width_us
        assert all(abs(step - error * per_microvolt) <= 5 + 10 for step, error in moved)

    def test_a_slow_stream_does_not_wait_for_a_full_batch(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, RATE * 2))
        sensing.advance(6)
        assert len(rows(sensing)) == 3

    def test_what_was_recorded_before_a_stop_is_sent(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(0.2)
        assert rows(sensing) == []
        sensing.ask(StopEcapStream())
        assert len(rows(sensing)) == RATE // 5
        sensing.advance(2)
        assert len(rows(sensing)) == RATE // 5

    def test_started_before_therapy_it_waits_for_it_and_ends_with_it(self, sensing) -> None:
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(2)
        assert rows(sensing) == []
        stimulate(sensing)
        sensing.ask(StopTherapy(StopMode.IMMEDIATE))
        heard = len(rows(sensing))
        assert heard == pytest.approx(3 * RATE, abs=1)
        stimulate(sensing)
        assert len(rows(sensing)) == heard

    def test_a_measurement_interrupts_it(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(1)
        started = sensing.ask(MeasureImpedance(0, CASE_CONTACT))
        before = len(rows(sensing))
        sensing.advance(started.duration_ms / 1000 - 0.001)
        assert len(rows(sensing)) == before
        sensing.advance(5)
        assert [number for number, _ in rows(sensing)] == list(range(len(rows(sensing))))
        assert len(rows(sensing)) >= before + 4 * RATE

    def test_it_ends_with_the_session(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        sensing.advance(0.2)
        sensing.ask(CloseSession())
        sensing.open(nonce=2)
        heard = len(rows(sensing))
        sensing.advance(3)
        assert len(rows(sensing)) == heard == RATE // 5

    def test_no_sample_for_no_pulse_is_refused(self, sensing) -> None:
        assert sensing.refused(StartEcapStream(0, 0)) == (Status.OUT_OF_RANGE, RangeDetail(1, 1, 65535, 1, 1))

    def test_a_minute_of_it_has_no_gap(self, sensing) -> None:
        stimulate(sensing)
        sensing.ask(StartEcapStream(0, 1))
        for _ in range(6):
            sensing.advance(10)
            sensing.ask(KeepAlive())
        assert [number for number, _ in rows(sensing)] == list(range(60 * RATE))
