"""Bytes in words: every locked frame by its name and its values, and what is no frame by the reason."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipg_protocol import Frame, FrameReader, Kind, Reply, ResponseFlag, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.command import COMMAND_OF
from ipg_protocol.commands.link import Ping
from ipg_protocol.commands.therapy import StepAmplitude
from ipg_protocol.describe import Splitter, describe_bytes, describe_frame, describe_records, explain
from ipg_protocol.refusal import RangeDetail
from ipg_protocol.trace import Record, Towards

VECTORS = Path(__file__).parents[1] / "vectors"
KINDS = {
    "requests": "REQUEST",
    "answers": "RESPONSE",
    "refusals": "RESPONSE",
    "events": "EVENT",
    "acknowledgements": "EVENT_ACK",
}
PING = encode_frame(request_frame(Ping(5), 1))


def vectors() -> Iterator[Any]:
    for kind, word in KINDS.items():
        for vector in json.loads((VECTORS / f"{kind}.json").read_text()):
            yield pytest.param(kind, word, vector, id=f"{kind} {vector['name']}")


def scalars(values: Any) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        rows = value if isinstance(value, list) else [value]
        if all(isinstance(row, dict) for row in rows):
            for row in rows:
                yield from scalars(row)
        elif not isinstance(value, list):
            yield name, value


@pytest.mark.parametrize(("kind", "word", "vector"), list(vectors()))
def test_a_locked_frame_is_told_by_its_kind_its_name_and_its_values(kind: str, word: str, vector: dict[str, Any]) -> None:
    (line,) = describe_bytes(bytes.fromhex(vector["frame"]))
    assert line.startswith(f"{word} {vector['request_id']}")
    assert "malformed" not in line
    if kind != "acknowledgements":
        assert f" {vector['name']}" in line
    for name, value in scalars(vector["fields"]):
        if (kind, name) != ("refusals", "field"):
            assert f" {name}={value}" in line.replace("[", "[ ") or f"{name}={value!r}" in line, (name, line)


@pytest.mark.parametrize(("place", "words"), [(1, "field=1(area)"), (255, "field=255(whole message)"), (77, "field=77")])
def test_a_refusal_names_the_field_that_it_speaks_of(place: int, words: str) -> None:
    refused = Reply(Status.OUT_OF_RANGE, ResponseFlag.REPLAYED, RangeDetail(place, 0, 3, 1, 3))
    line = describe_frame(reply_frame(COMMAND_OF[StepAmplitude].opcode, 7, refused))
    assert line == f"RESPONSE 7 STEP_AMPLITUDE OUT_OF_RANGE REPLAYED {words} minimum=0 maximum=3 step=1 nearest=3"


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (Frame(Kind.REQUEST, 0x7777, 3), "REQUEST 3 0x7777, no such command: payload=none"),
        (Frame(Kind.EVENT, 0x9999, 3, b"\1"), "EVENT 3 0x9999, no such event: payload=01"),
        (Frame(Kind.REQUEST, 1, 3, b"\1"), "REQUEST 3 PING malformed, expected 4 bytes, got 1: payload=01"),
        (
            Frame(Kind.RESPONSE, 1, 3, b"\xee\0"),
            "RESPONSE 3 PING malformed, no such answer: opcode 0x0001, status 0xee: payload=ee 00",
        ),
        (Frame(Kind.EVENT_ACK, 0, 12), "EVENT_ACK 12"),
        (Frame(Kind.EVENT_ACK, 0, 12, b"\1"), "EVENT_ACK 12 payload=01"),
    ],
)
def test_a_frame_that_nobody_understands_is_told_as_far_as_it_goes(frame: Frame, line: str) -> None:
    assert describe_frame(frame) == line


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\1\2\3\0", "no frame, it is too short for a frame: 01 02 03 at byte 0"),
        (b"\0\0\5\2\0", "no frame, it is not COBS: 05 02 at byte 2"),
        (PING[:-3] + b"\x77" + PING[-2:], "no frame, the CRC is wrong: 04 11 04 01 02 01 01 01 02 05 01 01 05 .* at byte 1"),
        (PING[:-2], "no frame, its end is missing: .* at byte 1"),
        (PING[1:-1], "REQUEST 1 PING token=5"),
        (b"\1" * 600, "no frame, it is longer than any frame: 600 bytes 01 01 .* at byte 0"),
    ],
)
def test_what_is_no_frame_is_told_with_the_reason_and_the_place(data: bytes, line: str) -> None:
    (said,) = describe_bytes(data)
    assert re.fullmatch(line, said), said


def test_frames_among_noise_are_told_in_their_order() -> None:
    assert describe_bytes(b"\1\2" + PING + b"\3\0" + PING[1:]) == [
        "no frame, it is not COBS: 01 02 at byte 0",
        "REQUEST 1 PING token=5",
        "no frame, it is not COBS: 03 at byte 21",
        "REQUEST 1 PING token=5",
    ]


@given(st.lists(st.one_of(st.just(PING), st.binary(max_size=300)), max_size=8), st.lists(st.integers(0, 2000), max_size=6))
def test_however_bytes_are_cut_the_pieces_hold_them_all_and_the_frames_are_the_readers(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(parts)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    chunks = [data[start:end] for start, end in pairwise(places)]
    splitter = Splitter()
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk, 0)] + list(splitter.end("it has an end"))
    assert all(data[piece.at : piece.at + len(piece.data)] == piece.data for piece in pieces)
    assert b"".join(piece.data for piece in pieces) == data.replace(b"\0", b"")
    reader = FrameReader()
    assert [piece.frame for piece in pieces if piece.frame] == [frame for chunk in chunks for frame in reader.feed(chunk, 0)]
    assert [str(piece) for piece in pieces if piece.frame is None and not piece.why] == []


@given(st.sampled_from([*Kind][:4]), st.integers(0, 0xFFFF), st.binary(max_size=242))
def test_whatever_a_frame_holds_it_is_told_in_one_line(kind: Kind, opcode: int, payload: bytes) -> None:
    assert "\n" not in describe_frame(Frame(kind, opcode, 5, payload))


def test_a_trace_is_told_frame_by_frame_with_what_did_not_pass() -> None:
    records = [
        Record(1_000_000, Towards.DEVICE, PING[:5]),
        Record(1_000_100, Towards.DEVICE, PING[5:] + b"\7\7\0"),
        Record(1_000_100, Towards.DEVICE, b"\7\7", "device: it is not COBS"),
        Record(1_000_200, Towards.HOST, encode_frame(Frame(Kind.EVENT_ACK, 0, 9)) + b"\2\1\0"),
        Record(1_000_300, Towards.HOST, PING, "line: dropped"),
    ]
    assert describe_records(records) == [
        "    1.000100 > REQUEST 1 PING token=5",
        "    1.000100 >! device: it is not COBS: 07 07",
        "    1.000200 < EVENT_ACK 9",
        "    1.000200 < no frame, it is too short for a frame: 02 01 at byte 15",
        "    1.000300 <! line: dropped: REQUEST 1 PING token=5",
    ]


def test_the_beginning_of_a_frame_does_not_spoil_what_comes_after_200_ms() -> None:
    records = [Record(0, Towards.HOST, PING[:5]), Record(200_000, Towards.HOST, PING)]
    first, second = describe_records(records)
    assert "the frame was not finished within 200 ms" in first
    assert second.endswith("REQUEST 1 PING token=5")


@given(st.lists(st.tuples(st.one_of(st.just(PING), st.binary(max_size=300)), st.sampled_from([0, 1, 250_000])), max_size=10))
def test_a_reader_tells_every_byte_that_is_in_no_frame(parts: list[tuple[bytes, int]]) -> None:
    told: list[bytes] = []
    reader = FrameReader(lambda data, why, _now: told.append(data if why else b""))
    frames = [frame for place, (data, gap) in enumerate(parts) for frame in reader.feed(data, place * 1_000 + gap * place)]
    told += [encode_frame(frame) for frame in frames] + [reader.unfinished]
    sent = b"".join(data for data, _ in parts)
    assert Counter(b"".join(told).replace(b"\0", b"")) == Counter(sent.replace(b"\0", b""))


def test_explain_gives_frames_to_programs() -> None:
    frame, noise = explain(PING + b"\1")
    assert (frame.frame, frame.why, frame.wire) == (request_frame(Ping(5), 1), "", PING)
    assert (noise.frame, noise.why, noise.at) == (None, "its end is missing", len(PING))
