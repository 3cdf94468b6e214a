"""Frames by hand, right or wrong on purpose: what `ipg_protocol.encode_frame` would refuse to build."""

from __future__ import annotations

import struct
from hashlib import shake_128

from ipg_protocol import crc32c


def cobs(body: bytes) -> bytes:
    """COBS of at most 253 bytes, or of 254 without a zero: each group is its length + 1, then its bytes."""
    return b"".join(bytes((len(group) + 1,)) + group for group in body.split(b"\0"))


def delimited(body: bytes) -> bytes:
    """A body between its two delimiters."""
    return b"\0" + cobs(body) + b"\0"


def body_of(kind_byte: int, opcode: int, request_id: int, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A body whose CRC is right, whatever its kind byte and its length byte say."""
    covered = struct.pack("<BBHI", kind_byte, len(payload) if length is None else length, opcode, request_id) + payload
    return covered + struct.pack("<I", crc32c(covered))


def noise(size: int, seed: int) -> bytes:
    """`size` bytes that look random and are the same in every run."""
    return shake_128(seed.to_bytes(8, "little")).digest(size)


def flip(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit flipped, counted from the lowest of the first byte."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
