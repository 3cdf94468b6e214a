"""Features that a device has and its maker does not declare: tested all the same, and told when they pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ipg_protocol.commands.link import CapabilityRow

from ipg_conformance.ics import Statement, feature_name
from ipg_conformance.report.run import Result, Verdict


def undeclared_features(statement: Statement | None, reported: Iterable[CapabilityRow], results: Sequence[Result]) -> list[str]:
    """A line for each feature that is reported but not declared, and what its cases, whose ids end in its name, came to.

    Those that no case is about share a line.
    """
    if statement is None:
        return []
    verdicts = {feature_name(row): list[Verdict]() for row in statement.undeclared(reported)}
    for result in results:
        if result.verdict is not Verdict.NOT_APPLICABLE and (name := result.case.rpartition("/")[2]) in verdicts:
            verdicts[name].append(result.verdict)
    lines = [f"not declared: {name}: {_found(told)}" for name, told in verdicts.items() if told]
    if untold := [name for name, told in verdicts.items() if not told]:
        lines.append(f"not declared, and no case of this run is about them alone: {' '.join(untold)}")
    return lines


def _found(told: Sequence[Verdict]) -> str:
    passed = told.count(Verdict.PASS)
    return f"passes, {passed} cases" if passed == len(told) else f"{passed} of {len(told)} cases pass"
