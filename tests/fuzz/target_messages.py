"""Fuzz target: any payload for every layout. It decodes to a message that encodes back, or is refused by `WireError`."""

from __future__ import annotations

from ipg_protocol import (
    CATALOGUE,
    EVENTS,
    Frame,
    Kind,
    Message,
    WireError,
    decode,
    decode_event,
    decode_reply,
    encode,
)
from ipg_protocol.refusal import REFUSAL_DETAIL
from promptness import promptly
from reference import frames_of
from steering import Steering, vectors

LAYOUTS: list[type[Message]] = sorted(
    {entry.request for entry in CATALOGUE.values()}
    | {entry.response for entry in CATALOGUE.values()}
    | {entry.message for entry in EVENTS.values()}
    | set(REFUSAL_DETAIL.values()),
    key=lambda layout: layout.__name__,
)
OPCODES = [*CATALOGUE, *EVENTS]


def seeds() -> list[bytes]:
    """Inputs to begin with: the locked payloads."""
    inputs = [_seed(vector, CATALOGUE[int(vector["opcode"], 16)].request, skip=0) for vector in vectors("requests")]
    inputs += [_seed(vector, CATALOGUE[int(vector["opcode"], 16)].response, skip=2) for vector in vectors("answers")]
    return inputs + [_seed(vector, EVENTS[int(vector["opcode"], 16)].message, skip=0) for vector in vectors("events")]


def _seed(vector: dict[str, str], layout: type[Message], skip: int) -> bytes:
    (frame,) = frames_of(bytes.fromhex(vector["frame"]))
    return bytes([LAYOUTS.index(layout), 0]) + frame.payload[skip:]


def run(data: bytes) -> None:
    """Decode the payload by one layout, and as the answer and the event that a frame says it is."""
    steering = Steering(data)
    layout, opcode = steering.choose(LAYOUTS), steering.choose(OPCODES)
    payload = steering.take(steering.left)
    with promptly():
        check_layout(layout, payload)
        check_frame(opcode, payload)


def check_layout(layout: type[Message], payload: bytes) -> None:
    """What decodes encodes back; nothing but `WireError` is raised."""
    try:
        message = decode(layout, payload)
    except WireError:
        pass
    else:
        assert encode(message) == payload, message


def check_frame(opcode: int, payload: bytes) -> None:
    """The same for a frame that says what it holds."""
    for kind, reads in ((Kind.RESPONSE, decode_reply), (Kind.EVENT, decode_event)):
        try:
            reads(Frame(kind, opcode, 1, payload))
        except WireError:
            continue
