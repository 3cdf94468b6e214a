"""What went over the wire in one case, line by line: a write as it was sent, an answer or event whole however it was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from ipg_protocol.describe import Piece, Splitter
from ipg_protocol.trace import Record, Towards

from ipg_conformance.report.run import first_wrong_byte

PAYLOAD_AT = 10
"""Where the payload stands in a frame on the wire: behind a delimiter, the COBS code byte and the header's eight bytes."""

CUT_SHORT = "its end is missing"


class Line(msgspec.Struct, frozen=True):
    """One write, or one stretch that was read."""

    at_us: int
    to: Towards
    data: bytes
    pieces: tuple[Piece, ...]
    """The frames, and what is none, that are complete with it."""

    @property
    def says(self) -> str:
        """What it is in words."""
        if self.pieces:
            return "; ".join(str(piece) if piece.frame else f"no frame: {piece.why}" for piece in self.pieces)
        return "part of a frame" if self.data.strip(b"\0") else "delimiters"

    @property
    def record(self) -> Record:
        """As it stands in a trace."""
        return Record(self.at_us, self.to, self.data)


def lines_of(exchange: Iterable[Record]) -> list[Line]:
    """The lines that records make, which are cut as they were written and read."""
    splitters = {to: Splitter() for to in Towards}
    lines: list[Line] = []
    at_us = 0
    for record in exchange:
        at_us = record.at_us
        pieces = tuple(splitters[record.to].feed(record.data, at_us))
        lines += _read(at_us, pieces) if record.to is Towards.HOST else [Line(at_us, record.to, record.data, pieces)]
    return lines + list(_read(at_us, splitters[Towards.HOST].end(CUT_SHORT)))


def _read(at_us: int, pieces: Iterable[Piece]) -> Iterator[Line]:
    return (Line(at_us, Towards.HOST, piece.wire, (piece,)) for piece in pieces)


def wrong_byte_on_the_wire(lines: Sequence[Line], expected: bytes, got: bytes) -> tuple[int, int] | None:
    """Line and place in it of the first byte that is not as it had to be; None where no line holds what was got.

    COBS puts each byte of a body one place further and changes only zeros, so that a place in a payload is one on the wire.
    """
    wrong = first_wrong_byte(expected, got)
    if wrong is None or not got:
        return None
    for number in range(len(lines) - 1, -1, -1):
        begins_at = _begin_of(lines[number], got)
        if begins_at is not None:
            return number, begins_at + wrong
    return None


def part_that_matters(count: int, most: int, wrong: tuple[int, int] | None) -> range:
    """Which of so many lines to show: the last, or where the wrong byte stands before them, those around it."""
    first = max(0, count - most)
    if wrong is not None and wrong[0] < first:
        first = max(0, wrong[0] - most // 2)
    return range(first, min(count, first + most))


def _begin_of(line: Line, got: bytes) -> int | None:
    frames = [piece.frame for piece in line.pieces if piece.frame is not None]
    if line.to is Towards.DEVICE:
        return None
    if frames and frames[0].payload.startswith(got):
        return PAYLOAD_AT
    found = line.data.find(got)
    return None if found < 0 else found
