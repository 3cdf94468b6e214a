"""A short run of the campaign of changes over a link that loses and repeats, to a device that resets."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "exactly_once.py"


@pytest.fixture(scope="module")
def campaign() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CAMPAIGN.parent)
        return runpy.run_path(str(CAMPAIGN))


@pytest.fixture(scope="module")
def run_world(campaign: dict[str, Any]) -> Callable[..., Counter[str]]:
    found: Callable[..., Counter[str]] = campaign["run_world"]
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_every_change_is_applied_once_through_loss_repeats_and_resets(campaign, run_world, seed):
    tally = run_world(seed, 1_500)
    assert {name: tally[name] for name in campaign["FORBIDDEN"]} == dict.fromkeys(campaign["FORBIDDEN"], 0)
    assert min(tally[f"resets {moment}"] for moment in ("before", "during", "after")) > 5
    assert tally["sends"] > 1.2 * tally["commands"]
    assert tally["replays"] > 100


def test_late_repeats_out_of_order_apply_nothing_twice(run_world):
    tally = run_world(1, 500, in_order=False)
    assert (tally["applied twice"], tally["lost"]) == (0, 0)


def test_without_a_journal_some_changes_are_applied_twice(campaign, run_world):
    assert run_world(1, 600, campaign["Rules"].NO_JOURNAL)["applied twice"] > 0


def test_with_retries_only_a_fifth_of_the_changes_is_applied_twice(campaign, run_world):
    assert 0.15 < run_world(1, 300, campaign["Rules"].RETRY_ONLY)["applied twice"] / 300 < 0.35


def test_the_same_seed_gives_the_same_world(run_world):
    assert run_world(3, 100) == run_world(3, 100)
