"""Elements of HTML and XML made of texts that may hold anything: what is no markup is escaped when it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree

Child = ElementTree.Element | str

_NOT_PRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 forbids, and the control characters that it takes but a reader cannot see."""


def printable(text: str) -> str:
    r"""Text without what no page may hold: control characters and lone surrogates, as \x1b or \udc80."""
    return _NOT_PRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def element(tag: str, *children: Child, **attributes: str) -> ElementTree.Element:
    """An element with its children in order; `_` in an attribute's name stands for `-`, and one behind it for nothing."""
    made = ElementTree.Element(
        tag, {name.rstrip("_").replace("_", "-"): printable(value) for name, value in attributes.items()}
    )
    append(made, children)
    return made


def append(parent: ElementTree.Element, children: Iterable[Child]) -> None:
    """Put children behind those that an element has."""
    for child in children:
        if not isinstance(child, str):
            parent.append(child)
        elif len(parent):
            parent[-1].tail = (parent[-1].tail or "") + printable(child)
        else:
            parent.text = (parent.text or "") + printable(child)
