"""SPEC.md is current: its reference, its examples, its tables and its program agree with what runs."""

from __future__ import annotations

import re
import runpy
import struct
from pathlib import Path
from typing import Any

import pytest
import serial
from cobs import cobs
from ipg_emulator.firmware.states import TRANSITIONS
from ipg_protocol import CATALOGUE, Frame, Kind, Reply, Status, commands, crc32c, encode_frame, refusal, spec, vocabulary
from ipg_protocol.command import event_frame, reply_frame, request_frame
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.log import LogCode
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import ANY_STATE, ResponseFlag, State

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "protocol" / "SPEC.md"
TEXT = SPEC.read_text()

VOCABULARY = {
    name: value
    for module in (refusal, vocabulary, *[getattr(commands, name) for name in commands.__all__])
    for name, value in vars(module).items()
    if isinstance(value, type)
}


def fenced(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def tables() -> list[list[list[str]]]:
    """Every table of the document as rows of cells, head and rule included."""
    blocks = re.findall(r"(?:^\|.*\|\n)+", TEXT, re.MULTILINE)
    return [[[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in block.splitlines()] for block in blocks]


def table(*head: str) -> list[list[str]]:
    (rows,) = [rows[2:] for rows in tables() if rows[0] == list(head)]
    return rows


def first_cells(*head: str) -> list[str]:
    return [name for row in table(*head) for name in row[0].split(", ")]


def frame_of(description: str) -> Frame:
    """The frame that an example's head describes: kind, number, and for a response opcode and status."""
    kind, number, rest = re.fullmatch(r"(\w+) (\d+) ?(.*)", description).groups()  # type: ignore[union-attr]
    if kind == "REQUEST":
        return request_frame(message_of(rest), int(number))
    if kind == "RESPONSE":
        opcode, status, body = rest.split(" ", 2)
        return reply_frame(int(opcode, 16), int(number), Reply(Status[status], ResponseFlag(0), message_of(body)))
    return event_frame(message_of(rest), int(number)) if kind == "EVENT" else Frame(Kind.EVENT_ACK, 0, int(number))


def message_of(expression: str) -> Any:
    return eval(expression, dict(VOCABULARY))


def test_the_command_reference_is_current() -> None:
    assert spec.embed(TEXT) == TEXT, "stale: run `python -m ipg_protocol.spec protocol/SPEC.md`"


def test_a_document_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold the lines"):
        spec.embed("no markers")


@pytest.mark.parametrize("example", fenced("example"), ids=lambda example: example.split("(")[0])
def test_an_example_is_what_is_sent(example: str) -> None:
    description, wire, lines = re.fullmatch(r"(.*?)\nwire ([0-9A-F\s]*)\n(.*)\n", example, re.DOTALL).groups()  # type: ignore[union-attr]
    frame = frame_of(" ".join(description.split()))
    assert bytes.fromhex(wire) == encode_frame(frame)
    body = b"".join(bytes.fromhex(line.split("  ")[0]) for line in lines.splitlines())
    assert body == cobs.decode(bytes.fromhex(wire)[1:-1])
    assert body[-4:] == struct.pack("<I", crc32c(body[:-4]))


def test_there_is_an_example_of_each_kind() -> None:
    kinds = {example.split()[0] for example in fenced("example")}
    assert kinds == {"REQUEST", "RESPONSE", "EVENT", "EVENT_ACK"}


def test_check_values() -> None:
    assert f"0x{crc32c(b'123456789'):08X}" in TEXT
    for plain, stuffed in re.findall(r"`([0-9A-F ]+)` becomes\s`([0-9A-F ]+)`", TEXT):
        assert cobs.encode(bytes.fromhex(plain)) == bytes.fromhex(stuffed)


def test_requirement_ids_are_given_once() -> None:
    ids = re.findall(r"^\| (REQ-[A-Z]{3}-\d{3}) \|", TEXT, re.MULTILINE)
    assert len(ids) == len(set(ids)) > 70
    without = [row[0] for rows in tables() for row in rows if row[0] in ids and not re.search("MUST|SHOULD", row[1])]
    assert without == []


def test_the_state_table_is_the_one_the_firmware_runs_on() -> None:
    told = {(start, end) for start, _, end in table("from", "when", "to") if start != "any"}
    run = {(start.name, end.name) for start, ways in TRANSITIONS.items() for end in ways.values() if start is not end}
    assert told == run


def test_what_a_booting_device_takes_is_told_in_full() -> None:
    (row,) = re.findall(r"REQ-RST-002 \| .* MUST take only (.*); the rest", TEXT)
    assert set(re.split(", | and ", row)) == {entry.name for entry in CATALOGUE.values() if entry.states == ANY_STATE}


def test_every_capability_and_log_code_is_told() -> None:
    capabilities = first_cells("capability", "index", "minimum", "maximum", "step")
    assert sorted(capabilities) == sorted(member.name for member in Capability)
    assert sorted(first_cells("log code", "argument")) == sorted(member.name for member in LogCode)


def test_every_safety_rule_is_told() -> None:
    assert all(rule.name in TEXT.partition(spec.BEGIN)[0] for rule in SafetyRule)


def test_the_python_program_runs_with_pyserial_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = fenced("python")
    path = tmp_path / "host.py"
    path.write_text(program)
    monkeypatch.setattr(serial, "protocol_handler_packages", [*serial.protocol_handler_packages, "ipg_emulator.ports"])
    monkeypatch.setattr("sys.argv", ["host.py", "ipg://scs-rechargeable?seed=1"])
    runpy.run_path(str(path))
    assert capsys.readouterr().out.splitlines() == [
        "PING: status 0, token 01020304",
        f"GET_STATUS: status 0, state {State.IDLE}, program 0, battery tier 0",
    ]
