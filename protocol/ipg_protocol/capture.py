"""Captures: a trace as pcapng, one packet for each frame, which Wireshark decodes by the dissector that `dissector` makes.

A packet is a byte that says where it went, and the bytes. Only here is python-pcapng known, which the extra `pcapng` brings.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from typing import Any

from ipg_protocol.describe import Framed
from ipg_protocol.trace import Head, Record, Towards, TraceError, encode_head, read_lines

USER0 = 147
"""The link type, one of those that are left to each user."""
MAGIC = b"\x0a\x0d\x0d\x0a"
"""How every pcapng file begins."""

PASSED = {Towards.DEVICE: 0, Towards.HOST: 1}
DROPPED = {Towards.DEVICE: 2, Towards.HOST: 3}
"""The first byte of a packet that was dropped, ignored or altered; why stands in the packet's comment."""

_WENT = {code: to for codes in (PASSED, DROPPED) for to, code in codes.items()}


class NoCaptures(TraceError):
    """The extra `pcapng` is not installed."""


def _pcapng() -> Any:
    """The package, which is untyped; it enters here and nowhere else."""
    try:
        return import_module("pcapng")
    except ImportError:
        raise NoCaptures("pcapng files need the extra pcapng: pip install 'virtual-ipg[pcapng]'") from None


class CaptureEncoder:
    """Makes the bytes of a capture: first `encode_head`, then each piece of the trace as it comes."""

    def __init__(self) -> None:
        """Get ready.

        Raises:
            NoCaptures: python-pcapng is not installed.
        """
        self._pcapng = _pcapng()
        self._section: Any = None

    def encode_head(self, head: Head) -> bytes:
        """The beginning of the file."""
        about = {"shb_userappl": "virtual-ipg", "opt_comment": encode_head(head).decode().rstrip()}
        interface = {"if_name": head.serial, "if_description": f"{head.model}, seed {head.seed}"}
        self._stream = BytesIO()
        self._section = self._pcapng.blocks.SectionHeader(options=about)
        self._section.new_member(self._pcapng.blocks.InterfaceDescription, link_type=USER0, options=interface)
        self._writer: Any = self._pcapng.FileWriter(self._stream, self._section)
        return self._taken()

    def encode(self, framed: Framed, comment: str = "") -> bytes:
        """One packet. `comment` is the packet's, where it was not dropped and carries the reason."""
        codes = DROPPED if framed.why else PASSED
        said = framed.why or comment
        packet = self._section.new_member(
            self._pcapng.blocks.EnhancedPacket,
            timestamp_high=framed.at_us >> 32,
            timestamp_low=framed.at_us & 0xFFFF_FFFF,
            packet_data=bytes((codes[framed.to],)) + framed.piece.wire,
            options={"opt_comment": said} if said else {},
        )
        self._writer.write_block(packet)
        return self._taken()

    def _taken(self) -> bytes:
        taken = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return taken


def read_capture(data: bytes) -> Iterator[Record]:
    """The records of a capture.

    Raises:
        NoCaptures: python-pcapng is not installed.
        TraceError: it is no capture, not of this link, or, behind what could be read, cut short.
    """
    pcapng = _pcapng()
    number = 0
    try:
        for number, block in enumerate(_packets(pcapng.FileScanner(BytesIO(data)), pcapng.blocks.EnhancedPacket), 1):
            yield _record(block, number)
    except (pcapng.exceptions.PcapngException, ValueError, KeyError) as error:
        where = f"what follows packet {number} cannot be read" if number else "it is no pcapng file of this link"
        raise TraceError(f"{where}: {error}") from None


def _packets(scanner: Any, packet: Any) -> Iterator[Any]:
    yield from (block for block in scanner if isinstance(block, packet))
    if scanner.current_section is None:
        raise ValueError("its first block is cut short")


def _record(block: Any, number: int) -> Record:
    data: bytes = block.packet_data
    if block.interface.link_type != USER0 or not data or data[0] not in _WENT:
        raise ValueError(f"packet {number} is not one of link type USER0 ({USER0}) that begins with 0, 1, 2 or 3")
    at_us = (block.timestamp_high << 32) + block.timestamp_low
    if data[0] in DROPPED.values():
        return Record(at_us, _WENT[data[0]], data[1:], _comment(block))
    return Record(at_us, _WENT[data[0]], data[1:] + b"\0")


def _comment(block: Any) -> str:
    return str(block.options["opt_comment"]) if "opt_comment" in block.options else "dropped"


def read_records(data: bytes) -> Iterator[Record]:
    """The records of a trace, whether it is JSON lines or a capture, as far as it can be read.

    Raises:
        TraceError: it is neither or, behind what could be read, cut short.
    """
    return read_capture(data) if data.startswith(MAGIC) else read_lines(data.splitlines())
