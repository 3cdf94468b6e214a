"""Writes the Wireshark dissector of the link: `python -m ipg_protocol.dissector > ipg.lua`.

Its tables are the catalogue; the code that reads them stands in `dissector.lua`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from enum import IntEnum, IntFlag
from importlib.resources import files

from ipg_protocol import wire
from ipg_protocol.command import CATALOGUE, EVENTS, Command, Event
from ipg_protocol.refusal import REFUSAL_DETAIL
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Field, Message

_HEAD = """\
-- The dissector of the virtual IPG's link, made from its catalogue by `python -m ipg_protocol.dissector`.
-- Use it so: tshark -X lua_script:ipg.lua -r trace.pcapng; or put it into Wireshark's folder of personal plugins.
"""


def dissector() -> str:
    """The whole dissector, in Lua."""
    engine = files("ipg_protocol").joinpath("dissector.lua").read_text(encoding="utf-8")
    return "\n".join((_HEAD, *_tables(), engine))


def _tables() -> Iterator[str]:
    yield _table("STATUSES", (f'[{status.value}] = "{status.name}"' for status in Status))
    yield _table("REFUSALS", (f'[{status.value}] = "{detail.__name__}"' for status, detail in REFUSAL_DETAIL.items()))
    yield _table("COMMANDS", (f"[{opcode:#06x}] = {_command(entry)}" for opcode, entry in sorted(CATALOGUE.items())))
    yield _table("EVENTS", (f"[{opcode:#06x}] = {_event(entry)}" for opcode, entry in sorted(EVENTS.items())))
    yield _table("MESSAGES", map(_message, _messages()))


def _command(entry: Command) -> str:
    return f'{{ name = "{entry.name}", request = "{entry.request.__name__}", response = "{entry.response.__name__}" }}'


def _event(entry: Event) -> str:
    return f'{{ name = "{entry.name}", message = "{entry.message.__name__}" }}'


def _table(name: str, rows: Iterable[str]) -> str:
    lines = "".join(f"    {row},\n" for row in rows)
    return f"local {name} = {{\n{lines}}}\n"


def _messages() -> list[type[Message]]:
    """Every message that can stand in a frame, and every one inside of one, in the order of their names."""
    found: dict[str, type[Message]] = {}
    waiting: list[type[Message]] = [
        *(message for entry in CATALOGUE.values() for message in (entry.request, entry.response)),
        *(entry.message for entry in EVENTS.values()),
        *REFUSAL_DETAIL.values(),
    ]
    while waiting:
        message = waiting.pop()
        if found.setdefault(message.__name__, message) is not message:
            raise TypeError(f"two messages have the name {message.__name__}: {message}, {found[message.__name__]}")
        waiting += [inside for field in wire.fields(message) if (inside := field.row or field.nested)]
    return [found[name] for name in sorted(found)]


def _message(message: type[Message]) -> str:
    filter_name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", message.__name__).lower()
    fields = "".join(f", {_field(field)}" for field in wire.fields(message))
    return f'{message.__name__} = {{ filter = "{filter_name}"{fields} }}'


def _field(field: Field) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in _parts(field)) + " }"


def _parts(field: Field) -> Iterator[tuple[str, str]]:
    yield "name", f'"{field.name}"'
    if field.row is not None:
        yield "rows", f'"{field.row.__name__}"'
    elif field.nested is not None:
        yield "nested", f'"{field.nested.__name__}"'
    elif field.code.endswith("s"):
        yield "type", '"text"'
        yield "size", field.code[:-1]
    else:
        yield "type", f'"{field.type_name}"'
    if field.enum is not None:
        yield _values(field.enum)


def _values(enum: type[IntEnum] | type[IntFlag]) -> tuple[str, str]:
    """The members of an enumeration: numbers that are one of them, or whose bits are."""
    members = sorted(enum, key=int)
    if issubclass(enum, IntFlag):
        return "flags", "{ " + ", ".join(f'{{ mask = {flag.value}, name = "{flag.name}" }}' for flag in members) + " }"
    return "values", "{ " + ", ".join(f'[{member.value}] = "{member.name}"' for member in members) + " }"


if __name__ == "__main__":
    try:
        print(dissector(), end="", flush=True)
    except OSError as error:
        sys.stdout = None  # what is left in it cannot be written either
        sys.exit(f"the dissector cannot be written: {error.strerror}")
