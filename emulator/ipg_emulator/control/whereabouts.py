"""Which devices a control channel reaches, and where each is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ipg_emulator.runner import Station


class Whereabouts(msgspec.Struct, frozen=True):
    """A device, and the port that its host opens."""

    device: int
    """Its number in the paths."""
    model: str
    serial: str
    port: str


def whereabouts(number: int, station: Station) -> Whereabouts:
    """Where the device of a station is, once its port is open."""
    firmware = station.ipg.firmware
    return Whereabouts(number, firmware.model.name, firmware.serial, station.port.address)
