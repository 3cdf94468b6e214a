"""Values in words, for people: as a trace tells them, and never as Python does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from types import NoneType
from typing import Any, cast

from ipg_protocol import CATALOGUE, COMMAND_OF, EVENT_OF, Command, Event, Frame, Message, Reply, Status
from ipg_protocol.describe import describe_frame, describe_message, in_words
from ipg_protocol.refusal import WHOLE_MESSAGE

FRAMES_SHOWN = 3
NOTHING = "nothing"

_NAMES = {message: entry.name for table in (COMMAND_OF, EVENT_OF) for message, entry in table.items()}
"""What requests and events are called; an answer has the name of nothing but its request."""


def shown(value: object) -> str:
    """Any value: a reply by its status and fields, a message by its fields, several with commas, or semicolons, between."""
    if type(value) in _BY_TYPE:
        return _BY_TYPE[type(value)](value)
    match value:
        case Message():
            return _words(_NAMES.get(type(value), ""), describe_message(value)) or NOTHING
        case list() | tuple() | set() | frozenset():
            return _of_several(cast("Iterable[object]", value)) or NOTHING
        case Enum():
            return in_words(value) if isinstance(value, int) else value.name
        case type():
            return _NAMES.get(value, value.__name__)
        case _:
            return str(value)


def command_text(opcode: int) -> str:
    """A command by its name; what is none, by its opcode."""
    return CATALOGUE[opcode].name if opcode in CATALOGUE else f"{opcode:#06x}"


def refusal_text(status: Status, detail: Mapping[str, object], order: Sequence[str] = ()) -> str:
    """A refusal by its status and some fields of its detail, as far as named in this order, then the rest."""
    names = [*(name for name in order if name in detail), *(name for name in detail if name not in order)]
    return _words(status.name, *(f"{name}={_field_text(name, detail[name])}" for name in names))


def _field_text(name: str, value: object) -> str:
    return f"{value}(whole message)" if name == "field" and value == WHOLE_MESSAGE else shown(value)


def _words(*words: str) -> str:
    return " ".join(filter(None, words))


def _of_reply(reply: Reply) -> str:
    return _words(reply.status.name, *(flag.name or "" for flag in reply.flags), describe_message(reply.body))


def _of_mapping(given: Mapping[object, object]) -> str:
    return " ".join(f"{shown(key)}={_inner(value)}" for key, value in given.items()) or NOTHING


def _of_named(entry: Command | Event) -> str:
    return entry.name


_BY_TYPE: dict[type, Callable[[Any], str]] = {
    NoneType: lambda _: NOTHING,
    bool: lambda holds: "yes" if holds else "no",
    bytes: lambda data: data.hex(" ") or "no bytes",
    dict: _of_mapping,
    Frame: describe_frame,
    Reply: _of_reply,
    Command: _of_named,
    Event: _of_named,
}


def _of_several(given: Iterable[object]) -> str:
    """By name where they have names, sets by their words so that they are always told alike, of many frames the first few."""
    if hasattr(given, "_asdict"):
        return _of_mapping(cast("Any", given)._asdict())
    values = sorted(given, key=shown) if isinstance(given, set | frozenset) else list(given)
    is_flood = len(values) > FRAMES_SHOWN and all(isinstance(value, Frame) for value in values)
    told = [_inner(value) for value in (values[:FRAMES_SHOWN] if is_flood else values)]
    more = [f"and {len(values) - FRAMES_SHOWN} more"] if is_flood else []
    has_fields = any(isinstance(value, Message | Reply | Frame | dict) for value in values)
    return ("; " if has_fields else ", ").join(told + more)


def _inner(value: object) -> str:
    """A value within another: several stand in brackets, and a text, which may be empty, in quotes."""
    if isinstance(value, str) and not isinstance(value, Enum):
        return repr(value)
    return f"[{_of_several(cast('Iterable[object]', value))}]" if _has_parts(value) else shown(value)


def _has_parts(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and not isinstance(value, Command | Event)
