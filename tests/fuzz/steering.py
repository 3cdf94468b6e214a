"""What a fuzzer's bytes decide: a frame's fields, a payload's values, the time that passes. Any bytes decide something."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ipg_protocol import Frame, encode_frame
from ipg_protocol.wire import Field, Message, fields

VECTORS = Path(__file__).parents[1] / "vectors"
LEAST_INVENTED = 128
"""A choice below this takes a value that has a meaning, so that many requests get past the checks of ranges and grids."""

T = TypeVar("T")


@cache
def vectors(file: str) -> list[dict[str, Any]]:
    """The locked messages of one file."""
    found: list[dict[str, Any]] = json.loads((VECTORS / f"{file}.json").read_text())
    return found


class Steering:
    """Bytes, consumed from the front. When they are used up, every further decision is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes there still are."""
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        """So many bytes, or as many as are left."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size), "little")

    def choose(self, choices: Sequence[T]) -> T:
        return choices[self.number() % len(choices)]

    def wire(self) -> bytes:
        """A frame that is right in all but, at times, one byte before it was stuffed or after."""
        kind, opcode, request_id = self.number() % 16, self.number(2), self.number(4)
        payload = self.take(self.number())[:242]
        wire = bytearray(encode_frame(Frame(kind, opcode, request_id, payload)))  # type: ignore[arg-type]  # any nibble
        if self.number() % 4 == 0:
            wire[self.number() % len(wire)] = self.number()
        return bytes(wire)

    def payload(self, message: type[Message], known: dict[str, list[int]]) -> bytes:
        """A payload of the right form, whatever its values; those that have a name in `known` are often from there."""
        return b"".join(self._field(field, known) for field in fields(message))

    def _field(self, field: Field, known: dict[str, list[int]]) -> bytes:
        if field.nested is not None:
            return self.payload(field.nested, known)
        if field.row is not None:
            rows = [self.payload(field.row, known) for _ in range(self.number() % 5)]
            return bytes((len(rows),)) + b"".join(rows)
        if field.enum is not None:
            return struct.pack("<" + field.code, self._member(field.enum))
        size = struct.calcsize(field.code)
        choice = self.number()
        if choice < LEAST_INVENTED and field.name in known:
            values = known[field.name]
            return (values[choice % len(values)] % 256**size).to_bytes(size, "little")
        return self.take(size).ljust(size, b"\0")

    def _member(self, enum: Any) -> int:
        return int(self.choose(list(enum)))
