"""Random and mutated bytes into a receiver: no exception, no frame that was not sent, no growing memory.

`python tests/campaigns/random_bytes.py` feeds a million byte strings and prints the counts.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, WireError, decode, decode_event, decode_reply

VECTORS = Path(__file__).parents[1] / "vectors"
SEED = 1
FULL = 1_000_000
GAP_US = 1_000_000
"""Longer than a partial frame is kept, so that one string never becomes part of the next."""


class Outcome(NamedTuple):
    """What became of the byte strings."""

    strings: int
    frames: int
    wrong: int
    refused_payloads: int
    noise: int
    growth_bytes: int


def locked_frames() -> list[bytes]:
    """The bytes of every locked frame."""
    return [
        bytes.fromhex(vector["frame"]) for path in sorted(VECTORS.glob("*.json")) for vector in json.loads(path.read_text())
    ]


def noise(rng: random.Random, _: list[bytes]) -> bytes:
    return rng.randbytes(rng.randrange(300))


def delimited_noise(rng: random.Random, _: list[bytes]) -> bytes:
    return b"\0" + rng.randbytes(rng.randrange(64)).replace(b"\0", b"\x01") + b"\0"


def flipped(rng: random.Random, frames: list[bytes]) -> bytes:
    wire = bytearray(rng.choice(frames))
    for _ in range(rng.randrange(1, 12)):
        wire[rng.randrange(len(wire))] ^= 1 << rng.randrange(8)
    return bytes(wire)


def overwritten(rng: random.Random, frames: list[bytes]) -> bytes:
    wire = bytearray(rng.choice(frames))
    start = rng.randrange(len(wire))
    burst = rng.randbytes(rng.randrange(1, 9))
    wire[start : start + len(burst)] = burst
    return bytes(wire)


def cut(rng: random.Random, frames: list[bytes]) -> bytes:
    wire = rng.choice(frames)
    start, end = sorted((rng.randrange(len(wire)), rng.randrange(len(wire))))
    return wire[:start] + wire[end:]


def spliced(rng: random.Random, frames: list[bytes]) -> bytes:
    first, second = rng.choice(frames), rng.choice(frames)
    return first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :]


MUTATIONS: tuple[Callable[[random.Random, list[bytes]], bytes], ...] = (
    noise,
    delimited_noise,
    flipped,
    overwritten,
    cut,
    spliced,
)


def read_payload(frame: Frame) -> None:
    """Decode what a frame carries, as a device or a host would.

    Raises:
        WireError: it does not fit; nothing else may be raised.
    """
    if frame.kind is Kind.REQUEST and frame.opcode in CATALOGUE:
        decode(CATALOGUE[frame.opcode].request, frame.payload)
    elif frame.kind is Kind.RESPONSE:
        decode_reply(frame)
    elif frame.kind is Kind.EVENT:
        decode_event(frame)


def read_noise_as_payload(rng: random.Random, frame: Frame) -> int:
    """Put random bytes under a good header; 1 if they were refused."""
    try:
        read_payload(Frame(frame.kind, frame.opcode, frame.request_id, rng.randbytes(rng.randrange(60))))
    except WireError:
        return 1
    return 0


def memory_in_use() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def campaign(strings: int, seed: int = SEED) -> Outcome:
    """Feed so many byte strings to one receiver. Each frame that comes out must be one that went in, whole."""
    rng = random.Random(seed)
    wires = locked_frames()
    known = [FrameReader().feed(wire, 0)[0] for wire in wires]
    for frame in known:
        read_payload(frame)  # layouts are built once, when first met
    reader = FrameReader()
    frames = wrong = refused = start = 0
    tracemalloc.start()
    for index in range(strings):
        if index == strings // 10:
            start = memory_in_use()
        found = reader.feed(rng.choice(MUTATIONS)(rng, wires), index * GAP_US)
        frames += len(found)
        wrong += sum(frame not in known for frame in found)
        refused += read_noise_as_payload(rng, rng.choice(known))
    growth = memory_in_use() - start
    tracemalloc.stop()
    return Outcome(strings, frames, wrong, refused, reader.noise.total, growth)


def main() -> int:
    """Run all of it; 1 if any frame came out that was not sent."""
    outcome = campaign(FULL)
    print(
        f"{outcome.strings:,} byte strings (seed {SEED}): {outcome.noise:,} stretches of noise counted, "
        f"{outcome.frames:,} frames read as sent, {outcome.wrong:,} wrong frames, no exception; "
        f"{outcome.strings:,} random payloads: {outcome.refused_payloads:,} refused; "
        f"memory grew by {outcome.growth_bytes:,} bytes"
    )
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
