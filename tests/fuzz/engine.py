"""Runs one fuzz target under atheris (libFuzzer): coverage guides it, and whatever it raises is a finding."""

from __future__ import annotations

import gc
import hashlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path

TARGETS = ("frames", "messages", "device")
GUIDING = ("ipg_protocol", "ipg_emulator.firmware")
"""The packages whose coverage guides the fuzzer; watching a module makes it several times slower."""
UNWATCHED = ("ipg_emulator.firmware.flash_records",)
"""Whose loops go over much erased flash, and say little."""
LONGEST_INPUT = 600
OPTIONS = ("-timeout=20", "-rss_limit_mb=1000", "-verbosity=0", "-print_final_stats=1")
UNKEPT_RUNS = 2_000
"""How often a target runs before its memory is measured for the first time: until then it fills its caches."""
MOST_NEW_BLOCKS = 20_000
"""By how much its memory may then grow, in blocks of Python's allocator."""


class FlatMemory:
    """Wraps a target: raises AssertionError once the target's memory has grown."""

    def __init__(self, run: Callable[[bytes], None]) -> None:
        self._run = run
        self._runs = 0
        self._blocks = 0

    def __call__(self, data: bytes) -> None:
        self._run(data)
        self._runs += 1
        if self._runs % UNKEPT_RUNS == 0:
            gc.collect()
            blocks = sys.getallocatedblocks()
            self._blocks = self._blocks or blocks
            grown = blocks - self._blocks
            assert grown < MOST_NEW_BLOCKS, f"memory grew by {grown:,} blocks over {self._runs:,} runs"


def prepared(
    name: str, instrument: Callable[[], AbstractContextManager[object]] = nullcontext
) -> tuple[Callable[[bytes], None], list[bytes]]:
    """A target and the inputs to begin with; `instrument` surrounds the import of what it tests."""
    with instrument():
        target = import_module(f"target_{name}")
    seeds = target.seeds()
    for seed in seeds:
        target.run(seed)  # what is imported and built when first met takes its time here
    return target.run, seeds


def kept(corpus: Path, seeds: list[bytes]) -> None:
    """Put the seeds into the folder with the target's corpus."""
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def fuzz(name: str, place: Path, limits: list[str]) -> None:
    """Fuzz one target in this process, which libFuzzer ends: with 0 when the limit is reached and nothing was found.

    `place` keeps the corpus, for the next time to go on from, and the inputs that found something.
    """
    import atheris

    run, seeds = prepared(name, partial(atheris.instrument_imports, include=list(GUIDING), exclude=list(UNWATCHED)))
    corpus, crashes = place / "corpus" / name, place / "crashes"
    kept(corpus, seeds)
    crashes.mkdir(exist_ok=True)
    options = [f"-max_len={LONGEST_INPUT}", f"-artifact_prefix={crashes / name}-", *OPTIONS, *limits, str(corpus)]
    atheris.Setup([sys.argv[0], *options], FlatMemory(run))
    atheris.Fuzz()
