"""The locked bytes of every request, answer, refusal and event: what is built is what was locked, and reads back."""

from __future__ import annotations

import json
from enum import IntFlag
from pathlib import Path
from typing import Any

import pytest
from ipg_protocol import (
    CATALOGUE,
    EVENTS,
    REFUSAL_DETAIL,
    Frame,
    FrameReader,
    Kind,
    Message,
    Reply,
    ResponseFlag,
    Status,
    decode,
    decode_event,
    decode_reply,
    encode_frame,
    event_frame,
    reply_frame,
    request_frame,
)
from ipg_protocol.wire import Field, fields, layout

VECTORS = Path(__file__).parents[1] / "vectors"

Vector = dict[str, Any]


def message_of(message: type[Message], values: dict[str, Any]) -> Any:
    declared = fields(message)
    assert list(values) == [field.name for field in declared]
    return message(*[value_of(field, values[field.name]) for field in declared])


def value_of(field: Field, value: Any) -> Any:
    if field.nested is not None:
        return message_of(field.nested, value)
    if field.row is not None:
        return tuple(message_of(field.row, row) for row in value)
    if field.enum is None:
        return bytes.fromhex(value) if field.type_name == "bytes" else value
    if issubclass(field.enum, IntFlag):
        return flags_of(field.enum, value)
    return field.enum[value]


def flags_of(flag: type[IntFlag], names: list[str]) -> IntFlag:
    combined = flag(0)
    for name in names:
        combined |= flag[name]
    return combined


def frame_of(vector: Vector) -> Frame:
    (frame,) = FrameReader().feed(bytes.fromhex(vector["frame"]), 0)
    assert (frame.opcode, frame.request_id) == (int(vector["opcode"], 16), vector["request_id"])
    return frame


def construct_reads(message: type[Message], payload: bytes, vector: Vector) -> None:
    """The reference layout finds the same numbers in the payload, and builds the same payload from them."""
    declared = layout(message)
    parsed = declared.parse(payload)
    assert declared.build(parsed) == payload
    for field in fields(message):
        if isinstance(vector["fields"][field.name], int):
            assert parsed[field.name] == vector["fields"][field.name]


def test_request(requests_vector: Vector) -> None:
    entry = CATALOGUE[int(requests_vector["opcode"], 16)]
    request = message_of(entry.request, requests_vector["fields"])
    assert encode_frame(request_frame(request, requests_vector["request_id"])).hex() == requests_vector["frame"]
    frame = frame_of(requests_vector)
    assert frame.kind is Kind.REQUEST
    assert decode(entry.request, frame.payload) == request
    construct_reads(entry.request, frame.payload, requests_vector)


def test_answer(answers_vector: Vector) -> None:
    entry = CATALOGUE[int(answers_vector["opcode"], 16)]
    check_reply(answers_vector, Status.OK, entry.response)


def test_refusal(refusals_vector: Vector) -> None:
    status = Status[refusals_vector["name"]]
    check_reply(refusals_vector, status, REFUSAL_DETAIL[status])


def check_reply(vector: Vector, status: Status, layout_of_body: type[Message]) -> None:
    flags = ResponseFlag(flags_of(ResponseFlag, vector["flags"]))
    reply = Reply(status, flags, message_of(layout_of_body, vector["fields"]))
    built = reply_frame(int(vector["opcode"], 16), vector["request_id"], reply)
    assert encode_frame(built).hex() == vector["frame"]
    frame = frame_of(vector)
    assert frame.kind is Kind.RESPONSE
    assert decode_reply(frame) == reply
    construct_reads(layout_of_body, frame.payload[2:], vector)


def test_event(events_vector: Vector) -> None:
    entry = EVENTS[int(events_vector["opcode"], 16)]
    message = message_of(entry.message, events_vector["fields"])
    assert encode_frame(event_frame(message, events_vector["request_id"])).hex() == events_vector["frame"]
    frame = frame_of(events_vector)
    assert frame.kind is Kind.EVENT
    assert decode_event(frame) == message
    construct_reads(entry.message, frame.payload, events_vector)


def test_acknowledgement(acknowledgements_vector: Vector) -> None:
    built = Frame(Kind.EVENT_ACK, int(acknowledgements_vector["opcode"], 16), acknowledgements_vector["request_id"])
    assert encode_frame(built).hex() == acknowledgements_vector["frame"]
    assert frame_of(acknowledgements_vector) == built


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("requests", {entry.name for entry in CATALOGUE.values()}),
        ("answers", {entry.name for entry in CATALOGUE.values()}),
        ("refusals", {status.name for status in REFUSAL_DETAIL}),
        ("events", {entry.name for entry in EVENTS.values()}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_without_a_vector(file: str, names: set[str]) -> None:
    vectors = json.loads((VECTORS / f"{file}.json").read_text())
    assert {vector["name"] for vector in vectors} == names
