"""What a device is said to have delivered is what its output was driven with, and comes to what the device itself counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ipg_emulator.board import Drive, Load, Segment
from ipg_emulator.control.operation import OperationError
from ipg_emulator.delivered import delivered
from ipg_emulator.model import load
from ipg_emulator.record import OutputRecord
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude, StopMode, StopTherapy

SECOND = 1_000_000
MODEL = load("scs-rechargeable")


def _settings(**changed: Any) -> AreaSettings:
    settings: dict[str, Any] = {
        "area": 0,
        "waveform": Waveform.TONIC_ACTIVE_RECHARGE,
        "ramp_seconds": 0,
        "pulse_width_us": 200,
        "amplitude_microamps": 4_000,
        "rate_millihertz": 50_000,
        "burst_pulses": 1,
        "intra_burst_millihertz": 0,
        "cycle_on_seconds": 0,
        "cycle_off_seconds": 0,
        "dose_seconds": 0,
        "patient_minimum_microamps": 0,
        "patient_maximum_microamps": 8_000,
        "contacts": (ContactShare(0, -1000), ContactShare(1, 1000)),
    }
    return AreaSettings(**(settings | changed))


def _segment(start: int, until: int, first: int = 4_000, last: int = 4_000, **changed: Any) -> Segment:
    drive = Drive(_settings(**changed), start, until, first, last, first, last, cycle_origin=0)
    return Segment(drive, Load(500, 1e-6, 1e-5, 0))


def test_pulses_and_charge_follow_from_rate_width_and_amplitude() -> None:
    told = delivered([_segment(0, 10 * SECOND)], MODEL, 2 * SECOND, 4 * SECOND)
    assert told.pulses == pytest.approx(100)
    assert told.nanocoulombs == pytest.approx(100 * 4_000 * 200 / 1_000)  # microamperes times microseconds are picocoulombs
    assert (told.on_time_seconds, told.peak_microamps) == (2.0, 4_000)


def test_stretches_that_go_on_alike_are_told_as_one() -> None:
    told = delivered([_segment(0, SECOND), _segment(SECOND, 3 * SECOND)], MODEL, 0, 5 * SECOND)
    (stretch,) = told.stretches
    assert (stretch.from_seconds, stretch.until_seconds, stretch.on_time_seconds) == (0.0, 3.0, 3.0)


def test_stretches_with_a_gap_or_another_amplitude_are_told_apart() -> None:
    segments = [_segment(0, SECOND), _segment(2 * SECOND, 3 * SECOND), _segment(3 * SECOND, 4 * SECOND, 5_000, 5_000)]
    told = delivered(segments, MODEL, 0, 5 * SECOND)
    assert [(each.from_seconds, each.to_microamps) for each in told.stretches] == [(0.0, 4000), (2.0, 4000), (3.0, 5000)]


def test_a_ramp_is_cut_where_the_time_asked_for_begins_and_ends() -> None:
    (stretch,) = delivered([_segment(0, 10 * SECOND, 0, 4_000)], MODEL, 2 * SECOND, 4 * SECOND).stretches
    assert (stretch.from_microamps, stretch.to_microamps) == (800, 1600)


def test_nothing_is_delivered_in_the_off_part_of_a_cycle() -> None:
    cycled = _segment(0, 100 * SECOND, cycle_on_seconds=10, cycle_off_seconds=20)
    assert delivered([cycled], MODEL, 10 * SECOND, 30 * SECOND).is_nothing
    assert delivered([cycled], MODEL, 5 * SECOND, 35 * SECOND).on_time_seconds == 10.0


@pytest.mark.parametrize(("first", "last", "peak"), [(0, 3_000, 2_500), (3_000, 0, 1_500)])
def test_the_peak_is_that_of_the_on_time(first: int, last: int, peak: int) -> None:
    """On from 15 s to 25 s of a ramp of 30 s."""
    settings = _settings(cycle_on_seconds=10, cycle_off_seconds=10)
    drive = Drive(settings, 0, 30 * SECOND, first, last, first, last, cycle_origin=-5 * SECOND)
    told = delivered([Segment(drive, Load(500, 1e-6, 1e-5, 0))], MODEL, 10 * SECOND, 28 * SECOND)
    assert (told.on_time_seconds, told.peak_microamps) == (10.0, peak)


def test_areas_are_told_apart_and_one_can_be_asked_for() -> None:
    segments = [_segment(0, SECOND), _segment(0, SECOND, 1_000, 1_000, area=1)]
    assert [area.peak_microamps for area in delivered(segments, MODEL, 0, SECOND).areas] == [4_000, 1_000]
    assert [area.area for area in delivered(segments, MODEL, 0, SECOND, area=1).areas] == [1]


def test_a_stretch_says_what_it_was() -> None:
    told = delivered([_segment(0, SECOND), _segment(SECOND, 2 * SECOND, 4_000, 0)], MODEL, 0, 2 * SECOND)
    first, second = map(str, told.stretches)
    assert first == "area 0, 0.000000 s to 1.000000 s: 4000 uA, 200 us, 50 Hz (TONIC_ACTIVE_RECHARGE)"
    assert second == "area 0, 1.000000 s to 2.000000 s: 4000 to 0 uA, 200 us, 50 Hz (TONIC_ACTIVE_RECHARGE)"


def test_it_comes_to_what_the_device_counts(watched: Any) -> None:
    watched.start()
    began = watched.handle.now
    watched.handle.advance(20)
    watched.reply(SetAmplitude(watched.transaction(), 0, 3_000))
    watched.handle.advance(20)
    told = watched.handle.delivered(between=(began, watched.handle.now)).area(0)
    counted = watched.reply(ReadTherapy(0)).body
    assert int(told.nanocoulombs) // 1000 == counted.charge_microcoulombs
    assert int(told.pulses) == counted.pulses
    assert int(told.on_time_seconds) == counted.on_time_seconds


@pytest.mark.parametrize("model", ["scs-rechargeable", "scs-burst", "dbs-rechargeable", "tdcs", "vns-implanted"])
def test_it_agrees_with_the_record_of_the_output(make_watched: Callable[..., Any], model: str) -> None:
    record = OutputRecord(load(model))
    watched = make_watched(model, record=record)
    watched.start()
    watched.handle.advance(7.3)
    watched.handle.posture("supine")
    watched.handle.advance(13.1)
    watched.reply(StopTherapy(StopMode.RAMP))
    watched.handle.advance(30.0)
    end = watched.device.present()
    for start, until in ((0, end), (3 * SECOND, 9_876_543), (21 * SECOND, 21 * SECOND + 1)):
        told = watched.handle.delivered(between=(start / SECOND, until / SECOND))
        for area in range(4):
            recorded, here = record.delivered(area, start, until), told.area(area)
            assert here.nanocoulombs == pytest.approx(recorded.nanocoulombs)
            assert here.pulses == pytest.approx(recorded.pulses)
            assert round(here.on_time_seconds * SECOND) == recorded.on_time_us


def test_to_look_at_it_changes_no_byte(make_watched: Callable[..., Any]) -> None:
    answers = []
    for looks in (False, True):
        watched = make_watched()
        watched.start()
        for _ in range(20):
            watched.handle.advance(0.7)
            if looks:
                watched.handle.delivered()
                watched.handle.state()
        answers.append(watched.reply(ReadTherapy(0)))
    assert answers[0] == answers[1]


def test_what_is_still_being_delivered_is_told(watched: Any) -> None:
    watched.start()
    watched.handle.advance(60)
    now = watched.handle.now
    told = watched.handle.delivered(between=(now - 1, now), area=0)
    state = watched.handle.state().areas[0]
    assert told.peak_microamps == state.delivered_microamps == state.programmed_microamps
    assert told.pulses == pytest.approx(state.rate_millihertz / 1000)


def test_after_an_immediate_stop_nothing_is_delivered(watched: Any) -> None:
    watched.start()
    watched.handle.advance(60)
    watched.reply(StopTherapy(StopMode.IMMEDIATE))
    stopped = watched.handle.now
    watched.handle.advance(60)
    watched.handle.no_stimulation(after=stopped)


def test_stimulation_that_should_not_be_is_told_with_its_times(watched: Any) -> None:
    watched.start()
    watched.handle.advance(60)
    watched.reply(StopTherapy(StopMode.RAMP))
    stopped = watched.handle.now
    watched.handle.advance(60)
    with pytest.raises(AssertionError, match=rf"area 0, {stopped:.6f} s to .*: 5000 to 0 uA, 300 us"):
        watched.handle.no_stimulation(after=stopped)


@pytest.mark.parametrize("between", [(5.0, 1.0), (0.0, 1e6)])
def test_what_is_not_known_is_refused(watched: Any, between: tuple[float, float]) -> None:
    watched.handle.advance(10)
    with pytest.raises(OperationError, match=r"what was delivered is known from 0\.000000 s to 10\.020000 s"):
        watched.handle.delivered(between=between)
