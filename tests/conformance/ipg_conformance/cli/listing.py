"""`list` and `explain`: which cases there are, what each asks of a device, and how it asks."""

from __future__ import annotations

import argparse
from difflib import get_close_matches

from ipg_conformance.case import CASES, FEATURES, Case, Profile
from ipg_conformance.requirements import INVALID_KINDS, VALID_KINDS, requirements
from ipg_conformance.runner import select
from ipg_conformance.steps import glossary_of, steps_of
from ipg_conformance.verdict import ExitCode

KINDS = {
    "BV": "valid behaviour",
    "BI": "invalid behaviour: what is wrong is refused, and changes nothing",
    "BO": "inopportune behaviour: right, but not now",
    "LT": "limits and timing",
    "RT": "robustness",
}
SIDES = (("valid", VALID_KINDS), ("invalid", INVALID_KINDS))


class NoSuchId(ValueError):
    """Neither a case nor a requirement has this id."""


def list_cases(options: argparse.Namespace) -> int:
    """Print the cases of a profile, and what each proves."""
    cases = select(Profile(options.profile), options.only)
    for case in cases:
        print(f"{case.id:<52} {' '.join(case.requirements)}")
    print(f"{len(cases)} cases")
    return ExitCode.CONFORMANT


def explain(options: argparse.Namespace) -> int:
    """Print what a case or a requirement is about.

    Raises:
        NoSuchId: there is neither.
    """
    name = options.id
    if name in CASES:
        print("\n".join(_case_lines(CASES[name])))
    elif name in requirements():
        print("\n".join(_requirement_lines(name)))
    else:
        raise NoSuchId(_not_found(name))
    return ExitCode.CONFORMANT


def _case_lines(case: Case) -> list[str]:
    needs = ", ".join(sorted(case.permissions)) or "nothing"
    applies = f"; where {case.applies.words}" if case.applies else ""
    return [
        case.id,
        f"  {case.summary}",
        "",
        f"Feature:  {FEATURES[case.feature]}",
        f"Kind:     {case.kind}, {KINDS[case.kind]}",
        f"Profile:  {case.profile}; at most {case.timeout_seconds:g} s",
        f"Applies:  on {case.need.value}{applies}",
        f"Allow:    {needs} (what a safe run needs --allow for)",
        "",
        "Why:",
        *(f"  {name}: {requirements()[name].text}" for name in case.requirements),
        "",
        "Steps:" if case.bare else "Steps, in IDLE, with the factory's configuration, no fault, and a SERVICE session:",
        *(f"  {number}. {_indented(step)}" for number, step in enumerate(steps_of(case), 1)),
        "",
        "Words:",
        *(f"  {name}: {meaning}" for name, meaning in glossary_of(case).items()),
    ]


def _indented(step: str) -> str:
    return step.replace("\n", "\n     ")


def _requirement_lines(name: str) -> list[str]:
    requirement = requirements()[name]
    cases = [case for case in CASES.values() if name in case.requirements]
    lines = [name, f"  {requirement.text}", ""]
    for side, kinds in SIDES:
        proving = [case for case in cases if case.kind in kinds]
        lines += [f"Cases of what is {side}: {len(proving)}", *(f"  {case.id}: {case.summary}" for case in proving)]
    return lines + ([f"Not tested: {requirement.exemption}"] if requirement.exemption else [])


def _not_found(name: str) -> str:
    known = [*CASES, *requirements()]
    begin = [each for each in known if each.startswith(name.upper())]
    near = begin or get_close_matches(name.upper(), known)
    if not near:
        return f"there is no case or requirement {name}; see: ipg-conformance list"
    number = f"one of {len(near)} such as " if len(near) > 1 else ""
    return f"there is no case or requirement {name}; did you mean {number}{near[0]}?"
