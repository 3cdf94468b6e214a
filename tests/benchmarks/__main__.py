"""Prints every measurement beside its floor: `make bench`, or `python tests/benchmarks TOPIC` for some of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

import codec
import link
import process
from measure import Row, table

TOPICS: dict[str, Callable[[], Iterable[Row]]] = {
    "link": link.round_trips,
    "start": process.start,
    "idle": process.idle,
    "frames": codec.frames,
    "messages": codec.messages,
}


def main(chosen: list[str]) -> int:
    """Measure the topics chosen, or all. The exit code says nothing of the figures: they are for reading."""
    unknown = sorted(set(chosen) - set(TOPICS))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TOPICS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for topic in chosen or TOPICS:
        print(f"measuring {topic} ...", file=sys.stderr)
        rows += TOPICS[topic]()
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"Python {version}, {os.cpu_count()} processors; medians, floor and figure measured in turns\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
