"""Verdicts, requirements and commands as they look everywhere on the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

from ipg_conformance.report.markup import Child, element
from ipg_conformance.report.run import Verdict

SIGNS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✗",
    Verdict.NON_STRICT: "~",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_APPLICABLE: "-",
    Verdict.WAIVED: "w",
    Verdict.ERROR: "!",
}
"""A sign beside each colour, for who cannot tell the colours apart."""

MEANINGS = {
    Verdict.PASS: "the device does what it must",
    Verdict.FAIL: "the device does not do what it must",
    Verdict.NON_STRICT: "the device does not do what it should",
    Verdict.INCONCLUSIVE: "the environment did not let the case come to an end",
    Verdict.NOT_APPLICABLE: "the device has not what the case asks for",
    Verdict.WAIVED: "failed, and accepted for a stated reason until a stated day",
    Verdict.ERROR: "the suite's own fault",
}


def verdict_class(verdict: Verdict | None) -> str:
    """The class that gives a verdict its colour; None is a requirement of which no case ran."""
    return "v-none" if verdict is None else f"v-{verdict.value.lower()}"


def badge(verdict: Verdict) -> ElementTree.Element:
    """A verdict, coloured and with its sign."""
    sign = element("span", SIGNS[verdict], class_="sign", aria_hidden="true")
    return element("span", sign, verdict.value, class_=f"badge {verdict_class(verdict)}", title=MEANINGS[verdict])


def marked_up(text: str) -> list[Child]:
    """A text of the SPEC, in which backticks stand around code."""
    parts = text.split("`")
    return [element("code", part) if place % 2 else part for place, part in enumerate(parts)]


def requirement_ids(names: Iterable[str]) -> Iterator[Child]:
    """The ids of requirements with a space between, none of which is broken at its hyphens."""
    for number, name in enumerate(names):
        yield from [" "] if number else []
        yield element("span", name, class_="id")


def command(text: str) -> ElementTree.Element:
    """A command to be called, with a button that copies it."""
    return element(
        "div",
        element("code", text),
        element("button", "copy", type="button", class_="copy needs-script"),
        class_="command",
    )


def case_link(case: str) -> ElementTree.Element:
    """A case's id, leading to its place on the page."""
    return element("a", element("code", case), href=f"#{case}")
