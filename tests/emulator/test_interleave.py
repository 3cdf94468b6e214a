"""Interleaving: what is placed never overlaps, and what can be placed is."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from math import lcm

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ipg_emulator.firmware.interleave import GUARD_US, MOST_PLACEMENTS, Train, _fits, _Search, common_us, needed_us, offsets_us

WATCHED_US = 3_000_000

rates = st.one_of(
    st.integers(2, 1200).map(lambda hertz: hertz * 1000),
    st.sampled_from((1_000, 2_000, 20_000, 40_000, 50_000, 100_000, 130_000, 10_000_000)),
    st.integers(1_000, 300_000),
)
trains = st.lists(st.builds(Train, st.integers(20, 12_000), rates), min_size=2, max_size=4)


def windows(train: Train, offset_us: int) -> list[tuple[int, int]]:
    """When the output is occupied, as the board makes it: pulses begin at whole microseconds, rounded down."""
    starts = (
        offset_us + n * 1_000_000_000 // train.rate_millihertz for n in range(WATCHED_US * train.rate_millihertz // 10**9)
    )
    return [(start, start + train.window_us) for start in starts]


def overlaps(found: list[tuple[int, int]]) -> bool:
    ordered = sorted(found)
    return any(before[1] > after[0] for before, after in pairwise(ordered))


@given(trains)
@settings(max_examples=300, deadline=None)
def test_what_is_placed_never_overlaps(asked) -> None:
    placed = offsets_us(asked)
    assume(placed is not None)
    assert min(placed) == 0
    assert not overlaps([window for train, offset in zip(asked, placed, strict=True) for window in windows(train, offset)])


@given(st.integers(1, 20_000), st.integers(1, 20_000), rates, rates)
@settings(max_examples=300, deadline=None)
def test_two_are_placed_whenever_both_fit_into_their_common_divisor(first, second, one_rate, other_rate) -> None:
    asked = [Train(first, one_rate), Train(second, other_rate)]
    fits = (first + second + 2 * GUARD_US) * lcm(one_rate, other_rate) <= 1_000_000_000
    assert (offsets_us(asked) is not None) == fits


@given(st.lists(st.integers(1, 4000), min_size=1, max_size=4), rates)
@settings(deadline=None)
def test_equal_rates_are_placed_whenever_all_fit_into_a_period(widths, rate) -> None:
    asked = [Train(width, rate) for width in widths]
    fits = len(widths) == 1 or needed_us(asked) * rate <= 1_000_000_000
    assert (offsets_us(asked) is not None) == fits


@given(trains)
@settings(max_examples=300, deadline=None)
def test_what_is_refused_needs_more_time_than_there_is(asked) -> None:
    assert offsets_us(asked) is not None or needed_us(asked) > common_us(asked)


@pytest.mark.parametrize("periods_ms", [(8, 20, 16), (10, 25, 20), (10, 16, 20), (20, 25, 40), (8, 10, 4)])
def test_nothing_is_refused_that_trying_every_place_finds(periods_ms) -> None:
    """Three trains whose periods share only parts, windows of whole milliseconds: every place tried, against the search."""
    outcomes = set()
    for widths_ms in product((1, 2, 3), repeat=3):
        asked = [Train(w * 1000 - GUARD_US, 1_000_000 // p) for w, p in zip(widths_ms, periods_ms, strict=True)]
        free = any(
            not overlaps([window for train, at in zip(asked, (0, a, b), strict=True) for window in guarded(train, at * 1000)])
            for a in range(periods_ms[1])
            for b in range(periods_ms[2])
        )
        assert (offsets_us(asked) is not None) == free
        outcomes.add(free)
    assert outcomes == {True, False}


def guarded(train: Train, offset_us: int) -> list[tuple[int, int]]:
    period = 1_000_000_000 // train.rate_millihertz
    return [(offset_us + n * period, offset_us + n * period + train.needed_us) for n in range(-3, 400_000 // period + 1)]


def test_direct_current_leaves_room_for_nothing() -> None:
    assert offsets_us([Train(20_000, 50_000), Train(1, 50_000)]) is None


def test_the_search_is_bounded_where_rates_share_nothing() -> None:
    asked = [Train(60, 127_001), Train(60, 130_003), Train(60, 131_009), Train(60, 139_021)]
    search = _Search(asked)
    search.place({0: 0})
    assert search._tries <= MOST_PLACEMENTS + 1
    assert offsets_us(asked) is None


@pytest.mark.parametrize("window_us", [60, 300, 700])
def test_no_rates_of_whole_hertz_exhaust_the_search(window_us) -> None:
    for hertz in combinations((2, 7, 20, 40, 50, 60, 100, 130, 185, 200, 250), 4):
        asked = [Train(window_us, rate * 1000) for rate in hertz]
        if all(_fits(a, b) for a, b in combinations(asked, 2)):
            search = _Search(asked)
            search.place({0: 0})
            assert search._tries <= MOST_PLACEMENTS


def test_trains_of_leads_with_sources_of_their_own_do_not_give_way_to_each_other() -> None:
    first, second = Train(6000, 20_000, frozenset({0})), Train(6000, 34_000, frozenset({1}))
    assert offsets_us([Train(6000, 20_000), Train(6000, 34_000)]) is None
    assert offsets_us([first, second]) == (0, 0)
    assert offsets_us([first, second, Train(6000, 20_000, frozenset({1}))]) is None
    assert offsets_us([first, second, Train(6000, 20_000, frozenset({0, 2}))]) == (0, 0, 6000 + GUARD_US)
