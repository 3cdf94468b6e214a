"""Frames on the wire: `00 COBS(body) 00`, where body is kind, length, opcode, request id, payload and CRC-32C.

Noise is dropped, counted and told, never raised: whatever the bytes, `FrameReader.feed` returns the good frames among them.
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

TOO_LONG = "it is longer than any frame"
UNFINISHED = "the frame was not finished within 200 ms"

OnNoise = Callable[[bytes, str, int], None]
"""Told of bytes that are dropped, why, and when, in microseconds."""

_HEADER = struct.Struct("<BBHI")
_CRC = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _CRC.size
MAXIMUM_ENCODED = MAXIMUM_PAYLOAD + _OVERHEAD + 1
"""Bytes of the longest frame between its delimiters."""

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


class NoFrame(ValueError):
    """Bytes are no frame: which field of `Noise` counts it, and why in words."""

    def __str__(self) -> str:
        return str(self.args[1])


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


def decode_frame(encoded: bytes) -> Frame:
    """The frame that stands between two delimiters.

    Raises:
        NoFrame: there is none.
    """
    if len(encoded) > MAXIMUM_ENCODED:
        raise NoFrame("oversize", TOO_LONG)
    try:
        body = _unstuff(encoded)
    except _cobs.DecodeError:
        raise NoFrame("bad_cobs", "it is not COBS") from None
    if len(body) < _OVERHEAD:
        raise NoFrame("bad_length", "it is too short for a frame")
    if body[1] != len(body) - _OVERHEAD:
        raise NoFrame("bad_length", "its length is not the one it states")
    covered = body[:-4]
    if crc32c(covered) != _CRC.unpack(body[-4:])[0]:
        raise NoFrame("bad_crc", "the CRC is wrong")
    kind_byte, _, opcode, request_id = _HEADER.unpack_from(body)
    kind = _KINDS.get(kind_byte)
    if kind is None:
        raise NoFrame("bad_kind", _wrong_kind(kind_byte))
    return Frame(kind, opcode, request_id, covered[8:])


def _wrong_kind(kind_byte: int) -> str:
    major, kind = kind_byte >> 4, kind_byte & 0xF
    if major != PROTOCOL_MAJOR:
        return f"it is of the protocol's version {major}, which is not spoken here"
    return f"{Kind(kind).name} is reserved" if kind in (Kind.HANDSHAKE, Kind.SECURE) else f"there is no kind {kind}"


class FrameReader:
    """Turns a byte stream, however it is cut, into frames. Holds at most one frame's worth of bytes."""

    def __init__(self, on_noise: OnNoise | None = None) -> None:
        """`on_noise` is told of all bytes that are in no frame, but for the delimiters."""
        self.noise = Noise()
        self.frames = 0
        self._on_noise = on_noise
        self._partial = b""
        self._flooded = False
        self._last_byte_us = 0

    @property
    def unfinished(self) -> bytes:
        """The bytes of a frame of which more is to come."""
        return self._partial

    def feed(self, data: bytes, now: int) -> list[Frame]:
        """The good frames completed by `data`, which arrived at `now` microseconds."""
        if not data:
            return []
        if self._partial:
            self.give_up(now)
            data = self._partial + data
        self._last_byte_us = now
        *complete, tail = data.split(b"\0")
        frames: list[Frame] = []
        for encoded in complete:
            if self._flooded:
                self._flooded = False
                self._tell(encoded, TOO_LONG, now)
            elif encoded:
                try:
                    frames.append(decode_frame(encoded))
                except NoFrame as no_frame:
                    counter, why = no_frame.args
                    setattr(self.noise, counter, getattr(self.noise, counter) + 1)
                    self._tell(encoded, why, now)
        if len(tail) > MAXIMUM_ENCODED:
            self._drop_flood(tail, now)
            tail = b""
        self._partial = tail
        self.frames += len(frames)
        return frames

    def give_up(self, now: int) -> None:
        """Drop a frame of which nothing has come for 200 ms. What comes next drops it too, so that this is only sooner."""
        if self._partial and now - self._last_byte_us >= PARTIAL_FRAME_TIMEOUT_US:
            self.noise.timed_out += 1
            self._tell(self._partial, UNFINISHED, now)
            self._partial = b""

    def _drop_flood(self, flood: bytes, now: int) -> None:
        """Drop what is longer than any frame, and all that follows up to the next delimiter."""
        if not self._flooded:
            self.noise.oversize += 1
        self._flooded = True
        self._tell(flood, TOO_LONG, now)

    def _tell(self, dropped: bytes, why: str, now: int) -> None:
        if self._on_noise is not None and dropped:
            self._on_noise(dropped, why, now)


def backends() -> dict[str, str]:
    """Which implementation of CRC and COBS is in use: "C extension" or "pure Python"."""
    crc_uses_c = bool(getattr(sys.modules["crcmod.crcmod"], "_usingExtension", False))
    cobs_uses_c = bool(getattr(cobs, "_using_extension", False))
    names = {True: "C extension", False: "pure Python"}
    return {"crc-32c (crcmod)": names[crc_uses_c], "cobs": names[cobs_uses_c]}
