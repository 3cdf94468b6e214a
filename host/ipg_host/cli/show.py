"""Results on the terminal: fields with their units, tables with colour where colour says something, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum, IntFlag
from typing import Any, cast

import msgspec
from ipg_protocol.commands.log import FaultRecord, LogEntry
from ipg_protocol.commands.measurement import Impedance, ImpedanceVerdict
from ipg_protocol.commands.power import UNKNOWN_DAYS, UNKNOWN_MINUTES
from ipg_protocol.commands.programs import NO_PROGRAM
from ipg_protocol.commands.sensing import EcapSamples
from ipg_protocol.commands.therapy import Schedule
from ipg_protocol.wire import Message

from ipg_host.capabilities import Capabilities, Segment
from ipg_host.fit import ranges_in_words
from ipg_host.procedures import Fate, Installed, Overview, Programs
from ipg_host.programs import Program, program_toml
from ipg_host.schedules import schedule_toml
from ipg_host.units import AmplitudeUnit, contact_name, in_words, label, named_in

_VERDICT_STYLE = {
    ImpedanceVerdict.OK: "green",
    ImpedanceVerdict.OPEN: "bold red",
    ImpedanceVerdict.SHORT: "bold magenta",
    ImpedanceVerdict.COMPLIANCE: "yellow",
}

_NO_CONTACT = 0xFF
_NO_AREA = 0xFF

_IN_PLACE_OF_NUMBER = {
    ("active_program", NO_PROGRAM): "none",
    ("area", _NO_AREA): "none",
    ("minutes_left", UNKNOWN_MINUTES): "unknown",
    ("days_to_eri", UNKNOWN_DAYS): "no end in sight",
    ("days_to_eos", UNKNOWN_DAYS): "no end in sight",
}

_YES_OR_NO = frozenset({"enabled", "magnet_present", "therapy_restored_after"})
"""Fields of the protocol that are 0 or 1."""


class InUnit(msgspec.Struct, frozen=True):
    """An answer that speaks of amplitudes, and what the device counts those in."""

    amplitude_unit: AmplitudeUnit
    answer: Message


def as_json(result: Any, rows: str) -> str:
    """A result as JSON: keys are the fields' names with their units; codes are names; a list stands under `rows`."""
    plain = _plain(result)
    return json.dumps({rows: plain} if isinstance(plain, list) else plain, indent=2, default=bytes.hex)


def _plain(value: Any) -> Any:
    match value:
        case IntFlag():
            return [flag.name for flag in value]
        case IntEnum():
            return value.name
        case InUnit():
            return {"amplitude_unit": value.amplitude_unit.name} | _plain(value.answer)
        case msgspec.Struct():
            return {name: _plain(item) for name, item in msgspec.structs.asdict(value).items()}
        case tuple():
            return [_plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def fields(answer: msgspec.Struct) -> None:
    """One line for each field of an answer."""
    unit = AmplitudeUnit.MICROAMPS
    if isinstance(answer, InUnit):
        unit, answer = answer.amplitude_unit, answer.answer
    named = ((named_in(unit, name), value) for name, value in msgspec.structs.asdict(answer).items())
    _lines((label(name), _words(name, value)) for name, value in named)


def _words(name: str, value: Any) -> str:
    match value:
        case IntFlag():
            return ", ".join(str(flag.name) for flag in value) or "none"
        case IntEnum():
            return value.name
        case bool():
            return "yes" if value else "no"
        case int():
            if name in _YES_OR_NO:
                return "yes" if value else "no"
            return _IN_PLACE_OF_NUMBER.get((name, value)) or in_words(name, value)
        case _:
            return _printable(str(value))


def _printable(text: str) -> str:
    """Text from a device, without what would steer the terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _lines(pairs: Iterable[tuple[str, str]]) -> None:
    listed = list(pairs)
    width = max((len(name) for name, _ in listed), default=0)
    for name, words in listed:
        print(f"{name:<{width}}  {words}")


def overview(device: Overview) -> None:
    """Identity and status."""
    named = {"model": device.model, "serial": device.serial, "firmware": device.firmware_version}
    _lines((name, _printable(text)) for name, text in (named | {"protocol": device.protocol_version}).items())
    fields(device.status)


def capabilities(able: Capabilities) -> None:
    """Contacts by lead, ranges, limits and thresholds."""
    leads: dict[str, list[str]] = {}
    for contact in able.contacts:
        name = contact_name(contact.contact)
        leads.setdefault("case" if name == "case" else f"lead {contact.lead}", []).append(name)
    lines = [(place, "contacts " + " ".join(contacts)) for place, contacts in leads.items()]
    lines.append(("waveforms", ", ".join(timing.waveform.name for timing in able.waveforms)))
    lines.append(("commands", str(len(able.opcodes))))
    for name, value in msgspec.structs.asdict(able).items():
        if name not in ("contacts", "waveforms", "opcodes"):
            lines.append((label(name), _capability(named_in(able.amplitude_unit, name), value)))
    _lines(lines)


def _capability(name: str, value: Any) -> str:
    """A range or a figure; what a device does not have is empty or 0."""
    if isinstance(value, tuple):
        return ranges_in_words(name, cast("tuple[Segment, ...]", value)) or "none"
    return _words(name, value) if value or isinstance(value, (bool, AmplitudeUnit)) else "none"


def fate(found: Fate) -> None:
    """What became of a change, and the fields of the answer it got."""
    known = {"transaction": str(found.transaction), "outcome": found.outcome.name, "command": found.command}
    _lines((name, words) for name, words in known.items() if words is not None)
    if found.answer is not None:
        fields(found.answer)


def programs(listed: Programs) -> None:
    """The slots; the active one is marked."""
    _table(
        ("", "program", "name", "areas", "revision"),
        (
            (
                "*" if slot.program == listed.active_program else "",
                slot.program,
                slot.name,
                slot.area_count or "empty",
                slot.revision,
            )
            for slot in listed.slots
        ),
    )


def program(read: Program) -> None:
    """The program as TOML."""
    print(program_toml(read), end="")


def installed(done: Installed) -> None:
    """The slots that hold what was transferred."""
    slots = " ".join(str(program) for program in done.programs) or "none"
    _lines((("programs", slots), ("revision", str(done.revision))))


def schedule(read: Schedule) -> None:
    """The schedule as TOML."""
    print(schedule_toml(read.rows), end="")


def ecap_samples(batch: EcapSamples, *, as_json: bool) -> None:
    """One line for each sample of a batch, at once."""
    for index, sample in enumerate(batch.rows):
        number, uptime_ms = batch.first_sample + index, batch.uptime_ms + sample.after_ms
        if as_json:
            found = {"area": batch.area, "sample": number, "uptime_ms": uptime_ms} | _plain(sample)
            del found["after_ms"]
            print(json.dumps(found))
        else:
            amplitude = in_words("amplitude_microamps", sample.amplitude_microamps)
            print(f"{number:>8}  {uptime_ms / 1000:>12.3f} s  {sample.microvolts:>6} uV  {amplitude:>10}")
    sys.stdout.flush()


def impedance(pairs: Sequence[Impedance]) -> None:
    """The pairs, with open and short in colour."""
    _table(
        ("cathode", "anode", "ohms", "verdict"),
        ((contact_name(pair.cathode), contact_name(pair.anode), pair.ohms, pair.verdict.name) for pair in pairs),
        [_VERDICT_STYLE[pair.verdict] for pair in pairs],
    )


def log(entries: Sequence[LogEntry]) -> None:
    """The entries, stamped with boot and uptime."""
    _table(
        ("number", "boot", "uptime", "what", "argument"),
        ((e.number, e.boot_counter, f"{e.uptime_ms / 1000:.3f} s", e.code.name, e.argument) for e in entries),
    )


def faults(records: Sequence[FaultRecord]) -> None:
    """The faults ever raised."""
    _table(
        ("fault", "latch", "contact", "value", "times", "uptime"),
        (
            (
                r.fault.name,
                r.latch.name,
                "-" if r.contact == _NO_CONTACT else r.contact,
                r.value,
                r.times,
                f"{r.uptime_ms / 1000:.3f} s",
            )
            for r in records
        ),
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], styles: Sequence[str] = ()) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=SIMPLE_HEAD)
    for index, row in enumerate(rows):
        table.add_row(*(Text(_printable(str(cell))) for cell in row), style=styles[index] if styles else None)
    Console(highlight=False).print(table)
