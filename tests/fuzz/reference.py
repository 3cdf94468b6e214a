"""Frames read a second time, without haste and without the project's own reader, so that the two can be compared."""

from __future__ import annotations

from ipg_protocol import Frame, Kind

LONGEST_ENCODED = 255
KINDS = {0x10 | kind: kind for kind in (Kind.REQUEST, Kind.RESPONSE, Kind.EVENT, Kind.EVENT_ACK)}


def _shifted_out(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_shifted_out(byte) for byte in range(256)]


def crc32c(data: bytes) -> int:
    """CRC-32C, byte by byte."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def unstuffed(encoded: bytes) -> bytes | None:
    """What was stuffed into bytes without a zero; None when a code byte points beyond the end."""
    body = b""
    at = 0
    while at < len(encoded):
        code = encoded[at]
        run = encoded[at + 1 : at + code]
        if len(run) != code - 1:
            return None
        at += code
        body += run + (b"\0" if code < 255 and at < len(encoded) else b"")
    return body


def frame_of(encoded: bytes) -> Frame | None:
    """The frame between two delimiters; None when it is noise."""
    body = unstuffed(encoded)
    if len(encoded) > LONGEST_ENCODED or body is None or len(body) < 12 or body[1] != len(body) - 12:
        return None
    if crc32c(body[:-4]) != int.from_bytes(body[-4:], "little") or body[0] not in KINDS:
        return None
    opcode, request_id = int.from_bytes(body[2:4], "little"), int.from_bytes(body[4:8], "little")
    return Frame(KINDS[body[0]], opcode, request_id, body[8:-4])


def frames_of(stream: bytes) -> list[Frame]:
    """The frames of a stream that arrived at once."""
    *complete, _ = stream.split(b"\0")
    return [frame for frame in map(frame_of, complete) if frame is not None]
