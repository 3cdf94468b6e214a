"""Quantities with their units: what people write (`2.5 mA`), and what a field's name says it holds (`_microamps`)."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import Enum, unique
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


class _Display(NamedTuple):
    """How the last word of a field's name is shown: what it measures, the unit people use, how many of the wire's make one."""

    noun: str
    unit: str
    scale: int


_DISPLAY = {
    "microamps": _Display("current", "mA", 1000),
    "nanocoulombs": _Display("charge", "uC", 1000),
    "microcoulombs": _Display("charge", "uC", 1),
    "millihertz": _Display("rate", "Hz", 1000),
    "millivolts": _Display("voltage", "V", 1000),
    "millicelsius": _Display("temperature", "°C", 1000),
    "permille": _Display("share", "%", 10),
    "ohms": _Display("impedance", "ohms", 1),
    "seconds": _Display("time", "s", 1),
    "ms": _Display("time", "s", 1000),
    "us": _Display("time", "us", 1),
}

_NUMBER_AND_UNIT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*([A-Za-zµμ]*)\s*")


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


def label(field: str) -> str:
    """A field's name as people read it, without its unit: `amplitude_microamps` gives `amplitude`."""
    head, _, suffix = field.rpartition("_")
    display = _DISPLAY.get(suffix)
    return ((head or display.noun) if display else field).replace("_", " ")


def in_words(field: str, value: int) -> str:
    """A value in the unit people use for it: 2500 of `amplitude_microamps` gives `2.5 mA`."""
    display = _DISPLAY.get(field.rpartition("_")[2])
    return f"{value / display.scale:.10g} {display.unit}" if display else str(value)
