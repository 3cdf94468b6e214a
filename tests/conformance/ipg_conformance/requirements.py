"""The numbered requirements of SPEC.md, and whether the cases of the suite prove each of them from both sides."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from importlib import resources
from pathlib import Path

from ipg_conformance.case import Case
from ipg_conformance.exempt import WITHOUT_INVALID, WITHOUT_VALID
from ipg_conformance.report.run import Requirement

VALID_KINDS = frozenset({"BV", "LT"})
INVALID_KINDS = frozenset({"BI", "BO", "RT"})
_ROW = re.compile(r"^\| (REQ-[A-Z]+-\d+) \| (.*) \|$", re.MULTILINE)
_SIDES = (
    ("a valid case (BV, LT)", VALID_KINDS, WITHOUT_VALID),
    ("an invalid case (BI, BO, RT)", INVALID_KINDS, WITHOUT_INVALID),
)


class SuiteError(Exception):
    """The suite is not fit to be run: a case names what is not required, or a requirement has not the cases that it must."""


def specification() -> str:
    """The text of SPEC.md: shipped with the package, or in the source tree beside it.

    Raises:
        SuiteError: it is in neither place.
    """
    shipped = resources.files("ipg_conformance").joinpath("SPEC.md")
    for place in (shipped, Path(__file__).parents[3] / "protocol/SPEC.md"):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise SuiteError("SPEC.md was not shipped with the suite: install it anew")


@cache
def requirements() -> dict[str, Requirement]:
    """All requirements by id, in the order of the specification."""
    rows = _ROW.findall(specification())
    return {name: Requirement(id=name, text=text.replace(r"\|", "|"), exemption=_exemption(name)) for name, text in rows}


def _exemption(name: str) -> str:
    reasons = [f"without {side}: {table[name]}" for side, _, table in _SIDES if name in table]
    return "; ".join(reasons)


def is_mandatory(requirement: Requirement) -> bool:
    """Whether it says MUST, and not only SHOULD."""
    return "MUST" in requirement.text


def faults_of(cases: Iterable[Case], known: dict[str, Requirement]) -> list[str]:
    """What is wrong with a suite of these cases, a line for each fault."""
    declared = list(cases)
    unknown = [
        f"{case.id} names {name}, which SPEC.md does not have"
        for case in declared
        for name in case.requirements
        if name not in known
    ]
    unnamed = [f"{case.id} names no requirement" for case in declared if not case.requirements]
    return unknown + unnamed + [fault for side in _SIDES for fault in _faults_of_side(declared, known, *side)]


def _faults_of_side(
    cases: Iterable[Case], known: dict[str, Requirement], side: str, kinds: Collection[str], reasons: dict[str, str]
) -> list[str]:
    mandatory = {name for name, requirement in known.items() if is_mandatory(requirement)}
    proven = {name for case in cases if case.kind in kinds for name in case.requirements}
    missing = sorted(mandatory - proven - reasons.keys())
    needless = sorted(proven & reasons.keys())
    return [
        *(f"{name} has neither {side} nor a reason for having none" for name in missing),
        *(f"{name} has {side}, and a reason for having none" for name in needless),
        *(f"a reason is given for {name}, which SPEC.md does not have" for name in sorted(reasons.keys() - known)),
    ]


def check(cases: Iterable[Case]) -> None:
    """Stop a suite that is not fit to be run.

    Raises:
        SuiteError: see there; all that is wrong stands in it.
    """
    faults = faults_of(cases, requirements())
    if faults:
        raise SuiteError("\n".join(faults))
