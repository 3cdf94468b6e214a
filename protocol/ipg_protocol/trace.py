"""A trace: what passed over a link and when, and why whatever was dropped or ignored was.

In a file it is JSON lines: a `Head`, then a line for each `Record`, its bytes in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum, unique
from typing import Annotated

import msgspec

TRACE_VERSION = 1


@unique
class Towards(StrEnum):
    """Where bytes go."""

    DEVICE = "device"
    HOST = "host"


class Record(msgspec.Struct, frozen=True):
    """Bytes as the host's end of the link has them; with a reason in `why`, bytes that were dropped, ignored or altered."""

    at_us: int
    """In the device's time."""
    to: Towards
    data: bytes
    why: str = ""
    """What became of them, such as "device: the CRC is wrong" or "line: dropped by a fault"; empty when they passed."""


class Head(msgspec.Struct, frozen=True, kw_only=True, tag_field="trace", tag="ipg"):
    """The first line of a trace: whose it is."""

    version: int = TRACE_VERSION
    model: str
    serial: str
    seed: int


class Trace(msgspec.Struct, frozen=True):
    """A trace as it was read."""

    head: Head
    records: tuple[Record, ...]


class TraceError(ValueError):
    """A trace cannot be read; the text names the line and what is wrong with it."""


class _Line(msgspec.Struct, frozen=True):
    """A record in a file."""

    at_us: Annotated[int, msgspec.Meta(ge=0)]
    to: Towards
    hex: str
    why: str = ""


def encode_head(head: Head) -> bytes:
    """The first line of a trace, with its end."""
    return msgspec.json.encode(head) + b"\n"


def encode_record(record: Record) -> bytes:
    """A line of a trace, with its end."""
    line: dict[str, int | str] = {"at_us": record.at_us, "to": record.to, "hex": record.data.hex()}
    return msgspec.json.encode(line | ({"why": record.why} if record.why else {})) + b"\n"


def read_trace(lines: Iterable[bytes]) -> Trace:
    """The trace that lines make.

    Raises:
        TraceError: a line is not what it should be.
    """
    numbered = enumerate(lines, 1)
    return Trace(_read_head(numbered), tuple(_read_records(numbered)))


def read_lines(lines: Iterable[bytes]) -> Iterator[Record]:
    """The records of a trace, one by one.

    Raises:
        TraceError: as `read_trace`, behind the records that could be read.
    """
    numbered = enumerate(lines, 1)
    _read_head(numbered)
    yield from _read_records(numbered)


def _read_head(numbered: Iterator[tuple[int, bytes]]) -> Head:
    _, first = next(numbered, (1, b""))
    try:
        head = msgspec.json.decode(first, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceError(f'line 1 is not a head, {{"trace": "ipg", "version": {TRACE_VERSION}, ...}}: {error}') from None
    if head.version != TRACE_VERSION:
        raise TraceError(f"line 1: the trace is of version {head.version}; version {TRACE_VERSION} can be read")
    return head


def _read_records(numbered: Iterator[tuple[int, bytes]]) -> Iterator[Record]:
    for number, text in numbered:
        try:
            line = msgspec.json.decode(text, type=_Line)
            data = bytes.fromhex(line.hex)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise TraceError(f"line {number} is not a record of a trace: {error}") from None
        except ValueError:
            raise TraceError(f"line {number}: hex holds what are no pairs of hexadecimal digits") from None
        yield Record(line.at_us, line.to, data, line.why)
