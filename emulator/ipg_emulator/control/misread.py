"""What is wrong with the values that an operation was given, in words that name what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import inspect

    from ipg_emulator.control.operation import Operation

_UNKNOWN_WORD = ("Invalid enum value", "Invalid value")
"""How msgspec begins to speak of a word that is none of those allowed, or of an unknown kind of something."""


def why_misread(operation: type[Operation[Any]], error: Exception) -> str:
    """The error's own words, and the words that are allowed where one of them was wanted."""
    text = str(error)
    if not text.startswith(_UNKNOWN_WORD):
        return text
    first, _, rest = text.rpartition("`$.")[2].removesuffix("`").partition(".")
    from ipg_emulator.control.fields import alternatives, fields_of

    field = fields_of(operation).get(first)
    allowed = [word for kind in alternatives(field.type) for word in _words(kind, rest)] if field else []
    return f"{text}; allowed: {', '.join(allowed)}" if allowed else text


def _words(kind: inspect.Type, inside: str) -> list[str]:
    """The words that stand for a kind of value; of a structure, that by which it is told from others."""
    from msgspec import inspect

    match kind:
        case inspect.LiteralType(values=values) if not inside:
            return [str(value) for value in values]
        case inspect.StructType(tag=str(tag), tag_field=field) if field == inside:
            return [tag]
        case _:
            return []
