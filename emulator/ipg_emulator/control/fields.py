"""The fields of an operation as text, the way a shell and the query of a URL give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import inspect

from ipg_emulator.control.operation import Operation, only_reads

TEXTUAL = (inspect.StrType, inspect.EnumType, inspect.LiteralType)
SCALAR = (*TEXTUAL, inspect.IntType, inspect.FloatType, inspect.BoolType)
SERIES = (inspect.ListType, inspect.VarTupleType, inspect.TupleType, inspect.SetType, inspect.FrozenSetType)
LARGEST_EXACT = 2**53
"""Up to here a double holds every integer."""

Kinds = tuple[inspect.Type, ...]


def fields_of(kind: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    """The fields of a structure by their names."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return {field.encode_name: field for field in found.fields}


def alternatives(kind: inspect.Type) -> Kinds:
    """What a value may be, None left out."""
    match kind:
        case inspect.Metadata(type=inner):
            return alternatives(inner)
        case inspect.UnionType(types=kinds):
            return tuple(found for each in kinds for found in alternatives(each))
        case inspect.NoneType():
            return ()
        case _:
            return (kind,)


def description_of(kind: inspect.Type) -> str:
    """What a field's declaration says of it, wherever in it that stands."""
    match kind:
        case inspect.Metadata(type=inner):
            said = cast("dict[str, str] | None", cast("Any", kind).extra_json_schema) or {}
            return said.get("description") or description_of(inner)
        case inspect.UnionType(types=kinds):
            return next((words for each in kinds if (words := description_of(each))), "")
        case _:
            return ""


def is_get(operation: type[Operation[Any]]) -> bool:
    """Whether an operation can be a GET: it leaves the device as it is, and each of its fields is a single word or number."""
    kinds = [kind for field in fields_of(operation).values() for kind in alternatives(field.type)]
    return only_reads(operation) and all(isinstance(kind, SCALAR) for kind in kinds)


def read_value(text: str, kinds: Kinds) -> Any:
    """What a text stands for: itself where words are wanted, else JSON. What is neither is left for validation to refuse.

    So is `null`: a field without a value is left out.
    """
    if all(isinstance(kind, TEXTUAL) for kind in kinds):
        return text
    if any(isinstance(kind, SERIES) for kind in kinds) and not text.startswith("["):
        text = f"[{text}]"
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if value is None else value


def whole(value: Any) -> Any:
    """A value as JSON Schema sees it, to which 3.0 is an integer."""
    match value:
        case float() if value.is_integer() and abs(value) <= LARGEST_EXACT:
            return int(value)
        case dict():
            return {name: whole(inner) for name, inner in cast("dict[str, Any]", value).items()}
        case list():
            return [whole(inner) for inner in cast("Sequence[Any]", value)]
        case _:
            return value
