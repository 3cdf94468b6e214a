"""Messages and their bytes: a message is declared once, as a frozen struct, and both of its forms follow from the declaration.

`layout` gives the construct declaration, the reference. `encode` and `decode` run the `struct` formats that stand for the same
fields, and are held to the reference for every message: importing construct alone takes longer than starting a device.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
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
        try:
            raw = value.encode()
        except UnicodeEncodeError as error:
            raise WireError(f"{name} has no UTF-8 form: {value!r}", field=name) from error
        if len(raw) > size or raw.endswith(b"\0"):
            raise WireError(f"{name} must be at most {size} bytes of UTF-8 not ending in a zero, got {value!r}", field=name)
        return raw.ljust(size, b"\0")

    def from_wire(value: bytes) -> str:
        try:
            return value.rstrip(b"\0").decode()
        except UnicodeDecodeError as error:
            raise WireError(f"{name} is not UTF-8: {value.hex()}", field=name) from error

    return Field(name, f"text[{size}]", f"{size}s", f"Bytes({size})", to_wire, from_wire)


class _Members(dict[int, Any]):
    """The members of an enumeration by their number, kept once met; a number it does not have is refused by field name."""

    def __init__(self, field: str, enum: type[IntEnum | IntFlag], valid: Callable[[int], bool], allowed: str) -> None:
        super().__init__()
        self._field = field
        self._enum = enum
        self._valid = valid
        self._allowed = allowed

    def __missing__(self, value: int) -> IntEnum | IntFlag:
        if not self._valid(value):
            raise WireError(f"{self._field} must be {self._allowed}, got {value}", field=self._field)
        member = self[value] = self._enum(value)
        return member


def _enum_field(name: str, enum: type[IntEnum]) -> Field:
    numbers = sorted(member.value for member in enum)
    members = _Members(name, enum, numbers.__contains__, f"one of {numbers}")
    return Field(name, "u8", "B", "Int8ul", from_wire=members.__getitem__, enum=enum)


def _flag_field(name: str, flag: type[IntFlag]) -> Field:
    every = sum(member.value for member in flag)
    members = _Members(name, flag, lambda value: not value & ~every, f"a sum of bits in {every:#06x}")
    return Field(name, "u16", "H", "Int16ul", from_wire=members.__getitem__, enum=flag)


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


@cache
def _codec(message: type[Message]) -> _FixedCodec | _TailedCodec:
    declared = fields(message)
    return (_FixedCodec if is_fixed(message) else _TailedCodec)(message, declared)


class _FixedCodec:
    """A layout of fixed size, run through the `struct` format that stands for the same fields."""

    def __init__(self, message: type[Message], declared: tuple[Field, ...]) -> None:
        layout_struct = struct.Struct("<" + "".join(field.code for field in declared))
        self._message: Callable[..., Message] = message
        self._pack = layout_struct.pack
        self._unpack = layout_struct.unpack
        self.minimum_size = layout_struct.size
        self._readers = [(index, field.from_wire) for index, field in enumerate(declared) if field.from_wire is not _same]
        self._writers = [(index, field.to_wire) for index, field in enumerate(declared) if field.to_wire is not _same]

    def decode(self, payload: bytes) -> Message:
        try:
            values = self._unpack(payload)
        except struct.error:
            raise WireError(f"expected {self.minimum_size} bytes, got {len(payload)}", expected=self.minimum_size) from None
        return self._message(*self.read(values))

    def encode(self, message: Message) -> bytes:
        try:
            return self.write(msgspec.structs.astuple(message))
        except (struct.error, TypeError, AttributeError):
            raise _explain(message) from None

    def read(self, values: tuple[Any, ...]) -> Sequence[Any]:
        """The fields' values, from the integers and bytes on the wire."""
        if not self._readers:
            return values
        read = list(values)
        for index, from_wire in self._readers:
            read[index] = from_wire(read[index])
        return read

    def unpack(self, payload: bytes) -> Sequence[Any]:
        """The fields' values at the start of a longer payload."""
        return self.read(self._unpack(payload[: self.minimum_size]))

    def write(self, values: tuple[Any, ...]) -> bytes:
        """The bytes of the fields' values."""
        if not self._writers:
            return self._pack(*values)
        wired = list(values)
        for index, to_wire in self._writers:
            wired[index] = to_wire(wired[index])
        return self._pack(*wired)


class _TailedCodec:
    """A layout whose last field's size depends on its content: a fixed head, then the tail."""

    def __init__(self, message: type[Message], declared: tuple[Field, ...]) -> None:
        self._message: Callable[..., Message] = message
        self._head = _FixedCodec(message, declared[:-1])
        self._tail = _tail(declared[-1])
        self.minimum_size: int = self._head.minimum_size + self._tail.minimum_size

    def decode(self, payload: bytes) -> Message:
        if len(payload) < self.minimum_size:
            raise self._wrong_length(payload)
        head = self._head.unpack(payload)
        try:
            tail = self._tail.decode(payload[self._head.minimum_size :])
        except WireError as error:
            raise error if error.field else self._wrong_length(payload) from None
        return self._message(*head, tail)

    def encode(self, message: Message) -> bytes:
        *head, tail = msgspec.structs.astuple(message)
        try:
            return self._head.write(tuple(head)) + self._tail.encode(tail)
        except (struct.error, TypeError, AttributeError, ValueError):
            raise _explain(message) from None

    def _wrong_length(self, payload: bytes) -> WireError:
        at_least = self.minimum_size
        return WireError(
            f"expected {at_least} bytes and what the last field's count adds, got {len(payload)}", expected=at_least
        )


class _CountedBytes:
    """A count, and as many bytes."""

    minimum_size = 1

    def decode(self, raw: bytes) -> bytes:
        if len(raw) != 1 + raw[0]:
            raise WireError(f"a count of {raw[0]} before {len(raw) - 1} bytes")
        return raw[1:]

    def encode(self, value: bytes) -> bytes:
        return bytes((len(value),)) + value


class _CountedRows:
    """A count, and as many rows of fixed size."""

    minimum_size = 1

    def __init__(self, name: str, row: type[Message]) -> None:
        self._name = name
        self._row = _codec(row)

    def decode(self, raw: bytes) -> tuple[Message, ...]:
        size = self._row.minimum_size
        if len(raw) != 1 + raw[0] * size:
            raise WireError(f"a count of {raw[0]} before {len(raw) - 1} bytes of rows of {size}")
        try:
            return tuple(self._row.decode(raw[at : at + size]) for at in range(1, len(raw), size))
        except WireError as error:
            raise WireError(f"{self._name}: {error}", field=self._name) from None

    def encode(self, value: tuple[Message, ...]) -> bytes:
        return bytes((len(value),)) + b"".join(map(self._row.encode, value))


_Tail = _CountedBytes | _CountedRows | _FixedCodec | _TailedCodec


def _tail(field: Field) -> _Tail:
    if field.row is not None:
        return _CountedRows(field.name, field.row)
    return _CountedBytes() if field.nested is None else _codec(field.nested)


def _explain(message: Message) -> WireError:
    """Find the field that did not fit; only reached once packing has failed."""
    for field in fields(type(message)):
        value = getattr(message, field.name)
        try:
            if field.nested is not None:
                encode(value)
            elif field.row is not None:
                _explain_rows(field, value)
            elif field.code:
                struct.pack("<" + field.code, field.to_wire(value))
        except WireError as error:
            return error
        except (struct.error, TypeError, AttributeError):
            return WireError(f"{field.name} = {value!r} does not fit {field.type_name}", field=field.name)
    last = message.__struct_fields__[-1]
    return WireError(f"{last} holds more than its count, a byte, can say", field=last)


def _explain_rows(field: Field, rows: Iterable[Message]) -> None:
    for row in rows:
        try:
            encode(row)
        except WireError as error:
            raise WireError(f"{field.name}: {error}", field=field.name) from None


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
