"""`ipg-host decode`: what bytes of the link mean, typed in, out of a trace, or as they were recorded. It opens no port."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from ipg_protocol import (
    CATALOGUE,
    EVENTS,
    Frame,
    Kind,
    Message,
    ResponseFlag,
    Status,
    WireError,
    decode,
    decode_event,
    decode_reply,
)
from ipg_protocol.capture import MAGIC, read_records
from ipg_protocol.describe import Framed, Piece, Reframer, explain
from ipg_protocol.trace import Towards, TraceError

from ipg_host.cli import show
from ipg_host.errors import InputError

STANDARD_INPUT = "-"
_BETWEEN_PAIRS = str.maketrans("", "", " \t\r\n:,")


class Decoded(msgspec.Struct, frozen=True, omit_defaults=True):
    """A frame, or bytes that are none and why, for programs."""

    hex: str
    at_us: int | None = None
    """In the device's time; None where the bytes came without."""
    to: Towards | None = None
    kind: Kind | None = None
    number: int | None = None
    opcode: int | None = None
    name: str | None = None
    status: Status | None = None
    flags: ResponseFlag | None = None
    fields: Message | None = None
    why: str = ""
    """Why it is no frame, does not fit what its name stands for, or did not pass."""


def add_decode(outer: Any) -> None:
    """Add the command to those of the command line."""
    words = "say what bytes of the link mean; opens no port"
    parser = outer.add_parser("decode", help=words, description=words)
    source = "hexadecimal pairs, or a file (`-`: standard input): a trace as JSON lines or pcapng, hexadecimal text, or bytes"
    parser.add_argument("source", nargs="+", metavar="HEX|FILE|-", help=source)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print the frames as JSON")
    parser.set_defaults(verb=None, without_port=run)


def run(options: argparse.Namespace) -> None:
    """Print what the bytes are.

    Raises:
        InputError: there are none to be had, or they are a trace that cannot be read.
    """
    found = _pieces(_bytes_of(options.source))
    try:
        if options.json:
            print(show.as_json(tuple(map(_decoded, found)), "frames"))
        else:
            for piece in found:
                print(piece)
    except TraceError as error:
        raise InputError(f"{' '.join(options.source)}: {error}") from None


def _bytes_of(source: list[str]) -> bytes:
    """The content of a file, or what is given as it stands."""
    name = " ".join(source)
    if name == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    typed = _hexadecimal(name.encode())
    path = Path(name)
    if typed is not None and not path.is_file():
        return typed
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{name!r} is neither pairs of hexadecimal digits nor a file: {error.strerror}") from None


def _pieces(data: bytes) -> Iterator[Framed | Piece]:
    if data.startswith((MAGIC, b"{")):
        reframer = Reframer()
        for record in read_records(data):
            yield from reframer.feed(record)
        yield from reframer.finish()
    else:
        typed = _hexadecimal(data)
        yield from explain(data if typed is None else typed)


def _hexadecimal(text: bytes) -> bytes | None:
    """The bytes that hexadecimal pairs stand for, whatever stands between them; None where there is anything else."""
    try:
        return bytes.fromhex(text.decode("ascii").replace("0x", "").translate(_BETWEEN_PAIRS))
    except ValueError:
        return None


def _decoded(found: Framed | Piece) -> Decoded:
    if isinstance(found, Piece):
        return _of_piece(found)
    decoded = _of_piece(found.piece)
    return msgspec.structs.replace(decoded, at_us=found.at_us, to=found.to, why=found.why or decoded.why)


def _of_piece(piece: Piece) -> Decoded:
    frame = piece.frame
    if frame is None:
        return Decoded(piece.data.hex(), why=piece.why)
    catalogue = EVENTS if frame.kind is Kind.EVENT else CATALOGUE
    name = catalogue[frame.opcode].name if frame.opcode in catalogue else None
    plain = Decoded(piece.wire.hex(), kind=frame.kind, number=frame.request_id, opcode=frame.opcode, name=name)
    try:
        return _with_fields(plain, frame)
    except (WireError, KeyError) as error:
        why = str(error) if isinstance(error, WireError) else f"no such command: {frame.opcode:#06x}"
        return msgspec.structs.replace(plain, why=why)


def _with_fields(plain: Decoded, frame: Frame) -> Decoded:
    match frame.kind:
        case Kind.REQUEST:
            return msgspec.structs.replace(plain, fields=decode(CATALOGUE[frame.opcode].request, frame.payload))
        case Kind.RESPONSE:
            reply = decode_reply(frame)
            return msgspec.structs.replace(plain, status=reply.status, flags=reply.flags, fields=reply.body)
        case Kind.EVENT:
            return msgspec.structs.replace(plain, fields=decode_event(frame))
        case _:
            return plain
