"""Two texts beside each other, with what differs marked word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from xml.etree import ElementTree

from ipg_conformance.report.markup import Child, element

MOST_WORDS = 1200
"""Comparing takes time that grows with the square of this."""

_WORD = re.compile(r"-?\w+|\W")


def expected_and_got(expected: str, got: str) -> ElementTree.Element:
    """What had to come, if that is told, beside what came. Texts that share nothing, or are very long, stand unmarked."""
    if not expected:
        return element("div", _box("got", [got]), class_="compared")
    words = _WORD.findall(expected), _WORD.findall(got)
    matcher = SequenceMatcher(None, *words, autojunk=False) if sum(map(len, words)) <= MOST_WORDS else None
    if matcher is None or matcher.real_quick_ratio() < 0.5 or matcher.ratio() < 0.5:
        return _boxes([expected], [got or "nothing"])
    return _boxes(list(_marked(matcher, words[0], 0, "due")), list(_marked(matcher, words[1], 1, "")))


def _marked(matcher: SequenceMatcher[str], words: list[str], side: int, kind: str) -> Iterator[Child]:
    for tag, *places in matcher.get_opcodes():
        text = "".join(words[places[2 * side] : places[2 * side + 1]])
        if text:
            yield text if tag == "equal" else element("mark", text, class_=kind)


def _boxes(expected: list[Child], got: list[Child]) -> ElementTree.Element:
    return element("div", _box("expected", expected), _box("got", got), class_="compared")


def _box(name: str, children: list[Child]) -> ElementTree.Element:
    return element("div", element("h4", name), element("pre", *children), class_=name)
