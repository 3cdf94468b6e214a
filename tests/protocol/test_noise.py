"""Short runs of the campaigns against a receiver in tests/campaigns; `make soak` runs them whole."""

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
def mutated_frames() -> dict[str, Any]:
    return runpy.run_path(str(CAMPAIGNS / "mutated_frames.py"))


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


def test_mutated_frames_give_no_exception_no_wrong_frame_and_flat_memory(mutated_frames: dict[str, Any]) -> None:
    outcome = mutated_frames["reader_job"](300_000, seed=1)
    assert not any(outcome.counts[forbidden] for forbidden in mutated_frames["FORBIDDEN"])
    assert min(outcome.counts[reason] for reason in ("bad_cobs", "bad_length", "bad_crc", "as_sent")) > 10_000
    before, after = outcome.memory
    assert after - before < 2_000_000  # 7 bytes a frame would be seen


def test_mutated_frames_find_a_receiver_whose_crc_has_8_bits(
    mutated_frames: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Equal8(int):
        def __ne__(self, other: object) -> bool:
            return isinstance(other, int) and self & 0xFF != other & 0xFF

    whole = frame.crc32c
    monkeypatch.setattr(frame, "crc32c", lambda body: Equal8(whole(body)))
    assert mutated_frames["reader_job"](50_000, seed=1).counts["wrong"] > 0
