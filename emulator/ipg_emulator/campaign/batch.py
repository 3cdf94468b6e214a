"""Many worlds over any executor of `concurrent.futures`' kind: what comes of them is the same, whoever runs them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, as_completed
from hashlib import blake2b

import msgspec

from ipg_emulator.campaign.history import History
from ipg_emulator.campaign.line import Traffic
from ipg_emulator.campaign.script import history_of
from ipg_emulator.campaign.shrink import Shrunk, shrink
from ipg_emulator.campaign.world import Outcome, run_world

SEEDS_PER_TASK = 8


class Summary(msgspec.Struct):
    """What a campaign has come to. `digest` is over all outcomes in the order of their seeds."""

    worlds: int
    device_hours: float
    commands: int
    changes: int
    resets: int
    power_cuts: int
    frames: int
    lost: int
    repeated: int
    corrupted: int
    violations: int
    digest: str


def run_seeds(seeds: list[int], hours: float) -> list[Outcome]:
    """The outcomes of some worlds, one after another: the task that an executor is given."""
    logging.getLogger("ipg_host").setLevel(logging.ERROR)  # on such lines, events that are missed are no news
    return [run_world(history_of(seed, hours)) for seed in seeds]


def shrink_seed(seed: int, hours: float, outcome: Outcome) -> Shrunk:
    """The short history of a world that broke an invariant: a task too."""
    return shrink(history_of(seed, hours), outcome)


def replay(history: History) -> Outcome:
    """What becomes of one history: a task too."""
    return run_world(history)


def run_batch(executor: Executor, seeds: Iterable[int], hours: float) -> Iterator[list[Outcome]]:
    """Hand out worlds, all of them at once; their outcomes, a task at a time, as they come in."""
    listed = list(seeds)
    chunks = [listed[at : at + SEEDS_PER_TASK] for at in range(0, len(listed), SEEDS_PER_TASK)]
    futures: list[Future[list[Outcome]]] = [executor.submit(run_seeds, chunk, hours) for chunk in chunks]
    return (future.result() for future in as_completed(futures))


def summary_of(outcomes: Iterable[Outcome]) -> Summary:
    """Add up outcomes, which may come in any order."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.seed)
    digest, traffic = blake2b(digest_size=16), Traffic()
    for outcome in ordered:
        digest.update(msgspec.json.encode(outcome))
        traffic.add(outcome.traffic)

    def total(count: Callable[[Outcome], int]) -> int:
        return sum(map(count, ordered))

    return Summary(
        worlds=len(ordered),
        device_hours=round(total(lambda outcome: outcome.device_seconds) / 3600, 1),
        commands=total(lambda outcome: outcome.commands),
        changes=total(lambda outcome: outcome.changes),
        resets=total(lambda outcome: outcome.resets),
        power_cuts=total(lambda outcome: outcome.power_cuts),
        frames=traffic.frames,
        lost=traffic.lost,
        repeated=traffic.repeated,
        corrupted=traffic.corrupted,
        violations=total(lambda outcome: outcome.violation is not None),
        digest=digest.hexdigest(),
    )
