"""The top of the page: the verdict, whose it is, how many cases ended how, and what did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree

from ipg_conformance.report.brief import in_brief
from ipg_conformance.report.coverage import NOT_PASSED, WORST_FIRST
from ipg_conformance.report.markup import Child, element
from ipg_conformance.report.page.badge import MEANINGS, SIGNS, badge, case_link, command, requirement_ids, verdict_class
from ipg_conformance.report.run import Result, Run, Verdict

_TONES = {0: "v-pass", 4: "v-inconclusive"}
"""The colour of the headline by exit code; every other is a failure's."""


def headline(run: Run) -> ElementTree.Element:
    """The verdict and whose it is."""
    word, _, numbers = run.conclusion.partition(": ")
    early = [element("p", text, class_="early") for text in _left_out(run)]
    return element(
        "header",
        element("button", "light / dark", type="button", id="theme", class_="needs-script"),
        element("p", "Conformance report", class_="kicker"),
        element("h1", word, class_=_TONES.get(run.exit_code, "v-fail")),
        element("p", numbers, class_="conclusion"),
        *early,
        element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in _facts(run))),
        command(run.command),
    )


def _left_out(run: Run) -> Iterator[str]:
    if run.ended_early:
        yield f"Not all was run: {run.ended_early}."
    if count := sum(result.out_of_reach for result in run.results):
        yield f"Cases out of this run's reach, which show nothing of the device: {count}. Each says what it takes."


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    device = run.device
    named = (
        ("model", device.model),
        ("serial", device.serial),
        ("firmware", device.firmware),
        ("protocol", device.protocol),
        ("target", run.target),
        ("profile", run.profile),
        ("seed", str(run.seed)),
        ("started", run.started.replace("T", " ").replace("Z", " UTC")),
        ("line", str(run.line or "")),
        ("took", f"{run.seconds:.1f} s"),
        ("suite", f"{run.suite_version}, for protocol {run.protocol_version}"),
        ("declaration", run.declaration or "none given"),
    )
    return ((name, value or "not known") for name, value in named)


def totals_section(run: Run) -> ElementTree.Element:
    """How many cases ended with each verdict; a tile shows them in the list below."""
    counts = Counter(result.verdict for result in run.results)
    bar = [
        element(
            "span", class_=verdict_class(verdict), style=f"flex-grow:{counts[verdict]}", title=f"{counts[verdict]} {verdict}"
        )
        for verdict in WORST_FIRST
        if counts[verdict]
    ]
    notes = [element("li", note) for note in run.notes]
    return element(
        "section",
        element("div", *bar, class_="bar"),
        element("div", *(_tile(verdict, counts[verdict]) for verdict in WORST_FIRST), class_="tiles"),
        *([element("ul", *notes, class_="notes")] if notes else []),
        id="totals",
    )


def _tile(verdict: Verdict, count: int) -> ElementTree.Element:
    return element(
        "button",
        element("strong", str(count)),
        element("span", f"{SIGNS[verdict]} {verdict}"),
        type="button",
        class_=f"tile {verdict_class(verdict)}{'' if count else ' empty'}",
        title=MEANINGS[verdict],
        data_verdict=verdict.value,
    )


def not_passed_section(run: Run) -> ElementTree.Element:
    """What is to be read first: each case that did not pass, in one line."""
    results = sorted((result for result in run.results if result.verdict in NOT_PASSED), key=_by_weight)
    if not results:
        return element("section", element("h2", "What did not pass"), element("p", _nothing_wrong(run)), id="not-passed")
    header = element("tr", *(element("th", name) for name in ("verdict", "case", "requirements", "what was checked")))
    return element(
        "section",
        element("h2", f"What did not pass ({len(results)})"),
        element("table", element("thead", header), element("tbody", *map(_row, results)), class_="plain"),
        id="not-passed",
    )


def _nothing_wrong(run: Run) -> str:
    passed = sum(result.verdict is Verdict.PASS for result in run.results)
    return (
        f"Nothing: all {passed} cases that apply passed." if passed else "Nothing passed, and nothing failed: no case applies."
    )


def _by_weight(result: Result) -> int:
    return WORST_FIRST.index(result.verdict)


def _row(result: Result) -> ElementTree.Element:
    said: list[Child] = [element("strong", result.what)]
    if result.expected or result.got:
        said += [element("br"), in_brief(result)]
    return element(
        "tr",
        element("td", badge(result.verdict)),
        element("td", case_link(result.case)),
        element("td", *requirement_ids(result.requirements)),
        element("td", *said),
    )
