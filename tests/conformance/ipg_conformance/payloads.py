"""Payloads that are malformed, or well formed, in one given way, derived from the declaration of the request."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

from ipg_protocol import Message
from ipg_protocol.frame import MAXIMUM_PAYLOAD
from ipg_protocol.wire import Field, fields


class BadField(NamedTuple):
    """A payload whose field `field`, counted as in details, holds what its type does not have."""

    field: int
    name: str
    payload: bytes


class GoodField(NamedTuple):
    """A payload of which one field holds a given member of its enumeration."""

    name: str
    payload: bytes


def too_short(payload: bytes) -> list[bytes]:
    """Every shorter payload."""
    return [payload[:size] for size in range(len(payload))]


def too_long(payload: bytes) -> list[bytes]:
    """One byte too many, and as many as a frame can hold."""
    return [payload + b"\0", payload.ljust(MAXIMUM_PAYLOAD, b"\0")]


def bad_fields(message: type[Message], payload: bytes) -> Iterator[BadField]:
    """The payload with each enumeration, flag and text field in turn set to what it cannot be."""
    offset = 0
    for number, field in enumerate(flat_fields(message)):
        for value in _bad_values(field):
            yield BadField(number, field.name, payload[:offset] + value + payload[offset + len(value) :])
        offset += struct.calcsize("<" + field.code)


def good_fields(message: type[Message], payload: bytes) -> Iterator[GoodField]:
    """The payload with each enumeration field in turn set to each of its members."""
    offset = 0
    for field in flat_fields(message):
        if field.enum is not None:
            for member in field.enum:
                value = struct.pack("<" + field.code, member)
                yield GoodField(f"{field.name} {member.name}", payload[:offset] + value + payload[offset + len(value) :])
        offset += struct.calcsize("<" + field.code)


def flat_fields(message: type[Message]) -> Iterator[Field]:
    """The fields of a message, and in the place of a message within it those of that."""
    for field in fields(message):
        if field.nested is not None:
            yield from flat_fields(field.nested)
        else:
            yield field


def _bad_values(field: Field) -> list[bytes]:
    if field.enum is None:
        return [b"\xff" * struct.calcsize(field.code)] if field.type_name.startswith("text") else []
    known = [member.value for member in field.enum]
    if issubclass(field.enum, IntFlag):
        return [struct.pack("<" + field.code, 1 << bit) for bit in range(16) if 1 << bit not in known]
    return [bytes((value,)) for value in (max(known) + 1, 0xFF)]
