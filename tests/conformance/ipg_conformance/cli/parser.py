"""The arguments that `ipg-conformance` takes."""

from __future__ import annotations

import argparse
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import shtab

from ipg_conformance.case import Profile
from ipg_conformance.cli.target import DEFAULT_MODEL
from ipg_conformance.permission import Permission

EXIT_CODES = """exit codes:
  0    conformant: cases ran, and all that applied passed
  1    a case failed; of `diff`: the later report is worse
  2    wrong usage, an unknown model, a file that cannot be read or written, or no case applied
  3    the device cannot be reached, or went away
  4    nothing failed, but a case is inconclusive
  5    the suite itself is at fault
  130  interrupted; STOP_THERAPY was sent"""

LOWEST_SPEED, HIGHEST_SPEED = 0.1, 100
"""Slower, a run takes hours; faster, the second that a device has for an answer is over before any host can read it."""

SAFETY = """On anything but the emulator a run is safe: it sends nothing that raises output or changes what the device keeps.
--allow lets it. Whatever ends a run, therapy is stopped."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="ipg-conformance",
        description="Tests whether a device keeps the numbered requirements of the protocol.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"%(prog)s {version('virtual-ipg')}")
    _SHTAB.add_argument_to(root, ["--print-completion"], help="print a shell completion script and exit")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_run, _add_list, _add_explain, _add_ics, _add_diff):
        add(commands)
    return root


_SHTAB: Any = shtab
_PLACE = re.compile(r"socket://[^/]+:\d+(/.*)?")

Commands = Any
"""argparse keeps the type of what `add_subparsers` returns to itself."""


def _add_run(commands: Commands) -> None:
    run = commands.add_parser(
        "run",
        help="run cases on a device",
        description=SAFETY,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_target(run)
    _add_choice(run)
    _is_file(run.add_argument("--ics", type=Path, metavar="FILE", help="what the maker declares of the device; see `ics init`"))
    run.add_argument("--safe", action="store_true", help="send nothing that needs --allow, on the emulator either")
    run.add_argument(
        "--allow",
        type=_permissions,
        default=frozenset[Permission](),
        metavar="WHAT",
        help="what a run may do all the same: output, destructive, or both with a comma between",
    )
    run.add_argument("--strict", action="store_true", help="take what a device SHOULD do for what it MUST")
    _is_file(
        run.add_argument(
            "--waivers", type=Path, metavar="FILE", help="failures that are accepted, with a reason and a last day"
        )
    )
    run.add_argument("--seed", type=int, default=1, metavar="N", help="seed of all that is done at random (default 1)")
    run.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="the device's time passes N times as fast as real time"
    )
    run.add_argument("--out", type=Path, metavar="DIR", help="write report.json, report.html, junit.xml and the rest there")
    _is_file(run.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML, alone or besides"))


def _add_list(commands: Commands) -> None:
    _add_choice(commands.add_parser("list", help="list the cases and the requirements that each proves"))


def _add_explain(commands: Commands) -> None:
    explain = commands.add_parser("explain", help="tell what a case, or a requirement, asks, and how it is tested")
    explain.add_argument("id", metavar="ID", help="the id of a case, or REQ-...")


def _add_ics(commands: Commands) -> None:
    ics = commands.add_parser("ics", help="what the maker declares of a device (ICS)")
    init = ics.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser(
        "init", help="print an ICS that declares what a device says of itself"
    )
    _add_target(init)


def _add_diff(commands: Commands) -> None:
    diff = commands.add_parser("diff", help="what changed from one report.json to a later one")
    _is_file(diff.add_argument("before", type=Path, metavar="A.json"))
    _is_file(diff.add_argument("after", type=Path, metavar="B.json"))


def _is_file(argument: Any) -> None:
    """Let the shell complete the names of files."""
    argument.complete = _SHTAB.FILE


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--target",
        type=_target,
        required=True,
        metavar="TARGET",
        help="a port, a pyserial URL, or 'emulator' (in this process)",
    )
    command.add_argument("--model", help=f"with --target emulator: the device model (default {DEFAULT_MODEL})")


def _add_choice(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--profile",
        choices=[profile.value for profile in Profile],
        default=Profile.FULL,
        help="quick leaves out what takes long in real time (default full)",
    )
    command.add_argument("--only", nargs="+", default=[], metavar="ID", help="only cases whose id begins so")


def _speed(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if LOWEST_SPEED <= number <= HIGHEST_SPEED:
        return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from {LOWEST_SPEED} to {HIGHEST_SPEED}")


def _target(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name a port, a pyserial URL, or 'emulator'")
    if text.startswith("socket://") and not _PLACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form socket://HOST:PORT")
    return text


def _permissions(text: str) -> frozenset[Permission]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = [permission.value for permission in Permission]
    if unknown := [word for word in words if word not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not among {', '.join(known)}")
    return frozenset(map(Permission, words))
