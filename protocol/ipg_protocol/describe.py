"""Bytes of the link in words: which frame they are, or why they are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum, IntFlag

import msgspec

from ipg_protocol import wire
from ipg_protocol.command import CATALOGUE, EVENTS, Reply, decode_event, decode_reply
from ipg_protocol.frame import (
    MAXIMUM_ENCODED,
    PARTIAL_FRAME_TIMEOUT_US,
    TOO_LONG,
    UNFINISHED,
    Frame,
    Kind,
    NoFrame,
    decode_frame,
)
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.trace import Record, Towards
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message

SHOWN_BYTES = 24

_ARROWS = {Towards.DEVICE: ">", Towards.HOST: "<"}


class Piece(msgspec.Struct, frozen=True):
    """A stretch of a byte stream between two delimiters: a frame, or bytes that are none and why."""

    at: int
    """Place of the first byte in the stream, counted from 0."""
    data: bytes
    """The bytes without the delimiters."""
    frame: Frame | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.frame is not None:
            return describe_frame(self.frame)
        return f"no frame, {self.why}: {in_hex(self.data)} at byte {self.at}"

    @property
    def wire(self) -> bytes:
        """The bytes as they are sent: a frame with both its delimiters, what is none as it is."""
        return self.data if self.frame is None else b"\0" + self.data + b"\0"


class Splitter:
    """Cuts a stream of bytes, however it comes, into frames and what is none; nothing but delimiters is left out."""

    def __init__(self) -> None:
        self._begun = b""
        self._begun_at = 0
        self._is_flooded = False
        self.last_byte_us = 0
        """When the newest bytes came."""

    def feed(self, data: bytes, now: int) -> Iterator[Piece]:
        """What is complete with `data`, which came at `now` microseconds."""
        if self._begun and now - self.last_byte_us >= PARTIAL_FRAME_TIMEOUT_US:
            yield from self.end(UNFINISHED)
        self.last_byte_us = now
        *complete, rest = (self._begun + data).split(b"\0")
        for stretch in complete:
            if stretch:
                yield self._judge(stretch)
            self._is_flooded = False
            self._begun_at += len(stretch) + 1
        self._begun = rest
        if len(rest) > MAXIMUM_ENCODED:
            yield from self.end(TOO_LONG)
            self._is_flooded = True

    def end(self, why: str) -> Iterator[Piece]:
        """What has come of a frame that is not finished, and why it will not be."""
        if self._begun:
            yield Piece(self._begun_at, self._begun, why=why)
        self._begun_at += len(self._begun)
        self._begun = b""

    def finish(self) -> Iterator[Piece]:
        """What came behind the last delimiter: a frame if nothing but its delimiter is missing."""
        last = self._judge(self._begun)
        yield from self.end("its end is missing") if last.frame is None else (last,)

    def _judge(self, stretch: bytes) -> Piece:
        if self._is_flooded:
            return Piece(self._begun_at, stretch, why=TOO_LONG)
        try:
            return Piece(self._begun_at, stretch, decode_frame(stretch))
        except NoFrame as no_frame:
            return Piece(self._begun_at, stretch, why=str(no_frame))


class Framed(msgspec.Struct, frozen=True):
    """One frame of a trace, or a stretch of bytes that are none."""

    at_us: int
    to: Towards
    piece: Piece
    why: str = ""
    """As in a record: what became of it instead of passing."""

    def __str__(self) -> str:
        """A line: seconds, `>` towards the device or `<` towards the host, what it is, and what became of it."""
        arrow = _ARROWS[self.to]
        if not self.why:
            return f"{self.at_us / 1_000_000:12.6f} {arrow} {self.piece}"
        said = in_hex(self.piece.data) if self.piece.frame is None else str(self.piece)
        return f"{self.at_us / 1_000_000:12.6f} {arrow}! {self.why}: {said}"


class Reframer:
    """Makes of a trace's records, whose bytes are cut as they were read, one piece for each frame."""

    def __init__(self) -> None:
        self._splitters = {to: Splitter() for to in Towards}

    def feed(self, record: Record) -> Iterator[Framed]:
        """What is complete with a record. What a device is sent that is no frame comes once: when the device drops it."""
        if record.why:
            pieces = Splitter().feed(record.data + b"\0", record.at_us)
        else:
            pieces = self._splitters[record.to].feed(record.data, record.at_us)
        for piece in pieces:
            if record.why or piece.frame is not None or record.to is Towards.HOST:
                yield Framed(record.at_us, record.to, piece, record.why)

    def finish(self) -> Iterator[Framed]:
        """What is not complete when there are no more records."""
        for to, splitter in self._splitters.items():
            for piece in splitter.finish():
                yield Framed(splitter.last_byte_us, to, piece)


def describe_records(records: Iterable[Record]) -> list[str]:
    """A trace in words, a line for each frame and each stretch of bytes that is none."""
    reframer = Reframer()
    return [str(framed) for record in records for framed in reframer.feed(record)]


def explain(data: bytes) -> list[Piece]:
    """What bytes are that were heard on a link, piece by piece. The last frame may lack its delimiter."""
    splitter = Splitter()
    return [*splitter.feed(data, 0), *splitter.finish()]


def describe_bytes(data: bytes) -> list[str]:
    """Bytes that were heard on a link in words, a line for each frame and each stretch that is none."""
    return [str(piece) for piece in explain(data)]


def describe_frame(frame: Frame) -> str:
    """A frame in one line: kind, number, name, and the fields by name, such as `EVENT 3 FAULT_CLEARED fault=OUTPUT_STAGE`."""
    return " ".join(filter(None, (frame.kind.name, str(frame.request_id), _DESCRIBE[frame.kind](frame))))


def describe_message(message: Message) -> str:
    """The fields of a message, by their names; a message inside is told in its place, rows stand in brackets."""
    return " ".join(f"{name}={value}" for name, value in _named_values(message))


def in_hex(data: bytes) -> str:
    """Bytes as hexadecimal pairs, after how many they are where not all are shown."""
    if len(data) <= SHOWN_BYTES:
        return data.hex(" ")
    return f"{len(data)} bytes {data[:SHOWN_BYTES].hex(' ')} ..."


def _named_values(message: Message) -> Iterator[tuple[str, str]]:
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, Message):
            yield from _named_values(value)
        else:
            yield name, in_words(value)


def in_words(value: object) -> str:
    """A field's value: enumerations by name, text in quotes, bytes in hexadecimal, rows in brackets."""
    match value:
        case IntFlag():
            return "|".join(str(flag.name) for flag in value) or "0"
        case IntEnum():
            return value.name
        case bytes():
            return value.hex() or "none"
        case str():
            return repr(value)
        case tuple():
            rows: tuple[Message, ...] = value  # pyright: ignore[reportUnknownVariableType]
            return f"[{', '.join(map(describe_message, rows))}]"
        case _:
            return str(value)


def _request(frame: Frame) -> str:
    command = CATALOGUE.get(frame.opcode)
    if command is None:
        return _unknown("command", frame)
    return _decoded(command.name, frame, lambda: describe_message(wire.decode(command.request, frame.payload)))


def _response(frame: Frame) -> str:
    command = CATALOGUE.get(frame.opcode)
    name = f"{frame.opcode:#06x}" if command is None else command.name
    return _decoded(name, frame, lambda: _reply(decode_reply(frame), frame.opcode))


def _reply(reply: Reply, opcode: int) -> str:
    words = [reply.status.name, *(flag.name for flag in reply.flags if flag.name)]
    for name, value in _named_values(reply.body):
        is_place = name == "field" and reply.status is not Status.OK
        words.append(f"{name}={_field_name(opcode, int(value)) if is_place else value}")
    return " ".join(words)


def _field_name(opcode: int, place: int) -> str:
    """The name of the request's field of which a refusal speaks."""
    names = wire.field_names(CATALOGUE[opcode].request) if opcode in CATALOGUE else ()
    if place < len(names):
        return f"{place}({names[place]})"
    return f"{place}(whole message)" if place == WHOLE_MESSAGE else str(place)


def _event(frame: Frame) -> str:
    event = EVENTS.get(frame.opcode)
    if event is None:
        return _unknown("event", frame)
    return _decoded(event.name, frame, lambda: describe_message(decode_event(frame)))


def _acknowledgement(frame: Frame) -> str:
    return f"payload={in_hex(frame.payload)}" if frame.payload else ""


def _decoded(name: str, frame: Frame, describe: Callable[[], str]) -> str:
    """What the payload says, or why it does not fit what the name stands for."""
    try:
        return f"{name} {describe()}".rstrip()
    except wire.WireError as error:
        return f"{name} malformed, {error}: payload={in_hex(frame.payload) or 'none'}"


def _unknown(what: str, frame: Frame) -> str:
    return f"{frame.opcode:#06x}, no such {what}: payload={in_hex(frame.payload) or 'none'}"


_DESCRIBE: dict[Kind, Callable[[Frame], str]] = {
    Kind.REQUEST: _request,
    Kind.RESPONSE: _response,
    Kind.EVENT: _event,
    Kind.EVENT_ACK: _acknowledgement,
}
