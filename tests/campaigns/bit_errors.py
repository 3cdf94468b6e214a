"""Every 1-bit and 2-bit wire error in every locked frame is rejected or yields the same frame; the next one is read.

`python tests/campaigns/bit_errors.py` runs all of them on two processes and prints the counts.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from ipg_protocol import Frame, FrameReader, Kind, encode_frame

VECTORS = Path(__file__).parents[1] / "vectors"
NEXT = Frame(Kind.REQUEST, 0x0001, 0x01020304, b"next")
NEXT_WIRE = encode_frame(NEXT)


class Tally(NamedTuple):
    """How many damaged frames were fed, rejected, and read as sent; wrong: another frame was read, or the next was lost."""

    fed: int
    rejected: int
    same: int
    wrong: int

    def plus(self, other: Tally) -> Tally:
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = Tally(0, 0, 0, 0)


def canonical_frames() -> dict[str, bytes]:
    """Every locked frame by the name of its file and its own."""
    return {
        f"{path.stem} {vector['name']}": bytes.fromhex(vector["frame"])
        for path in sorted(VECTORS.glob("*.json"))
        for vector in json.loads(path.read_text())
    }


def damaged(wire: bytes, flips: int) -> Iterator[bytes]:
    """The bytes of a frame with every choice of `flips` bits turned over."""
    size = len(wire)
    whole = int.from_bytes(wire, "little")
    for bits in combinations([1 << bit for bit in range(8 * size)], flips):
        yield (whole ^ sum(bits)).to_bytes(size, "little")


def judge(sent: Frame, wires: Iterable[bytes]) -> Tally:
    """Feed each to a receiver, with a good frame behind it."""
    reader = FrameReader()
    results: Counter[str] = Counter()
    for wire in wires:
        frames = reader.feed(wire + NEXT_WIRE, 0)
        results["rejected" if frames == [NEXT] else "same" if frames == [sent, NEXT] else "wrong"] += 1
    return Tally(results.total(), results["rejected"], results["same"], results["wrong"])


def campaign(wire: bytes, flips: int) -> Tally:
    """Every error of `flips` bits in one frame."""
    (sent,) = FrameReader().feed(wire, 0)
    return judge(sent, damaged(wire, flips))


def main() -> int:
    """Run all of it; 1 if any damaged frame was taken for another."""
    frames = canonical_frames()
    wires = sorted(frames.values(), key=len, reverse=True)
    wrong = 0
    with ProcessPoolExecutor(2) as pool:
        for flips in (1, 2):
            total = NOTHING
            for tally in pool.map(campaign, wires, [flips] * len(wires)):
                total = total.plus(tally)
            wrong += total.wrong
            print(
                f"{flips}-bit errors in {len(wires)} frames: {total.fed:,} fed, {total.rejected:,} rejected, "
                f"{total.same:,} read as sent, {total.wrong:,} read as another frame or losing the next",
                flush=True,
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
