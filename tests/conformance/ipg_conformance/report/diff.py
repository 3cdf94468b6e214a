"""What changed from one report to another: verdicts, cases that came or went, and the device they speak of."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ipg_conformance.report.coverage import NOT_PASSED
from ipg_conformance.report.json import Report
from ipg_conformance.report.run import Result, Verdict

_ABSENT = "not run"

_RANKS = {
    Verdict.PASS: 0,
    Verdict.NOT_APPLICABLE: 1,
    _ABSENT: 1,
    Verdict.WAIVED: 2,
    Verdict.NON_STRICT: 3,
    Verdict.INCONCLUSIVE: 4,
    Verdict.FAIL: 5,
    Verdict.ERROR: 5,
}
"""The higher, the worse. A case that passed and is no longer run, or no longer applies, is worse than before."""


class Change(msgspec.Struct, frozen=True):
    """One case of which the two reports say different things: another verdict, or another reason for the same one."""

    case: str
    before: str
    after: str
    what: str
    """Why, in the later report."""

    @property
    def is_worse(self) -> bool:
        return _RANKS[self.after] > _RANKS[self.before]

    def __str__(self) -> str:
        mark = "worse " if self.is_worse else "better" if _RANKS[self.after] < _RANKS[self.before] else "same  "
        return f"{mark}  {self.case}: {self.before} -> {self.after}" + (f"  ({self.what})" if self.what else "")


class Difference(msgspec.Struct, frozen=True):
    """All that differs between two reports."""

    facts: tuple[str, ...]
    """What differs of the device, the suite and how it was called, a line each."""
    changes: tuple[Change, ...]

    @property
    def is_worse(self) -> bool:
        return any(change.is_worse for change in self.changes)

    def __str__(self) -> str:
        worse = sum(change.is_worse for change in self.changes)
        return "\n".join(
            (*self.facts, *map(str, self.changes), f"{len(self.changes)} cases differ, {worse} of them for the worse")
        )


def compare(before: Report, after: Report) -> Difference:
    """What changed from one report to a later one."""
    old, new = ({result.case: result for result in report.run.results} for report in (before, after))
    cases = [*old, *(case for case in new if case not in old)]
    changed = (case for case in cases if _said(old.get(case)) != _said(new.get(case)))
    return Difference(tuple(_facts(before, after)), tuple(_change(case, old.get(case), new.get(case)) for case in changed))


def _said(result: Result | None) -> tuple[str, str]:
    """What is compared of a case: its verdict and, unless it passed or did not apply, what was found wrong."""
    if result is None:
        return _ABSENT, ""
    return result.verdict, result.what if result.verdict in NOT_PASSED else ""


def _change(case: str, old: Result | None, new: Result | None) -> Change:
    before, after = (_ABSENT if result is None else result.verdict for result in (old, new))
    return Change(case, before, after, "" if new is None else new.what or new.predicate)


def _facts(before: Report, after: Report) -> Iterator[str]:
    for name, old, new in zip(_FACTS, _values(before), _values(after), strict=True):
        if old != new:
            yield f"{name}: {old or 'none'} -> {new or 'none'}"


_FACTS = ("model", "serial", "firmware", "protocol", "target", "profile", "seed", "suite", "declaration", "conclusion")


def _values(report: Report) -> tuple[object, ...]:
    run, device = report.run, report.run.device
    about_device = (device.model, device.serial, device.firmware, device.protocol)
    return *about_device, run.target, run.profile, run.seed, run.suite_version, run.declaration, run.conclusion
