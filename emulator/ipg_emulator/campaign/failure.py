"""A violation on file: the history that leads to it, made short, and how to see it again."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version

import msgspec

from ipg_emulator.campaign.history import SECOND_US, Action, History, HostActs
from ipg_emulator.campaign.world import Violation


class FailureError(ValueError):
    """A file is no failure of a campaign."""


class Failure(msgspec.Struct, frozen=True):
    """What a failure file holds. `command` replays the whole world, and the file itself the short history."""

    seed: int
    commit: str
    command: str
    violation: Violation
    history: History


def commit() -> str:
    """What this code is: as git describes it, else the version of the package."""
    folder = os.path.dirname(os.path.abspath(__file__))
    try:
        found = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True, timeout=5
        )
        return found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return version("virtual-ipg")
    except PackageNotFoundError:
        return "unknown"


def write_failure(folder: str, failure: Failure) -> str:
    """Write a failure into a folder, which is made if it is not there; the path of the file."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"seed-{failure.seed}.json")
    with open(path, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(failure), indent=1))
    return path


def read_failure(path: str) -> Failure:
    """The failure that a file holds.

    Raises:
        FailureError: it holds none, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        return msgspec.json.decode(data, type=Failure)
    except OSError as error:
        raise FailureError(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FailureError(f"{path} is no failure of a campaign: {error}") from error


def told(failure: Failure) -> str:
    """A failure in lines of text: what broke, the short history as a table, the last frames, and how to replay it."""
    violation, history = failure.violation, failure.history
    lines = [
        f"seed {failure.seed}, {failure.commit}: {violation.invariant}",
        f"  at {violation.at_us / SECOND_US:.6f} s, device {violation.device}",
        f"  expected {violation.expected}",
        f"  found    {violation.found}",
        "  devices",
        *(f"    {plan.number}  {plan.model}, {', '.join(role.name for role in plan.hosts)}" for plan in history.devices),
        "  history",
        *(f"    {_in_words(action)}" for action in history.actions),
        "  last frames",
        *(f"    {line}" for line in violation.wire),
        f"  replay: {failure.command}",
    ]
    return "\n".join(lines)


def _in_words(action: Action) -> str:
    who, what = (f"host {action.host}", action.deed) if isinstance(action, HostActs) else ("device", action.happening)
    values = " ".join(map(str, action.values))
    return f"{action.at_us / SECOND_US:12.6f} s  {action.device} {who:7} {what} {values}".rstrip()
