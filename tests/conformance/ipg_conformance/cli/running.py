"""`run`: runs cases on a device, tells what came of them, and writes the reports."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.metadata import version

import msgspec
from ipg_protocol.commands.link import CapabilityRow
from ipg_protocol.frame import PROTOCOL_MAJOR, PROTOCOL_MINOR

from ipg_conformance.case import CASES, Case, Profile
from ipg_conformance.cli.interruption import in_order
from ipg_conformance.cli.target import allowed, cases_by_url, repeat_command, stop_if_it_comes_back
from ipg_conformance.conditions import Conditions
from ipg_conformance.console import Progress, account
from ipg_conformance.ics import read_statement
from ipg_conformance.line import NO_LINE
from ipg_conformance.port import Port, Unreachable, open_port
from ipg_conformance.report import Identity, Result, Run, junit_xml, prepare_file, prepare_folder, write_file, write_reports
from ipg_conformance.requirements import requirements
from ipg_conformance.runner import identify, line_to, reported_capabilities, run_cases, select
from ipg_conformance.steps import steps_of
from ipg_conformance.undeclared import undeclared_features
from ipg_conformance.verdict import ExitCode, conclusion, exit_code
from ipg_conformance.waivers import Waivers, read_waivers

UNPREPARED = "the device could not be prepared any more"
NOT_STOPPED = "therapy could not be stopped, and may be on: STOP_THERAPY was sent, and not answered OK"


def run(options: argparse.Namespace) -> int:
    """Run the cases that are asked for.

    Raises:
        Unreachable: the device was never reached.
        StatementError, WaiverError, NoSuchCase, SuiteError, CannotWrite: the run cannot begin, or not be written down.
    """
    cases = select(Profile(options.profile), options.only)
    conditions = _conditions(options)
    if options.out:
        prepare_folder(options.out)
    if options.junit:
        prepare_file(options.junit)
    running = Running(options, cases, conditions)
    with in_order():
        running.run()
    return running.tell()


def _conditions(options: argparse.Namespace) -> Conditions:
    today = date.today()
    return Conditions(
        seed=options.seed,
        allowed=allowed(options),
        is_strict=options.strict,
        speed=options.speed,
        statement=read_statement(options.ics) if options.ics else None,
        waivers=read_waivers(options.waivers, CASES, today) if options.waivers else Waivers((), today),
        repeat=repeat_command(options),
    )


class Running:
    """One run: what it has found so far, and how it ended."""

    def __init__(self, options: argparse.Namespace, cases: Sequence[Case], conditions: Conditions) -> None:
        self._options = options
        self._cases = cases
        self._conditions = conditions
        self._results: list[Result] = []
        self._device: Identity | None = None
        self._reported: list[CapabilityRow] = []
        self._ended_early = ""
        self._code: ExitCode | None = None
        self._is_stopped = True
        self._started = datetime.now(UTC)

    def run(self) -> None:
        """Run all cases, or as many as can be run.

        Raises:
            Unreachable: the device was never reached.
        """
        chosen = cases_by_url(self._options, self._cases)
        try:
            for url, fitting in chosen:
                if len(chosen) > 1:
                    print(url)
                self._run_on(url, fitting)
        except KeyboardInterrupt:
            self._end(ExitCode.INTERRUPTED, "interrupted")
        except Unreachable as error:
            if not self._results:
                raise
            self._is_stopped = stop_if_it_comes_back(self._options.target)
            after = "; it came back, and STOP_THERAPY was sent" if self._is_stopped else ""
            self._end(ExitCode.UNREACHABLE, f"the device went away: {error}{after}")

    def _run_on(self, url: str, cases: Sequence[Case]) -> None:
        port = open_port(url)
        progress = Progress(len(cases))
        try:
            self._introduce(port)
            results = run_cases(port, cases, lambda result: self._note(result, progress), self._conditions, self._leave)
        finally:
            progress.finish()
            port.close()
        if len(results) < len(cases):
            self._end(exit_code(results), UNPREPARED)

    def _introduce(self, port: Port) -> None:
        if not self._conditions.line:
            line = line_to(port, self._conditions.speed)
            self._conditions = replace(self._conditions, line=line)
        self._device = self._device or identify(port)
        if self._conditions.statement and not self._reported:
            self._reported = reported_capabilities(port)

    def _note(self, result: Result, progress: Progress) -> None:
        self._results.append(result)
        progress(result)

    def _leave(self, is_stopped: bool) -> None:
        self._is_stopped &= is_stopped

    def _end(self, code: ExitCode, why: str) -> None:
        worst = exit_code(self._results)
        self._code = worst if worst in (ExitCode.FAILED, ExitCode.SUITE_ERROR) and code is not ExitCode.INTERRUPTED else code
        self._ended_early = why

    def tell(self) -> ExitCode:
        """Print what came of the run, its last line at the very end, and write the reports; returns the exit code.

        Raises:
            CannotWrite: a report cannot be written; what is printed is whole.
        """
        code = exit_code(self._results) if self._code is None else self._code
        last_line = conclusion(self._results, len(self._cases), code)
        notes = [*undeclared_features(self._conditions.statement, self._reported, self._results), *self._warnings()]
        line = f"line: {self._conditions.line}" if self._conditions.line not in (None, NO_LINE) else ""
        told = [line, account(self._results), *notes, f"ended early: {self._ended_early}" if self._ended_early else ""]
        try:
            told += self._write(last_line, code, tuple(notes))
        finally:
            print("\n".join([*filter(None, told), last_line]))
        return code

    def _warnings(self) -> list[str]:
        return [] if self._is_stopped else [NOT_STOPPED]

    def _write(self, last_line: str, code: ExitCode, notes: tuple[str, ...]) -> list[str]:
        if not self._options.out and not self._options.junit:
            return []
        found = self._found(last_line, code, notes)
        if self._options.junit:
            write_file(self._options.junit, junit_xml(found))
        return write_reports(found, self._options.out) if self._options.out else []

    def _found(self, last_line: str, code: ExitCode, notes: tuple[str, ...]) -> Run:
        statement = self._conditions.statement
        return Run(
            target=self._options.target,
            profile=str(self._options.profile),
            seed=self._options.seed,
            started=self._started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=(datetime.now(UTC) - self._started).total_seconds(),
            command=shlex.join(["ipg-conformance", *self._options.words]),
            conclusion=last_line,
            exit_code=code.value,
            ended_early=self._ended_early,
            selected=len(self._cases),
            suite_version=version("virtual-ipg"),
            protocol_version=f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}",
            device=self._device or Identity(),
            line=self._conditions.line,
            declaration=statement.source if statement else "",
            notes=notes,
            requirements=tuple(requirements().values()),
            results=tuple(_with_steps(result) for result in self._results),
        )


def _with_steps(result: Result) -> Result:
    return msgspec.structs.replace(result, steps=steps_of(CASES[result.case]))
