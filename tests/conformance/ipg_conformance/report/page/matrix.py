"""The requirements: a map with a field for each, and the table of how many of its cases ended how."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from ipg_conformance.report.coverage import NOT_TESTED, WORST_FIRST, Covered
from ipg_conformance.report.markup import element
from ipg_conformance.report.page.badge import SIGNS, badge, marked_up, verdict_class
from ipg_conformance.report.run import Verdict


def requirements_section(coverage: Sequence[Covered]) -> ElementTree.Element:
    """All requirements of the SPEC. One chosen on the map or in the table shows its cases."""
    met = sum(covered.verdict is Verdict.PASS for covered in coverage)
    return element(
        "section",
        element("h2", f"Requirements ({met} of {len(coverage)} shown to be kept)"),
        element("div", *(_group(name, group) for name, group in _groups(coverage).items()), class_="map"),
        element("div", _table(coverage), class_="scrolled"),
        id="requirements",
    )


def _groups(coverage: Sequence[Covered]) -> dict[str, list[Covered]]:
    """By what an id names first, which need not stand together in the SPEC."""
    groups: dict[str, list[Covered]] = {}
    for covered in coverage:
        groups.setdefault(covered.requirement.id.split("-")[1], []).append(covered)
    return groups


def _group(name: str, group: Sequence[Covered]) -> ElementTree.Element:
    fields = [
        element(
            "button",
            covered.requirement.id.rpartition("-")[2],
            type="button",
            class_=f"field {verdict_class(covered.verdict)}",
            title=f"{covered.requirement.id}: {covered.verdict or NOT_TESTED}\n{covered.requirement.text}",
            data_requirement=covered.requirement.id,
        )
        for covered in group
    ]
    return element("div", element("span", name, class_="group"), *fields)


def _table(coverage: Sequence[Covered]) -> ElementTree.Element:
    counts = (element("th", SIGNS[verdict], scope="col", class_="count", title=verdict.value) for verdict in WORST_FIRST)
    header = element("tr", *(element("th", name, scope="col") for name in ("requirement", "text", "verdict")), *counts)
    rows = (_row(covered) for covered in coverage)
    return element("table", element("thead", header), element("tbody", *rows), class_="matrix sortable")


def _row(covered: Covered) -> ElementTree.Element:
    requirement = covered.requirement
    exempt = [element("p", f"Why no more cases: {requirement.exemption}", class_="exemption")] if requirement.exemption else []
    shown = covered.verdict
    name = element("button", requirement.id, type="button", class_="link", data_requirement=requirement.id)
    verdict = badge(shown) if shown else element("span", NOT_TESTED, class_="badge v-none")
    place = WORST_FIRST.index(shown) if shown else len(WORST_FIRST)
    return element(
        "tr",
        element("th", name, scope="row", data_value=requirement.id),
        element("td", *marked_up(requirement.text), *exempt, class_="text"),
        element("td", verdict, data_value=str(place)),
        *(_cell(verdict, covered.counts[verdict]) for verdict in WORST_FIRST),
    )


def _cell(verdict: Verdict, count: int) -> ElementTree.Element:
    return element("td", str(count or ""), class_=f"count {verdict_class(verdict) if count else ''}", data_value=str(count))
