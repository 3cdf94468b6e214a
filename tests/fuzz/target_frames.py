"""Fuzz target: any bytes into a receiver, whole, byte by byte and split, against the reference."""

from __future__ import annotations

from itertools import pairwise

from ipg_protocol import Frame, FrameReader, Noise
from promptness import promptly
from reference import frames_of
from steering import Steering, vectors


def seeds() -> list[bytes]:
    """Inputs to begin with: the locked frames as raw bytes, with one cut each."""
    wires = [
        bytes.fromhex(vector["frame"])
        for file in ("requests", "answers", "refusals", "events", "acknowledgements")
        for vector in vectors(file)
    ]
    return [bytes([1, 5, 2 * len(wire) % 256]) + wire for wire in wires]


def stream_of(steering: Steering) -> bytes:
    """A stream of raw bytes and of frames, as the bytes decide."""
    stream = b""
    while steering.left:
        choice = steering.number()
        stream += steering.wire() if choice % 2 else steering.take(choice // 2)
    return stream


def read(chunks: list[bytes]) -> tuple[list[Frame], Noise]:
    """What a receiver makes of a stream that arrives in pieces."""
    reader = FrameReader()
    return [frame for chunk in chunks for frame in reader.feed(chunk, 0)], reader.noise


def run(data: bytes) -> None:
    """All ways of cutting the stream give the same frames and the same noise, and these frames are the right ones."""
    steering = Steering(data)
    places = [steering.number() for _ in range(steering.number() % 4)]
    stream = stream_of(steering)
    edges = [0, *sorted(place for place in places if place < len(stream)), len(stream)]
    with promptly():
        whole = read([stream])
        split = read([stream[start:end] for start, end in pairwise(edges)])
        byte_by_byte = read([stream[place : place + 1] for place in range(len(stream))])
    assert whole[0] == frames_of(stream)
    assert whole == split == byte_by_byte
