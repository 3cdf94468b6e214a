"""Requirements and the verdicts of the cases that prove them: as a table, and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from io import StringIO

import msgspec

from ipg_conformance.report.run import Requirement, Result, Run, Verdict

NOT_TESTED = "NOT-TESTED"

WORST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.NON_STRICT,
    Verdict.WAIVED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)
"""Of several verdicts the first of these stands for all: what passes counts for more than what does not apply."""

NOT_PASSED = WORST_FIRST[: WORST_FIRST.index(Verdict.PASS)]
"""The verdicts that somebody has to read."""


class Covered(msgspec.Struct, frozen=True):
    """A requirement and what came of its cases."""

    requirement: Requirement
    results: tuple[Result, ...]

    @property
    def counts(self) -> Counter[Verdict]:
        return Counter(result.verdict for result in self.results)

    @property
    def verdict(self) -> Verdict | None:
        """The one that stands for all; None where no case ran."""
        return next((verdict for verdict in WORST_FIRST if self.counts[verdict]), None)


def coverage_of(run: Run) -> list[Covered]:
    """Every requirement of the SPEC, in its order, with the results of the cases that prove it."""
    proving: dict[str, list[Result]] = {requirement.id: [] for requirement in run.requirements}
    for result in run.results:
        for name in result.requirements:
            proving[name].append(result)
    return [Covered(requirement, tuple(proving[requirement.id])) for requirement in run.requirements]


def coverage_csv(run: Run) -> str:
    """A line for each requirement and each case that proves it; one line, NOT-TESTED, where no case ran."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("requirement", "test", "verdict"))
    writer.writerows(_rows(run))
    return stream.getvalue()


def _rows(run: Run) -> Iterator[tuple[str, str, str]]:
    for covered in coverage_of(run):
        for result in covered.results:
            yield covered.requirement.id, result.case, result.verdict.value
        if not covered.results:
            yield covered.requirement.id, "", NOT_TESTED
