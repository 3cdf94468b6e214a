"""A short run of the campaign of mutated frames against whole devices; `make soak` runs it in full."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from ipg_emulator.firmware import Firmware

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"


@pytest.fixture(scope="module")
def mutated_frames() -> dict[str, Any]:
    return runpy.run_path(str(CAMPAIGNS / "mutated_frames.py"))


@pytest.mark.parametrize("model", ["scs-rechargeable", "drg-primary", "dbs-rechargeable"])
def test_a_device_survives_mutated_frames_and_answers_each_request_once(mutated_frames: dict[str, Any], model: str) -> None:
    outcome = mutated_frames["device_job"](model, 12_000, seed=1)
    assert not any(outcome.counts[forbidden] for forbidden in mutated_frames["FORBIDDEN"])
    assert outcome.counts["requests"] > 2_000
    before, after = outcome.memory
    assert after - before < 1_000_000  # over half the frames: 170 bytes a frame would be seen


def test_mutated_frames_find_a_device_that_says_everything_twice(
    mutated_frames: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Firmware.take_output
    monkeypatch.setattr(Firmware, "take_output", lambda device, now: 2 * once(device, now))
    assert mutated_frames["device_job"]("drg-primary", 100, seed=1).counts["unasked"] > 0
