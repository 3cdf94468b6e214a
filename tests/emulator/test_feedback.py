"""Closed loop: it follows the ECAP by the textbook, within its limits, and lets go of what it cannot hear."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean

import msgspec
import pytest
from ipg_emulator.board.assembly import seeded_patient
from ipg_emulator.factory import build_device
from ipg_emulator.model import Confidence, Gesture, Magnet, MagnetAction, Range, Segment, load
from ipg_emulator.patient import Patient
from ipg_emulator.posture_trial import Trace, run
from ipg_emulator.simulation import Simulation
from ipg_emulator.surroundings import Surroundings
from ipg_protocol import Status
from ipg_protocol.commands.link import Alert, FactoryReset, GetStatus, Reset
from ipg_protocol.commands.log import LogCode, ReadCounters, ReadLog
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT, SelectProgram
from ipg_protocol.commands.sensing import (
    EcapSample,
    EcapSamples,
    Feedback,
    FeedbackMode,
    FeedbackModeChanged,
    GetFeedbackStatus,
    ReadFeedback,
    StartEcapStream,
    WriteFeedback,
)
from ipg_protocol.commands.session import KeepAlive
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    SetAmplitude,
    SetRate,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyFlag,
)
from ipg_protocol.refusal import RangeDetail, SafetyDetail, SafetyRule
from ipg_protocol.wire import field_names

MODEL = load("scs-closed-loop")
AREA = MODEL.programs[0].areas[0].settings(0)
RATE = AREA.rate_millihertz // 1000
TARGET = 150
"""Of the loops judged by the textbook: on the straight part of the growth curve."""
FAR = 40.0
"""So many contacts away, the nerve does not answer to anything that the device can deliver."""


class Still(Patient):
    """A patient whose cord stays at one distance."""

    def distance(self, now: int) -> float:
        return 1.0


def feedback(**changes: int) -> Feedback:
    usual = Feedback(
        area=0,
        enabled=1,
        target_microvolts=50,
        gain_permille=200,
        minimum_microamps=1_000,
        maximum_microamps=7_000,
        rate_limit_microamps_per_second=50_000,
        pulses_per_update=1,
        lost_below_microvolts=15,
        lost_updates=20,
    )
    return msgspec.structs.replace(usual, **changes)


BOOST, BOOST_SECONDS = 1, 60


def boosting_model():
    """The same device with a magnet that boosts its second program."""
    origin = {"source": "a test", "confidence": Confidence.DESIGN}
    boosted = MODEL.programs[BOOST]
    areas = tuple(msgspec.structs.replace(area, dose_seconds=BOOST_SECONDS) for area in boosted.areas)
    return msgspec.structs.replace(
        MODEL,
        ranges=msgspec.structs.replace(MODEL.ranges, dose_seconds=Range((Segment(1, 3600, 1),), **origin)),
        programs=(MODEL.programs[0], msgspec.structs.replace(boosted, areas=areas)),
        magnet=Magnet(MagnetAction.NONE, (Gesture(0, 1_000, MagnetAction.BOOST),), BOOST, **origin),
    )


@pytest.fixture
def sensing(make_bench):
    bench = make_bench("scs-closed-loop")
    bench.open()
    return bench


def follow(bench, **changes: int) -> Surroundings:
    """Start therapy with the loop closed, and let it ramp up and settle."""
    bench.ask(WriteFeedback(bench.transaction(), feedback(**changes)))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(4)
    return Surroundings(bench.firmware)


def delivered(bench) -> int:
    return bench.ask(ReadTherapy(0)).delivered_microamps


def course(bench, seconds: float, every: float = 0.1) -> list[int]:
    """What is delivered, step by step."""
    found = []
    for _ in range(round(seconds / every)):
        bench.advance(every)
        found.append(delivered(bench))
    return found


def modes(bench) -> list[FeedbackMode]:
    return [event.mode for event in bench.happened(FeedbackModeChanged)]


class TestSettings:
    def test_an_area_that_nothing_was_said_of_follows_nothing_and_can_be_written_back(self, sensing) -> None:
        untouched = sensing.ask(ReadFeedback(0))
        assert (untouched.area, untouched.enabled, untouched.gain_permille) == (0, 0, 0)
        span = (untouched.minimum_microamps, untouched.maximum_microamps)
        assert span == (AREA.patient_minimum_microamps, AREA.patient_maximum_microamps)
        sensing.ask(WriteFeedback(1, untouched))
        assert sensing.ask(ReadFeedback(0)) == untouched

    def test_what_is_written_is_read_and_raises_the_revision_by_one(self, sensing) -> None:
        before = sensing.ask(GetStatus()).revision
        assert sensing.ask(WriteFeedback(1, feedback())).revision == before + 1
        assert sensing.ask(ReadFeedback(0)) == feedback()
        assert sensing.ask(GetStatus()).revision == before + 1

    def test_it_outlives_a_reset_but_not_a_factory_reset(self, sensing) -> None:
        sensing.ask(WriteFeedback(1, feedback()))
        sensing.ask(Reset(2))
        sensing.advance(1)
        sensing.open(nonce=2)
        assert sensing.ask(ReadFeedback(0)) == feedback()
        sensing.ask(FactoryReset(3))
        sensing.advance(1)
        sensing.open(nonce=3)
        assert sensing.ask(ReadFeedback(0)).enabled == 0

    def test_closing_the_loop_on_one_area_opens_it_on_the_other(self) -> None:
        simulation = Simulation(build_device(MODEL))
        simulation.open_session()
        simulation.write_program(0, "Two areas", (AREA, msgspec.structs.replace(AREA, area=1)))
        simulation.ask(WriteFeedback(0, feedback(area=0)))
        simulation.ask(WriteFeedback(0, feedback(area=1)))
        assert simulation.ask(ReadFeedback(0)) == feedback(area=0, enabled=0)
        assert simulation.ask(ReadFeedback(1)) == feedback(area=1)
        assert simulation.ask(GetFeedbackStatus()).area == 1

    @pytest.mark.parametrize(
        ("field", "value", "low", "high"),
        [
            ("area", 1, 0, 0),
            ("enabled", 2, 0, 1),
            ("target_microvolts", 301, 0, 300),
            ("gain_permille", 1001, 0, 1000),
            ("minimum_microamps", 7001, 0, 7000),
            ("maximum_microamps", 7001, 0, 7000),
            ("pulses_per_update", 0, 1, 255),
            ("lost_updates", 0, 1, 65535),
        ],
    )
    def test_a_value_out_of_its_range_is_refused_by_field_and_changes_nothing(self, sensing, field, value, low, high) -> None:
        number = field_names(WriteFeedback).index(field)
        nearest = min(max(value, low), high)
        refusal = (Status.OUT_OF_RANGE, RangeDetail(number, low, high, 1, nearest))
        assert sensing.refused(WriteFeedback(1, feedback(**{field: value}))) == refusal
        assert sensing.ask(ReadFeedback(0)).enabled == 0

    def test_a_minimum_above_the_maximum_is_unsafe(self, sensing) -> None:
        crossed = feedback(minimum_microamps=3000, maximum_microamps=2000)
        rule = SafetyRule.FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS
        assert sensing.refused(WriteFeedback(1, crossed)) == (Status.UNSAFE_COMBINATION, SafetyDetail(rule, 0, 3000, 2000))

    def test_reading_an_area_that_is_not_there_is_out_of_range(self, sensing) -> None:
        assert sensing.refused(ReadFeedback(3)) == (Status.OUT_OF_RANGE, RangeDetail(0, 0, 0, 1, 0))

    def test_without_an_area_that_follows_the_status_says_255(self, sensing) -> None:
        status = sensing.ask(GetFeedbackStatus())
        assert (status.area, status.mode, status.amplitude_microamps) == (255, FeedbackMode.OPEN_LOOP, 0)


class TestFollowing:
    def test_it_begins_when_the_ramp_is_over_and_comes_to_the_target(self, sensing) -> None:
        sensing.ask(WriteFeedback(1, feedback(target_microvolts=100)))
        sensing.ask(StartTherapy(2))
        sensing.advance(1.9)
        assert modes(sensing) == []
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.OPEN_LOOP
        sensing.advance(3)
        status = sensing.ask(GetFeedbackStatus())
        assert modes(sensing) == [FeedbackMode.FOLLOWING]
        assert status.ecap_microvolts == pytest.approx(100, abs=15)
        assert status.amplitude_microamps > AREA.amplitude_microamps
        assert status.updates == pytest.approx(2.9 * RATE, abs=1)

    def test_a_host_sees_it_at_a_glance(self, sensing) -> None:
        follow(sensing)
        assert Alert.CLOSED_LOOP in sensing.ask(GetStatus()).alerts
        assert TherapyFlag.CLOSED_LOOP in sensing.ask(ReadTherapy(0)).flags
        sensing.ask(StopTherapy(StopMode.IMMEDIATE))
        assert Alert.CLOSED_LOOP not in sensing.ask(GetStatus()).alerts
        assert TherapyFlag.CLOSED_LOOP not in sensing.ask(ReadTherapy(0)).flags

    def test_a_change_of_posture_is_followed_by_the_amplitude(self, sensing) -> None:
        world = follow(sensing)
        standing = mean(course(sensing, 5))
        world.take_posture("supine", sensing.now)
        sensing.advance(2)
        assert mean(course(sensing, 5)) == pytest.approx(0.62 * standing, rel=0.05)
        assert sensing.ask(GetFeedbackStatus()).ecap_microvolts == pytest.approx(50, abs=20)

    def test_a_cough_makes_it_give_way_and_come_back(self, sensing) -> None:
        world = follow(sensing)
        before = mean(course(sensing, 4))
        world.cough(sensing.now)
        during = course(sensing, 0.4, every=0.05)
        assert min(during) < 0.9 * before
        sensing.advance(2)
        assert mean(course(sensing, 4)) == pytest.approx(before, rel=0.03)

    @pytest.mark.parametrize(("target", "amplitude"), [(300, 6_000), (0, 4_000)])
    def test_it_stays_within_its_limits_and_counts_that_it_would_not(self, sensing, target: int, amplitude: int) -> None:
        limits = {"minimum_microamps": 4_000, "maximum_microamps": 6_000}
        follow(sensing, target_microvolts=target, lost_below_microvolts=0, **limits)
        sensing.advance(4)
        assert delivered(sensing) == amplitude
        assert sensing.ask(GetFeedbackStatus()).at_limit > RATE

    def test_limits_between_two_steps_of_the_source_are_kept_from_within(self, sensing) -> None:
        follow(sensing, target_microvolts=300, maximum_microamps=6_009)
        sensing.advance(4)
        assert delivered(sensing) == 6_000

    def test_the_rate_limit_holds_for_every_second(self, sensing) -> None:
        world = follow(sensing, rate_limit_microamps_per_second=400)
        world.take_posture("sitting", sensing.now)
        levels = course(sensing, 2, every=0.5)
        steps = [before - after for before, after in pairwise(levels)]
        assert all(step <= 200 + 10 for step in steps)
        assert mean(steps) > 150
        assert sensing.ask(GetFeedbackStatus()).rate_limited > RATE

    def test_an_update_each_fourth_pulse_makes_a_fourth_of_the_updates(self, sensing) -> None:
        follow(sensing, pulses_per_update=4)
        before = sensing.ask(GetFeedbackStatus()).updates
        sensing.advance(10)
        assert sensing.ask(GetFeedbackStatus()).updates - before == 10 * RATE / 4

    def test_another_rate_takes_effect_in_the_loop(self, sensing) -> None:
        follow(sensing)
        sensing.ask(SetRate(sensing.transaction(), 0, 2 * AREA.rate_millihertz))
        sensing.advance(3)
        before = sensing.ask(GetFeedbackStatus()).updates
        sensing.advance(10)
        assert sensing.ask(GetFeedbackStatus()).updates - before == 20 * RATE

    def test_the_programmed_amplitude_is_not_touched(self, sensing) -> None:
        revision = sensing.ask(WriteFeedback(sensing.transaction(), feedback(target_microvolts=100))).revision
        follow(sensing, target_microvolts=100)
        assert delivered(sensing) != AREA.amplitude_microamps
        assert sensing.ask(GetStatus()).revision == revision + 1
        sensing.ask(WriteFeedback(sensing.transaction(), feedback(enabled=0)))
        sensing.advance(3)
        assert delivered(sensing) == AREA.amplitude_microamps

    def test_a_patient_who_sets_the_amplitude_sets_where_the_loop_begins(self, sensing) -> None:
        follow(sensing, rate_limit_microamps_per_second=0)
        sensing.ask(SetAmplitude(sensing.transaction(), 0, 5_200))
        sensing.advance(3)
        assert delivered(sensing) == 5_200
        assert modes(sensing) == [FeedbackMode.FOLLOWING, FeedbackMode.OPEN_LOOP, FeedbackMode.FOLLOWING]


class TestInterruptions:
    def test_a_measurement_opens_the_loop_and_it_closes_again(self, sensing) -> None:
        follow(sensing)
        sensing.ask(MeasureImpedance(0, CASE_CONTACT))
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.OPEN_LOOP
        sensing.advance(5)
        assert modes(sensing) == [FeedbackMode.FOLLOWING, FeedbackMode.OPEN_LOOP, FeedbackMode.FOLLOWING]

    def test_counts_go_on_over_a_measurement_and_begin_anew_with_therapy(self, sensing) -> None:
        follow(sensing)
        sensing.ask(MeasureImpedance(0, CASE_CONTACT))
        counted = sensing.ask(GetFeedbackStatus()).updates
        sensing.advance(5)
        assert sensing.ask(GetFeedbackStatus()).updates > counted
        sensing.ask(StopTherapy(StopMode.IMMEDIATE))
        assert sensing.ask(GetFeedbackStatus()).updates > counted
        sensing.ask(StartTherapy(sensing.transaction()))
        assert sensing.ask(GetFeedbackStatus()).updates == 0

    def test_while_a_magnet_boosts_a_program_its_own_loop_runs_and_the_active_one_rests(self, make_bench) -> None:
        bench = make_bench(boosting_model())
        bench.open()
        bench.ask(SelectProgram(bench.transaction(), BOOST))
        bench.ask(WriteFeedback(bench.transaction(), feedback(area=0, target_microvolts=40)))
        bench.ask(SelectProgram(bench.transaction(), 0))
        surroundings = follow(bench, area=0, target_microvolts=50)
        assert bench.ask(GetFeedbackStatus()).mode is FeedbackMode.FOLLOWING
        surroundings.magnet(True, bench.now)
        surroundings.magnet(False, bench.now)
        bench.advance(8)
        assert bench.device.delivery.program_number == BOOST
        assert bench.device.feedback._law.feedback.target_microvolts == 40
        bench.ask(WriteFeedback(bench.transaction(), feedback(enabled=0)))
        assert bench.ask(GetFeedbackStatus()).mode is FeedbackMode.FOLLOWING
        bench.advance(BOOST_SECONDS)
        bench.open(nonce=2)
        assert bench.device.delivery.program_number == 0
        assert bench.ask(GetFeedbackStatus()).mode is FeedbackMode.OPEN_LOOP

    @pytest.mark.parametrize("mode", StopMode)
    def test_a_stop_ends_it(self, sensing, mode: StopMode) -> None:
        follow(sensing)
        sensing.ask(StopTherapy(mode))
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.OPEN_LOOP
        updates = sensing.ask(GetFeedbackStatus()).updates
        sensing.advance(5)
        assert sensing.ask(GetFeedbackStatus()).updates == updates
        assert delivered(sensing) == 0

    def test_the_off_part_of_a_cycle_is_no_loss_of_signal(self) -> None:
        simulation = Simulation(build_device(MODEL))
        simulation.open_session()
        cycled = msgspec.structs.replace(AREA, cycle_on_seconds=3, cycle_off_seconds=3)
        simulation.write_program(0, "Cycled", (cycled,))
        simulation.ask(WriteFeedback(0, feedback()))
        simulation.ask(StartTherapy(0))
        simulation.advance(20)
        status = simulation.ask(GetFeedbackStatus())
        assert (status.holds, status.fallbacks) == (0, 0)
        assert status.updates == pytest.approx(9 * RATE, abs=2)


class TestLostSignal:
    def test_the_amplitude_is_held_while_the_signal_is_lost(self, sensing) -> None:
        world = follow(sensing, lost_updates=1000)
        world.migrate_leads(FAR, sensing.now)
        sensing.advance(0.1)
        held = delivered(sensing)
        assert set(course(sensing, 5)) == {held}
        status = sensing.ask(GetFeedbackStatus())
        assert (status.mode, status.fallbacks) == (FeedbackMode.HOLDING, 0)
        assert status.holds >= 5 * RATE
        world.migrate_leads(-FAR, sensing.now)
        sensing.advance(1)
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.FOLLOWING

    def test_after_so_many_lost_updates_it_falls_back_to_the_programmed_amplitude(self, sensing) -> None:
        world = follow(sensing, target_microvolts=100)
        assert delivered(sensing) > AREA.amplitude_microamps + 100
        world.migrate_leads(FAR, sensing.now)
        sensing.advance(19 / RATE)
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.HOLDING
        sensing.advance(3 / RATE)
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.FALLBACK
        sensing.advance(1)
        assert delivered(sensing) == AREA.amplitude_microamps

    def test_a_fallback_is_told_logged_and_counted_and_holding_is_not_kept(self, sensing) -> None:
        world = follow(sensing)
        world.migrate_leads(FAR, sensing.now)
        sensing.advance(2)
        kept = {number: event.mode for number, event in sensing.events if number and isinstance(event, FeedbackModeChanged)}
        assert list(kept.values()) == [FeedbackMode.FOLLOWING, FeedbackMode.FALLBACK]
        assert modes(sensing).count(FeedbackMode.HOLDING) == 1
        assert sensing.ask(ReadCounters()).feedback_fallbacks == 1
        assert sensing.ask(GetFeedbackStatus()).fallbacks == 1
        log = [entry.argument for entry in sensing.ask(ReadLog(0)).rows if entry.code is LogCode.CLOSED_LOOP]
        assert log == [FeedbackMode.FOLLOWING, FeedbackMode.FALLBACK]
        assert Alert.CLOSED_LOOP not in sensing.ask(GetStatus()).alerts

    def test_it_goes_back_up_no_faster_than_the_rate_limit(self, sensing) -> None:
        world = follow(sensing, target_microvolts=20, rate_limit_microamps_per_second=500)
        sensing.advance(5)
        low = delivered(sensing)
        assert low < AREA.amplitude_microamps - 100
        world.migrate_leads(FAR, sensing.now)
        rise = course(sensing, 0.5 + (AREA.amplitude_microamps - low) / 500 + 0.2)
        assert max(after - before for before, after in pairwise(rise)) <= 50 + 10
        assert rise[-1] == AREA.amplitude_microamps

    def test_a_signal_that_is_back_for_as_long_closes_the_loop_again(self, sensing) -> None:
        world = follow(sensing)
        world.migrate_leads(FAR, sensing.now)
        sensing.advance(2)
        world.migrate_leads(-FAR, sensing.now)
        sensing.advance(19 / RATE)
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.FALLBACK
        sensing.advance(3 / RATE)
        assert sensing.ask(GetFeedbackStatus()).mode is FeedbackMode.FOLLOWING

    def test_where_compliance_lets_less_through_it_does_not_wind_up(self, make_bench) -> None:
        bench = make_bench("scs-closed-loop")
        bench.open()
        world = follow(bench, lost_updates=60_000, lost_below_microvolts=0)
        settled = mean(course(bench, 3))
        world.break_lead(3, "open", bench.now)
        bench.advance(10)
        assert delivered(bench) == 0
        assert bench.ask(ReadTherapy(0)).programmed_microamps < settled
        assert TherapyFlag.COMPLIANCE_LIMITED in bench.ask(ReadTherapy(0)).flags


def still_simulation(gain_permille: int) -> tuple[Simulation, list[EcapSample]]:
    """A loop in a patient who does not move, on a source and a clinician's choice that do not get in its way."""
    assert MODEL.sensing is not None
    sensing = msgspec.structs.replace(MODEL.sensing, amplitude_step_microamps=1, maximum_gain_permille=4000)
    model = msgspec.structs.replace(MODEL, sensing=sensing)
    patient = Still(seeded_patient(model, 3).tissue)
    simulation = Simulation(build_device(model, seed=3, patient=patient))
    samples: list[EcapSample] = []
    listeners = simulation.firmware.device.stream_listeners
    listeners.append(lambda event, _: samples.extend(event.rows) if isinstance(event, EcapSamples) else None)
    simulation.open_session()
    simulation.write_program(0, "Wide", (msgspec.structs.replace(AREA, patient_maximum_microamps=12_500),))
    wide = {"target_microvolts": TARGET, "maximum_microamps": 12_500, "rate_limit_microamps_per_second": 10**9}
    simulation.ask(WriteFeedback(0, feedback(gain_permille=gain_permille, lost_below_microvolts=0, **wide)))
    simulation.ask(StartTherapy(0))
    simulation.advance(10)
    simulation.ask(StartEcapStream(0, 1))
    for _ in range(10):
        simulation.advance(20)
        simulation.ask(KeepAlive())
    return simulation, samples


class TestTextbook:
    """The loop in discrete time: stable for gains between 0 and 2, dead-beat at 1."""

    @pytest.mark.parametrize("gain", [0.1, 0.5, 1.0, 1.5, 1.9])
    def test_noise_is_amplified_by_the_formula(self, gain: float) -> None:
        """Behind white noise of sigma^2 the true ECAP has sigma^2 a / (2 - a); what is recorded has sigma^2 more."""
        simulation, samples = still_simulation(round(gain * 1000))
        variance = mean((sample.microvolts - TARGET) ** 2 for sample in samples)
        assert len(samples) > 7900
        assert variance == pytest.approx(16 * (1 + gain / (2 - gain)), rel=0.1)
        assert simulation.ask(GetFeedbackStatus()).at_limit == 0

    @pytest.mark.parametrize(("gain", "sign"), [(0.1, 1), (1.9, -1)])
    def test_near_two_it_rings_from_pulse_to_pulse(self, gain: float, sign: int) -> None:
        """The amplitude's course has a correlation of 1 - a from one pulse to the next."""
        _, samples = still_simulation(round(gain * 1000))
        centre = mean(sample.amplitude_microamps for sample in samples)
        off = [sample.amplitude_microamps - centre for sample in samples]
        correlation = sum(a * b for a, b in pairwise(off)) / sum(a * a for a in off)
        assert correlation == pytest.approx(1 - gain, abs=0.05)
        assert math.copysign(1, correlation) == sign

    def test_beyond_two_it_is_thrown_from_limit_to_limit(self) -> None:
        simulation, samples = still_simulation(2300)
        assert simulation.ask(GetFeedbackStatus()).at_limit > 1000
        assert max(sample.amplitude_microamps for sample in samples) == 12_500


@pytest.fixture(scope="module")
def closed() -> Trace:
    return run(MODEL, closed=True)


def test_the_published_course_of_postures_comes_out(closed: Trace) -> None:
    """PMC11041592, Fig. 1: 68 uV of mean deviation in open loop at 1.1 uC, 3 uV in closed loop between 0.5 and 1.4 uC."""
    opened = run(MODEL, closed=False)
    assert set(opened.microcoulombs) == {1.1}
    assert 40 <= opened.mean_deviation_microvolts <= 100
    assert closed.mean_deviation_microvolts <= 5
    assert opened.mean_deviation_microvolts >= 10 * closed.mean_deviation_microvolts
    assert 0.4 <= min(closed.microcoulombs) < max(closed.microcoulombs) <= 1.5


def test_what_the_device_counts_is_what_it_streams(closed: Trace) -> None:
    assert len(closed.seconds) == 150 * RATE
    assert closed.status.deviation_nanovolts / 1000 == pytest.approx(closed.mean_deviation_microvolts, rel=0.02)
    assert closed.status.mode is FeedbackMode.FOLLOWING


def test_the_same_seed_takes_the_same_course(closed: Trace) -> None:
    assert run(MODEL, closed=True) == closed
