"""Messages and their bytes: a message is declared once, as a frozen struct, and both codecs follow from the declaration.

A layout of fixed size runs through `struct`; one that ends in rows or bytes runs through the construct declaration that
`layout` returns. construct is imported when the first such layout is met, because importing it takes longer than all the
rest of a device's start.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag
from functools import cache
from importlib import import_module
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

M = TypeVar("M", bound="Message")


class WireError(ValueError):
    """A payload or a message does not fit its layout. `field` is the declared name at fault, None when it is the length."""

    def __init__(self, reason: str, *, field: str | None = None, expected: int | None = None) -> None:
        super().__init__(reason)
        self.field = field
        self.expected = expected


class Message(msgspec.Struct, frozen=True):
    """Anything with a wire layout. Fields stand in wire order, little-endian, without padding."""


class Scalar(NamedTuple):
    """How one integer field is laid out: its name, its `struct` code, and construct's name for the same thing."""

    type_name: str
    code: str
    construct_name: str


class Text(NamedTuple):
    """A text field of fixed size: UTF-8, filled up with zero bytes."""

    size: int


U8 = Annotated[int, Scalar("u8", "B", "Int8ul")]
I8 = Annotated[int, Scalar("i8", "b", "Int8sl")]
U16 = Annotated[int, Scalar("u16", "H", "Int16ul")]
I16 = Annotated[int, Scalar("i16", "h", "Int16sl")]
U32 = Annotated[int, Scalar("u32", "I", "Int32ul")]
I32 = Annotated[int, Scalar("i32", "i", "Int32sl")]
U64 = Annotated[int, Scalar("u64", "Q", "Int64ul")]
Text16 = Annotated[str, Text(16)]
Text32 = Annotated[str, Text(32)]


def _same(value: Any) -> Any:
    return value


class Field(NamedTuple):
    """One declared field. `code` is empty where the size depends on the content: rows, a nested message, counted bytes."""

    name: str
    type_name: str
    code: str
    construct_name: str
    to_wire: Callable[[Any], Any] = _same
    from_wire: Callable[[Any], Any] = _same
    row: type[Message] | None = None
    nested: type[Message] | None = None
    enum: type[IntEnum] | type[IntFlag] | None = None


def _text_field(name: str, size: int) -> Field:
    def to_wire(value: str) -> bytes:
        raw = value.encode()
        if len(raw) > size or raw.endswith(b"\0"):
            raise WireError(f"{name} must be at most {size} bytes of UTF-8 not ending in a zero, got {value!r}", field=name)
        return raw.ljust(size, b"\0")

    def from_wire(value: bytes) -> str:
        try:
            return value.rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            raise WireError(f"{name} is not UTF-8: {value.hex()}", field=name) from error

    return Field(name, f"text[{size}]", f"{size}s", f"Bytes({size})", to_wire, from_wire)


def _enum_field(name: str, enum: type[IntEnum]) -> Field:
    members = {member.value: member for member in enum}

    def from_wire(value: int) -> IntEnum:
        try:
            return members[value]
        except KeyError:
            raise WireError(f"{name} must be one of {sorted(members)}, got {value}", field=name) from None

    return Field(name, "u8", "B", "Int8ul", int, from_wire, enum=enum)


def _flag_field(name: str, flag: type[IntFlag]) -> Field:
    every = sum(member.value for member in flag)

    def from_wire(value: int) -> IntFlag:
        if value & ~every:
            raise WireError(f"{name} has reserved bits set: {value & ~every:#06x}", field=name)
        return flag(value)

    return Field(name, "u16", "H", "Int16ul", int, from_wire, enum=flag)


def _annotated_field(name: str, kind: Scalar | Text) -> Field:
    if isinstance(kind, Text):
        return _text_field(name, kind.size)
    return Field(name, kind.type_name, kind.code, kind.construct_name)


_FIELD_OF_CLASS: tuple[tuple[type, Callable[[str, Any], Field]], ...] = (
    (IntFlag, _flag_field),
    (IntEnum, _enum_field),
    (bytes, lambda name, _: Field(name, "bytes", "", "")),
    (Message, lambda name, message: Field(name, message.__name__, "", "", nested=message)),
)


def _field(name: str, hint: Any) -> Field:
    if get_origin(hint) is Annotated:
        return _annotated_field(name, get_args(hint)[1])
    if get_origin(hint) is tuple:
        row = get_args(hint)[0]
        return Field(name, f"{row.__name__}[]", "", "", row=row)
    for base, build in _FIELD_OF_CLASS:
        if isinstance(hint, type) and issubclass(hint, base):
            return build(name, hint)
    raise TypeError(f"{name}: {hint!r} has no wire layout")


@cache
def fields(message: type[Message]) -> tuple[Field, ...]:
    """The declared fields of a message in wire order. Rows, a nested message or counted bytes may stand only at the end."""
    hints = get_type_hints(message, include_extras=True)
    found = tuple(_field(name, hints[name]) for name in message.__struct_fields__)
    if any(not field.code for field in found[:-1]):
        raise TypeError(f"{message.__name__}: rows or bytes must be the last field")
    return found


def _construct() -> Any:
    """The construct package, which is untyped; it enters here and nowhere else."""
    return import_module("construct")


@cache
def layout(message: type[Message]) -> Any:
    """The construct declaration of a message: the reference that every other form of the layout is held to."""
    construct = _construct()
    parts: list[Any] = []
    for field in fields(message):
        if field.row is not None:
            part = construct.PrefixedArray(construct.Byte, layout(field.row))
        elif field.nested is not None:
            part = layout(field.nested)
        elif not field.code:
            part = construct.Prefixed(construct.Byte, construct.GreedyBytes)
        elif field.construct_name.startswith("Bytes"):
            part = construct.Bytes(struct.calcsize(field.code))
        else:
            part = getattr(construct, field.construct_name)
        parts.append(field.name / part)
    return construct.Struct(*parts)


class _FixedCodec:
    """A layout of fixed size, run through the `struct` format that stands for the same fields."""

    def __init__(self, message: type[Message]) -> None:
        declared = fields(message)
        layout_struct = struct.Struct("<" + "".join(field.code for field in declared))
        self._message: Callable[..., Message] = message
        self._pack = layout_struct.pack
        self._unpack = layout_struct.unpack
        self.minimum_size = layout_struct.size
        self._readers = [(index, f.from_wire) for index, f in enumerate(declared) if f.from_wire is not _same]
        self._fields = declared

    def decode(self, payload: bytes) -> Message:
        try:
            values = self._unpack(payload)
        except struct.error:
            raise WireError(f"expected {self.minimum_size} bytes, got {len(payload)}", expected=self.minimum_size) from None
        if not self._readers:
            return self._message(*values)
        read = list(values)
        for index, from_wire in self._readers:
            read[index] = from_wire(read[index])
        return self._message(*read)

    def encode(self, message: Message) -> bytes:
        try:
            return self._pack(*[field.to_wire(getattr(message, field.name)) for field in self._fields])
        except (struct.error, TypeError, AttributeError):
            raise _explain(message, self._fields) from None


class _ConstructCodec:
    """A layout whose size depends on its content, run through its construct declaration."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message
        self._fields = fields(message)
        self._layout = layout(message)
        last = self._fields[-1].nested
        head_size = struct.calcsize("<" + "".join(field.code for field in self._fields))
        self.minimum_size: int = head_size + (minimum_size(last) if last else 1)

    def decode(self, payload: bytes) -> Message:
        stream = io.BytesIO(payload)
        try:
            raw = self._layout.parse_stream(stream)
        except _construct().ConstructError:
            raise self._wrong_length(payload) from None
        if stream.tell() != len(payload):
            raise self._wrong_length(payload)
        return _from_raw(self._message, raw)

    def _wrong_length(self, payload: bytes) -> WireError:
        at_least = self.minimum_size
        return WireError(
            f"expected {at_least} bytes and what the last field's count adds, got {len(payload)}", expected=at_least
        )

    def encode(self, message: Message) -> bytes:
        try:
            return cast("bytes", self._layout.build(_to_raw(message)))
        except (_construct().ConstructError, TypeError, AttributeError):
            raise _explain(message, self._fields) from None


def _from_raw(message: type[Message], raw: Any) -> Message:
    values: list[Any] = []
    for field in fields(message):
        value = raw[field.name]
        if field.row is not None:
            row = field.row
            values.append(tuple(_from_raw(row, item) for item in value))
        elif field.nested is not None:
            values.append(_from_raw(field.nested, value))
        else:
            values.append(field.from_wire(value))
    return message(*values)


def _to_raw(message: Message) -> dict[str, Any]:
    raw: dict[str, Any] = {}
    for field in fields(type(message)):
        value = getattr(message, field.name)
        if field.row is not None:
            raw[field.name] = [_to_raw(item) for item in value]
        elif field.nested is not None:
            raw[field.name] = _to_raw(value)
        else:
            raw[field.name] = field.to_wire(value)
    return raw


def _explain(message: Message, declared: tuple[Field, ...]) -> WireError:
    """Find the field that did not fit; only reached once packing has failed."""
    for field in declared:
        value = getattr(message, field.name)
        if field.nested is not None:
            return _explain(value, fields(field.nested))
        if not field.code:
            continue
        try:
            struct.pack("<" + field.code, field.to_wire(value))
        except (struct.error, TypeError, AttributeError):
            return WireError(f"{field.name} = {value!r} does not fit {field.type_name}", field=field.name)
    return WireError(f"{type(message).__name__} has a row that does not fit its layout: {message!r}")


@cache
def _codec(message: type[Message]) -> _FixedCodec | _ConstructCodec:
    declared = fields(message)
    return _FixedCodec(message) if all(field.code for field in declared) else _ConstructCodec(message)


def encode(message: Message) -> bytes:
    """The payload bytes of a message.

    Raises:
        WireError: a value does not fit its field; `field` names it.
    """
    return _codec(type(message)).encode(message)


def decode(message: type[M], payload: bytes) -> M:
    """The message that a payload holds.

    Raises:
        WireError: the length is wrong, or a field holds a value that its type does not have.
    """
    return cast("M", _codec(message).decode(payload))


def minimum_size(message: type[Message]) -> int:
    """Bytes of the shortest payload of a message; the only size, unless it ends in rows or bytes."""
    return _codec(message).minimum_size


def is_fixed(message: type[Message]) -> bool:
    """Whether every payload of a message has the same size."""
    return all(field.code for field in fields(message))


@cache
def field_names(message: type[Message]) -> tuple[str, ...]:
    """The names by which details count fields from 0: as declared, a nested message's own fields in its place."""
    names: list[str] = []
    for field in fields(message):
        names += field_names(field.nested) if field.nested else [field.name]
    return tuple(names)
