"""Coverage-guided fuzzing of the receiver, of the messages and of whole devices: `python tests/fuzz --seconds 60`.

What is found is kept in .fuzz/crashes, and the inputs that reach new code in .fuzz/corpus; `--replay` runs a kept input again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from engine import TARGETS, fuzz, prepared

PLACE = Path(__file__).parents[2] / ".fuzz"

NO_WHEEL = "atheris is not installed (it has wheels for CPython 3.11 to 3.14 on Linux x86_64 only): nothing was fuzzed"


def fuzz_apart(name: str, place: Path, options: list[str]) -> int:
    """Fuzz one target in a process of its own, and say in one line what came of it; 1 if something was found."""
    command = [sys.executable, str(Path(__file__).parent), name, "--here", f"--place={place}", *options]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        print(process.stdout + process.stderr)
        print(f"{name}: something was found, see above; what libFuzzer found it with is in {place / 'crashes'}", flush=True)
        return 1
    statistics = dict(re.findall(r"stat::(\w+): *(\d+)", process.stderr))
    runs, peak = int(statistics["number_of_executed_units"]), int(statistics["peak_rss_mb"])
    corpus = sum(1 for _ in (place / "corpus" / name).iterdir())
    print(
        f"{name}: {runs:,} runs, nothing found; {corpus:,} inputs that reach code of their own, at most {peak} MB", flush=True
    )
    return 0


def main() -> int:
    """Fuzz each target; 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all of them if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--runs", type=int, default=-1, help="stop after so many runs of each target")
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer's own choices (%(default)s)")
    parser.add_argument("--place", type=Path, default=PLACE, help="where corpus and findings are kept (%(default)s)")
    parser.add_argument("--here", action="store_true", help="fuzz the one target in this very process")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run the one target once, with this input")
    arguments = parser.parse_args()
    targets = arguments.targets or list(TARGETS)
    if arguments.replay:
        run, _ = prepared(targets[0])
        run(arguments.replay.read_bytes())
        return 0
    if find_spec("atheris") is None:
        print(NO_WHEEL)
        return 0
    if arguments.here:
        limits = [f"-max_total_time={arguments.seconds}", f"-runs={arguments.runs}", f"-seed={arguments.seed}"]
        fuzz(targets[0], arguments.place, limits)
    options = [f"--seconds={arguments.seconds}", f"--runs={arguments.runs}", f"--seed={arguments.seed}"]
    return max([fuzz_apart(name, arguments.place, options) for name in targets])


if __name__ == "__main__":
    sys.exit(main())
