"""What was expected and what came, in one line that is never long."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from ipg_conformance.report.run import Result

SHOWN_AT_MOST = 120
SHOWN_BEFORE = 30
"""Characters of each text, and of those in which both are alike, before where they differ."""


def in_brief(result: Result) -> str:
    """Both texts, long ones from where they differ."""
    expected, got = _from_where_they_differ(result.expected, result.got)
    return f"expected {expected}, got {got}"


def _from_where_they_differ(expected: str, got: str) -> Iterator[str]:
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(expected, got, strict=False)))
    first = max(0, alike - SHOWN_BEFORE) if max(len(expected), len(got)) > SHOWN_AT_MOST else 0
    for text in (expected, got):
        rest = text[first:]
        before, after = "… " if first else "", " …" if len(rest) > SHOWN_AT_MOST else ""
        yield f"{before}{rest[:SHOWN_AT_MOST]}{after}"
