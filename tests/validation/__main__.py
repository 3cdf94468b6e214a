"""Prints every published table beside what the emulator makes of it: `make validate`, or with the names of some tables."""

from __future__ import annotations

import sys
import time

from result import table
from tables import TABLES


def main(chosen: list[str]) -> int:
    """Compute the tables chosen, or all. The exit code is 1 when a figure is outside its gate."""
    unknown = sorted(set(chosen) - set(TABLES))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TABLES)}", file=sys.stderr)
        return 2
    is_held = True
    for name in chosen or TABLES:
        began = time.perf_counter()
        title, results = TABLES[name]()
        is_held = is_held and all(result.is_held for result in results)
        print(f"{title}\n{table(results)}\ncomputed in {time.perf_counter() - began:.1f} s\n")
    print("every figure is within its gate" if is_held else "a figure is outside its gate")
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
