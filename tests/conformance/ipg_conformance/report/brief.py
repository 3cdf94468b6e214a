"""What was expected and what came, in texts that are never long: of long ones what stands around the first difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from ipg_conformance.report.run import Result

SHOWN_AT_MOST = 120
SHOWN_BEFORE = 40
"""Characters of each text, and of those in which both are alike, before where they differ."""


def in_brief(result: Result) -> str:
    """Both texts in one line; what came alone, where what was expected is what was checked."""
    expected, got = shortened(result.expected, result.got)
    return f"got {got}" if result.expected == result.what else f"expected {expected}, got {got}"


def shortened(expected: str, got: str, at_most: int = SHOWN_AT_MOST) -> tuple[str, str]:
    """Both texts; where one is too long, whole words from a little before the first that differs."""
    if max(len(expected), len(got)) <= at_most:
        return expected, got
    first = _first_shown(expected.split(" "), got.split(" "))
    return _cut(expected.split(" "), first, at_most), _cut(got.split(" "), first, at_most)


def _first_shown(expected: Sequence[str], got: Sequence[str]) -> int:
    first = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(expected, got, strict=False)))
    room = SHOWN_BEFORE
    while first and len(expected[first - 1]) < room:
        room -= len(expected[first - 1]) + 1
        first -= 1
    return first


def _cut(words: Sequence[str], first: int, at_most: int) -> str:
    """The words from the first on that fit, and one in any case, but no more of it than fits."""
    kept: list[str] = []
    for word in words[first:]:
        if kept and len(" ".join([*kept, word])) > at_most:
            break
        kept.append(word[:at_most])
    is_whole = kept == words[first:]
    return " ".join([*(["…"] if first else []), *kept, *([] if is_whole else ["…"])])
