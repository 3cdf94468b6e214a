"""A paced line carries one byte in ten bit times."""

from __future__ import annotations

from ipg_emulator.ports.pacing import PacedBytes


def test_bytes_arrive_one_after_another():
    line = PacedBytes(10_000)  # a millisecond a byte
    line.put(b"abc", now=0)
    assert line.take(999) == b""
    assert line.take(1_000) == b"a"
    assert line.take(3_000) == b"bc"
    assert line.next_at() is None


def test_the_line_does_not_save_up_time_while_it_is_idle():
    line = PacedBytes(10_000)
    line.put(b"a", now=5_000_000)
    assert line.take(5_000_000) == b""
    assert line.next_at() is not None
    assert line.take(5_001_000) == b"a"


def test_bytes_put_while_others_are_under_way_wait_their_turn():
    line = PacedBytes(10_000)
    line.put(b"a", now=0)
    line.put(b"b", now=500)
    assert line.take(1_500) == b"a"
    assert line.take(2_000) == b"b"
