"""The store: what is written is there when the flash is opened anew, or it is said what is not."""

from __future__ import annotations

from random import Random

import pytest
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.firmware.store import Recovery, StorageFull, Store

PAGES, PAGE = 8, 256
BANK = PAGES // 2 * PAGE


def small_flash() -> FlashMemory:
    return FlashMemory(page_count=PAGES, page_bytes=PAGE)


def fill(store: Store, writes: int, seed: int = 1) -> list[dict[bytes, bytes]]:
    """Write so often; the states after 0, 1, 2 ... writes."""
    rng = Random(seed)
    states = [dict(store.values)]
    for _ in range(writes):
        key = b"key %d" % rng.randrange(5)
        store.write({key: None if rng.random() < 0.2 else rng.randbytes(rng.randrange(40)), b"last": rng.randbytes(4)})
        states.append(dict(store.values))
    return states


def offsets(flash: FlashMemory, seal: bytes) -> list[int]:
    """Where the records of a flash end, by the seal of each."""
    image = flash.read(0, PAGES * PAGE)
    return [at + 8 for at in range(0, len(image), 8) if image[at : at + 8] == seal]


def seal_of(flash: FlashMemory) -> bytes:
    """What stands behind every record: the last unit that is written in a flash of a single change."""
    Store(flash).write({b"key": b"value"})
    return flash.read(0, PAGES * PAGE).rstrip(b"\xff")[-8:]


SEAL = seal_of(small_flash())


def rot(flash: FlashMemory, address: int, bits: int, seed: int = 1) -> None:
    """Turn over so many bits of the unit at an address."""
    for place in Random(seed).sample(range(64), bits):
        flash.rot(address + place // 8, place % 8)


def test_an_erased_flash_holds_nothing_and_is_new() -> None:
    flash = small_flash()
    store = Store(flash)
    assert store.values == {}
    assert store.recovery == Recovery(is_new=True)
    assert flash.wear() == [0] * PAGES
    assert flash.read(0, PAGES * PAGE) == b"\xff" * PAGES * PAGE


def test_a_change_of_several_keys_is_there_when_opened_again() -> None:
    flash = small_flash()
    Store(flash).write({b"programs": b"four", b"limits": b"", b"schedule": b"rows"})
    Store(flash).write({b"schedule": None, b"limits": b"low"})
    again = Store(flash)
    assert again.values == {b"programs": b"four", b"limits": b"low"}
    assert again.recovery == Recovery()


def test_deleting_what_is_not_there_is_no_error() -> None:
    flash = small_flash()
    Store(flash).write({b"schedule": None})
    assert Store(flash).values == {}


def test_the_longest_keys_and_values_are_kept() -> None:
    flash = FlashMemory(page_count=128)
    Store(flash).write({b"k" * 255: b"v" * 65534})
    assert Store(flash).values == {b"k" * 255: b"v" * 65534}


@pytest.mark.parametrize("unit", [8, 16])
def test_every_state_outlasts_the_object_over_many_compactions(unit: int) -> None:
    flash = FlashMemory(page_count=PAGES, page_bytes=PAGE, unit_bytes=unit)
    store = Store(flash)
    for seed in range(100):
        state = fill(store, 5, seed)[-1]
        store = Store(flash)
        assert store.values == state
        assert store.recovery == Recovery()
    assert min(flash.wear()) >= 10


def test_pages_wear_evenly() -> None:
    flash = FlashMemory(page_count=32, page_bytes=PAGE)
    store = Store(flash)
    fill(store, 20_000)
    wear = flash.wear()
    assert min(wear) > 50
    assert max(wear) - min(wear) <= 1


def test_values_that_do_not_fit_a_bank_are_refused_and_nothing_changes() -> None:
    flash = small_flash()
    store = Store(flash)
    store.write({b"kept": b"value"})
    with pytest.raises(StorageFull, match="of values are more than a bank is filled with"):
        store.write({b"long": bytes(BANK * 3 // 4), b"kept": b"other"})
    assert store.values == Store(flash).values == {b"kept": b"value"}


def test_a_change_that_a_bank_has_no_room_for_beside_the_values_is_refused_and_nothing_changes() -> None:
    flash = small_flash()
    store = Store(flash)
    store.write({b"large": bytes(600)})
    with pytest.raises(StorageFull, match="more than a compacted bank has left"):
        store.write({b"large": b"x" * 600})
    assert store.values == Store(flash).values == {b"large": bytes(600)}


def test_a_full_store_still_takes_what_makes_it_smaller() -> None:
    flash = small_flash()
    store = Store(flash)
    for key in range(100):
        try:
            store.write({b"key %d" % key: bytes(50)})
        except StorageFull:
            break
    assert 5 < key < 20
    store.write({b"key 0": None, b"key 1": b"short"})
    store.write({b"new": bytes(50)})
    assert Store(flash).values == store.values


def offsets_of_two() -> tuple[int, int]:
    """From where to where the second change lies, in a flash with three."""
    flash = small_flash()
    fill(Store(flash), 3)
    return offsets(flash, SEAL)[1], offsets(flash, SEAL)[2]


def test_a_rotten_bit_anywhere_in_a_record_is_mended_and_the_record_written_anew() -> None:
    mended = 0
    start, end = offsets_of_two()
    for place in range(8 * (end - start - 8)):
        flash = small_flash()
        states = fill(Store(flash), 3)
        flash.rot(start + place // 8, place % 8)
        store = Store(flash)
        assert store.values == states[3]
        assert not store.recovery.lost_records
        mended += store.recovery.mended_bits
        assert Store(flash).recovery == Recovery()
    assert mended >= place - 64
    """The bits of up to a unit between the CRC and the seal mean nothing."""


def test_a_rotten_bit_in_a_seal_does_no_harm() -> None:
    for place in range(64):
        flash = small_flash()
        states = fill(Store(flash), 3)
        flash.rot(offsets(flash, SEAL)[2] - 8 + place // 8, place % 8)
        store = Store(flash)
        assert (store.values, store.recovery) == (states[3], Recovery())


@pytest.mark.parametrize("bits", [2, 3, 20])
@pytest.mark.parametrize("unit", [0, 1, 2])
def test_of_a_log_with_a_rotten_record_the_changes_before_it_are_found_and_the_lost_ones_counted(unit: int, bits: int) -> None:
    for broken in range(1, 8):
        flash = small_flash()
        states = fill(Store(flash), 8)
        rot(flash, offsets(flash, SEAL)[broken] + 8 * unit, bits, seed=broken)
        store = Store(flash)
        assert store.values == states[broken]
        assert store.recovery.lost_records == 8 - broken
        assert store.recovery.torn_bytes == 0
        again = Store(flash)
        assert (again.values, again.recovery) == (states[broken], Recovery())


def test_changes_behind_a_lost_one_stay_lost_when_more_is_written() -> None:
    flash = small_flash()
    states = fill(Store(flash), 8)
    rot(flash, offsets(flash, SEAL)[4], 5)
    store = Store(flash)
    store.write({b"new": b"value"})
    assert Store(flash).values == states[4] | {b"new": b"value"}


def compacted(seed: int) -> tuple[FlashMemory, dict[bytes, bytes]]:
    """A flash whose newer bank is the one at address 0, with 3 changes behind its snapshot; and what is stored."""
    flash = small_flash()
    store = Store(flash)
    while sum(flash.wear()) < PAGES:
        fill(store, 1, seed)
    fill(store, 3, seed)
    return flash, store.values


def test_a_bank_whose_snapshot_rots_is_replaced_by_the_older_bank_and_the_changes_in_both() -> None:
    for seed in range(20):
        flash, state = compacted(seed)
        rot(flash, 0, 9, seed)
        rot(flash, 8, 9, seed)
        store = Store(flash)
        assert store.values == state
        assert store.recovery == Recovery(fell_back=True)
        again = Store(flash)
        assert (again.values, again.recovery) == (state, Recovery())


def test_a_bank_of_garbage_is_told_for_it_may_have_been_the_newer_one() -> None:
    flash, state = compacted(1)
    flash.tear(BANK, Random(1).randbytes(BANK))
    store = Store(flash)
    assert store.values == state
    assert store.recovery.fell_back
    again = Store(flash)
    assert (again.values, again.recovery) == (state, Recovery())


def test_of_two_rotten_snapshots_nothing_is_found_and_the_loss_is_told_until_something_is_written() -> None:
    flash, _ = compacted(1)
    for base in (0, BANK):
        rot(flash, base, 9)
    for _ in range(2):
        store = Store(flash)
        assert store.values == {}
        assert store.recovery.is_lost
        assert store.recovery.lost_records > 20
        assert not store.recovery.is_new
    store.write({b"key": b"value"})
    again = Store(flash)
    assert (again.values, again.recovery) == ({b"key": b"value"}, Recovery())


def test_a_flash_of_garbage_is_lost_and_not_new_and_can_be_written_again() -> None:
    flash = FlashMemory()
    flash.tear(0, Random(1).randbytes(128 * 2048))
    store = Store(flash)
    assert store.recovery.is_lost
    store.write({b"key": b"value"})
    assert Store(flash).values == {b"key": b"value"}
    again = Store(flash)
    assert (again.values, again.recovery) == ({b"key": b"value"}, Recovery())


def test_bits_that_rot_where_all_is_erased_do_no_harm() -> None:
    flash = small_flash()
    store = Store(flash)
    store.write({b"key": b"value"})
    for page in range(PAGES):
        flash.rot(page * PAGE + PAGE - 16, 3)
    states = fill(store, 30)
    again = Store(flash)
    assert again.values == states[-1]
    assert not again.recovery.lost_records


@pytest.mark.parametrize("damage", [bytes(64), b"\xff" * 64])
def test_a_stretch_that_is_overwritten_loses_only_what_stands_in_it_and_behind(damage: bytes) -> None:
    flash = small_flash()
    states = fill(Store(flash), 8)
    at = offsets(flash, SEAL)[3]
    flash.tear(at, damage)
    store = Store(flash)
    assert store.values == states[3]
    assert store.recovery.lost_records == 5


def any_damage(flash: FlashMemory, rng: Random) -> None:
    """Rot up to 40 bits, or overwrite up to 200 bytes."""
    if rng.random() < 0.5:
        for _ in range(rng.randrange(1, 40)):
            flash.rot(rng.randrange(PAGES * PAGE), rng.randrange(8))
        return
    size = rng.randrange(1, 200)
    flash.tear(rng.randrange(PAGES * PAGE - size), rng.choice((rng.randbytes, bytes))(size))


def test_whatever_is_damaged_the_state_found_is_one_that_was_and_any_other_than_the_last_is_told() -> None:
    for seed in range(300):
        rng = Random(seed)
        flash = small_flash()
        states = fill(Store(flash), rng.randrange(1, 60), seed)
        any_damage(flash, rng)
        store = Store(flash)
        assert store.values in states
        found = store.recovery
        assert store.values == states[-1] or found.is_lost or found.lost_records or found.fell_back or found.torn_bytes
        again = Store(flash)
        assert again.values == store.values
        assert again.recovery == found or not again.recovery.lost_records


@pytest.mark.parametrize("stride", [9, 37, 61])
def test_records_that_are_all_broken_are_a_loss_and_no_new_flash(stride: int) -> None:
    flash = FlashMemory()
    store = Store(flash)
    for number in range(60):
        store.write({b"key %d" % number: Random(number).randbytes(80)})
    for bank in range(2):
        start = bank * 64 * 2048
        for address in range(start, start + len(flash.read(start, 64 * 2048).rstrip(b"\xff")), stride):
            flash.tear(address, bytes([flash.read(address, 1)[0] ^ 0x55]))
    found = Store(flash)
    assert not found.values
    assert (found.recovery.is_lost, found.recovery.is_new) == (True, False)
