"""Programs as TOML: `name` and `[[areas]]` with the same keys that a device model's own programs have.

A key that ends in a unit holds a whole number (`amplitude_microamps = 2000`); without it, text (`amplitude = "2 mA"`).
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

from ipg_host.errors import InputError
from ipg_host.units import Quantity, contact_name, parse_contact, parse_quantity

_FULL_SHARE_PERMILLE = 1000

_KEY_OF_QUANTITY = {
    "amplitude": ("amplitude_microamps", Quantity.CURRENT),
    "patient_minimum": ("patient_minimum_microamps", Quantity.CURRENT),
    "patient_maximum": ("patient_maximum_microamps", Quantity.CURRENT),
    "pulse_width": ("pulse_width_us", Quantity.WIDTH),
    "rate": ("rate_millihertz", Quantity.RATE),
    "ramp": ("ramp_seconds", Quantity.DURATION),
    "cycle_on": ("cycle_on_seconds", Quantity.DURATION),
    "cycle_off": ("cycle_off_seconds", Quantity.DURATION),
}

Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Word = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Permille = Annotated[int, msgspec.Meta(ge=-_FULL_SHARE_PERMILLE, le=_FULL_SHARE_PERMILLE)]


class Program(msgspec.Struct, frozen=True):
    """A whole program."""

    name: str
    areas: tuple[AreaSettings, ...]


class _AreaTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    waveform: str
    amplitude_microamps: Count
    pulse_width_us: Word
    rate_millihertz: Count
    ramp_seconds: Byte
    patient_minimum_microamps: Count
    patient_maximum_microamps: Count
    contacts: dict[str, Permille]
    cycle_on_seconds: Count = 0
    cycle_off_seconds: Count = 0


class _ProgramTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    areas: Annotated[tuple[_AreaTable, ...], msgspec.Meta(min_length=1, max_length=4)]


def load_program(path: Path) -> Program:
    """Read a program file.

    Raises:
        InputError: it cannot be read, or does not describe a program; the text names the file, the place, and what is allowed.
    """
    try:
        return parse_program(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_program(text: str) -> Program:
    """The program that TOML text describes.

    Raises:
        InputError: it does not describe one; names the place and what is allowed.
    """
    try:
        raw = tomllib.loads(text)
        raw["areas"] = _with_whole_numbers(raw.get("areas", []))
        table = msgspec.convert(raw, _ProgramTable)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(str(error)) from error
    if len(table.name.encode()) > 16:
        raise InputError(f"name {table.name!r} takes {len(table.name.encode())} bytes, and at most 16 are allowed")
    return Program(table.name, tuple(_settings(area, index) for index, area in enumerate(table.areas)))


def _with_whole_numbers(areas: Any) -> Any:
    """Areas with each quantity that is written as text under the key that holds it as a number."""
    tables = msgspec.convert(areas, list[dict[str, Any]])
    return [dict(_whole_number(f"areas[{index}]", *item) for item in table.items()) for index, table in enumerate(tables)]


def _whole_number(place: str, key: str, value: Any) -> tuple[str, Any]:
    if key not in _KEY_OF_QUANTITY:
        return key, value
    number_key, quantity = _KEY_OF_QUANTITY[key]
    try:
        return number_key, parse_quantity(str(value), quantity)
    except InputError as error:
        raise InputError(f"{place}.{key}: {error}") from error


def _settings(table: _AreaTable, area: int) -> AreaSettings:
    place = f"areas[{area}]"
    if table.waveform not in Waveform.__members__:
        raise InputError(f"{place}.waveform: {table.waveform!r} is none of {', '.join(Waveform.__members__)}")
    contacts = tuple(ContactShare(_contact(place, name), permille) for name, permille in table.contacts.items())
    _check_sum(place, "cathodes", -_FULL_SHARE_PERMILLE, sum(share.permille for share in contacts if share.permille < 0))
    _check_sum(place, "anodes", _FULL_SHARE_PERMILLE, sum(share.permille for share in contacts if share.permille > 0))
    numbers = {key: value for key, value in msgspec.structs.asdict(table).items() if key not in ("waveform", "contacts")}
    return AreaSettings(area=area, waveform=Waveform[table.waveform], contacts=contacts, **numbers)


def _contact(place: str, name: str) -> int:
    try:
        return parse_contact(name)
    except InputError as error:
        raise InputError(f"{place}.contacts: {error}") from error


def _check_sum(place: str, side: str, needed: int, found: int) -> None:
    if found != needed:
        raise InputError(f"{place}.contacts: the {side} sum to {found:+d} permille, and must sum to {needed:+d}")


def program_toml(program: Program) -> str:
    """The text from which `parse_program` makes the same program."""
    return "".join(
        [f"name = {json.dumps(program.name, ensure_ascii=False)}\n", *(_area_toml(settings) for settings in program.areas)]
    )


def _area_toml(settings: AreaSettings) -> str:
    shares = ", ".join(f'"{contact_name(share.contact)}" = {share.permille}' for share in settings.contacts)
    numbers = {key: getattr(settings, key) for key in _AreaTable.__struct_fields__ if key not in ("waveform", "contacts")}
    lines = [f'waveform = "{settings.waveform.name}"', *(f"{key} = {value}" for key, value in numbers.items())]
    return "\n".join(["\n[[areas]]", *lines, f"contacts = {{ {shares} }}\n"])
