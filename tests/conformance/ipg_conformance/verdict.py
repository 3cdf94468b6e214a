"""What a run comes to: one exit code, and the line that says it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum, unique

from ipg_protocol.frame import PROTOCOL_MAJOR, PROTOCOL_MINOR

from ipg_conformance.report.run import Result, Verdict
from ipg_conformance.requirements import is_mandatory, requirements

WORDS = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "fail",
    Verdict.NON_STRICT: "non-strict",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NOT_APPLICABLE: "n/a",
    Verdict.WAIVED: "waived",
    Verdict.ERROR: "error",
}
ALWAYS_TOLD = (Verdict.PASS, Verdict.FAIL, Verdict.NOT_APPLICABLE)


@unique
class ExitCode(IntEnum):
    """What the command ends with."""

    CONFORMANT = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    INCONCLUSIVE = 4
    SUITE_ERROR = 5
    INTERRUPTED = 130


IN_A_WORD = {
    ExitCode.CONFORMANT: "CONFORMANT",
    ExitCode.FAILED: "NOT CONFORMANT",
    ExitCode.USAGE: "NOTHING APPLICABLE",
    ExitCode.UNREACHABLE: "UNREACHABLE",
    ExitCode.INCONCLUSIVE: "INCONCLUSIVE",
    ExitCode.SUITE_ERROR: "SUITE ERROR",
    ExitCode.INTERRUPTED: "INTERRUPTED",
}

APPLIED = {Verdict.PASS, Verdict.NON_STRICT, Verdict.WAIVED}
"""Verdicts of which one at least it takes to be conformant."""
TESTED = APPLIED | {Verdict.FAIL}
"""Verdicts that put a requirement to the test."""


def exit_code(results: Iterable[Result]) -> ExitCode:
    """What the verdicts come to when the run came to its end: the worst of them counts."""
    verdicts = {result.verdict for result in results}
    if Verdict.ERROR in verdicts:
        return ExitCode.SUITE_ERROR
    if Verdict.FAIL in verdicts:
        return ExitCode.FAILED
    if Verdict.INCONCLUSIVE in verdicts:
        return ExitCode.INCONCLUSIVE
    return ExitCode.CONFORMANT if verdicts & APPLIED else ExitCode.USAGE


def counts_text(results: Iterable[Result]) -> str:
    """How many of each verdict."""
    counts = Counter(result.verdict for result in results)
    told = (verdict for verdict in WORDS if counts[verdict] or verdict in ALWAYS_TOLD)
    return ", ".join(f"{counts[verdict]} {WORDS[verdict]}" for verdict in told)


def coverage(results: Iterable[Result]) -> tuple[int, int]:
    """How many of the requirements that say MUST were put to the test, and how many apply to the device.

    One does not apply when none of its cases does, for what the device is and not for what the run may do.
    """
    mandatory = {name for name, requirement in requirements().items() if is_mandatory(requirement)}
    tested, lacking, reached = set[str](), set[str](), set[str]()
    for result in results:
        place = tested if result.verdict in TESTED else reached if result.out_of_reach else lacking
        place |= mandatory.intersection(result.requirements)
    return len(tested), len(mandatory - (lacking - reached - tested))


def conclusion(results: Sequence[Result], selected: int, code: ExitCode) -> str:
    """The last line of a run."""
    not_run = f", {selected - len(results)} not run" if len(results) < selected else ""
    tested, applying = coverage(results)
    version = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
    return f"{IN_A_WORD[code]} core {version}: {counts_text(results)}{not_run}; {tested}/{applying} MUST covered"
