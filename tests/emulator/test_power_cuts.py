"""Power cut before, inside and after every storage operation, and again in the recovery: the state is the old or the new."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.faults import FailingFlash, Moment, PowerCut
from ipg_emulator.firmware import layout
from ipg_emulator.firmware.store import Store

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
PAGES, PAGE = 8, 256
Changes = dict[bytes, bytes | None]
State = dict[bytes, bytes]


def changes(seed: int) -> Iterator[Changes]:
    """Changes of one or two keys, without end."""
    rng = Random(seed)
    while True:
        change: Changes = {b"key %d" % rng.randrange(5): None if rng.random() < 0.2 else rng.randbytes(rng.randrange(40))}
        yield change | {b"last": rng.randbytes(4)}


def after(state: State, change: Changes) -> State:
    return {key: value for key, value in (state | change).items() if value is not None}


class Bench:
    """A flash whose image can be put back, and a power supply that fails."""

    def __init__(self) -> None:
        self.buffer = bytearray(PAGES * PAGE + 4 * PAGES)
        self.memory = FlashMemory(self.buffer, page_count=PAGES, page_bytes=PAGE)
        self.rng = Random(1)
        self.flash = FailingFlash(self.memory, self.rng.getrandbits)

    def operations(self, change: Changes) -> int:
        """How many operations it takes to open the store and make the change. The flash is left as it was."""
        before = bytes(self.buffer)
        self.flash.fail_at(None, Moment.BEFORE)
        Store(self.flash).write(change)
        self.buffer[:] = before
        return self.flash.operations

    def cut(self, change: Changes, at: int, moment: Moment) -> bool:
        """Open the store and make the change while power fails at an operation; whether it did."""
        self.flash.fail_at(at, moment)
        try:
            Store(self.flash).write(change)
        except PowerCut:
            return True
        return False

    def found(self) -> State:
        """What is found, twice over, with power that holds."""
        self.flash.fail_at(None, Moment.BEFORE)
        first, second = Store(self.flash), Store(self.flash)
        assert first.values == second.values
        assert not first.recovery.lost_records
        assert not first.recovery.is_lost
        return first.values


def test_the_state_after_a_cut_anywhere_and_a_second_one_is_the_old_or_the_new() -> None:
    bench = Bench()
    state: State = {}
    cuts = second_cuts = news = 0
    for change in islice(changes(1), 90):
        allowed = [state, after(state, change)]
        before = bytes(bench.buffer)
        for at in range(bench.operations(change)):
            for moment in Moment:
                bench.buffer[:] = before
                assert bench.cut(change, at, moment)
                cuts += 1
                torn = bytes(bench.buffer)
                found = bench.found()
                assert found in allowed
                news += found == allowed[1] != allowed[0]
                second_cuts += cut_again(bench, torn, found, change)
        bench.buffer[:] = before
        Store(bench.memory).write(change)
        state = allowed[1]
        assert bench.found() == state
    assert cuts > 300
    assert second_cuts > 2000
    assert news > 60


def cut_again(bench: Bench, torn: bytes, found: State, change: Changes) -> int:
    """Cut power at each operation of the boot and change that follow on a cut; how often."""
    bench.buffer[:] = torn
    number = bench.operations(change)
    for at in range(number):
        for moment in Moment:
            bench.buffer[:] = torn
            assert bench.cut(change, at, moment)
            assert bench.found() in (found, after(found, change))
    return number * len(Moment)


def test_a_cut_after_the_change_was_programmed_keeps_it() -> None:
    bench = Bench()
    Store(bench.memory).write({b"key": b"old"})
    assert bench.cut({b"key": b"new"}, 0, Moment.AFTER)
    assert bench.found() == {b"key": b"new"}


def test_a_cut_before_the_change_was_programmed_keeps_the_old() -> None:
    bench = Bench()
    Store(bench.memory).write({b"key": b"old"})
    assert bench.cut({b"key": b"new"}, 0, Moment.BEFORE)
    assert bench.found() == {b"key": b"old"}


def test_a_torn_write_is_skipped_and_needs_no_compaction() -> None:
    bench = Bench()
    Store(bench.memory).write({b"key": b"old"})
    wear = bench.memory.wear()
    torn = [bench.cut({b"key": b"torn" * 10}, 0, Moment.INSIDE) and Store(bench.memory).recovery.torn_bytes for _ in range(5)]
    assert torn == sorted(torn)
    assert torn[-1] > 20
    Store(bench.memory).write({b"key": b"new"})
    assert bench.found() == {b"key": b"new"}
    assert bench.memory.wear() == wear


@pytest.mark.parametrize("seed", range(2))
def test_pages_wear_within_a_factor_of_two_over_thousands_of_cuts(seed: int) -> None:
    bench = Bench()
    bench.rng = rng = Random(seed)
    state: State = {}
    cuts = 0
    for change in islice(changes(seed), 1500):
        at = rng.randrange(12) if rng.random() < 0.7 else 0
        cut = bench.cut(change, at, rng.choice(list(Moment)))
        cuts += cut
        found = bench.found()
        assert found in (state, after(state, change)) if cut else found == after(state, change)
        state = found
    wear = bench.memory.wear()
    assert cuts > 300
    assert min(wear) > 10
    assert max(wear) <= 2 * min(wear), wear


@pytest.fixture(scope="module")
def whole_devices() -> dict[str, Any]:
    return runpy.run_path(str(CAMPAIGNS / "power_cuts.py"))


@pytest.mark.parametrize("seed", range(3))
def test_a_device_whose_power_is_cut_in_every_storage_operation_is_found_as_it_was_or_as_it_was_to_be(
    whole_devices: dict[str, Any], seed: int
) -> None:
    tally = whole_devices["campaign"](seed, wanted=12)
    assert tally.cuts >= 36
    assert tally.second_cuts > 10
    assert min(tally.old, tally.new) > 5


def test_a_device_that_journals_a_change_after_it_was_made_is_found_out(
    whole_devices: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Store.write

    def write_journal_last(store: Store, changes: Changes) -> None:
        journal = {key: value for key, value in changes.items() if key[:1] == layout.JOURNAL}
        write(store, {key: value for key, value in changes.items() if key not in journal})
        if journal:
            write(store, journal)

    monkeypatch.setattr(Store, "write", write_journal_last)
    with pytest.raises(whole_devices["Wrong"], match="NOT_SEEN"):
        whole_devices["campaign"](0, wanted=12)
