"""Makes the history of a violation short: what can be left out, without the invariant holding again, is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec

from ipg_emulator.campaign.history import SECOND_US, Action, History, LineNoise
from ipg_emulator.campaign.world import Outcome, run_world

MOST_RUNS = 250


class Shrunk(msgspec.Struct, frozen=True):
    """A history as short as it was found, what becomes of it, and in how many runs it was found."""

    history: History
    outcome: Outcome
    runs: int


class _Search:
    """Tries histories, as long as there are runs left, and keeps the last that breaks the same invariant."""

    def __init__(self, history: History, outcome: Outcome, run: Callable[[History], Outcome], most_runs: int) -> None:
        assert outcome.violation is not None, "only a violation can be shrunk"
        self.history = history
        self.outcome = outcome
        self.runs = 0
        self._invariant = outcome.violation.invariant
        self._run = run
        self._most_runs = most_runs

    def breaks(self, history: History) -> bool:
        """Whether a history breaks the invariant too; then it is the one to go on with."""
        if self.runs >= self._most_runs:
            return False
        self.runs += 1
        outcome = self._run(history)
        if outcome.violation is None or outcome.violation.invariant != self._invariant:
            return False
        self.history, self.outcome = history, outcome
        return True

    def try_with(self, **changes: object) -> bool:
        """Whether the invariant breaks with some fields of the history changed."""
        return self.breaks(msgspec.structs.replace(self.history, **changes))


def shrink(
    history: History, outcome: Outcome, run: Callable[[History], Outcome] = run_world, most_runs: int = MOST_RUNS
) -> Shrunk:
    """A short history that breaks the same invariant: first fewer devices, then fewer actions, hosts, and less noise."""
    search = _Search(history, outcome, run, most_runs)
    assert outcome.violation is not None
    number, at_us = outcome.violation.device, outcome.violation.at_us
    search.try_with(devices=tuple(device for device in history.devices if device.number == number))
    search.try_with(actions=tuple(action for action in history.actions if action.at_us <= at_us and action.device == number))
    search.try_with(duration_us=min(history.duration_us, at_us + SECOND_US))
    _without_actions(search)
    for plan in search.history.devices:
        search.try_with(devices=(msgspec.structs.replace(plan, hosts=plan.hosts[:1]),))
        search.try_with(devices=tuple(msgspec.structs.replace(each, noise=LineNoise()) for each in search.history.devices))
    _without_actions(search)
    return Shrunk(search.history, search.outcome, search.runs)


def _without_actions(search: _Search) -> None:
    """Delta debugging: leave out a half of the actions, a quarter, and so on down to single ones (Zeller 2002, ddmin)."""
    pieces = 2
    while len(search.history.actions) >= 1:
        actions = search.history.actions
        pieces = min(pieces, len(actions))
        if any(search.try_with(actions=rest) for rest in _rests(actions, pieces)):
            pieces = max(pieces - 1, 2)
        elif pieces == len(actions):
            return
        else:
            pieces *= 2


def _rests(actions: Sequence[Action], pieces: int) -> list[tuple[Action, ...]]:
    """The actions without each of so many pieces of them, the first piece first."""
    bounds = [len(actions) * piece // pieces for piece in range(pieces + 1)]
    return [(*actions[:begin], *actions[end:]) for begin, end in pairwise(bounds)]
