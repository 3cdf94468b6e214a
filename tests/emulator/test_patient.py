"""The patient: tissue drawn about the model's median that ages and swings, and a cord that moves with the body."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import median

import msgspec
import pytest
from ipg_emulator.board.assembly import seeded_patient
from ipg_emulator.model import load
from ipg_emulator.patient import POSTURES, Patient, PostureError, Tissue
from ipg_emulator.patient.body import BREATH_DEPTH, COUGH_DEPTH, COUGH_US, HEART_DEPTH, MOVE_US
from ipg_emulator.patient.tissue import DAY_US, grow

MODEL = load("scs-rechargeable")
SECOND = 1_000_000
RESTLESS = BREATH_DEPTH + HEART_DEPTH


def body() -> Patient:
    return Patient(Tissue((300.0,) * 16, 60.0))


class TestTissue:
    def test_access_resistances_spread_about_the_median_of_the_model(self) -> None:
        tissue = grow(MODEL.electrode, 5000, Random(1))
        assert median(tissue.access_ohms) == pytest.approx(MODEL.electrode.access_ohms, rel=0.02)
        assert min(tissue.access_ohms) > 0
        assert len(set(tissue.access_ohms)) == 5000

    def test_the_same_seed_gives_the_same_patient_and_another_seed_another(self) -> None:
        assert seeded_patient(MODEL, 7) == seeded_patient(MODEL, 7) != seeded_patient(MODEL, 8)

    def test_resistance_swings_once_a_day_about_its_mean(self) -> None:
        tissue = Tissue((300.0,), 60.0, daily=0.05)
        quarters = [tissue.ratio(9 * DAY_US + quarter * DAY_US // 4) for quarter in range(4)]
        assert quarters == pytest.approx([1.0, 1.05, 1.0, 0.95])

    def test_encapsulation_is_half_done_at_its_days_and_over_in_eight_weeks(self) -> None:
        tissue = Tissue((300.0,), 60.0, ageing=0.4, ageing_days=14.0)
        assert tissue.ratio(0) == 1.0
        assert tissue.ratio(14 * DAY_US) == pytest.approx(1.2)
        assert tissue.ratio(56 * DAY_US) == pytest.approx(1.4, rel=0.01)
        assert tissue.ratio(3650 * DAY_US) == pytest.approx(1.4)
        course = [tissue.ratio(day * DAY_US) for day in range(100)]
        assert course == sorted(course)

    def test_the_model_says_how_tissue_changes(self) -> None:
        figures = msgspec.structs.replace(MODEL.electrode, daily_permille=30, ageing_permille=250, ageing_days=20)
        tissue = grow(figures, 16, Random(1))
        assert (tissue.daily, tissue.ageing, tissue.ageing_days) == (0.03, 0.25, 20.0)


class TestDistance:
    @pytest.mark.parametrize("name", POSTURES)
    def test_a_posture_is_reached_and_kept_but_for_breath_heart_and_steps(self, name: str) -> None:
        patient, posture = body(), POSTURES[name]
        patient.take_posture(name, 0)
        course = [patient.distance(MOVE_US + tenth * SECOND // 10) for tenth in range(600)]
        there, restless = posture.distance_permille / 1000, RESTLESS + posture.sway_permille / 1000
        assert there * (1 - 1.1 * restless) <= min(course) < max(course) <= there * (1 + 1.1 * restless)
        assert sum(course) / len(course) == pytest.approx(there, rel=1e-3)

    def test_supine_brings_the_cord_nearer_and_prone_farther(self) -> None:
        distances = {name: posture.distance_permille for name, posture in POSTURES.items()}
        assert distances["supine"] < distances["sitting"] < distances["standing"] == 1000 < distances["prone"]

    def test_moving_is_smooth_even_when_it_is_interrupted(self) -> None:
        patient = body()
        patient.take_posture("supine", 0)
        course = [patient.distance(ms * 1000) for ms in range(400)]
        patient.take_posture("prone", 400_000)
        course += [patient.distance(ms * 1000) for ms in range(400, 1600)]
        assert max(abs(after - before) for before, after in pairwise(course)) < 0.002

    def test_a_cough_brings_the_cord_nearer_for_its_time(self) -> None:
        patient, quiet = body(), body()
        patient.cough(5 * SECOND)
        middle = 5 * SECOND + COUGH_US // 2
        assert patient.distance(middle) == pytest.approx(quiet.distance(middle) * (1 - COUGH_DEPTH))
        for calm in (5 * SECOND - 1, 5 * SECOND + COUGH_US):
            assert patient.distance(calm) == quiet.distance(calm)

    def test_breath_comes_every_four_seconds_and_the_heart_beats_every_second(self) -> None:
        patient = body()
        assert patient.distance(1_300_000) == pytest.approx(patient.distance(5_300_000))
        after_a_breath = patient.distance(SECOND) / patient.distance(0)
        assert after_a_breath == pytest.approx(1 + BREATH_DEPTH)
        assert patient.distance(2 * SECOND + SECOND // 4) / (1 + HEART_DEPTH - BREATH_DEPTH * 0.38268) == pytest.approx(
            1, rel=1e-5
        )

    def test_a_posture_that_there_is_not_names_those_that_there_are(self) -> None:
        with pytest.raises(PostureError, match="posture 'flying' is none of standing, walking, sitting"):
            body().take_posture("flying", 0)


def test_every_posture_says_where_its_distance_comes_from() -> None:
    assert all(posture.source and posture.confidence for posture in POSTURES.values())
