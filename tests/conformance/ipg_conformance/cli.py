"""`ipg-conformance`: run the suite on a device, or list its cases."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import shtab

from ipg_conformance.case import Case, Need, Profile, Result, Verdict
from ipg_conformance.report import Progress, failure_text, is_conformant, not_applicable_text, summary, write_junit
from ipg_conformance.runner import run_cases, select
from ipg_conformance.tester import Unreachable, open_port

DEFAULT_MODEL = "scs-rechargeable"
FAULTY_CONTACT = 1
CONFORMANT, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = """exit codes:
  0    cases ran, and all that applied passed
  1    a case failed, or none applied
  2    wrong usage, an unknown model, or no case was selected
  3    the device cannot be reached
  130  interrupted; STOP_THERAPY was sent"""


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
    run = commands.add_parser("run", help="run cases on a device", epilog=EXIT_CODES, formatter_class=root.formatter_class)
    run.add_argument(
        "--target", required=True, metavar="TARGET", help="a port, a pyserial URL, or 'emulator' (in this process)"
    )
    run.add_argument("--model", help=f"with --target emulator: the device model (default {DEFAULT_MODEL})")
    run.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    listing = commands.add_parser("list", help="list the cases and the requirements that each proves")
    for command in (run, listing):
        command.add_argument(
            "--profile",
            type=Profile,
            choices=list(Profile),
            default=Profile.FULL,
            help="quick leaves out what takes long in real time (default full)",
        )
        command.add_argument("--only", nargs="+", default=[], metavar="ID", help="only cases whose id begins so")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    root = parser()
    options = root.parse_args(arguments)
    cases = select(options.profile, options.only)
    if not cases:
        print(f"ipg-conformance: no case begins with {' or '.join(options.only)}; see: ipg-conformance list", file=sys.stderr)
        return USAGE
    if options.command == "run" and options.model and options.target != "emulator":
        root.error("--model goes with --target emulator only; a port has the device that it has")
    try:
        code = _run(options, cases) if options.command == "run" else _list(cases)
        sys.stdout.flush()
        return code
    except Unreachable as error:
        print(f"ipg-conformance: {options.target}: {error}", file=sys.stderr)
        return USAGE if options.model else UNREACHABLE
    except KeyboardInterrupt:
        print("ipg-conformance: interrupted; STOP_THERAPY was sent", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: the interpreter's last flush, too
        return FAILED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"ipg-conformance: output: {error.strerror}", file=sys.stderr)
        return USAGE


def _list(cases: Sequence[Case]) -> int:
    for case in cases:
        print(f"{case.id:<52} {' '.join(case.requirements)}")
    print(f"{len(cases)} cases")
    return CONFORMANT


def passes(options: argparse.Namespace, cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    """Which cases to run where. The emulator is opened anew, with such leads, for cases that need leads at fault."""
    if options.target != "emulator":
        return [(options.target, list(cases))]
    url = f"ipg://{options.model or DEFAULT_MODEL}?seed=1"
    urls = {
        Need.SOUND_LEADS: url,
        Need.OPEN_CONTACT: f"{url}&open={FAULTY_CONTACT}",
        Need.SHORTED_CONTACT: f"{url}&short={FAULTY_CONTACT}",
    }
    chosen = [(urls[need], [case for case in cases if case.need is need]) for need in Need]
    return [(url, fitting) for url, fitting in chosen if fitting]


def _run(options: argparse.Namespace, cases: Sequence[Case]) -> int:
    results: list[Result] = []
    try:
        runs = passes(options, cases)
        for url, fitting in runs:
            if len(runs) > 1:
                print(url)
            _run_on(url, fitting, results, Progress(len(fitting)))
    finally:
        _print_details(results)
    if options.junit:
        try:
            write_junit(results, options.junit, options.target)
        except OSError as error:
            print(f"ipg-conformance: cannot write {options.junit}: {error.strerror}", file=sys.stderr)
            return USAGE
    print(summary(results, len(cases)))
    return CONFORMANT if is_conformant(results) else FAILED


def _run_on(url: str, cases: Sequence[Case], results: list[Result], progress: Progress) -> None:
    port = open_port(url)
    try:
        run_cases(port, cases, lambda result: _note(result, results, progress))
    finally:
        progress.finish()
        port.close()


def _print_details(results: Sequence[Result]) -> None:
    text = not_applicable_text(results)
    if text:
        print(text)
    for result in results:
        if result.verdict is Verdict.FAILED:
            print(failure_text(result))


def _note(result: Result, results: list[Result], progress: Progress) -> None:
    results.append(result)
    progress(result)
