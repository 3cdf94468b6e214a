"""The implementation conformance statement (ICS): what the maker declares of a device, in TOML, and what the suite may call.

A capability is declared as GET_CAPABILITIES tells it: a row with its figures, a limit as one number, a command by its name.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from ipg_protocol import CATALOGUE
from ipg_protocol.commands.link import Capability, CapabilityRow, Identity
from ipg_protocol.commands.programs import Waveform

from ipg_conformance.handwritten import errors_translated
from ipg_conformance.inputs import CommandInputs, DeclaredInputs

OPCODES = {command.name: command.opcode for command in CATALOGUE.values()}
RowKey = tuple[Capability, int]


class StatementError(ValueError):
    """A file is no ICS; the text says where and why."""


class DeclaredDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who the device is; what is left out is not compared."""

    model: str | None = None
    firmware: str | None = None
    protocol: str | None = None


class DeclaredRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The figures of a row of GET_CAPABILITIES."""

    index: int = 0
    minimum: int = 0
    maximum: int = 0
    step: int = 1


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: DeclaredDevice = DeclaredDevice()
    capabilities: dict[str, int | list[str | DeclaredRow]] = {}
    inputs: DeclaredInputs = DeclaredInputs()


class Statement(NamedTuple):
    """An ICS that was read."""

    source: str
    """The file, and the digest of what stood in it."""
    device: DeclaredDevice
    rows: dict[RowKey, CapabilityRow]
    inputs: CommandInputs

    def undeclared(self, reported: Iterable[CapabilityRow]) -> list[CapabilityRow]:
        """The rows that a device reports beyond what is declared; none where no row is declared at all."""
        return [row for row in reported if key_of(row) not in self.rows] if self.rows else []


def key_of(row: CapabilityRow) -> RowKey:
    """What tells a row from all others of a device."""
    return row.capability, row.index


def read_statement(path: Path) -> Statement:
    """Read an ICS.

    Raises:
        StatementError: it cannot be read, or is no ICS.
    """
    with errors_translated(path, StatementError):
        data = path.read_bytes()
        found = msgspec.convert(tomllib.loads(data.decode()), _File)
        rows = {key_of(row): row for name, given in found.capabilities.items() for row in _rows(name, given)}
        inputs = CommandInputs(found.inputs)
    digest = hashlib.sha256(data).hexdigest()
    return Statement(f"{path.name}, SHA-256 {digest}", found.device, rows, inputs)


def _rows(name: str, given: int | list[str | DeclaredRow]) -> Iterator[CapabilityRow]:
    if name not in Capability.__members__:
        raise ValueError(f"capabilities.{name}: there is no such capability; `ipg-conformance ics init` writes what there is")
    capability = Capability[name]
    for entry in [DeclaredRow(maximum=given)] if isinstance(given, int) else given:
        yield _command_row(entry) if isinstance(entry, str) else CapabilityRow(capability, *msgspec.structs.astuple(entry))


def _command_row(name: str) -> CapabilityRow:
    if name not in OPCODES:
        raise ValueError(f"capabilities.COMMAND: the protocol has no command {name}")
    return CapabilityRow(Capability.COMMAND, OPCODES[name], 0, 0, 0)


def feature_name(row: CapabilityRow) -> str:
    """What the ids of cases that speak of a row end in: the command, the waveform, or the capability itself."""
    if row.capability is Capability.COMMAND and row.index in CATALOGUE:
        return CATALOGUE[row.index].name
    if row.capability is Capability.WAVEFORM and row.index in list(Waveform):
        return Waveform(row.index).name
    return row.capability.name


def statement_text(identity: Identity, reported: Iterable[CapabilityRow]) -> str:
    """An ICS that declares exactly what a device says."""
    rows = list(reported)
    kinds = sorted({row.capability for row in rows})
    lines = [
        "# What the maker declares of this device: see docs/conformance.md. A row that is not declared is tested all the same.",
        "[device]",
        f'model = "{identity.model}"',
        f'firmware = "{identity.firmware_version}"',
        f'protocol = "{identity.protocol_major}.{identity.protocol_minor}"',
        "",
        "[capabilities]",
        *(f"{kind.name} = {_value_text(kind, [row for row in rows if row.capability is kind])}" for kind in kinds),
        "",
        "# Commands that the suite calls. {present} becomes true or false; or give one for each.",
        "[inputs]",
        '# magnet = "ipg-emulator ctl --link ipg0 magnet --present {present}"',
        '# power = { present = "a command that switches the supply on", absent = "a command that switches it off" }',
        '# charger = { present = "ipg-emulator ctl --link ipg0 charger --coupling-permille 1000", absent = "the same with 0" }',
        '# battery = "ipg-emulator ctl --link ipg0 battery --tier {tier}"',
        '# time = "ipg-emulator ctl --link ipg0 advance --seconds {seconds}"',
        '# brown_out = "a command that lets the supply give way for a moment"',
        '# reset = "a command that pulls the reset line"',
    ]
    return "\n".join(lines) + "\n"


def _value_text(kind: Capability, rows: list[CapabilityRow]) -> str:
    if kind is Capability.COMMAND:
        return _list_text(f'"{CATALOGUE[row.index].name}"' for row in rows if row.index in CATALOGUE)
    if [(row.index, row.minimum, row.step) for row in rows] == [(0, 0, 1)]:
        return str(rows[0].maximum)
    return _list_text(_row_text(row) for row in rows)


def _row_text(row: CapabilityRow) -> str:
    return f"{{ index = {row.index}, minimum = {row.minimum}, maximum = {row.maximum}, step = {row.step} }}"


def _list_text(entries: Iterable[str]) -> str:
    return "[\n" + "".join(f"  {entry},\n" for entry in entries) + "]"
