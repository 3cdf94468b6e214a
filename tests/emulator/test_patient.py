"""Tissue: drawn about the model's median, and always the same from the same seed."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from ipg_emulator.board.assembly import seeded_patient
from ipg_emulator.model import load
from ipg_emulator.patient.tissue import grow

MODEL = load("scs-rechargeable")


def test_access_resistances_spread_about_the_median_of_the_model() -> None:
    tissue = grow(MODEL.electrode, 5000, Random(1))
    assert median(tissue.access_ohms) == pytest.approx(MODEL.electrode.access_ohms, rel=0.02)
    assert min(tissue.access_ohms) > 0
    assert len(set(tissue.access_ohms)) == 5000


def test_the_same_seed_gives_the_same_patient_and_another_seed_another() -> None:
    assert seeded_patient(MODEL, 7) == seeded_patient(MODEL, 7) != seeded_patient(MODEL, 8)
