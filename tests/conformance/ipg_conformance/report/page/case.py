"""The list of cases, each of which opens: what it proves, how, what was expected and came, and the trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from ipg_conformance.report.coverage import NOT_PASSED, WORST_FIRST
from ipg_conformance.report.exchange import lines_of, wrong_byte_on_the_wire
from ipg_conformance.report.markup import Child, element
from ipg_conformance.report.page.badge import badge, command, marked_up, requirement_ids
from ipg_conformance.report.page.differing import expected_and_got
from ipg_conformance.report.page.trace import compared_bytes, trace
from ipg_conformance.report.run import Result, Run, Verdict

COLUMNS = (("order", "#"), ("case", "case"), ("verdict", "verdict"), ("seconds", "seconds"), ("requirements", "requirements"))
"""By what the list can be sorted, and what stands above each column."""

OPEN_AT_FIRST = 5
"""How many of the cases that did not pass stand open; more would bury the list."""


def cases_section(run: Run) -> ElementTree.Element:
    """Every case that ran."""
    texts = {requirement.id: requirement.text for requirement in run.requirements}
    opened = [result.case for result in run.results if result.verdict in NOT_PASSED][:OPEN_AT_FIRST]
    rows = (_case(number, result, texts, result.case in opened) for number, result in enumerate(run.results, 1))
    heads = (element("button", name, type="button", class_=f"sort c-{key}", data_key=key) for key, name in COLUMNS)
    return element(
        "section",
        element("h2", "Cases"),
        _tools(run),
        element("div", *heads, element("span", "what it shows", class_="c-summary"), class_="heads"),
        element("div", *rows, id="cases"),
        id="all-cases",
    )


def _tools(run: Run) -> ElementTree.Element:
    features = list(dict.fromkeys(result.feature for result in run.results))
    options = [element("option", "every feature", value=""), *(element("option", name, value=name) for name in features)]
    ran = {result.verdict for result in run.results}
    boxes = [_box(verdict) for verdict in WORST_FIRST if verdict in ran]
    return element(
        "div",
        element("input", type="search", id="search", placeholder="id, requirement or words", aria_label="search"),
        element("select", *options, id="feature", aria_label="feature"),
        element("span", *boxes, class_="boxes"),
        element("button", "open all shown", type="button", id="open-all"),
        element("button", "close all", type="button", id="close-all"),
        element("span", id="shown"),
        class_="tools needs-script",
    )


def _box(verdict: Verdict) -> ElementTree.Element:
    box = element("input", type="checkbox", checked="checked", value=verdict.value)
    return element("label", box, badge(verdict))


def _case(number: int, result: Result, texts: Mapping[str, str], is_open: bool) -> ElementTree.Element:
    seconds = f"{result.seconds:.3f}"
    summary = element(
        "summary",
        element("span", str(number), class_="c-order"),
        element("code", result.case, class_="c-case"),
        element("span", badge(result.verdict), class_="c-verdict"),
        element("span", seconds, class_="c-seconds"),
        element("span", *requirement_ids(result.requirements), class_="c-requirements"),
        element("span", result.summary, class_="c-summary"),
    )
    sorted_by = {
        "data_order": str(number),
        "data_case": result.case,
        "data_verdict": str(WORST_FIRST.index(result.verdict)),
        "data_seconds": seconds,
        "data_requirements": " ".join(result.requirements),
    }
    opened = {"open": "open"} if is_open else {}
    return element(
        "details",
        summary,
        element("div", *_story(result, texts), class_="story"),
        id=result.case,
        class_="case",
        data_name=result.verdict.value,
        data_feature=result.feature,
        **sorted_by,
        **opened,
    )


def _story(result: Result, texts: Mapping[str, str]) -> Iterator[Child]:
    proved = (
        element("div", element("dt", element("code", name)), element("dd", *marked_up(texts.get(name, ""))))
        for name in result.requirements
    )
    yield element("dl", *proved, class_="proved")
    marks = [name for name, holds in (("raises output", result.outputs), ("destructive", result.destructive)) if holds]
    yield element("p", " · ".join((f"seed {result.seed}", *marks)), class_="marks")
    if result.steps:
        yield element("h4", "Steps")
        yield element("ol", *(element("li", element("code", step)) for step in result.steps), class_="steps")
    yield from _outcome(result)
    if result.repeat and result.verdict in NOT_PASSED:
        yield element("h4", "Repeat it")
        yield command(result.repeat)
    yield from _trace(result)


def _outcome(result: Result) -> Iterator[Child]:
    if result.predicate:
        yield element("p", f"Not applicable: {result.predicate}.", class_="reason")
    if result.waiver is not None:
        yield element("p", f"Waived until {result.waiver.expires}: {result.waiver.reason}", class_="reason")
    if not result.was_prepared:
        yield element("p", "The device could not be brought to the state in which the case begins.", class_="reason")
    if result.what:
        yield element("h4", "Checked")
        yield element("p", result.what, class_="what")
    if result.expected or result.got:
        yield expected_and_got("" if result.expected == result.what else result.expected, result.got)
    if result.expected_bytes:
        yield compared_bytes(result.expected_bytes, result.got_bytes)
    if result.traceback:
        yield element("h4", "The suite's traceback")
        yield element("pre", result.traceback)


def _trace(result: Result) -> Iterator[Child]:
    lines = lines_of(result.exchange)
    if not lines:
        return
    wrong = wrong_byte_on_the_wire(lines, result.expected_bytes, result.got_bytes)
    yield element("h4", "On the wire")
    yield from trace(lines, wrong, is_detailed=result.verdict in NOT_PASSED)
