"""What the values of `ipg-emulator`'s options may be, as argparse wants it: each takes the text, or says in a line why not."""

from __future__ import annotations

import argparse
import math

LARGEST_FLEET = 100_000
HIGHEST_PORT = 65_535
LOWEST_BAUD, HIGHEST_BAUD = 300, 12_000_000
LOWEST_SPEED, HIGHEST_SPEED = 0.001, 1_000_000
SPEED_WORDS = {"max": math.inf, "manual": 0.0}


def _number(text: str, lowest: int, highest: int, what: str) -> int:
    if not text.isdecimal() or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {lowest} to {highest}")
    return int(text)


def path(text: str) -> str:
    """A path. An empty one is an unset variable of a shell, and what was to be kept would not be."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def scheduler(text: str) -> str:
    """The address of a Dask scheduler."""
    host, _, port = text.removeprefix("tcp://").rpartition(":")
    if not text.startswith("tcp://") or not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not the address of a scheduler, such as tcp://127.0.0.1:8786")
    return text


def count(text: str) -> int:
    """How many there shall be of something."""
    return _number(text, 1, 10_000_000, "a number")


def hours(text: str) -> float:
    """How long a world lasts, in hours."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.05 <= found <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours from 0.05 to 1000")
    return found


def tcp_port(text: str) -> int:
    """A port to listen on; 0 is any that is free."""
    return _number(text, 0, HIGHEST_PORT, "a port number")


def fleet(text: str) -> int:
    """How many devices run in one process."""
    return _number(text, 1, LARGEST_FLEET, "a number of devices")


def seconds(text: str) -> int:
    """How long a drawn therapy runs, in seconds."""
    return _number(text, 1, 7 * 86_400, "a number of seconds")


def baud(text: str) -> int:
    """The speed of a line, in bits per second."""
    return _number(text, LOWEST_BAUD, HIGHEST_BAUD, "a baud rate")


def speed(text: str) -> float:
    """How fast the device's time goes, against real time; `max` is infinite, and `manual` stands still."""
    if text in SPEED_WORDS:
        return SPEED_WORDS[text]
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not LOWEST_SPEED <= found <= HIGHEST_SPEED:
        known = f"a number from {LOWEST_SPEED} to {HIGHEST_SPEED}, or {' or '.join(SPEED_WORDS)}"
        raise argparse.ArgumentTypeError(f"{text!r} is not {known}")
    return found


def request_field(text: str) -> str:
    """A field of some request of the catalogue."""
    from ipg_protocol import CATALOGUE
    from ipg_protocol.wire import field_names

    known = {"request_id", "payload"}.union(*(field_names(command.request) for command in CATALOGUE.values()))
    if text not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is not a field of any request; `ipg-host decode` shows their names")
    return text


def lead_fault(text: str) -> tuple[int, str]:
    """A contact and what breaks it."""
    from ipg_emulator.faults.lead import LEAD_FAULTS

    contact, _, kind = text.partition("=")
    if kind not in LEAD_FAULTS:
        raise argparse.ArgumentTypeError(f"{text!r} is not {' or '.join(f'CONTACT={word}' for word in LEAD_FAULTS)}")
    return _number(contact, 0, 253, "a contact number"), kind
