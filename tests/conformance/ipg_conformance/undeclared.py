"""Features that a device has and its maker does not declare: tested all the same, and told when they pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ipg_protocol.commands.link import CapabilityRow

from ipg_conformance.ics import Statement, feature_name
from ipg_conformance.report.run import Result, Verdict


def undeclared_features(statement: Statement | None, reported: Iterable[CapabilityRow], results: Sequence[Result]) -> list[str]:
    """A line for each feature that is reported but not declared, and what its cases, whose ids end in its name, came to."""
    if statement is None:
        return []
    names = dict.fromkeys(feature_name(row) for row in statement.undeclared(reported))
    return [f"not declared: {name}: {_found(name, results)}" for name in names]


def _found(name: str, results: Sequence[Result]) -> str:
    verdicts = [result.verdict for result in results if result.case.endswith(f"/{name}")]
    told = [verdict for verdict in verdicts if verdict is not Verdict.NOT_APPLICABLE]
    if not told:
        return "no case of this run is about it alone"
    passed = told.count(Verdict.PASS)
    return f"passes, {passed} cases" if passed == len(told) else f"{passed} of {len(told)} cases pass"
