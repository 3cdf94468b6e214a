"""Random, mutated and well-framed bytes into a whole device: no exception, an answer to each request, no growing memory.

`python tests/campaigns/device_noise.py` feeds half a million byte strings to each shipped model and prints the counts.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from typing import NamedTuple

from ipg_emulator.factory import build_device
from ipg_emulator.model import load, names
from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, Role, encode_frame, request_frame
from ipg_protocol.commands.session import OpenSession
from random_bytes import MUTATIONS, locked_frames, memory_in_use

SEED = 1
FULL = 500_000
LONGEST_GAP_US = 400_000


class Outcome(NamedTuple):
    """What became of the byte strings."""

    strings: int
    requests: int
    answers: int
    boots: int
    growth_bytes: int


def good_frame(rng: random.Random, number: int) -> bytes:
    """A request that passes the frame reader, with random bytes for a payload or a session to go on with."""
    if rng.random() < 0.1:
        return encode_frame(request_frame(OpenSession(Role.SERVICE, rng.randrange(20), number), number))
    return encode_frame(
        Frame(Kind.REQUEST, rng.choice(list(CATALOGUE)), number, rng.randbytes(rng.choice((0, 1, 4, 5, 9, 40))))
    )


def campaign(model: str, strings: int, seed: int = SEED) -> Outcome:
    """Feed so many byte strings to one device. Every request that a receiver finds among them is answered once."""
    rng = random.Random(seed)
    wires = locked_frames()
    device = build_device(load(model), seed=seed)
    heard, answered = FrameReader(), FrameReader()
    now, requests, answers, start = 1_000_000, 0, 0, 0
    tracemalloc.start()
    for index in range(strings):
        if index == strings // 2:
            start = memory_in_use()
        now += rng.randrange(LONGEST_GAP_US)
        wire = good_frame(rng, index + 1) if rng.random() < 0.5 else rng.choice(MUTATIONS)(rng, wires)
        wire = b"\0" + wire + b"\0"  # so that a restart of the device cuts no frame in two
        requests += sum(frame.kind is Kind.REQUEST for frame in heard.feed(wire, now))
        device.receive(wire, now)
        answers += sum(frame.kind is Kind.RESPONSE for frame in answered.feed(device.take_output(now), now))
    growth = memory_in_use() - start
    tracemalloc.stop()
    return Outcome(strings, requests, answers, device.memory.boot_counter, growth)


def main() -> int:
    """Run all of it; 1 if a request went without its answer."""
    outcomes = {model: campaign(model, FULL) for model in names()}
    for model, outcome in outcomes.items():
        print(
            f"{model}: {outcome.strings:,} byte strings (seed {SEED}), {outcome.requests:,} requests among them, "
            f"{outcome.answers:,} answers, {outcome.boots:,} boots, no exception; memory grew by {outcome.growth_bytes:,} bytes"
        )
    return 1 if any(outcome.requests != outcome.answers for outcome in outcomes.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
