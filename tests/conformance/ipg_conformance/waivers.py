"""Waivers: failures that are known and accepted, each with a reason and a last day; one without need is a failure itself."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import msgspec

from ipg_conformance.handwritten import errors_translated
from ipg_conformance.report.run import Result, Verdict, Waiver


class WaiverError(ValueError):
    """A file holds no waivers, or waives what cannot be waived; the text says where and why."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    case: str
    reason: str
    expires: date


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    waiver: list[_Entry]


class Waivers:
    """Waivers by the case that they are for, on a day."""

    def __init__(self, entries: Iterable[tuple[str, str, date]], today: date) -> None:
        self._today = today
        self._entries = {case: (reason, expires) for case, reason, expires in entries}

    def __contains__(self, case: str) -> bool:
        return case in self._entries

    def applied_to(self, result: Result) -> Result:
        """The result with its waiver: a failure becomes WAIVED, what is waived without need or for too long FAIL."""
        if result.case not in self._entries:
            return result
        reason, expires = self._entries[result.case]
        waived = msgspec.structs.replace(result, waiver=Waiver(reason, expires.isoformat()))
        if result.verdict not in (Verdict.PASS, Verdict.FAIL):
            return waived
        if expires < self._today:
            return _failed(waived, f"its waiver has expired on {expires}", result)
        if result.verdict is Verdict.PASS:
            return _failed(waived, "it is waived, and passes: take the waiver away", result)
        return msgspec.structs.replace(waived, verdict=Verdict.WAIVED)


def _failed(waived: Result, why: str, result: Result) -> Result:
    what = f"{why}; {result.what}" if result.what else why
    expected = result.expected or "no waiver, or a failure that it is for"
    return msgspec.structs.replace(waived, verdict=Verdict.FAIL, what=what, expected=expected, got=result.got or "a pass")


def _check(found: Sequence[_Entry], known: Iterable[str]) -> None:
    cases = [entry.case for entry in found]
    if unknown := sorted(set(cases) - set(known)):
        raise ValueError(f"there is no case {unknown[0]}; `ipg-conformance list` names them all")
    if twice := sorted({case for case in cases if cases.count(case) > 1}):
        raise ValueError(f"{twice[0]} is waived twice")
    if unreasoned := [entry.case for entry in found if not entry.reason.strip()]:
        raise ValueError(f"the waiver of {unreasoned[0]} gives no reason")


def read_waivers(path: Path, known: Iterable[str], today: date) -> Waivers:
    """Read a file of `[[waiver]]` tables with `case`, `reason` and `expires` (the last day on which it is good).

    Raises:
        WaiverError: it cannot be read, or has no such tables, or names a case that is not among the known ones.
    """
    with errors_translated(path, WaiverError):
        found = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).waiver
        _check(found, known)
    return Waivers(((entry.case, entry.reason, entry.expires) for entry in found), today)
