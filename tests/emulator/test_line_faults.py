"""Faults of the line: what each does to the bytes, and when they arrive."""

from __future__ import annotations

import pytest
from ipg_emulator.faults.fault import When
from ipg_emulator.faults.line import (
    Corrupt,
    Cut,
    Delay,
    Drop,
    Duplicate,
    Garbage,
    NoiseBurst,
    Reorder,
    SlowBytes,
    Stuck,
    Truncate,
)
from ipg_protocol import FrameReader, encode_frame, request_frame
from ipg_protocol.command import Reply, reply_frame
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.vocabulary import ResponseFlag, Status


def request(token):
    return encode_frame(request_frame(Ping(token), token))


def answer(token):
    return encode_frame(reply_frame(0x0001, token, Reply(Status.OK, ResponseFlag(0), Pong(token))))


def answered(device):
    """The tokens of the answers, in the order in which the host has heard them."""
    return [reply.body.token for _, _, reply in device.replies()]


def tokens(device, *numbers, within=1.0):
    """Send PINGs one by one, without waiting for an answer; the tokens of all answers so far."""
    for number in numbers:
        device.write(request(number))
    device.advance(within)
    return answered(device)


@pytest.mark.parametrize(("towards", "executed"), [("device", 0), ("host", 1), ("both", 0)])
def test_a_dropped_frame_is_gone_on_the_side_that_it_went_to(towards, executed, wire):
    device = wire(Drop(towards=towards, times=1))
    assert tokens(device, 1, 2) == [2]
    assert device.ipg.firmware.link.statistics().requests_executed == 1 + executed


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_a_corrupted_frame_differs_in_so_many_bits(bits, wire):
    device = wire(Corrupt(towards="host", bits=bits))
    tokens(device, 1)
    ((_, heard),) = device.heard
    assert (int.from_bytes(heard) ^ int.from_bytes(answer(1))).bit_count() == bits
    assert len(heard) == len(answer(1))


def test_a_frame_of_which_more_bits_are_corrupted_than_it_has_is_inverted(wire):
    device = wire(Corrupt(towards="host", bits=10_000))
    tokens(device, 1)
    assert device.heard == [(0, bytes(255 - byte for byte in answer(1)))]


def test_a_corrupted_request_is_counted_as_noise_and_not_answered(wire):
    device = wire(Corrupt(towards="device", times=1))
    assert tokens(device, 1, 2) == [2]
    assert device.ipg.firmware.link.statistics().noise_bad_crc == 1


@pytest.mark.parametrize("cut_off", [1, 4, 1000])
def test_a_truncated_frame_lacks_its_last_bytes(cut_off, wire):
    device = wire(Truncate(towards="host", bytes=cut_off))
    tokens(device, 1)
    assert b"".join(data for _, data in device.heard) == answer(1)[:-cut_off]


def test_a_request_without_its_last_delimiter_is_ended_by_the_next(wire):
    device = wire(Truncate(towards="device", bytes=1, times=1))
    assert tokens(device, 1, within=0.1) == []
    assert tokens(device, 2) == [1, 2]


@pytest.mark.parametrize("copies", [1, 3])
def test_a_duplicated_request_arrives_and_is_answered_once_more_for_each_copy(copies, wire):
    assert tokens(wire(Duplicate(towards="device", copies=copies, times=1)), 1, 2) == [1] * (1 + copies) + [2]


def test_a_duplicated_reply_is_heard_twice(wire):
    device = wire(Duplicate(towards="host"))
    tokens(device, 1)
    assert device.heard == [(0, answer(1) * 2)]


def test_a_delayed_frame_arrives_late_and_holds_up_what_comes_after(wire):
    device = wire(Delay(towards="device", milliseconds=70, times=1))
    assert tokens(device, 1, 2) == [1, 2]
    assert [at for at, _ in device.heard] == [70_000]


def test_jitter_spreads_a_delay_and_keeps_the_order(wire):
    device = wire(Delay(towards="host", milliseconds=10, jitter=30))
    assert tokens(device, *range(30)) == [*range(30)]
    arrivals = [at for at, _ in device.heard]
    assert 10_000 <= arrivals[0] < arrivals[-1] <= 40_000
    assert len(arrivals) > 2


def test_a_reordered_frame_arrives_after_the_next(wire):
    device = wire(Reorder(towards="device", when=When(nth=2)))
    assert tokens(device, 1, 2, 3, 4) == [1, 3, 2, 4]
    assert [at for at, _ in device.heard] == [0, 0, 0]


def test_a_reordered_frame_waits_for_the_next_no_longer_than_it_says(wire):
    device = wire(Reorder(towards="host", milliseconds=30))
    tokens(device, 1)
    assert device.heard == [(30_000, answer(1))]


def test_garbage_comes_before_the_frame_which_is_as_it_was(wire):
    device = wire(Garbage(towards="host", bytes=5))
    tokens(device, 1)
    ((_, heard),) = device.heard
    assert heard[5:] == answer(1)
    assert heard[:5] != bytes(5)


def test_a_request_after_garbage_is_answered(wire):
    device = wire(Garbage(towards="device", bytes=200))
    assert tokens(device, 1, 2, 3) == [1, 2, 3]
    assert device.ipg.firmware.link.statistics().bytes_received == 3 * (200 + len(request(1)))


# Times when the line is bad


@pytest.mark.parametrize(("level", "noise"), [("high", b""), ("low", b"\0")])
def test_a_stuck_line_loses_what_is_sent_and_reads_as_its_level(level, noise, wire):
    device = wire(Stuck(level=level, towards="host", for_ms=500))
    assert tokens(device, 1, within=0.4) == []
    assert b"".join(data for _, data in device.heard) == noise
    assert tokens(device, 2, within=0.2) == []
    assert tokens(device, 3) == [3]


def test_a_stuck_line_is_silent_for_a_second_if_it_is_not_said_how_long(wire):
    device = wire(Stuck(towards="device"))
    assert tokens(device, 1, within=0.999) == []
    assert tokens(device, 2, within=0.002) == []
    assert tokens(device, 3) == [3]


def test_nothing_passes_a_cut_line_until_it_is_mended(wire):
    device = wire(Cut())
    device.write(request(1)[:5])
    assert tokens(device, 2, 3, within=3600) == []
    assert device.ipg.firmware.link.statistics().bytes_received == 0
    device.faults.remove(1, device.now)
    assert tokens(device, 4) == [4]


def test_the_command_that_a_cut_waits_for_is_the_first_that_is_lost(wire):
    device = wire(Cut(when=When(command="PING", nth=3), for_ms=1000, towards="device"))
    assert tokens(device, 1, 2, 3, 4, within=1) == [1, 2]
    assert tokens(device, 5) == [1, 2, 5]


def test_a_cut_says_of_all_that_it_loses_that_it_was_lost(wire):
    device = wire(Cut(towards="device"))
    device.write(request(1)[:5])
    device.advance(1)
    assert [(record.data, record.why) for record in device.told if record.why] == [
        (request(1)[:5], "line: lost while the line was cut (fault 1)")
    ]


def test_noise_alters_its_share_of_the_bytes_and_no_more_than_its_time(wire):
    device = wire(NoiseBurst(towards="host", of_bytes=0.5, for_ms=100))
    tokens(device, *range(1, 50), within=0.2)
    sent, heard = b"".join(map(answer, range(1, 50))), b"".join(data for _, data in device.heard)
    altered = sum(a != b for a, b in zip(sent, heard, strict=True))
    assert 0.4 < altered / len(sent) < 0.6
    device.heard.clear()
    assert tokens(device, 60) == [60]


def test_noise_that_alters_every_byte_leaves_none_as_it_was(wire):
    device = wire(NoiseBurst(towards="host", of_bytes=1))
    tokens(device, *range(1, 100))
    sent, heard = b"".join(map(answer, range(1, 100))), b"".join(data for _, data in device.heard)
    assert all(a != b for a, b in zip(sent, heard, strict=True))


def test_slow_bytes_arrive_one_by_one_at_the_speed_of_the_line(wire):
    device = wire(SlowBytes(towards="host", baud=1000))
    tokens(device, 1, 2)
    sent = answer(1) + answer(2)
    assert device.heard == [(10_000 * (place + 1), sent[place : place + 1]) for place in range(len(sent))]


def test_a_request_in_slow_bytes_is_answered_when_its_last_has_arrived(wire):
    device = wire(SlowBytes(towards="device", baud=1000))
    assert tokens(device, 1) == [1]
    assert [at for at, _ in device.heard] == [10_000 * len(request(1))]


def test_a_long_run_of_slow_bytes_takes_no_longer_by_the_byte_than_a_short_one(wire):
    device = wire(Garbage(towards="host", bytes=16_000), SlowBytes(towards="host", baud=115_200))
    assert tokens(device, 1, within=3) == [1]


# On the way


def test_bytes_that_do_not_end_as_a_frame_go_on_200_ms_after_the_last(wire):
    device = wire(Drop(when=When(frame=9)))
    device.write(b"\0\x05\x11")
    device.advance(0.1)
    device.write(b"\x22")
    device.advance(0.199_999)
    assert device.ipg.firmware.link.statistics().bytes_received == 0
    device.advance(0.000_001)
    assert device.ipg.firmware.link.statistics().bytes_received == 4


def test_a_flood_without_a_delimiter_is_not_held(wire):
    device = wire(Drop(when=When(frame=9)))
    device.write(b"\x55" * 5000)
    assert device.ipg.firmware.link.statistics().bytes_received == 5000


def test_a_frame_cut_into_bytes_is_struck_as_one(wire):
    device = wire(Duplicate(towards="device", times=1))
    for byte in request(1) + request(2):
        device.write(bytes((byte,)))
    device.advance(1)
    assert answered(device) == [1, 1, 2]


def test_each_fault_strikes_what_those_before_it_have_left(wire):
    device = wire(Duplicate(towards="host"), Delay(towards="host", milliseconds=20), Drop(towards="device", when=When(nth=2)))
    tokens(device, 1, 2)
    assert device.heard == [(20_000, answer(1) * 2)]
    lost_twice = wire(Drop(towards="device", when=When(frame=1)), Drop(towards="device", when=When(nth=1)))
    assert tokens(lost_twice, 1, 2, 3) == [3]


def test_what_was_sent_before_a_fault_was_taken_away_keeps_its_time(wire):
    device = wire(Delay(towards="host", milliseconds=50))
    device.write(request(1))
    device.faults.remove(1, device.now)
    device.write(request(2))
    device.advance(1)
    assert [at for at, _ in device.heard] == [50_000]
    assert answered(device) == [1, 2]


def test_a_reader_finds_the_frames_again_after_any_of_the_damage(wire):
    damage = (Corrupt(bits=5), Truncate(bytes=3), Garbage(bytes=30), NoiseBurst(of_bytes=0.3))
    device = wire(*damage)
    tokens(device, *range(50))
    device.faults.clear(device.now)
    device.heard.clear()
    device.write(b"\0")
    assert tokens(device, 100) == [100]
    assert FrameReader().feed(b"".join(data for _, data in device.heard), 0)
