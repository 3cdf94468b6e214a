"""A trace: what passed over a link and when, and why whatever was dropped or ignored was."""

from __future__ import annotations

from enum import StrEnum, unique

import msgspec


@unique
class Towards(StrEnum):
    """Where bytes go."""

    DEVICE = "device"
    HOST = "host"


class Record(msgspec.Struct, frozen=True):
    """Bytes as the host's end of the link has them; with a reason in `why`, bytes that were dropped, ignored or altered."""

    at_us: int
    """In the device's time."""
    to: Towards
    data: bytes
    why: str = ""
    """What became of them, such as "device: the CRC is wrong" or "line: dropped by a fault"; empty when they passed."""
