"""Frames on the wire: `00 COBS(body) 00`, where body is kind, length, opcode, request id, payload and CRC-32C.

Noise is dropped and counted, never raised: whatever the bytes, `FrameReader.feed` returns the good frames among them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from enum import IntEnum, unique
from typing import Any, cast

import crcmod
import msgspec
from cobs import cobs

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAXIMUM_PAYLOAD = 242
PARTIAL_FRAME_TIMEOUT_US = 200_000

_HEADER = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _CRC.size
_MAXIMUM_ENCODED = MAXIMUM_PAYLOAD + _OVERHEAD + 1

_cobs: Any = cobs
_stuff = cast("Callable[[bytes], bytes]", _cobs.encode)
_unstuff = cast("Callable[[bytes], bytes]", _cobs.decode)
crc32c = cast("Callable[[bytes], int]", crcmod.mkCrcFun(0x11EDC6F41, initCrc=0, rev=True, xorOut=0xFFFFFFFF))


@unique
class Kind(IntEnum):
    """The low nibble of a frame's first byte. HANDSHAKE and SECURE are reserved, and dropped."""

    REQUEST = 1
    RESPONSE = 2
    EVENT = 3
    EVENT_ACK = 4
    HANDSHAKE = 5
    SECURE = 6


class Frame(msgspec.Struct, frozen=True):
    """One frame. `request_id` holds the event's number in an EVENT and an EVENT_ACK."""

    kind: Kind
    opcode: int
    request_id: int
    payload: bytes = b""


class Noise(msgspec.Struct):
    """How many stretches of bytes were dropped, by reason."""

    oversize: int = 0
    bad_cobs: int = 0
    bad_length: int = 0
    bad_crc: int = 0
    bad_kind: int = 0
    timed_out: int = 0

    @property
    def total(self) -> int:
        return self.oversize + self.bad_cobs + self.bad_length + self.bad_crc + self.bad_kind + self.timed_out


_KINDS = {PROTOCOL_MAJOR << 4 | kind: kind for kind in Kind if kind not in (Kind.HANDSHAKE, Kind.SECURE)}


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame, both delimiters included.

    Raises:
        ValueError: the payload is longer than `MAXIMUM_PAYLOAD`.
    """
    payload = frame.payload
    if len(payload) > MAXIMUM_PAYLOAD:
        raise ValueError(f"a payload holds at most {MAXIMUM_PAYLOAD} bytes, got {len(payload)}")
    body = _HEADER.pack(PROTOCOL_MAJOR << 4 | frame.kind, len(payload), frame.opcode, frame.request_id) + payload
    return b"\0" + _stuff(body + _CRC.pack(crc32c(body))) + b"\0"


class FrameReader:
    """Turns a byte stream, however it is cut, into frames. Holds at most one frame's worth of bytes."""

    def __init__(self) -> None:
        self.noise = Noise()
        self.frames = 0
        self._partial = b""
        self._flooded = False
        self._last_byte_us = 0

    def feed(self, data: bytes, now: int) -> list[Frame]:
        """The good frames completed by `data`, which arrived at `now` microseconds."""
        if not data:
            return []
        if self._partial:
            if now - self._last_byte_us >= PARTIAL_FRAME_TIMEOUT_US:
                self.noise.timed_out += 1
            else:
                data = self._partial + data
        self._last_byte_us = now
        *complete, tail = data.split(b"\0")
        frames: list[Frame] = []
        for encoded in complete:
            if self._flooded:
                self._flooded = False
            elif encoded:
                frame = self._decode(encoded)
                if frame is not None:
                    frames.append(frame)
        if len(tail) > _MAXIMUM_ENCODED:
            if not self._flooded:
                self.noise.oversize += 1
            self._flooded = True
            tail = b""
        self._partial = tail
        self.frames += len(frames)
        return frames

    def _decode(self, encoded: bytes) -> Frame | None:
        if len(encoded) > _MAXIMUM_ENCODED:
            self.noise.oversize += 1
            return None
        try:
            body = _unstuff(encoded)
        except _cobs.DecodeError:
            self.noise.bad_cobs += 1
            return None
        if len(body) < _OVERHEAD or body[1] != len(body) - _OVERHEAD:
            self.noise.bad_length += 1
            return None
        covered = body[:-4]
        if crc32c(covered) != _CRC.unpack(body[-4:])[0]:
            self.noise.bad_crc += 1
            return None
        kind_byte, _, opcode, request_id = _HEADER.unpack_from(body)
        kind = _KINDS.get(kind_byte)
        if kind is None:
            self.noise.bad_kind += 1
            return None
        return Frame(kind, opcode, request_id, covered[8:])


def backends() -> dict[str, str]:
    """Which implementation of CRC and COBS is in use: "C extension" or "pure Python"."""
    crc_uses_c = bool(getattr(sys.modules["crcmod.crcmod"], "_usingExtension", False))
    cobs_uses_c = bool(getattr(cobs, "_using_extension", False))
    names = {True: "C extension", False: "pure Python"}
    return {"crc-32c (crcmod)": names[crc_uses_c], "cobs": names[cobs_uses_c]}
