"""The results as JUnit XML, as CI servers read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from xml.etree import ElementTree

from ipg_protocol.describe import in_hex
from ipg_protocol.trace import Towards

from ipg_conformance.report.brief import in_brief
from ipg_conformance.report.exchange import lines_of
from ipg_conformance.report.markup import element
from ipg_conformance.report.run import Result, Run, Verdict

SHOWN_LINES = 20

FAILURES = (Verdict.FAIL,)
ERRORS = (Verdict.ERROR, Verdict.INCONCLUSIVE)
SKIPPED = (Verdict.NOT_APPLICABLE, Verdict.WAIVED)


def junit_xml(run: Run) -> bytes:
    """One suite with a test for each case, its requirements as properties.

    JUnit knows fewer verdicts: INCONCLUSIVE is an error there, WAIVED is skipped, and NON-STRICT has passed with its reason in
    the output.
    """
    counts = Counter(result.verdict for result in run.results)
    suite = element(
        "testsuite",
        *map(_test, run.results),
        name=f"ipg-conformance {run.target}",
        tests=str(len(run.results)),
        failures=_sum(counts, FAILURES),
        errors=_sum(counts, ERRORS),
        skipped=_sum(counts, SKIPPED),
        time=f"{run.seconds:.3f}",
        timestamp=run.started.removesuffix("Z"),
    )
    root = element("testsuites", suite)
    ElementTree.indent(root)
    found: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return found + b"\n"


def _sum(counts: Counter[Verdict], verdicts: tuple[Verdict, ...]) -> str:
    return str(sum(counts[verdict] for verdict in verdicts))


def _test(result: Result) -> ElementTree.Element:
    proved = [element("property", name="requirement", value=name) for name in result.requirements]
    described = _DESCRIBE.get(result.verdict)
    return element(
        "testcase",
        element("properties", element("property", name="verdict", value=result.verdict.value), *proved),
        *([] if described is None else [described(result)]),
        name=result.case,
        classname=f"ipg_conformance.{result.feature}",
        time=f"{result.seconds:.3f}",
    )


def _failure(result: Result) -> ElementTree.Element:
    subject = " ".join(result.requirements) if result.was_prepared else "before the case"
    message = f"{subject}: {result.what}: {in_brief(result)}"
    return element("failure", _story(result), message=message, type=result.verdict.value)


def _story(result: Result) -> str:
    """The case, the command that repeats it, and the last of the exchange."""
    lines = lines_of(result.exchange)
    left_out = len(lines) - SHOWN_LINES
    said = [f"({left_out} lines before are in trace.pcapng)"] if left_out > 0 else []
    said += [f"{'>' if line.to is Towards.DEVICE else '<'} {in_hex(line.data)}  {line.says}" for line in lines[-SHOWN_LINES:]]
    return "\n".join((result.summary, f"repeat: {result.repeat}", *said))


def _error(result: Result) -> ElementTree.Element:
    return element("error", result.traceback or _story(result), message=result.what, type=result.verdict.value)


def _waived(result: Result) -> ElementTree.Element:
    waiver = result.waiver
    reason = f"until {waiver.expires}: {waiver.reason}" if waiver else "no reason given"
    return element("skipped", message=f"waived {reason}", type=result.verdict.value)


def _not_applicable(result: Result) -> ElementTree.Element:
    return element("skipped", message=f"not applicable: {result.predicate}", type=result.verdict.value)


def _not_strict(result: Result) -> ElementTree.Element:
    return element("system-out", f"NON-STRICT: {result.what}: {in_brief(result)}")


_DESCRIBE: dict[Verdict, Callable[[Result], ElementTree.Element]] = {
    Verdict.FAIL: _failure,
    Verdict.ERROR: _error,
    Verdict.INCONCLUSIVE: _error,
    Verdict.WAIVED: _waived,
    Verdict.NOT_APPLICABLE: _not_applicable,
    Verdict.NON_STRICT: _not_strict,
}
