"""Thousands of worlds of an hour each through `ipg-emulator campaign`, on all cores; and the same on a local Dask cluster.

`python tests/campaigns/worlds.py [WORLDS [FIRST_SEED]]` runs so many.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from distributed import LocalCluster
from ipg_emulator.cli import main as emulator

FULL = 2_000


def run(*arguments: str) -> dict[str, Any]:
    """The summary of a campaign; what it tells of violations goes to the standard error."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        emulator(["campaign", "--json", *arguments])
    summary: dict[str, Any] = json.loads(output.getvalue())
    return summary


def main(arguments: Sequence[str] = ()) -> int:
    """Run it both ways; 1 if an invariant broke or the outcomes differ."""
    worlds, first = (*arguments, *(str(FULL), "0")[len(arguments) :])[:2]
    chosen = ("--seeds", worlds, "--seed", first)
    began = perf_counter()
    local = run(*chosen)
    print(f"processes: {perf_counter() - began:.0f} s, {local}", flush=True)
    with LocalCluster(protocol="tcp://", host="127.0.0.1", threads_per_worker=1, dashboard_address=None) as cluster:
        began = perf_counter()
        dask = run(*chosen, "--scheduler", cluster.scheduler_address)
        print(f"Dask:      {perf_counter() - began:.0f} s, {dask}")
    return 1 if local["violations"] or local != dask else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
