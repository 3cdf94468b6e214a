"""A world as data: the devices, the hosts beside them, and what is done when. Any part of it can be left out."""

from __future__ import annotations

from enum import StrEnum, unique

import msgspec
from ipg_protocol.vocabulary import Role

SECOND_US = 1_000_000


@unique
class Deed(StrEnum):
    """What a host does with its device; the comment says what `values` hold."""

    SET_AMPLITUDE = "set amplitude"  # area, microamperes
    STEP_AMPLITUDE = "step amplitude"  # area, steps
    SET_PULSE_WIDTH = "set pulse width"  # area, microseconds
    SET_RATE = "set rate"  # area, millihertz
    START = "start"
    STOP = "stop"  # stop mode
    SELECT = "select"  # program
    WRITE_PROGRAM = "write program"  # program, factory program to begin with, permille of its amplitudes, number in its name
    ERASE = "erase"  # program
    WRITE_LIMITS = "write limits"  # microamperes
    WRITE_SCHEDULE = "write schedule"  # minute of the day, minutes, program of each row
    SET_TIME = "set time"  # milliseconds since 1970
    SAVE_CHECKPOINT = "save checkpoint"  # checkpoint
    RESTORE_CHECKPOINT = "restore checkpoint"  # checkpoint
    FACTORY_RESET = "factory reset"
    CLEAR_FAULT = "clear fault"  # fault
    MEASURE = "measure"  # cathode, anode
    SELF_TEST = "self test"
    READ_STATUS = "read status"
    READ_PROGRAM = "read program"  # program
    READ_SETTINGS = "read settings"
    READ_THERAPY = "read therapy"  # area
    READ_LOG = "read log"
    RESET = "reset"
    CLOSE = "close"
    TAKE_LINE = "take line"


@unique
class Happening(StrEnum):
    """What happens to a device; the comment says what `values` hold."""

    BROWN_OUT = "brown-out"
    WATCHDOG = "watchdog"
    POWER_CUT = "power cut"  # flash operations until it, `Moment` of it, operations of the recovery until the next (0: none)
    POWER_LOST = "power lost"  # milliseconds
    MAGNET = "magnet"  # milliseconds
    LEAD_BROKEN = "lead broken"  # contact, milliseconds
    SILENCE = "silence"  # milliseconds


class HostActs(msgspec.Struct, frozen=True, tag="host"):
    """At a time (microseconds from the world's beginning), a host of a device does something."""

    at_us: int
    device: int
    host: int
    deed: Deed
    values: tuple[int, ...] = ()


class DeviceMeets(msgspec.Struct, frozen=True, tag="device"):
    """At a time (microseconds from the world's beginning), something happens to a device."""

    at_us: int
    device: int
    happening: Happening
    values: tuple[int, ...] = ()


Action = HostActs | DeviceMeets


class LineNoise(msgspec.Struct, frozen=True):
    """How often a frame on the line is lost, repeated, or has a bit flipped, and how late it may come at most."""

    lost_permille: int = 0
    repeated_permille: int = 0
    corrupted_permille: int = 0
    delay_us: int = 0


class DevicePlan(msgspec.Struct, frozen=True):
    """One device of a world: its model, the seed it is built from, the roles of the hosts that take turns at its line."""

    number: int
    model: str
    seed: int
    hosts: tuple[Role, ...]
    noise: LineNoise


class History(msgspec.Struct, frozen=True):
    """All that a world is made of."""

    seed: int
    duration_us: int
    devices: tuple[DevicePlan, ...]
    actions: tuple[Action, ...]
