"""What an operation has answered, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec


def lines_of(answer: Any) -> list[str]:
    """An answer in lines: a field each, and of a list an item each."""
    match answer:
        case None:
            return []
        case dict():
            return list(_fields(cast("Mapping[str, Any]", answer), ""))
        case list():
            return [_in_one_line(item) for item in cast("Sequence[Any]", answer)]
        case _:
            return [_word(answer)]


def _fields(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _fields(cast("Mapping[str, Any]", value), indent + "  ")
        elif _is_list_of_fields(value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  {_in_one_line(item)}" for item in cast("Sequence[Any]", value))
        else:
            yield f"{indent}{name}: {_word(value)}"


def _is_list_of_fields(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in cast("Sequence[Any]", value))


def _in_one_line(item: Any) -> str:
    if not isinstance(item, dict):
        return _word(item)
    return "  ".join(f"{name}={_word(value)}" for name, value in cast("Mapping[str, Any]", item).items())


def _word(value: Any) -> str:
    """Text as it is, nothing as a dash, a list of words with commas, the rest as JSON."""
    match value:
        case str():
            return value
        case None:
            return "-"
        case dict() | list() if not value:
            return "-"
        case list() if all(isinstance(item, str) for item in cast("Sequence[Any]", value)):
            return ", ".join(cast("Sequence[str]", value))
        case _:
            return msgspec.json.encode(value).decode()
