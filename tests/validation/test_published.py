"""Every published figure comes out of the emulator's own physics, as `make validate` prints it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

NAMES = ("longevity", "recharge", "closed_loop", "charge_rates", "energy")


@pytest.fixture(autouse=True)
def _tables_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_every_table_is_tested() -> None:
    tables = importlib.import_module("tables").TABLES
    assert [name.replace("-", "_") for name in tables] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_table_comes_out_within_its_gates(name: str) -> None:
    _, results = importlib.import_module(name).table()
    assert results
    assert [result for result in results if not result.is_held] == []


@pytest.mark.parametrize(("emulated", "held"), [(0.89, False), (0.9, True), (1.1, True), (1.11, False)])
def test_a_figure_outside_its_gate_is_not_held(emulated: float, held: bool) -> None:
    within = importlib.import_module("result").within
    assert within("life", "years", 1.0, emulated, tolerance=0.1000001, source="").is_held is held
