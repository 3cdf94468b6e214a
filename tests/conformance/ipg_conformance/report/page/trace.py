"""A trace as a table: when, which way, the bytes with what each is for, and what they say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from xml.etree import ElementTree

from ipg_protocol import Kind
from ipg_protocol.describe import Piece
from ipg_protocol.trace import Towards

from ipg_conformance.report.exchange import PAYLOAD_AT, Line, part_that_matters
from ipg_conformance.report.markup import Child, element
from ipg_conformance.report.run import first_wrong_byte

LINES_IN_DETAIL = 120
LINES_OTHERWISE = 16
LONGEST_SHOWN = 300
"""Bytes of one line; a longer one is a flood, of which the beginning tells all."""

CRC_AND_DELIMITER = 5

_ARROWS = {Towards.DEVICE: "→", Towards.HOST: "←"}
_PARTS = (
    ("x", "delimiters, COBS code", "a zero byte at either end, and behind the first one the way to the first zero of the body"),
    ("h", "header", "kind, length, opcode (2 bytes), request id (4 bytes)"),
    ("p", "payload", "of an answer: status, flags, and the answer or the refusal's detail"),
    ("k", "CRC", "CRC-32C of header and payload"),
)


def trace(lines: Sequence[Line], wrong: tuple[int, int] | None, *, is_detailed: bool) -> Iterator[Child]:
    """The part of a trace that matters; in detail, with each byte's part and more of them."""
    shown = part_that_matters(len(lines), LINES_IN_DETAIL if is_detailed else LINES_OTHERWISE, wrong)
    if len(shown) < len(lines):
        yield element("p", f"Lines {shown[0] + 1} to {shown[-1] + 1} of {len(lines)}; all are in trace.pcapng.", class_="cut")
    if is_detailed:
        yield _legend(wrong is not None)
    rows = (
        _row(lines[number], lines[0].at_us, wrong[1] if wrong is not None and wrong[0] == number else None, is_detailed)
        for number in shown
    )
    header = element("tr", *(element("th", name) for name in ("ms", "", "bytes", "what they say")))
    yield element("div", element("table", element("thead", header), element("tbody", *rows), class_="trace"), class_="wide")


def _legend(has_wrong: bool) -> ElementTree.Element:
    parts = (element("span", name, class_=f"part {key}", title=title) for key, name, title in _PARTS)
    zero = element("span", element("u", "03"), " a zero byte, which COBS writes as the way to the next", class_="note")
    wrong = [element("span", element("mark", "03"), " the first wrong byte", class_="note")] if has_wrong else []
    return element("p", "→ to the device, ← from the device", *parts, zero, *wrong, class_="legend")


def _row(line: Line, began_us: int, wrong_at: int | None, is_detailed: bool) -> ElementTree.Element:
    shown = _hex(line, wrong_at) if is_detailed else [line.data[:LONGEST_SHOWN].hex(" ")]
    left_out = len(line.data) - LONGEST_SHOWN
    if left_out > 0:
        shown.append(f" … and {left_out} bytes more")
    classes = ["out" if line.to is Towards.DEVICE else "in", *(["wrong"] if wrong_at is not None else [])]
    return element(
        "tr",
        element("td", f"{(line.at_us - began_us) / 1000:.1f}"),
        element("td", _ARROWS[line.to]),
        element("td", *shown, class_="hex"),
        element("td", *_said(line)),
        class_=" ".join(classes),
    )


def _said(line: Line) -> Iterator[Child]:
    if not any(piece.frame for piece in line.pieces):
        yield element("i", line.says)
        return
    for number, piece in enumerate(line.pieces):
        yield from [element("br")] if number else []
        yield from _told(piece)


def _told(piece: Piece) -> list[Child]:
    """A frame's kind and number, its name in bold, and its fields."""
    frame = piece.frame
    if frame is None:
        return [element("i", f"no frame: {piece.why}")]
    kind, number, *rest = str(piece).split(" ", 2)
    name, _, fields = (rest[0] if rest else "").partition(" ")
    kind_shown = element("span", f"{kind} {number} ", class_="kind event" if frame.kind is Kind.EVENT else "kind")
    said = name.rstrip(",")
    return [kind_shown, element("b", said), f"{name.removeprefix(said)} {fields}"]


def _hex(line: Line, wrong_at: int | None) -> list[Child]:
    """The bytes in runs of the same part; within them the zeros of the body are told apart, and the wrong byte."""
    is_one_frame = _is_one_frame(line)
    tags = dict.fromkeys(_stuffed_zeros(line.data), "u") if is_one_frame else {}
    tags |= {} if wrong_at is None else {wrong_at: "mark"}
    shown: list[Child] = []
    for begin, end, part in _cuts(line) if is_one_frame else [(0, min(len(line.data), LONGEST_SHOWN), "")]:
        shown += [element("span", *_tagged(line.data, range(begin, end), tags), class_=part), " "]
    return shown


def _tagged(data: bytes, places: Iterable[int], tags: Mapping[int, str]) -> Iterator[Child]:
    for number, (tag, alike) in enumerate(groupby(places, lambda place: tags.get(place, ""))):
        text = bytes(data[place] for place in alike).hex(" ")
        yield from [" "] if number else []
        yield element(tag, text) if tag else text


def _stuffed_zeros(wire: bytes) -> Iterator[int]:
    """Where a frame on the wire has a COBS code byte in the place of a zero of the body."""
    place = 1 + wire[1]
    while place < len(wire) - 1:
        yield place
        place += wire[place]


def _is_one_frame(line: Line) -> bool:
    frames = [piece for piece in line.pieces if piece.frame is not None]
    return len(line.pieces) == 1 and bool(frames) and line.data == frames[0].wire


def _cuts(line: Line) -> list[tuple[int, int, str]]:
    crc_at, size = len(line.data) - CRC_AND_DELIMITER, len(line.data)
    cuts = [(0, 2, "x"), (2, PAYLOAD_AT, "h"), (PAYLOAD_AT, crc_at, "p"), (crc_at, size - 1, "k"), (size - 1, size, "x")]
    return [cut for cut in cuts if cut[0] < cut[1]]


def compared_bytes(expected: bytes, got: bytes) -> ElementTree.Element:
    """What had to come above what came, the first wrong byte marked in both."""
    wrong = first_wrong_byte(expected, got)
    rows = (("had to be", expected, "due"), ("came", got, ""))
    table = (
        element("tr", element("th", name), element("td", *_compared(data, wrong, kind), class_="hex"))
        for name, data, kind in rows
    )
    caption = "no byte differs" if wrong is None else f"the first wrong byte stands at place {wrong}, counted from 0"
    return element("div", element("p", caption), element("table", *table), class_="bytes wide")


def _compared(data: bytes, wrong: int | None, kind: str) -> list[Child]:
    """Bytes with one of them marked; where they end before it, a mark for what is missing."""
    if wrong is None:
        return [data.hex(" ")]
    marked = element("mark", data[wrong : wrong + 1].hex() or "end", class_=kind)
    return [f"{data[:wrong].hex(' ')} ", marked, f" {data[wrong + 1 :].hex(' ')}"]
