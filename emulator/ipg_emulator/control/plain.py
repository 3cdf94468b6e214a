"""Messages of the protocol in plain values, as JSON has them: enumerations by name, flags as lists of names, bytes in hex."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, IntFlag
from typing import Any, cast

from ipg_protocol.wire import Message


def plain(value: object) -> Any:
    """A value of a message's field, or a whole message."""
    match value:
        case IntFlag():
            return [flag.name for flag in type(value) if flag in value]
        case Enum():
            return value.name
        case bytes():
            return value.hex()
        case Message():
            return plain_fields(value)
        case tuple() | list():
            return [plain(item) for item in cast("Iterable[object]", value)]
        case _:
            return value


def plain_fields(message: Message) -> dict[str, Any]:
    """The fields of a message by their names."""
    return {name: plain(getattr(message, name)) for name in message.__struct_fields__}
