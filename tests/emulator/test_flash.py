"""The flash memory: what can be programmed, what wears, and what a power cut leaves."""

from __future__ import annotations

from random import Random

import pytest
from ipg_emulator.board.flash import FlashError, FlashMemory
from ipg_emulator.faults import FailingFlash, Moment, PowerCut

PAGE = 256


def small_flash(buffer: bytearray | None = None) -> FlashMemory:
    return FlashMemory(buffer, page_count=4, page_bytes=PAGE)


def test_a_new_flash_is_erased_to_its_end() -> None:
    flash = FlashMemory()
    assert flash.read(0, 128 * 2048) == b"\xff" * 128 * 2048
    assert flash.wear() == [0] * 128


def test_what_was_programmed_is_read_and_its_neighbours_stay_erased() -> None:
    flash = small_flash()
    flash.program(16, b"contacts")
    assert flash.read(8, 24) == b"\xff" * 8 + b"contacts" + b"\xff" * 8


def test_only_erased_units_can_be_programmed() -> None:
    flash = small_flash()
    flash.program(16, b"contacts")
    with pytest.raises(FlashError, match="not all are erased"):
        flash.program(8, bytes(16))
    assert flash.read(8, 16) == b"\xff" * 8 + b"contacts"


@pytest.mark.parametrize(("address", "size"), [(4, 8), (8, 4), (-8, 8), (4 * PAGE, 8), (4 * PAGE - 8, 16)])
def test_only_whole_units_that_are_there_can_be_programmed(address: int, size: int) -> None:
    flash = small_flash()
    with pytest.raises(FlashError, match="whole units"):
        flash.program(address, bytes(size))
    assert flash.read(0, 4 * PAGE) == b"\xff" * 4 * PAGE


@pytest.mark.parametrize(("address", "size"), [(-1, 8), (4 * PAGE, 1), (4 * PAGE - 1, 2)])
def test_only_bytes_that_are_there_can_be_read(address: int, size: int) -> None:
    with pytest.raises(FlashError, match="not all there"):
        small_flash().read(address, size)


@pytest.mark.parametrize("page", [-1, 4])
def test_only_pages_that_are_there_can_be_erased(page: int) -> None:
    flash = small_flash()
    with pytest.raises(FlashError, match=f"no page {page}"):
        flash.erase(page)
    assert flash.wear() == [0] * 4


def test_erasing_a_page_erases_nothing_else_and_counts() -> None:
    flash = small_flash()
    flash.program(0, bytes(4 * PAGE))
    flash.erase(1)
    flash.erase(1)
    assert flash.read(0, 4 * PAGE) == bytes(PAGE) + b"\xff" * PAGE + bytes(2 * PAGE)
    assert flash.wear() == [0, 2, 0, 0]


def test_content_and_wear_are_in_the_buffer() -> None:
    buffer = bytearray(4 * PAGE + 16)
    flash = small_flash(buffer)
    flash.erase(2)
    flash.program(8, b"contacts")
    again = small_flash(bytearray(buffer))
    assert again.read(8, 8) == b"contacts"
    assert again.wear() == [0, 0, 1, 0]


def test_a_buffer_that_is_too_short_is_refused() -> None:
    with pytest.raises(FlashError, match="1039 bytes is shorter than the 1040"):
        small_flash(bytearray(4 * PAGE + 15))


def test_rot_turns_over_one_bit() -> None:
    flash = small_flash()
    flash.program(0, bytes(8))
    flash.rot(3, 5)
    assert flash.read(0, 8) == bytes([0, 0, 0, 0b100000, 0, 0, 0, 0])


@pytest.mark.parametrize(("moment", "left"), [(Moment.BEFORE, b"\xff" * 16), (Moment.AFTER, bytes(16))])
def test_a_cut_before_or_after_programming_leaves_the_old_or_the_new(moment: Moment, left: bytes) -> None:
    flash = small_flash()
    with pytest.raises(PowerCut):
        FailingFlash(flash, Random(1).getrandbits, at=0, moment=moment).program(0, bytes(16))
    assert flash.read(0, 16) == left


def test_a_cut_inside_programming_leaves_whole_units_then_a_torn_one_then_none() -> None:
    left = set[bytes]()
    for seed in range(100):
        flash = small_flash()
        with pytest.raises(PowerCut, match="inside operation 0"):
            FailingFlash(flash, Random(seed).getrandbits, at=0, moment=Moment.INSIDE).program(0, bytes(24))
        units = [flash.read(at, 8) for at in (0, 8, 16)]
        torn = next(place for place, unit in enumerate(units) if unit != bytes(8))
        assert units[torn + 1 :] == [b"\xff" * 8] * (2 - torn)
        left.add(b"".join(units))
    assert len(left) > 90


def test_a_cut_inside_programming_only_clears_bits_that_were_to_be_cleared() -> None:
    flash = small_flash()
    with pytest.raises(PowerCut):
        FailingFlash(flash, Random(1).getrandbits, at=0, moment=Moment.INSIDE).program(0, b"\xf0" * 8)
    assert all(byte & 0xF0 == 0xF0 for byte in flash.read(0, 8))
    assert flash.read(0, 8) not in (b"\xf0" * 8, b"\xff" * 8)


def test_a_cut_inside_an_erasure_leaves_that_page_to_chance() -> None:
    flash = small_flash()
    flash.program(0, bytes(4 * PAGE))
    with pytest.raises(PowerCut):
        FailingFlash(flash, Random(1).getrandbits, at=0, moment=Moment.INSIDE).erase(1)
    assert flash.read(PAGE, PAGE) not in (bytes(PAGE), b"\xff" * PAGE)
    assert flash.read(0, PAGE) + flash.read(2 * PAGE, 2 * PAGE) == bytes(3 * PAGE)
    assert flash.wear() == [0, 1, 0, 0]


def test_power_fails_at_the_operation_asked_for_and_only_there() -> None:
    flash = FailingFlash(small_flash(), Random(1).getrandbits, at=2, moment=Moment.AFTER)
    flash.program(0, bytes(8))
    flash.erase(0)
    with pytest.raises(PowerCut, match="after operation 2"):
        flash.program(0, bytes(8))
    flash.program(8, bytes(8))
    assert flash.operations == 4
    assert flash.read(0, 16) == bytes(16)
