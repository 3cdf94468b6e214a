"""The options of a command line that an operation's fields become; what lies inside a field is named with a point.

A field that holds one of several tagged structures takes the tag alone: `--fault drop --fault.times 1`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import inspect

from ipg_emulator.control.fields import Kinds, alternatives, description_of, read_value


@dataclass(frozen=True)
class Flag:
    """One option: the way to its field, and what the field may be."""

    path: tuple[str, ...]
    kinds: Kinds
    words: str
    is_required: bool

    @property
    def name(self) -> str:
        return "--" + ".".join(self.path).replace("_", "-")

    @property
    def choices(self) -> list[str]:
        """The words that can be given; empty where others can too."""
        found = [_words_of(kind) for kind in self.kinds]
        return [word for words in found for word in words] if found and all(found) else []

    @property
    def is_structure(self) -> bool:
        """Whether it holds one of several tagged structures."""
        return any(isinstance(kind, inspect.StructType) for kind in self.kinds)

    def read(self, text: str) -> Any:
        """The value that a text stands for.

        Raises:
            ValueError: it is none of the choices, or wants to be a JSON object and is not.
        """
        if self.is_structure and text.startswith("{"):
            return msgspec.json.decode(text, type=dict[str, Any])
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is not one of {', '.join(self.choices)}")
        tags = {kind.tag_field for kind in self.kinds if isinstance(kind, inspect.StructType)}
        return dict.fromkeys(tags, text) or read_value(text, self.kinds)


def flags_of(kind: type[msgspec.Struct]) -> dict[str, Flag]:
    """The options by their names, in the order of the fields."""
    flags: dict[str, Flag] = {}
    for flag in _flags_in((inspect.type_info(kind),), ()):
        known = flags.get(flag.name)
        flags[flag.name] = flag if known is None else replace(known, kinds=known.kinds + flag.kinds)
    return flags


def _flags_in(kinds: Kinds, path: tuple[str, ...]) -> Iterator[Flag]:
    for field in (field for kind in kinds if isinstance(kind, inspect.StructType) for field in kind.fields):
        inner, here = alternatives(field.type), (*path, field.encode_name)
        if not _is_plain_structure(inner):
            yield Flag(here, inner, description_of(field.type), field.required and not path)
        yield from _flags_in(inner, here)


def _is_plain_structure(kinds: Kinds) -> bool:
    return all(isinstance(kind, inspect.StructType) and kind.tag_field is None for kind in kinds)


def _words_of(kind: inspect.Type) -> list[str]:
    match kind:
        case inspect.EnumType(cls=enum):
            return [str(member.value) for member in enum]
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
        case inspect.BoolType():
            return ["true", "false"]
        case inspect.StructType(tag=str(tag)):
            return [tag]
        case _:
            return []


def assemble(given: Iterable[tuple[Flag, Any]]) -> dict[str, Any]:
    """The fields of an operation from the options that were given, with the values read."""
    fields: dict[str, Any] = {}
    for flag, value in sorted(given, key=lambda each: len(each[0].path)):
        inside = fields
        for name in flag.path[:-1]:
            inside = inside.setdefault(name, {})
        inside[flag.path[-1]] = value
    return fields
