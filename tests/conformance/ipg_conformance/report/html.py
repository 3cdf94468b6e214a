"""The report as one page of HTML that needs nothing else: no network, no font, no further file."""

from __future__ import annotations

from importlib.resources import files
from xml.etree import ElementTree

from ipg_conformance.report.coverage import coverage_of
from ipg_conformance.report.markup import element
from ipg_conformance.report.page.case import cases_section
from ipg_conformance.report.page.matrix import requirements_section
from ipg_conformance.report.page.summary import headline, not_passed_section, totals_section
from ipg_conformance.report.run import Run

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser may load for the page: nothing."""


def report_html(run: Run, json_digest: str) -> str:
    """The page; `json_digest` is the SHA-256 of the report.json that belongs to it, in hexadecimal."""
    root = element("html", _head(run), _body(run, json_digest), lang="en")
    return f"<!DOCTYPE html>\n{ElementTree.tostring(root, encoding='unicode', method='html')}\n"


def _head(run: Run) -> ElementTree.Element:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("title", f"{run.device.model or run.target}: {run.conclusion}"),
        element("style", _shipped("page.css")),
    )


def _body(run: Run, json_digest: str) -> ElementTree.Element:
    coverage = coverage_of(run)
    return element(
        "body",
        headline(run),
        element(
            "main",
            totals_section(run),
            not_passed_section(run),
            requirements_section(coverage),
            cases_section(run),
        ),
        element("footer", "report.json that belongs to this page has the SHA-256 ", element("code", json_digest), "."),
        element("script", _shipped("page.js")),
    )


def _shipped(name: str) -> str:
    return files("ipg_conformance.report.page").joinpath(name).read_text(encoding="utf-8")
