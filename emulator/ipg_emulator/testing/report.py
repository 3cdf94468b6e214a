"""What a failed test says of its devices: seed and marker to have them again, state, the last frames, log, refusals, faults."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from ipg_protocol.trace import Head, Record, Towards, encode_head, encode_record

from ipg_emulator.control.answers import microseconds
from ipg_emulator.control.witness import RECORDS_KEPT

if TYPE_CHECKING:
    from ipg_emulator.control.answers import AreaState, StateReport, TraceLine
    from ipg_emulator.handle import Handle
    from ipg_emulator.testing.ipg import Ipg

LAST_FRAMES = 20
LAST_LOG_LINES = 10
ARROWS = {Towards.DEVICE: "-> device", Towards.HOST: "<- device"}
LONGEST_NAME = 100
LONGEST_HEX = 64


def tell(ipg: Ipg, test: str, folder: str | None) -> str:
    """A device in words; below `folder`, if it is given, the same and more is written to files."""
    words = text(ipg)
    if folder is None:
        return words
    try:
        return f"{words}\n{write(ipg, test, folder)} holds more"
    except OSError as error:
        return f"{words}\nnothing could be written to {folder}: {error.strerror}"


def text(ipg: Ipg) -> str:
    """A device in words, as far as it can still be asked."""
    lines = [f"{ipg.wanted.marker(ipg.number)} gives this device again" if ipg.is_ours else f"the device is at {ipg.port}"]
    try:
        for part in PARTS:
            lines += part(ipg.handle) if ipg.handle else ()
    except Exception as error:  # whatever it is, it must not hide why the test has failed
        lines += [f"it can be asked no more: {error}", *ipg.last_words().splitlines()]
    return "\n".join(lines)


def write(ipg: Ipg, test: str, folder: str) -> str:
    """Write what is known of a device to files, in a folder of its own in that of its test; that folder.

    Raises:
        OSError: it cannot be written.
    """
    place = os.path.join(folder, _folder_name(test), str(ipg.number))
    os.makedirs(place, exist_ok=True)
    written = {"report.txt": f"{test}\n{text(ipg)}\n".encode()}
    with suppress(Exception):  # as above; the text says why there is no more
        written |= _files(ipg.handle) if ipg.handle else {}
    for name, content in written.items():
        with open(os.path.join(place, name), "wb") as file:
            file.write(content)
    return place


def _files(device: Handle) -> dict[str, bytes]:
    """What is read by programs: the trace for `ipg-host decode` and `ipg-emulator replay`, the rest as JSON."""
    who = device.describe()
    records = [
        Record(microseconds(line.at_seconds), Towards(line.to), bytes.fromhex(line.hex), line.why)
        for line in device.trace(RECORDS_KEPT)
    ]
    head = encode_head(Head(model=who.model, serial=who.serial, seed=who.seed))
    return {
        "trace.jsonl": head + b"".join(map(encode_record, records)),
        "state.json": msgspec.json.format(msgspec.json.encode({"device": who, "state": device.state()})),
        "log.json": msgspec.json.format(msgspec.json.encode(device.log())),
    }


def _identity(device: Handle) -> Iterator[str]:
    who = device.describe()
    yield f"{who.model} {who.serial}, seed {who.seed}, {device.now:.6f} s after it was powered on"


def _state(device: Handle) -> Iterator[str]:
    state = device.state()
    yield f"state: {', '.join(_facts(state))}"
    for area in state.areas:
        yield f"  {_area(area)}"


def _facts(state: StateReport) -> Iterator[str]:
    yield state.state if state.has_power else "no power"
    if state.active_program is not None:
        yield f"program {state.active_program} {state.program_name!r}"
    yield f"revision {state.revision}"
    yield f"battery {state.battery.tier} {state.battery.millivolts} mV {state.battery.charge_permille / 10} %"
    yield f"session of {state.session.role}" if state.session else "no session"
    if state.latched_faults:
        yield f"latched: {' '.join(state.latched_faults)}"


def _area(area: AreaState) -> str:
    return (
        f"area {area.area}: programmed {area.programmed_microamps} uA, delivers {area.delivered_microamps} uA, "
        f"{area.pulse_width_us} us, {area.rate_millihertz / 1000} Hz"
    )


def _faults(device: Handle) -> Iterator[str]:
    for planned in device.faults():
        yield f"fault {planned.number}: {planned.fault}, struck {_times(planned.struck)}"


def _trace(device: Handle) -> Iterator[str]:
    frames = [words for record in device.trace(RECORDS_KEPT) for words in _record(record)][-LAST_FRAMES:]
    yield f"the last {_times(len(frames), 'frame')} of the link:" if frames else "nothing has passed on the link"
    yield from frames


def _record(record: TraceLine) -> Iterator[str]:
    why = f"  [{record.why}]" if record.why else ""
    for words in record.text:
        yield f"  {record.at_seconds:12.6f} {ARROWS[Towards(record.to)]}  {words}{why}"


def _refusals(device: Handle) -> Iterator[str]:
    for refusal in device.refusals():
        yield f"refused at {refusal.at_seconds:.6f}: {refusal.words}"


def _silences(device: Handle) -> Iterator[str]:
    for silence in device.silences():
        yield f"dropped or altered, {_times(silence.count)}: {silence.why}; the last were {_shortened(silence.last_hex)}"


def _times(count: int, what: str = "time") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _shortened(digits: str) -> str:
    return digits if len(digits) <= LONGEST_HEX else f"{digits[:LONGEST_HEX]}..."


def _log(device: Handle) -> Iterator[str]:
    entries = device.log()[-LAST_LOG_LINES:]
    yield "its log:"
    for entry in entries:
        yield f"  {entry.number}: boot {entry.boot_counter}, {entry.uptime_seconds:.3f} s, {entry.code} {entry.argument}"


PARTS: tuple[Callable[[Handle], Iterator[str]], ...] = (_identity, _state, _faults, _trace, _refusals, _silences, _log)


def _folder_name(test: str) -> str:
    """A name that any file system takes, and that no other test has."""
    digest = hashlib.blake2b(test.encode(), digest_size=4).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', test)[-LONGEST_NAME:]}-{digest}"
