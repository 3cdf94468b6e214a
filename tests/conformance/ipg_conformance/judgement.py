"""Judges how a case ended: whose fault it is, the device's, the environment's, or the suite's own."""

from __future__ import annotations

import traceback
from typing import NamedTuple

import msgspec
from ipg_protocol import Message

from ipg_conformance.case import Case
from ipg_conformance.conditions import Conditions
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, Inconclusive, NeverReady, NotApplicable, NotRecommended, OutOfReach
from ipg_conformance.port import Unreachable
from ipg_conformance.report.run import Result, Verdict
from ipg_conformance.tester import Tester

CONTRADICTION = (ArithmeticError, LookupError, StopIteration)
"""What a case runs into when answers decode but contradict each other, such as a range whose step is 0."""
CONTRADICTION_OR_OWN = (TypeError, ValueError)
"""What it runs into then, too, but also when it is wrong itself."""

VERDICTS: dict[type[Exception], Verdict] = {
    NotApplicable: Verdict.NOT_APPLICABLE,
    Inconclusive: Verdict.INCONCLUSIVE,
    Unreachable: Verdict.INCONCLUSIVE,
    NotRecommended: Verdict.NON_STRICT,
    Failure: Verdict.FAIL,
}
"""What a case raises on purpose. The first that fits counts."""


class Judgement(NamedTuple):
    """How a case ended, before strictness and waivers."""

    verdict: Verdict
    seconds: float
    problem: Exception | None = None
    traceback: str = ""
    """Where it was raised, unless it was on purpose."""


def judge(problem: Exception | None, device: Device, seconds: float) -> Judgement:
    """The judgement of what a case ended with, None being a pass."""
    if problem is None:
        return Judgement(Verdict.PASS, seconds)
    for kind, verdict in VERDICTS.items():
        if isinstance(problem, kind):
            return Judgement(verdict, seconds, problem)
    told = "".join(traceback.format_exception(problem))
    if not _is_of_the_device(problem, device):
        return Judgement(Verdict.ERROR, seconds, problem, told)
    contradiction = Failure("the device's answers make sense", expected="no contradiction", got=_named(problem))
    return Judgement(Verdict.FAIL, seconds, contradiction, told)


def _is_of_the_device(error: Exception, device: Device) -> bool:
    if isinstance(error, AttributeError):
        return isinstance(error.obj, Message)  # an answer or detail of another kind than the status promises
    if isinstance(error, CONTRADICTION_OR_OWN):
        return not device.makes_sense()
    return isinstance(error, CONTRADICTION)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def result_of(case: Case, judgement: Judgement, tester: Tester, conditions: Conditions) -> Result:
    """The result of a case, as it goes into the report."""
    problem = judgement.problem
    reason = "" if problem is None else _named(problem) if judgement.verdict is Verdict.ERROR else str(problem)
    not_applicable = judgement.verdict is Verdict.NOT_APPLICABLE
    result = Result(
        case=case.id,
        requirements=case.requirements,
        summary=case.summary,
        verdict=judgement.verdict,
        seconds=judgement.seconds,
        seed=case.seed(conditions.seed),
        outputs=case.outputs,
        destructive=case.destructive,
        what="" if not_applicable else reason,
        predicate=reason if not_applicable else "",
        out_of_reach=isinstance(problem, OutOfReach),
        traceback=judgement.traceback,
        was_prepared=not isinstance(problem, NeverReady),
        repeat=f"{conditions.repeat} --only {case.id}" if conditions.repeat else "",
        exchange=tuple(tester.exchange),
    )
    return _with_failure(result, problem, conditions) if isinstance(problem, Failure) else result


def _with_failure(result: Result, failure: Failure, conditions: Conditions) -> Result:
    strict = conditions.is_strict and result.verdict is Verdict.NON_STRICT
    return msgspec.structs.replace(
        result,
        verdict=Verdict.FAIL if strict else result.verdict,
        what=failure.what,
        expected=failure.expected,
        got=failure.got,
        expected_bytes=failure.expected_bytes,
        got_bytes=failure.got_bytes,
    )
