"""Mutated frames into a receiver and into whole devices: no exception, no hang, no frame that was not sent, flat memory.

`python tests/campaigns/mutated_frames.py` feeds 100 million to a receiver and a million to devices, on all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import load, names
from ipg_protocol import CATALOGUE, COMMAND_OF, Frame, FrameReader, Kind, Role, encode_frame, request_frame
from ipg_protocol.commands.link import Ping, SelfTest
from ipg_protocol.commands.session import OpenSession
from rich.console import Console
from rich.progress import track

VECTORS = Path(__file__).parents[1] / "vectors"
LONGEST_FEED_MS = 100.0
FRAMES_A_FEED = 512
FRAMES_A_DEVICE_FEED = 4
READER_JOB = 1_000_000
DEVICE_JOB = 20_000
GAP_US = 1_000_000
"""Longer than a partial frame is kept, so that the frames of one feed never become part of the next."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Places = np.ndarray[Any, np.dtype[np.int64]]
Generator = np.random.Generator


class Batch(NamedTuple):
    """Frames one behind the other in a stream: where each begins, and its size."""

    stream: Bytes
    begins: Places
    sizes: Places

    def somewhere(self, rng: Generator) -> Places:
        """One place within each frame."""
        return self.begins + rng.integers(0, self.sizes)

    def stretches(self, rng: Generator, longest: int) -> tuple[Places, Places]:
        """One stretch of each frame: where it begins, and where it ends, which is not beyond the frame."""
        start = self.somewhere(rng)
        return start, np.minimum(start + rng.integers(1, longest + 1, len(start)), self.begins + self.sizes)

    def covered(self, starts: Places, ends: Places) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which bytes of the stream lie in one of the stretches."""
        edges = np.zeros(len(self.stream) + 1, np.int64)
        np.add.at(edges, starts, 1)
        np.add.at(edges, ends, -1)
        return np.cumsum(edges[:-1]) > 0


def flipped(rng: Generator, batch: Batch) -> Bytes:
    """Some bits turned over."""
    for _ in range(rng.integers(1, 6)):
        places = batch.somewhere(rng)
        batch.stream[places] ^= np.left_shift(1, rng.integers(0, 8, len(places))).astype(np.uint8)
    return batch.stream


def overwritten(rng: Generator, batch: Batch) -> Bytes:
    """A burst of noise."""
    burst = batch.covered(*batch.stretches(rng, 8))
    return np.where(burst, rng.integers(0, 256, len(burst), np.uint8), batch.stream)


def cut(rng: Generator, batch: Batch) -> Bytes:
    """A stretch missing, at times with a delimiter."""
    return batch.stream[~batch.covered(*batch.stretches(rng, 24))]


def stuttered(rng: Generator, batch: Batch) -> Bytes:
    """A stretch of bytes, each repeated."""
    return np.repeat(batch.stream, 1 + batch.covered(*batch.stretches(rng, 4)))


def broken_apart(rng: Generator, batch: Batch) -> Bytes:
    """A delimiter where there was none."""
    batch.stream[batch.somewhere(rng)] = 0
    return batch.stream


def spliced(rng: Generator, batch: Batch) -> Bytes:
    """Of every two frames, the head of the first and the tail of the second."""
    places = batch.somewhere(rng)[: len(batch.begins) // 2 * 2]
    return batch.stream[~batch.covered(places[0::2], places[1::2])]


def swapped(rng: Generator, batch: Batch) -> Bytes:
    """Two neighbouring bytes the other way round."""
    places = batch.begins + rng.integers(0, batch.sizes - 1)
    batch.stream[places], batch.stream[places + 1] = batch.stream[places + 1], batch.stream[places]
    return batch.stream


def drowned(rng: Generator, batch: Batch) -> Bytes:
    """Noise between the delimiters."""
    return np.where(batch.stream == 0, 0, rng.integers(1, 256, len(batch.stream), np.uint8)).astype(np.uint8)


MUTATIONS: tuple[Callable[[Generator, Batch], Bytes], ...] = (
    flipped,
    overwritten,
    cut,
    stuttered,
    broken_apart,
    spliced,
    swapped,
    drowned,
)


def locked_frames() -> list[bytes]:
    """The bytes of every locked frame."""
    return [
        bytes.fromhex(vector["frame"]) for path in sorted(VECTORS.glob("*.json")) for vector in json.loads(path.read_text())
    ]


def mutated(rng: Generator, wires: list[bytes], count: int) -> Iterator[bytes]:
    """Streams of so many frames, each of them chosen and mutated at random, without end."""
    originals = np.frombuffer(b"".join(wires), np.uint8)
    lengths = np.array([len(wire) for wire in wires])
    offsets = np.cumsum(lengths) - lengths
    while True:
        chosen = rng.integers(0, len(wires), count)
        sizes = lengths[chosen]
        begins = np.cumsum(sizes) - sizes
        stream = originals[np.repeat(offsets[chosen] - begins, sizes) + np.arange(sizes.sum())]
        yield MUTATIONS[rng.integers(len(MUTATIONS))](rng, Batch(stream, begins, sizes)).tobytes()


class Outcome(NamedTuple):
    """What became of the frames of one job; `memory` in bytes, of the process `pid` at the start and at the end."""

    fed: int
    counts: Counter[str]
    longest_ms: float
    pid: int
    memory: tuple[int, int]


def memory_in_use() -> int:
    """The resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def feed_reader(reader: FrameReader, originals: set[Frame], stream: bytes, number: int) -> Counter[str]:
    """Feed one stream with a good frame behind it, which must come out; before it only frames that were sent may."""
    good = request_frame(Ping(number), number)
    *found, last = reader.feed(stream + b"\0" + encode_frame(good), number * GAP_US) or [None]
    wrong = sum(frame not in originals for frame in found)
    return Counter(wrong=wrong, as_sent=len(found) - wrong, good_frames_lost=int(last != good))


def reader_job(frames: int, seed: int) -> Outcome:
    """Feed so many mutated frames to one receiver."""
    wires = locked_frames()
    originals = {frame for wire in wires for frame in FrameReader().feed(wire, 0)}
    reader = FrameReader()
    counts: Counter[str] = Counter()
    longest = memory = 0.0
    streams = mutated(np.random.default_rng(seed), wires, FRAMES_A_FEED)
    feeds = -(-frames // FRAMES_A_FEED)
    for number, stream in enumerate(islice(streams, feeds), 1):
        memory = memory or memory_in_use()
        began = time.thread_time()
        try:
            counts.update(feed_reader(reader, originals, stream, number))
        except Exception as error:
            counts["exceptions"] += 1
            print(f"seed {seed}, feed {number}: {error!r} from {stream.hex()}", file=sys.stderr)
        longest = max(longest, time.thread_time() - began)
    counts.update({reason: getattr(reader.noise, reason) for reason in reader.noise.__struct_fields__})
    return Outcome(feeds * FRAMES_A_FEED, counts, 1000 * longest, os.getpid(), (int(memory), memory_in_use()))


def good_request(rng: random.Random, number: int) -> bytes:
    """A request that passes the receiver, with random bytes for a payload or a session to go on with."""
    if rng.random() < 0.1:
        return encode_frame(request_frame(OpenSession(Role.SERVICE, rng.randrange(20), number), number))
    payload = rng.randbytes(rng.choice((0, 1, 4, 5, 9, 40)))
    return encode_frame(Frame(Kind.REQUEST, rng.choice(list(CATALOGUE)), number, payload))


class NoisyDevice:
    """A device, and beside it a receiver that reads what the device hears: each request is answered once."""

    def __init__(self, model: str, seed: int) -> None:
        self.device = build_device(load(model), seed=seed)
        self.now = boot_finished_at(self.device.model)
        self._rng = random.Random(seed)
        self._heard, self._said = FrameReader(), FrameReader()

    def hear(self, wire: bytes) -> Counter[str]:
        """Let some time pass, then let the device hear this and compare its answers with the requests in it.

        A SELF_TEST is answered when it is over, and never if the session ends before.
        """
        self.now += self._rng.randrange(400_000)
        wire = b"\0" + wire + b"\0"  # so that a restart of the device cuts no frame in two
        self.device.receive(wire, self.now)
        asked = self._numbers(self._heard.feed(wire, self.now), Kind.REQUEST)
        answered = self._numbers(self._said.feed(self.device.take_output(self.now), self.now), Kind.RESPONSE)
        return Counter(requests=asked.total(), unanswered=(asked - answered).total(), unasked=(answered - asked).total())

    def _numbers(self, frames: list[Frame], kind: Kind) -> Counter[tuple[int, int]]:
        later = COMMAND_OF[SelfTest].opcode
        return Counter((frame.opcode, frame.request_id) for frame in frames if frame.kind is kind and frame.opcode != later)


def device_job(model: str, frames: int, seed: int) -> Outcome:
    """Feed so many mutated frames to one device, with good requests between them that keep it busy."""
    rng = random.Random(seed)
    noisy = NoisyDevice(model, seed)
    counts: Counter[str] = Counter()
    longest = memory = 0.0
    feeds = -(-frames // FRAMES_A_DEVICE_FEED)
    streams = mutated(np.random.default_rng(seed), locked_frames(), FRAMES_A_DEVICE_FEED)
    for number, stream in enumerate(islice(streams, feeds), 1):
        if number == 1 + feeds // 2:
            memory = memory_in_use()
        for wire in (good_request(rng, number), stream):
            began = time.thread_time()
            try:
                counts.update(noisy.hear(wire))
            except Exception as error:
                counts["exceptions"] += 1
                print(f"{model}, seed {seed}, feed {number}: {error!r} from {wire.hex()}", file=sys.stderr)
            longest = max(longest, time.thread_time() - began)
    counts["boots"] = noisy.device.memory.boot_counter
    return Outcome(feeds * FRAMES_A_DEVICE_FEED, counts, 1000 * longest, os.getpid(), (int(memory), memory_in_use()))


FORBIDDEN: tuple[str, ...] = ("wrong", "exceptions", "good_frames_lost", "unanswered", "unasked")


def run(title: str, jobs: list[Callable[[], Outcome]], processes: int) -> bool:
    """Run the jobs and print what became of all frames; whether nothing forbidden was among it."""
    began = time.monotonic()
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(job) for job in jobs]
        console = Console(stderr=True)
        outcomes = [future.result() for future in track(as_completed(futures), title, len(futures), console=console)]
    seconds = time.monotonic() - began
    fed = sum(outcome.fed for outcome in outcomes)
    counts = sum((outcome.counts for outcome in outcomes), Counter(dict.fromkeys(FORBIDDEN, 0)))
    longest = max(outcome.longest_ms for outcome in outcomes)
    print(
        f"{title}: {fed:,} fed in {seconds:.0f} s ({fed / seconds:,.0f} a second), longest feed {longest:.1f} ms of processor"
    )
    print("  " + ", ".join(f"{name.replace('_', ' ')} {counts[name]:,}" for name in dict.fromkeys([*FORBIDDEN, *counts])))
    print("  " + memory_line(outcomes), flush=True)
    return longest < LONGEST_FEED_MS and not any(counts[name] for name in FORBIDDEN)


def memory_line(outcomes: list[Outcome]) -> str:
    """How much memory each process held at the start of its first job and at the end of its last, in megabytes."""
    of_process: dict[int, list[tuple[int, int]]] = {}
    for outcome in outcomes:
        of_process.setdefault(outcome.pid, []).append(outcome.memory)
    spans = [f"{spent[0][0] / 1e6:.1f} to {spent[-1][1] / 1e6:.1f}" for spent in of_process.values()]
    return f"memory of each process from its first job to its last, MB: {', '.join(spans)}"


def main() -> int:
    """Run all of it; 1 if a frame was taken for another, lost, not answered once, or took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", type=int, default=100_000_000, help="mutated frames for the receiver (%(default)s)")
    parser.add_argument("--device", type=int, default=1_000_000, help="mutated frames for the devices (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first job; each further job has the next (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    reader_jobs = [
        partial(reader_job, min(READER_JOB, arguments.reader - done), arguments.seed + place)
        for place, done in enumerate(range(0, arguments.reader, READER_JOB))
    ]
    device_jobs = [
        partial(device_job, names()[place % len(names())], min(DEVICE_JOB, arguments.device - done), arguments.seed + place)
        for place, done in enumerate(range(0, arguments.device, DEVICE_JOB))
    ]
    passed = [
        run("mutated frames into a receiver", reader_jobs, arguments.processes),
        run("mutated frames into whole devices", device_jobs, arguments.processes),
    ]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
