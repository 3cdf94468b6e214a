"""Wireshark's own view of every locked frame, through the dissector that the catalogue makes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ipg_protocol import CATALOGUE, EVENTS, Frame, Kind, encode_frame
from ipg_protocol.capture import CaptureEncoder
from ipg_protocol.describe import Framed, Piece
from ipg_protocol.dissector import dissector
from ipg_protocol.trace import Head, Towards

VECTORS = Path(__file__).parents[1] / "vectors"
FULL_DISK = Path("/dev/full")
KINDS = ("requests", "answers", "refusals", "events", "acknowledgements")

Packet = dict[str, list[str]]
Wireshark = Callable[[list[Framed]], list[Packet]]


def vectors(kind: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((VECTORS / f"{kind}.json").read_text())
    return loaded


def packet_of(wire: bytes, why: str = "", to: Towards = Towards.DEVICE) -> Framed:
    return Framed(0, to, Piece(0, wire), why)


@pytest.fixture
def wireshark(tmp_path: Path) -> Wireshark:
    """What tshark makes of pieces of a trace: for each, the values of all its fields by their filter names."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    script, capture = tmp_path / "ipg.lua", tmp_path / "trace.pcapng"
    script.write_text(dissector())

    def look(pieces: list[Framed]) -> list[Packet]:
        encoder = CaptureEncoder()
        head = encoder.encode_head(Head(model="m", serial="s", seed=0))
        capture.write_bytes(head + b"".join(map(encoder.encode, pieces)))
        seen = subprocess.run(
            ["tshark", "-X", f"lua_script:{script}", "-r", capture, "-T", "json", "--no-duplicate-keys"],
            capture_output=True,
            check=True,
            timeout=25,
        )
        assert b"Lua" not in seen.stderr, seen.stderr.decode()
        return [flat(packet["_source"]["layers"]) for packet in json.loads(seen.stdout.decode(errors="replace"))]

    return look


def flat(tree: Any) -> Packet:
    found: Packet = {}
    for key, value in leaves("", tree):
        found.setdefault(key, []).append(value)
    return found


def leaves(key: str, tree: Any) -> Iterator[tuple[str, str]]:
    match tree:
        case dict():
            if not tree:
                yield key, ""
            for name, value in tree.items():
                yield from leaves(name.removesuffix("_tree"), value)
        case list():
            for value in tree:
                yield from leaves(key, value)
        case _:
            yield key, tree


def numbers(values: Any) -> Iterator[tuple[str, Any]]:
    """The values of a vector that are plain numbers or text, by the last part of their filter name."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from numbers(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for row in value:
                yield from numbers(row)
        elif isinstance(value, int):
            yield name, value


@pytest.mark.parametrize("kind", KINDS)
def test_every_locked_frame_is_named_and_its_numbers_are_shown(kind: str, wireshark: Wireshark) -> None:
    listed = vectors(kind)
    seen = wireshark([packet_of(bytes.fromhex(vector["frame"])) for vector in listed])
    for vector, packet in zip(listed, seen, strict=True):
        assert "ipg.malformed" not in packet, vector["name"]
        assert not [key for key in packet if key.startswith("_ws.") and key != "_ws.lua.fake"], vector["name"]
        if kind in ("requests", "answers", "events"):
            assert packet["ipg.name"] == [vector["name"]]
        for name, value in numbers(vector["fields"]):
            shown = [text for key, texts in packet.items() if key.endswith(f".{name}") for text in texts]
            assert str(value) in shown, (vector["name"], name, shown)


def test_every_command_and_event_has_its_place_in_the_tables() -> None:
    made = dissector()
    for entry in (*CATALOGUE.values(), *EVENTS.values()):
        assert f'[{entry.opcode:#06x}] = {{ name = "{entry.name}"' in made


def test_a_frame_with_a_byte_altered_is_flagged(wireshark: Wireshark) -> None:
    wire = bytearray(encode_frame(Frame(Kind.REQUEST, 0x0001, 5, b"\1\2\3\4")))
    wire[-4] ^= 0x10
    (packet,) = wireshark([packet_of(bytes(wire))])
    assert "ipg.crc.wrong" in packet


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (Frame(Kind.REQUEST, 0x0001, 5, b"\1\2\3"), "too short"),
        (Frame(Kind.REQUEST, 0x0001, 5, b"\1\2\3\4\5"), "too long"),
        (Frame(Kind.REQUEST, 0x7777, 5), "of no command"),
        (Frame(Kind.RESPONSE, 0x0001, 5, b"\0"), "without flags"),
        (Frame(Kind.EVENT, 0x8001, 5, b"\x63\0\0\0\0"), "with a value that the enumeration lacks"),
        (Frame(Kind.REQUEST, 0x0204, 5, b"\1\1" + b"\xff" * 16), "with text that is not UTF-8"),
    ],
)
def test_a_frame_is_flagged_whose_payload_does_not_fit(frame: Frame, what: str, wireshark: Wireshark) -> None:
    (packet,) = wireshark([packet_of(encode_frame(frame))])
    assert "ipg.malformed" in packet, what


def test_noise_is_flagged_and_noise_that_the_device_dropped_says_why(wireshark: Wireshark) -> None:
    passed, dropped = wireshark([packet_of(b"\1\2\3"), packet_of(b"\1\2\3", "device: the CRC is wrong")])
    assert "ipg.malformed" in passed
    assert "ipg.malformed" not in dropped
    assert "ipg.dropped" in dropped
    assert dropped["frame.comment"] == ["device: the CRC is wrong"]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_the_module_in_one_line() -> None:
    module = [sys.executable, "-m", "ipg_protocol.dissector"]
    with FULL_DISK.open("wb") as full:
        run = subprocess.run(module, stdout=full, stderr=subprocess.PIPE, check=False, timeout=20)
    assert (run.returncode, run.stderr) == (1, b"the dissector cannot be written: No space left on device\n")


def test_the_module_prints_the_dissector() -> None:
    run = subprocess.run([sys.executable, "-m", "ipg_protocol.dissector"], capture_output=True, check=True, timeout=20)
    assert run.stdout.decode() == dissector()
