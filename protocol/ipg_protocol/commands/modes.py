"""Group 08: modes in which therapy is held off. The MRI mode is a design of our own; the magnet beats the protocol."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Change, Request, command, event
from ipg_protocol.vocabulary import Role, State, Status
from ipg_protocol.wire import U8, U16, Message


@unique
class Mode(IntEnum):
    """Why therapy is held off."""

    NONE = 0
    MAGNET = 1
    MRI = 2


class Modes(Message, frozen=True):
    """The mode; whether a magnet is there (0 or 1), how long MRI mode goes on, whether therapy will be restored (0 or 1)."""

    mode: Mode
    magnet_present: U8
    mri_seconds_left: U16
    therapy_restored_after: U8


@command(
    0x0801,
    role=Role.CLINICIAN,
    states=frozenset({State.IDLE, State.RAMPING, State.THERAPY}),
    refusals={
        Status.OUT_OF_RANGE,
        Status.UNSAFE_COMBINATION,
        Status.OPEN_CIRCUIT,
        Status.SHORT_CIRCUIT,
        Status.BATTERY_TOO_LOW,
    },
    optional=True,
)
class EnterMriMode(Change[Modes], frozen=True):
    """Hold therapy off for an examination of at most `minutes`. All contacts must have been measured since the boot and be
    sound (else IMPEDANCE_NOT_MEASURED, OPEN_CIRCUIT or SHORT_CIRCUIT), and the battery must be OK.
    """

    minutes: U16


@command(0x0802, role=Role.PATIENT, states=frozenset({State.SUSPENDED}), optional=True)
class LeaveMriMode(Change[Modes], frozen=True):
    """End MRI mode before its time; therapy that ran is restored with its ramp. WRONG_STATE when only a magnet holds it off."""


@command(0x0803, role=Role.OBSERVER)
class ReadModes(Request[Modes], frozen=True):
    """Read what holds therapy off."""


@event(0x8801)
class ModeChanged(Message, frozen=True):
    """Another mode, or none, holds therapy off."""

    mode: Mode


@event(0x8802)
class MagnetChanged(Message, frozen=True):
    """A magnet has come (1) or gone (0)."""

    present: U8
