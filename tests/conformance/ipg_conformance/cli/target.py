"""Targets: where a device is, how it is opened for the cases that are to be run, and how to call the same run again."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from contextlib import suppress

from ipg_protocol.commands.therapy import StopMode, StopTherapy

from ipg_conformance.case import Case, Need
from ipg_conformance.expect import Failure
from ipg_conformance.permission import EVERYTHING, Permission
from ipg_conformance.port import Unreachable, reopen_port
from ipg_conformance.tester import Tester

DEFAULT_MODEL = "scs-rechargeable"
EMULATOR = "emulator"
FAULTY_CONTACT = 1
SEARCH_SECONDS = 3.0


def is_virtual(target: str) -> bool:
    """Whether it is an emulator in this process, to which anything may be done."""
    return target == EMULATOR or target.startswith("ipg://")


def allowed(options: argparse.Namespace) -> frozenset[Permission]:
    """What the run may do to its target."""
    chosen: frozenset[Permission] = options.allow
    return EVERYTHING if is_virtual(options.target) and not options.safe and not chosen else chosen


def url_of(options: argparse.Namespace) -> str:
    """What to open, where the leads do not matter."""
    if options.target != EMULATOR:
        return str(options.target)
    return f"ipg://{options.model or DEFAULT_MODEL}?seed={getattr(options, 'seed', 1)}"


def cases_by_url(options: argparse.Namespace, cases: Sequence[Case]) -> list[tuple[str, list[Case]]]:
    """Which cases to run where. The emulator is opened anew, with such leads, for cases that need leads at fault."""
    url = url_of(options)
    if options.target != EMULATOR:
        return [(url, list(cases))]
    urls = {
        Need.SOUND_LEADS: url,
        Need.OPEN_CONTACT: f"{url}&open={FAULTY_CONTACT}",
        Need.SHORTED_CONTACT: f"{url}&short={FAULTY_CONTACT}",
    }
    chosen = [(urls[need], [case for case in cases if case.need is need]) for need in Need]
    return [(url, fitting) for url, fitting in chosen if fitting]


def repeat_command(options: argparse.Namespace) -> str:
    """The command that repeats a case of this run, but for `--only ID`."""
    words = ["ipg-conformance", "run", "--target", options.target]
    words += ["--model", options.model] if options.model else []
    words += ["--seed", str(options.seed)]
    words += ["--speed", f"{options.speed:g}"] if options.speed != 1 else []
    words += ["--ics", str(options.ics)] if options.ics else []
    words += ["--safe"] if options.safe else []
    words += ["--allow", ",".join(sorted(options.allow))] if options.allow else []
    words += ["--strict"] if options.strict else []
    return shlex.join(words)


def stop_if_it_comes_back(target: str) -> bool:
    """Wait a little for a device that went away, and stop its therapy; whether it answered."""
    if is_virtual(target):
        return False
    with suppress(Unreachable, Failure):
        port = reopen_port(target, SEARCH_SECONDS)
        try:
            Tester(port).request(StopTherapy(StopMode.IMMEDIATE))
        finally:
            port.close()
        return True
    return False
