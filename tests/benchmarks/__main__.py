"""Prints every measurement beside its floor: `make bench`, or `python tests/benchmarks TOPIC` for some of them.

`python tests/benchmarks --profile` prints where the time of a simulated life goes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable

import codec
import fixtures
import link
import process
import writes
import years
from measure import Row, table

TOPICS: dict[str, Callable[[], Iterable[Row]]] = {
    "link": link.round_trips,
    "writes": writes.journalled_writes,
    "start": process.start,
    "idle": process.idle,
    "fixtures": fixtures.set_ups,
    "forks": fixtures.forks,
    "frames": codec.frames,
    "messages": codec.messages,
    "life": years.life_with_visits,
    "cycling": years.year_of_cycling,
    "pulses": years.cost_of_pulses,
    "loop": years.closed_loop_hour,
    "rendering": years.rendering,
}


def main(chosen: list[str]) -> int:
    """Measure the topics chosen, or all. The exit code says nothing of the figures: they are for reading."""
    if chosen == ["--profile"]:
        years.profile()
        return 0
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
