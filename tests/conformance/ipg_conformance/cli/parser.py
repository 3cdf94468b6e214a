"""What `ipg-conformance` takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
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
    untyped: Any = shtab
    untyped.add_argument_to(root, ["--print-completion"], help="print a shell completion script and exit")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_run, _add_list, _add_explain, _add_ics, _add_diff):
        add(commands)
    return root


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
    run.add_argument("--ics", type=Path, metavar="FILE", help="what the maker declares of the device; see `ics init`")
    run.add_argument("--safe", action="store_true", help="send nothing that needs --allow, on the emulator either")
    run.add_argument(
        "--allow",
        type=_permissions,
        default=frozenset[Permission](),
        metavar="WHAT",
        help="what a run may do all the same: output, destructive, or both with a comma between",
    )
    run.add_argument("--strict", action="store_true", help="take what a device SHOULD do for what it MUST")
    run.add_argument("--waivers", type=Path, metavar="FILE", help="failures that are accepted, with a reason and a last day")
    run.add_argument("--seed", type=int, default=1, metavar="N", help="seed of all that is done at random (default 1)")
    run.add_argument("--out", type=Path, metavar="DIR", help="write report.json, report.html, junit.xml and the rest there")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML, alone or besides")


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
    diff.add_argument("before", type=Path, metavar="A.json")
    diff.add_argument("after", type=Path, metavar="B.json")


def _add_target(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--target", required=True, metavar="TARGET", help="a port, a pyserial URL, or 'emulator' (in this process)"
    )
    command.add_argument("--model", help=f"with --target emulator: the device model (default {DEFAULT_MODEL})")


def _add_choice(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--profile",
        type=Profile,
        choices=list(Profile),
        default=Profile.FULL,
        help="quick leaves out what takes long in real time (default full)",
    )
    command.add_argument("--only", nargs="+", default=[], metavar="ID", help="only cases whose id begins so")


def _permissions(text: str) -> frozenset[Permission]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    known = [permission.value for permission in Permission]
    if unknown := [word for word in words if word not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not among {', '.join(known)}")
    return frozenset(map(Permission, words))


Command = Callable[[argparse.Namespace], int]
"""What runs a part of the command line; returns the exit code."""
