"""Programs as TOML: `name` and `[[areas]]` with the same keys that a device model's own programs have.

A key that ends in a unit holds a whole number (`amplitude_microamps = 2000`); without it, text (`amplitude = "2 mA"`, and of a
magnetic waveform, whose amplitudes are permille of the device's maximum output, `amplitude = "45 %"`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

from ipg_host.errors import InputError
from ipg_host.tables import load, read_tables
from ipg_host.units import QUANTITY_OF_AMPLITUDE, AmplitudeUnit, Quantity, contact_name, parse_contact, parse_quantity

_FULL_SHARE_PERMILLE = 1000

_AMPLITUDES = {
    "amplitude": "amplitude_microamps",
    "patient_minimum": "patient_minimum_microamps",
    "patient_maximum": "patient_maximum_microamps",
}

_QUANTITIES = {
    "pulse_width": ("pulse_width_us", Quantity.WIDTH),
    "rate": ("rate_millihertz", Quantity.RATE),
    "intra_burst": ("intra_burst_millihertz", Quantity.RATE),
    "ramp": ("ramp_seconds", Quantity.DURATION),
    "cycle_on": ("cycle_on_seconds", Quantity.DURATION),
    "cycle_off": ("cycle_off_seconds", Quantity.DURATION),
    "dose": ("dose_seconds", Quantity.DURATION),
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
    burst_pulses: Byte = 1
    intra_burst_millihertz: Count = 0
    cycle_on_seconds: Count = 0
    cycle_off_seconds: Count = 0
    dose_seconds: Count = 0


class _ProgramTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    areas: Annotated[tuple[_AreaTable, ...], msgspec.Meta(min_length=1, max_length=4)]


def load_program(path: Path) -> Program:
    """Read a program file.

    Raises:
        InputError: it cannot be read, or does not describe a program; the text names the file, the place, and what is allowed.
    """
    return load(path, parse_program)


def parse_program(text: str) -> Program:
    """The program that TOML text describes.

    Raises:
        InputError: it does not describe one; names the place and what is allowed.
    """
    table = read_tables(text, "areas", _whole_number, _ProgramTable)
    if len(table.name.encode()) > 16:
        raise InputError(f"name {table.name!r} takes {len(table.name.encode())} bytes, and at most 16 are allowed")
    return Program(table.name, tuple(_settings(area, index) for index, area in enumerate(table.areas)))


def amplitude_unit(waveform: Waveform | None) -> AmplitudeUnit:
    """What the amplitudes of an area with this waveform are counted in."""
    magnetic = waveform is Waveform.MAGNETIC_BIPHASIC
    return AmplitudeUnit.PERMILLE_OF_MAXIMUM if magnetic else AmplitudeUnit.MICROAMPS


def _whole_number(area: Mapping[str, Any], key: str) -> tuple[str, Any]:
    """The key that holds what `key` says as a whole number, and the number."""
    if key in _AMPLITUDES:
        quantity = QUANTITY_OF_AMPLITUDE[amplitude_unit(Waveform.__members__.get(str(area.get("waveform"))))]
        return _AMPLITUDES[key], parse_quantity(str(area[key]), quantity)
    if key in _QUANTITIES:
        number_key, quantity = _QUANTITIES[key]
        return number_key, parse_quantity(str(area[key]), quantity)
    return key, area[key]


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
    lines = [f'waveform = "{settings.waveform.name}"', *_numbers(settings)]
    return "\n".join(["\n[[areas]]", *lines, f"contacts = {{ {shares} }}\n"])


def _numbers(settings: AreaSettings) -> Iterator[str]:
    """The lines of an area's numbers; what is as it is when left out is left out."""
    in_percent = amplitude_unit(settings.waveform) is AmplitudeUnit.PERMILLE_OF_MAXIMUM
    percent_key = {number_key: key for key, number_key in _AMPLITUDES.items()} if in_percent else {}
    for field in msgspec.structs.fields(_AreaTable):
        if field.name in ("waveform", "contacts"):
            continue
        value: int = getattr(settings, field.name)
        if field.name in percent_key:
            yield f'{percent_key[field.name]} = "{value / 10:g} %"'
        elif value != field.default:
            yield f"{field.name} = {value}"
