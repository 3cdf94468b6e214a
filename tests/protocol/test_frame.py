"""Frames: whatever the cut, the good ones come through; noise is counted by kind and never raised."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipg_protocol import Frame, FrameReader, Kind, Noise, backends, crc32c, encode_frame
from ipg_protocol.frame import MAXIMUM_PAYLOAD, PARTIAL_FRAME_TIMEOUT_US

PING = Frame(Kind.REQUEST, 0x0001, 7, b"\x01\x02\x00\x04")
STATUS = Frame(Kind.REQUEST, 0x0003, 8)
LONGEST = Frame(Kind.RESPONSE, 0x0702, 0xFFFFFFFF, bytes(range(1, 243)))


def crc_bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def stuff_by_hand(body: bytes) -> bytes:
    return b"".join(bytes([len(run) + 1]) + run for run in body.split(b"\0"))


def wire_of(body: bytes) -> bytes:
    """A frame round a body whose CRC is right, whatever else the body says."""
    return b"\0" + stuff_by_hand(body + crc_bit_by_bit(body).to_bytes(4, "little")) + b"\0"


def body_of(kind: int, length: int, payload: bytes) -> bytes:
    return bytes([kind, length, 1, 0, 7, 0, 0, 0]) + payload


def read(*chunks: bytes, gap_us: int = 0) -> tuple[list[Frame], Noise]:
    reader = FrameReader()
    frames = [frame for index, chunk in enumerate(chunks) for frame in reader.feed(chunk, index * gap_us)]
    return frames, reader.noise


def each_byte(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


GOOD = encode_frame(PING)
LONGEST_ENCODED = encode_frame(LONGEST)

STREAMS = {
    "one frame": (GOOD, [PING], Noise()),
    "no payload": (encode_frame(STATUS), [STATUS], Noise()),
    "longest frame": (LONGEST_ENCODED, [LONGEST], Noise()),
    "two frames": (GOOD + encode_frame(STATUS), [PING, STATUS], Noise()),
    "two frames sharing a delimiter": (GOOD[:-1] + encode_frame(STATUS), [PING, STATUS], Noise()),
    "empty frames": (b"\0\0\0" + GOOD + b"\0\0", [PING], Noise()),
    "nothing": (b"", [], Noise()),
    "delimiters only": (b"\0\0", [], Noise()),
    "bad CRC, then good": (GOOD.replace(b"\x01\x02", b"\x01\x03") + GOOD, [PING], Noise(bad_crc=1)),
    "code byte beyond the end, then good": (b"\0\x09\x01\x02\0" + GOOD, [PING], Noise(bad_cobs=1)),
    "two bytes": (b"\0\x02\x11\0" + GOOD, [PING], Noise(bad_length=1)),
    "inner length too high": (wire_of(body_of(0x11, 5, b"abcd")) + GOOD, [PING], Noise(bad_length=1)),
    "inner length too low": (wire_of(body_of(0x11, 3, b"abcd")) + GOOD, [PING], Noise(bad_length=1)),
    "oversize": (b"\0" + b"\x01" * 256 + b"\0" + GOOD, [PING], Noise(oversize=1)),
    "far oversize": (b"\0" + b"\x55" * 5000 + b"\0" + GOOD, [PING], Noise(oversize=1)),
    "other major version": (wire_of(body_of(0x21, 4, b"abcd")) + GOOD, [PING], Noise(bad_kind=1)),
    "reserved kinds": (wire_of(body_of(0x15, 0, b"")) + wire_of(body_of(0x16, 0, b"")) + GOOD, [PING], Noise(bad_kind=2)),
    "unknown kinds": (wire_of(body_of(0x10, 0, b"")) + wire_of(body_of(0x1F, 0, b"")) + GOOD, [PING], Noise(bad_kind=2)),
    "text before": (b"login: " + GOOD, [PING], Noise(bad_cobs=1)),
}


@pytest.mark.parametrize(("stream", "frames", "noise"), STREAMS.values(), ids=STREAMS)
def test_whole(stream: bytes, frames: list[Frame], noise: Noise) -> None:
    assert read(stream) == (frames, noise)


@pytest.mark.parametrize(("stream", "frames", "noise"), STREAMS.values(), ids=STREAMS)
def test_byte_by_byte(stream: bytes, frames: list[Frame], noise: Noise) -> None:
    assert read(*each_byte(stream)) == (frames, noise)


@pytest.mark.parametrize(("stream", "frames", "noise"), STREAMS.values(), ids=STREAMS)
def test_with_a_tail(stream: bytes, frames: list[Frame], noise: Noise) -> None:
    """The tail is the beginning of a frame whose end comes later."""
    tail = encode_frame(STATUS)
    assert read(stream + tail[:6]) == (frames, noise)
    assert read(stream + tail[:6], tail[6:]) == ([*frames, STATUS], noise)


@given(cuts=st.lists(st.integers(0, 600), max_size=12))
def test_any_cut_gives_the_same_frames_and_the_same_counts(cuts: list[int]) -> None:
    stream = b"".join(stream for stream, _, _ in STREAMS.values())
    edges = [0, *sorted(cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    assert read(*chunks) == read(stream)


@given(
    kind=st.sampled_from([Kind.REQUEST, Kind.RESPONSE, Kind.EVENT, Kind.EVENT_ACK]),
    opcode=st.integers(0, 0xFFFF),
    number=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=MAXIMUM_PAYLOAD),
)
def test_every_frame_comes_back_and_costs_fifteen_bytes(kind: Kind, opcode: int, number: int, payload: bytes) -> None:
    frame = Frame(kind, opcode, number, payload)
    encoded = encode_frame(frame)
    assert len(encoded) == len(payload) + 15
    assert encoded[0] == encoded[-1] == 0
    assert 0 not in encoded[1:-1]
    assert read(encoded) == ([frame], Noise())


def test_the_layout_is_the_documented_one() -> None:
    assert encode_frame(PING) == wire_of(bytes.fromhex("11 04 0100 07000000 01020004"))
    assert encode_frame(LONGEST) == wire_of(bytes.fromhex("12 f2 0207 ffffffff") + LONGEST.payload)


def test_the_longest_frame_is_255_bytes_between_its_delimiters() -> None:
    assert len(LONGEST_ENCODED) == 257


def test_a_longer_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 242"):
        encode_frame(Frame(Kind.REQUEST, 1, 1, bytes(243)))


def test_check_value_of_the_crc() -> None:
    assert crc32c(b"123456789") == crc_bit_by_bit(b"123456789") == 0xE3069283


def test_a_partial_frame_is_dropped_after_200_ms_of_silence() -> None:
    reader = FrameReader()
    reader.feed(GOOD[:5], 0)
    assert reader.feed(GOOD[5:], PARTIAL_FRAME_TIMEOUT_US) == []
    assert (reader.noise.timed_out, reader.noise.total) == (1, 2)
    assert reader.feed(GOOD, PARTIAL_FRAME_TIMEOUT_US) == [PING]


def test_a_whole_frame_after_a_dropped_partial_one_is_taken() -> None:
    reader = FrameReader()
    reader.feed(GOOD[:5], 0)
    assert reader.feed(GOOD, PARTIAL_FRAME_TIMEOUT_US) == [PING]
    assert reader.noise == Noise(timed_out=1)


def test_a_slow_frame_is_taken_while_each_gap_stays_below_200_ms() -> None:
    assert read(*each_byte(GOOD), gap_us=PARTIAL_FRAME_TIMEOUT_US - 1) == ([PING], Noise())


def test_an_empty_read_does_not_prolong_a_partial_frame() -> None:
    reader = FrameReader()
    reader.feed(GOOD[:5], 0)
    assert reader.feed(b"", PARTIAL_FRAME_TIMEOUT_US - 1) == []
    assert reader.feed(GOOD, PARTIAL_FRAME_TIMEOUT_US) == [PING]
    assert reader.noise.timed_out == 1


def test_silence_between_frames_is_no_timeout() -> None:
    assert read(GOOD, GOOD, gap_us=10 * PARTIAL_FRAME_TIMEOUT_US) == ([PING, PING], Noise())


def test_a_flood_without_delimiters_is_counted_once_and_not_held() -> None:
    reader = FrameReader()
    for now in range(1000):
        assert reader.feed(b"\x55" * 1000, now) == []
    assert reader.noise == Noise(oversize=1)
    assert reader.feed(GOOD, 1000) == [PING]


def test_frames_and_noise_are_counted() -> None:
    reader = FrameReader()
    reader.feed(GOOD + b"\x02\x11\0" + GOOD, 0)
    assert reader.frames == 2
    assert reader.noise.total == 1


def test_back_ends_are_named() -> None:
    assert set(backends()) == {"crc-32c (crcmod)", "cobs"}
    assert set(backends().values()) <= {"C extension", "pure Python"}
