"""The record of the store, as it lies in flash: sealed when written, searched for, checked and mended when read.

    record = size u24 | kind u8 | sequence u32 | payload[size] | crc u32 | erased up to a whole unit | seal

little-endian; crc is CRC-32C over all before it. The seal is a unit of its own and programmed last: where it stands,
everything before it was programmed, so what a sealed record lacks was lost later, not torn when it was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum, unique
from typing import NamedTuple

from ipg_protocol import crc32c

SEAL = bytes.fromhex("a5c31e69d2b4870f")
SEAL_BITS_SURE = 56
"""Of its 64: enough to know the seal by, though a bit or two have rotted."""
DELETED = 0xFFFF
RESIDUE = crc32c(crc32c(b"").to_bytes(4, "little"))
"""The CRC of anything with its own CRC behind it."""
POLYNOMIAL = 0x82F63B78
"""Of CRC-32C, bits in the order in which they are sent."""
_ERASED = b"\xff" * 4096
_HEAD = struct.Struct("<II")
_ITEM = struct.Struct("<BH")
ITEM_BYTES = _ITEM.size
"""That a key and its value take beside themselves."""


@unique
class RecordKind(IntEnum):
    """What a record is."""

    CHANGE = 1
    PIECE = 2
    """A part of a snapshot."""
    END = 3
    """Behind the last piece: makes the snapshot, and so the bank, valid."""


class Record(NamedTuple):
    """A record that was read; `end` is the offset behind its seal."""

    kind: RecordKind
    sequence: int
    payload: bytes
    end: int
    mended: bool = False


class Damage(NamedTuple):
    """A stretch that is no record: how many of its bytes are not erased. `sealed` when it was one once."""

    size: int
    sealed: bool


def seal_record(kind: RecordKind, sequence: int, payload: bytes, unit: int) -> bytes:
    """The bytes of a record, whole units."""
    body = _HEAD.pack(len(payload) | kind << 24, sequence) + payload
    body += crc32c(body).to_bytes(4, "little")
    return body + b"\xff" * (-len(body) % unit) + _seal(unit)


def pack_changes(changes: Mapping[bytes, bytes | None]) -> bytes:
    """The payload that says: these keys have these values now, and keys with None have none."""
    pieces: list[bytes] = []
    for key, value in changes.items():
        if value is None:
            pieces += (_ITEM.pack(len(key), DELETED), key)
        else:
            pieces += (_ITEM.pack(len(key), len(value)), key, value)
    return b"".join(pieces)


def unpack_changes(payload: bytes) -> dict[bytes, bytes | None]:
    """The reverse of `pack_changes`."""
    changes: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(payload):
        key_size, size = _ITEM.unpack_from(payload, at)
        value_at = at + _ITEM.size + key_size
        at = value_at if size == DELETED else value_at + size
        changes[payload[value_at - key_size : value_at]] = None if size == DELETED else payload[value_at:at]
    return changes


def read_records(image: bytes, unit: int) -> Iterator[Record | Damage]:
    """What a bank holds, in order, up to where it is erased to its end."""
    at, end = 0, written_bytes(image, unit)
    while at < end:
        record = _record_at(image, at, unit) or _mended_at(image, at, unit)
        if record:
            yield record
            at = record.end
        else:
            following = next((place for place in range(at + unit, end, unit) if _record_at(image, place, unit)), end)
            stretch = image[at:following]
            yield Damage(len(stretch) - stretch.count(b"\xff"), _is_sealed(image, following, unit))
            at = following


def written_bytes(image: bytes, unit: int) -> int:
    """Up to where a bank is not erased, in whole units."""
    end = len(image)
    while image.endswith(_ERASED, 0, end):  # in large steps: most of a bank is erased, and to strip byte by byte takes long
        end -= len(_ERASED)
    return -(-len(image[:end].rstrip(b"\xff")) // unit) * unit


def count_seals(image: bytes, unit: int) -> int:
    """How many records were completed, readable or not."""
    return image.count(_seal(unit))


def _seal(unit: int) -> bytes:
    return (SEAL * -(-unit // len(SEAL)))[:unit]


def _is_sealed(image: bytes, end: int, unit: int) -> bool:
    """Whether a record, whatever it was, ends with its seal at this offset."""
    differing = int.from_bytes(image[end - unit : end], "little") ^ int.from_bytes(_seal(unit), "little")
    return 8 * unit - differing.bit_count() >= SEAL_BITS_SURE * unit // 8


def _end_of(at: int, size: int, unit: int) -> int:
    body = _HEAD.size + size + 4
    return at + body + -body % unit + unit


def _record_at(image: bytes, at: int, unit: int) -> Record | None:
    head, sequence = _HEAD.unpack_from(image, at)
    size, kind = head & 0xFFFFFF, head >> 24
    covered = at + _HEAD.size + size + 4
    if kind not in _KINDS or covered > len(image) or crc32c(image[at:covered]) != RESIDUE:
        return None
    return Record(_KINDS[kind], sequence, image[at + _HEAD.size : covered - 4], _end_of(at, size, unit))


def _mended_at(image: bytes, at: int, unit: int) -> Record | None:
    """The sealed record that stands here once a single bit is turned over; None if there is no such bit.

    Only of sealed records: a torn one is cut short, and no bit of it may be guessed.
    """
    for bit in [None, *range(24)]:
        size = int.from_bytes(image[at : at + 3], "little") ^ (0 if bit is None else 1 << bit)
        end = _end_of(at, size, unit)
        if end > len(image) or not _is_sealed(image, end, unit):
            continue
        covered = bytearray(image[at : at + _HEAD.size + size + 4])
        rotten = _rotten_bit(covered) if bit is None else bit
        if rotten is None:
            continue
        covered[rotten // 8] ^= 1 << rotten % 8
        record = _record_at(bytes(covered), 0, unit)
        if record:
            return record._replace(end=end, mended=True)
    return None


def _rotten_bit(covered: bytearray) -> int | None:
    """Which bit must be turned over for the CRC to be right.

    A CRC is linear: one wrong bit changes it by a pattern that depends only on how far from the end the bit is.
    """
    wrong = crc32c(bytes(covered)) ^ RESIDUE
    pattern = POLYNOMIAL
    for place in range(8 * len(covered) - 1, -1, -1):
        if pattern == wrong:
            return place
        pattern = pattern >> 1 ^ (POLYNOMIAL if pattern & 1 else 0)
    return None


_KINDS = {kind.value: kind for kind in RecordKind}
