"""Quantities with their units: what people write (`2.5 mA`), and what a field's name says it holds (`_microamps`)."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum, IntEnum, unique
from typing import NamedTuple

from ipg_protocol.commands.measurement import ALL_CONTACTS
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_host.errors import InputError


@unique
class Quantity(Enum):
    """A kind of quantity: the units it may be written in, and how many of the wire's unit (the first) stand in each."""

    CURRENT = (("uA", 1), ("mA", 1000))
    WIDTH = (("us", 1), ("ms", 1000))
    RATE = (("mHz", 1), ("Hz", 1000))
    CHARGE = (("nC", 1), ("uC", 1000))
    DURATION = (("s", 1), ("min", 60), ("h", 3600))
    MINUTES = (("min", 1), ("h", 60))
    VOLTAGE = (("uV", 1), ("mV", 1000))
    SLEW = (("uA/s", 1), ("mA/s", 1000))
    PROPORTION = (("permille", 1), ("%", 10))


@unique
class AmplitudeUnit(IntEnum):
    """What a device's amplitudes are counted in: current, or (magnetic devices) permille of its maximum output."""

    MICROAMPS = 0
    PERMILLE_OF_MAXIMUM = 1


QUANTITY_OF_AMPLITUDE = {
    AmplitudeUnit.MICROAMPS: Quantity.CURRENT,
    AmplitudeUnit.PERMILLE_OF_MAXIMUM: Quantity.PROPORTION,
}

_AMPLITUDES = frozenset(
    {
        "amplitude_microamps",
        "deliverable_microamps",
        "delivered_microamps",
        "patient_maximum_microamps",
        "patient_minimum_above_maximum_microamps",
        "patient_minimum_microamps",
        "programmed_microamps",
    }
)
"""The fields that hold permille where the device's amplitudes do, whatever the unit in their names."""


class GivenAmplitude(NamedTuple):
    """An amplitude as somebody wrote it, before it is known what the device counts in."""

    text: str
    value: int
    unit: AmplitudeUnit


class _Display(NamedTuple):
    """How the unit in a field's name is shown: what it measures, the unit people use, how many of the wire's make one."""

    noun: str
    unit: str
    scale: int


_DISPLAY = {
    "shannon_k_permille": _Display("Shannon k", "", 1000),
    "nanocoulombs_per_square_millimetre": _Display("charge density", "nC/mm²", 1),
    "microamps_per_second": _Display("slew rate", "mA/s", 1000),
    "nanoamps": _Display("current", "uA", 1000),
    "microamps": _Display("current", "mA", 1000),
    "nanocoulombs": _Display("charge", "uC", 1000),
    "microcoulombs": _Display("charge", "uC", 1),
    "millihertz": _Display("rate", "Hz", 1000),
    "millivolts": _Display("voltage", "V", 1000),
    "microvolts": _Display("voltage", "uV", 1),
    "nanovolts": _Display("voltage", "uV", 1000),
    "microjoules": _Display("energy", "mJ", 1000),
    "millicelsius": _Display("temperature", "°C", 1000),
    "permille": _Display("share", "%", 10),
    "ohms": _Display("impedance", "ohms", 1),
    "days": _Display("time", "days", 1),
    "minutes": _Display("time", "min", 1),
    "seconds": _Display("time", "s", 1),
    "ms": _Display("time", "s", 1000),
    "us": _Display("time", "us", 1),
}

_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-zµμ/%]*)\s*")


def parse_quantity(text: str, quantity: Quantity) -> int:
    """The whole number of the wire's units that `text` names.

    Raises:
        InputError: no number, no unit or a wrong one, or finer than the wire can say.
    """
    scales: dict[str, int] = dict(quantity.value)
    allowed = " or ".join(scales)
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is not a number with a unit ({allowed})")
    unit = re.sub("[µμ]", "u", match[2])
    if unit not in scales:
        wrong = f"has the unit {unit!r}" if unit else "has no unit"
        raise InputError(f"{text!r} {wrong}: write it in {allowed}, such as {match[1]}{list(scales)[-1]}")
    value = Decimal(match[1]) * scales[unit]
    if value != int(value) or value < 0:
        raise InputError(f"{text!r} is not a whole number of {next(iter(scales))}, 0 or more")
    return int(value)


def parse_amplitude(text: str) -> GivenAmplitude:
    """An amplitude, from a current such as `2.5mA` or a part of the maximum output such as `45%`.

    Raises:
        InputError: it is neither.
    """
    part = text.rstrip().endswith("%")
    unit = AmplitudeUnit.PERMILLE_OF_MAXIMUM if part else AmplitudeUnit.MICROAMPS
    return GivenAmplitude(text, parse_quantity(text, QUANTITY_OF_AMPLITUDE[unit]), unit)


def amplitude_in(unit: AmplitudeUnit, given: GivenAmplitude) -> int:
    """The number that a device which counts in `unit` takes for an amplitude.

    Raises:
        InputError: it is written in the other unit.
    """
    if given.unit is not unit:
        wanted = "% of its maximum output" if unit is AmplitudeUnit.PERMILLE_OF_MAXIMUM else "uA or mA"
        raise InputError(f"this device takes amplitudes in {wanted}, got {given.text!r}")
    return given.value


def named_in(unit: AmplitudeUnit, field: str) -> str:
    """A field's name with the unit that its value has on a device: amplitudes of a magnetic one end in `_permille`."""
    in_permille = unit is AmplitudeUnit.PERMILLE_OF_MAXIMUM and field in _AMPLITUDES
    return field.replace("_microamps", "_permille") if in_permille else field


def parse_contact(text: str) -> int:
    """A contact's number, from `3` or `case`.

    Raises:
        InputError: it is neither.
    """
    if text == "case":
        return CASE_CONTACT
    if not text.isdecimal() or int(text) >= ALL_CONTACTS:
        raise InputError(f'{text!r} is neither a contact number nor "case"')
    return int(text)


def contact_name(contact: int) -> str:
    """A contact as people name it: its number, or `case`."""
    return "case" if contact == CASE_CONTACT else str(contact)


def _split(field: str) -> tuple[str, _Display | None]:
    """A field's name before its unit, and how that unit is shown; the longest unit that fits counts."""
    words = field.split("_")
    for length in range(len(words), 0, -1):
        display = _DISPLAY.get("_".join(words[-length:]))
        if display is not None:
            return " ".join(words[:-length]), display
    return " ".join(words), None


def label(field: str) -> str:
    """A field's name as people read it, without its unit: `amplitude_microamps` gives `amplitude`."""
    head, display = _split(field)
    return head or (display.noun if display else "")


def in_words(field: str, value: int) -> str:
    """A value in the unit people use for it: 2500 of `amplitude_microamps` gives `2.5 mA`."""
    _, display = _split(field)
    return f"{value / display.scale:.10g} {display.unit}".rstrip() if display else str(value)
