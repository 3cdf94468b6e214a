"""Short runs of the campaigns in tests/campaigns; `make soak` runs them whole."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from ipg_protocol import frame

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
SHORT_FRAME = 24


@pytest.fixture(scope="module")
def bit_errors() -> dict[str, Any]:
    return runpy.run_path(str(CAMPAIGNS / "bit_errors.py"))


@pytest.fixture(scope="module")
def random_bytes() -> dict[str, Any]:
    return runpy.run_path(str(CAMPAIGNS / "random_bytes.py"))


def test_every_1_bit_error_in_every_locked_frame_is_rejected_or_harmless(bit_errors: dict[str, Any]) -> None:
    for name, wire in bit_errors["canonical_frames"]().items():
        tally = bit_errors["campaign"](wire, 1)
        assert (tally.fed, tally.wrong) == (8 * len(wire), 0), name


def test_every_2_bit_error_in_the_short_locked_frames_is_rejected_or_harmless(bit_errors: dict[str, Any]) -> None:
    for name, wire in bit_errors["canonical_frames"]().items():
        if len(wire) <= SHORT_FRAME:
            assert bit_errors["campaign"](wire, 2).wrong == 0, name


def test_the_campaign_finds_a_receiver_whose_crc_says_yes_to_everything(
    bit_errors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = bit_errors["canonical_frames"]()["requests PING"]
    (sent,) = frame.FrameReader().feed(wire, 0)
    damaged = list(bit_errors["damaged"](wire, 1))
    monkeypatch.setattr(frame, "crc32c", lambda body: ANY)
    assert bit_errors["judge"](sent, damaged).wrong > 0


def test_random_and_mutated_bytes_give_no_exception_no_wrong_frame_and_flat_memory(random_bytes: dict[str, Any]) -> None:
    random_bytes["campaign"](2_000)
    outcome = random_bytes["campaign"](20_000)
    assert outcome.wrong == 0
    assert outcome.noise > 10_000
    assert outcome.refused_payloads > 10_000
    assert outcome.growth_bytes < 100_000  # 5 bytes a string would be seen
