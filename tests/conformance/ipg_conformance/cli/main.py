"""`ipg-conformance`: does what the command line asks for, and says in one line why it cannot."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from ipg_conformance.cli.comparing import diff
from ipg_conformance.cli.listing import NoSuchId, explain, list_cases
from ipg_conformance.cli.parser import parser
from ipg_conformance.cli.running import run
from ipg_conformance.cli.stating import ics_init
from ipg_conformance.cli.target import EMULATOR, is_virtual
from ipg_conformance.ics import StatementError
from ipg_conformance.port import Unreachable
from ipg_conformance.report import CannotWrite, ReportError
from ipg_conformance.requirements import SuiteError
from ipg_conformance.runner import NoSuchCase
from ipg_conformance.verdict import ExitCode
from ipg_conformance.waivers import WaiverError

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "list": list_cases,
    "explain": explain,
    "ics": ics_init,
    "diff": diff,
}

WRONG_USAGE = (CannotWrite, NoSuchCase, NoSuchId, ReportError, StatementError, WaiverError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    root = parser()
    options = root.parse_args(arguments)
    options.words = list(sys.argv[1:] if arguments is None else arguments)
    if getattr(options, "model", None) and options.target != EMULATOR:
        root.error("--model goes with --target emulator only; a port has the device that it has")
    if getattr(options, "speed", 1) != 1 and is_virtual(options.target):
        root.error("--speed goes with a port only; the emulator in this process has a time of its own")
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # nobody reads on: the interpreter's last flush, too
        return ExitCode.FAILED
    except OSError as error:
        _drop_output()
        return _say(f"output: {error.strerror}", ExitCode.USAGE)
    return code


def _run(options: argparse.Namespace) -> int:
    try:
        return COMMANDS[options.command](options)
    except WRONG_USAGE as error:
        return _say(str(error), ExitCode.USAGE)
    except Unreachable as error:
        return _say(f"{options.target}: {error}", ExitCode.USAGE if options.model else ExitCode.UNREACHABLE)
    except SuiteError as error:
        return _say(f"the suite is not fit to be run:\n{error}", ExitCode.SUITE_ERROR)
    except KeyboardInterrupt:
        return _say("interrupted", ExitCode.INTERRUPTED)


def _say(text: str, code: ExitCode) -> ExitCode:
    print(f"ipg-conformance: {text}", file=sys.stderr)
    return code


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
