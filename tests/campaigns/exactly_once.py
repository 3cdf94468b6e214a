"""Changes over a link that loses and repeats, to a device that resets: each is applied once, or the host knows that it is not.

`python tests/campaigns/exactly_once.py` sends a million, and fewer with some rules switched off, to show what these are for.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from itertools import count
from typing import Any

import msgspec
from ipg_host.errors import OutcomeUnknown, Refused, SessionLost
from ipg_host.session import UNNUMBERED
from ipg_protocol import Change, Role
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    StopMode,
    StopTherapy,
)
from ipg_protocol.wire import Message
from lossy_world import LATE_US, LOSS, MODEL, REPEAT, RESET, Rules, World
from rich.console import Console
from rich.progress import track

COMMANDS_A_WORLD = 5_000
HOST_ID = 7


class Workload:
    """Changes, one after the other, each with an effect that is seen if it comes twice; and what must be there after each."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = random.Random(seed ^ 0x5EED)
        self._tally = world.tally
        self._applied = world.applied()
        self._undecided = 0
        self._nonces = count(1)
        self._kinds = (self._step, self._amplitude, self._pulse_width, self._rate, self._start)

    def run(self, commands: int) -> Counter[str]:
        """Send so many changes and hold the device against what the host was told."""
        self._open()
        for _ in range(commands):
            self._send(self._rng.choice(self._kinds)())
        self._world.end()
        self._check(known=0)
        return self._tally

    def _open(self) -> None:
        with suppress(OutcomeUnknown):
            self._world.ask(OpenSession(Role.CLINICIAN, HOST_ID, nonce=next(self._nonces)))

    def _send(self, change: Change[Any]) -> None:
        self._tally["commands"] += 1
        try:
            answer = self._world.ask(change)
        except OutcomeUnknown:
            self._tally["unresolved"] += 1
            self._undecided += 1
            self._check(known=0)
        except SessionLost:
            self._tally["sessions lost"] += 1
            self._check(known=0)
            self._open()
        except Refused:
            self._tally["refused"] += 1
            self._check(known=0)
        else:
            self._check(known=1)
            self._check_content(answer)

    def _check(self, known: int) -> None:
        """Since the last look, as many changes were applied as the host knows of: no more, no fewer.

        One whose outcome stayed unknown may be applied once, then or later.
        """
        before, self._applied = self._applied, self._world.applied()
        new = [now - then for now, then in zip(self._applied, before, strict=True)]
        excess = max(0, max(new) - known)
        explained = min(excess, self._undecided)
        self._undecided -= explained
        self._tally["applied twice"] += excess - explained
        self._tally["lost"] += max(0, known - min(new))

    def _check_content(self, answer: Message) -> None:
        """What the answer says of an area is what the device has stored."""
        stored = self._area()
        said = {name: value for name, value in msgspec.structs.asdict(answer).items() if name in stored.__struct_fields__}
        self._tally["lost"] += any(getattr(stored, name) != value for name, value in said.items())

    # Changes

    def _area(self) -> AreaSettings:
        program = self._world.device.memory.configuration.active
        assert program is not None
        return program.areas[0]

    def _step(self) -> Change[Any]:
        revision = self._world.device.memory.configuration.revision
        up = self._area().amplitude_microamps < 9_000
        return StepAmplitude(UNNUMBERED, 0, 1 if up else -1, revision)

    def _amplitude(self) -> Change[Any]:
        return SetAmplitude(UNNUMBERED, 0, self._rng.randrange(6_000, 10_001, 200))

    def _pulse_width(self) -> Change[Any]:
        return SetPulseWidth(UNNUMBERED, 0, self._rng.randrange(50, 101, 10))

    def _rate(self) -> Change[Any]:
        return SetRate(UNNUMBERED, 0, self._rng.randrange(5_000, 12_001, 1_000))

    def _start(self) -> Change[Any]:
        """Start therapy, which is off before, so that it counts as a start. A stop without an answer is sent once more."""
        with suppress(OutcomeUnknown):
            self._world.ask(StopTherapy(StopMode.IMMEDIATE))
            return StartTherapy(UNNUMBERED)
        return self._start()


def run_world(seed: int, commands: int, rules: Rules = Rules.ALL, *, in_order: bool = True) -> Counter[str]:
    """The tally of one world."""
    world = World(seed, rules, in_order=in_order)
    return Workload(world, seed).run(commands)


FORBIDDEN = ("applied twice", "lost", "unresolved", "refused", "sessions lost")


def run(title: str, commands: int, first_seed: int, processes: int, rules: Rules, *, in_order: bool = True) -> Counter[str]:
    """Run as many worlds as the commands need, print what became of them, and return the sum of their tallies."""
    seeds = range(first_seed, first_seed - (-commands // COMMANDS_A_WORLD))
    began = time.monotonic()
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(processes) as pool:
        size = min(commands, COMMANDS_A_WORLD)
        futures = {pool.submit(run_world, seed, size, rules, in_order=in_order): seed for seed in seeds}
        for future in track(as_completed(futures), title, len(futures), console=Console(stderr=True)):
            tally = future.result()
            total.update(tally)
            if rules is Rules.ALL and in_order and any(tally[name] for name in FORBIDDEN):
                print(f"  seed {futures[future]}: {dict(tally)}; again with --commands {size} --seed {futures[future]}")
    print(f"{title}: {total['commands']:,} commands (seeds {seeds[0]} to {seeds[-1]}, {MODEL}), ", end="")
    print(f"{total['seconds'] / 3600:.1f} simulated hours in {time.monotonic() - began:.0f} s")
    print("  " + ", ".join(f"{name} {total[name]:,}" for name in FORBIDDEN), end="")
    print(f" (applied twice: {total['applied twice'] / total['commands']:.2%})")
    resets = ", ".join(f"{total[name]:,} {name.removeprefix('resets ')}" for name in sorted(total) if name.startswith("resets"))
    print(f"  {total['sends'] / total['commands']:.3f} sends a command, {total['other requests']:,} other requests, ", end="")
    print(f"{total['replays']:,} answers replayed; resets: {resets}; events missed {total['events missed']:,}", flush=True)
    return total


def main() -> int:
    """Run all of it; 1 if a change was applied twice, lost, or its outcome stayed unknown, or if this cannot be seen."""
    logging.getLogger("ipg_host").setLevel(logging.ERROR)  # gaps in the events are counted
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", type=int, default=1_000_000, help="with all rules (%(default)s)")
    parser.add_argument("--fewer", type=int, default=20_000, help="with each kind of fewer rules (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first world; each further one has the next (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    print(f"{LOSS:.0%} loss each way, {REPEAT:.0%} repeats, {RESET:.0%} resets of the requests that arrive")
    with_all = run(Rules.ALL.value, arguments.commands, arguments.seed, arguments.processes, Rules.ALL)
    is_seen = True
    for rules in (Rules.NO_JOURNAL, Rules.RETRY_ONLY):
        tally = run(rules.value, arguments.fewer, arguments.seed, arguments.processes, rules)
        is_seen &= tally["applied twice"] > 0
    late = f"{Rules.ALL.value}, repeats up to {LATE_US / 1e6} s late and out of order"
    out_of_order = run(late, arguments.fewer, arguments.seed, arguments.processes, Rules.ALL, in_order=False)
    is_kept = not any(with_all[name] for name in FORBIDDEN) and not out_of_order["applied twice"] + out_of_order["lost"]
    return 0 if is_kept and is_seen else 1


if __name__ == "__main__":
    sys.exit(main())
