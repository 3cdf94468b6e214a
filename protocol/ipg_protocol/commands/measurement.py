"""Group 04: measurement. A test pulse on each pair of contacts; therapy is suspended for it and resumed."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Request, command, event
from ipg_protocol.vocabulary import AWAKE, Role, State, Status
from ipg_protocol.wire import I32, U8, U16, U32, Message

ALL_CONTACTS = 0xFE
"""As `cathode`: measure every contact in turn against `anode`."""


@unique
class ImpedanceVerdict(IntEnum):
    """OPEN and SHORT by the model's thresholds; COMPLIANCE when the test pulse could not be delivered in full."""

    OK = 0
    OPEN = 1
    SHORT = 2
    COMPLIANCE = 3


class MeasurementStarted(Message, frozen=True):
    """The measurement's number, how many pairs it will measure, and how long that takes."""

    measurement: U16
    pairs: U8
    duration_ms: U32


@command(
    0x0401,
    role=Role.CLINICIAN,
    states=AWAKE - {State.EOS, State.SUSPENDED},
    refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION, Status.BUSY, Status.NOT_SUPPORTED},
    optional=True,
)
class MeasureImpedance(Request[MeasurementStarted], frozen=True):
    """Measure one pair of contacts, or (`cathode` 254) each contact against `anode`. BUSY while one is under way."""

    cathode: U8
    anode: U8


class Impedance(Message, frozen=True):
    """One measured pair, in ohms."""

    cathode: U8
    anode: U8
    verdict: ImpedanceVerdict
    ohms: U32


class ImpedancePage(Message, frozen=True):
    """The last measurement (0: none since the boot): `planned` pairs, `measured` so far, and those from `first` on."""

    measurement: U16
    planned: U8
    measured: U8
    rows: tuple[Impedance, ...]


@command(0x0402, role=Role.OBSERVER, optional=True)
class ReadImpedance(Request[ImpedancePage], frozen=True):
    """Read results of the last measurement from row `first` on, also while it is under way."""

    first: U8


class Temperature(Message, frozen=True):
    """The temperature of the case."""

    case_millicelsius: I32


@command(0x0404, role=Role.OBSERVER)
class ReadTemperature(Request[Temperature], frozen=True):
    """Read the temperature of the device's case."""


@event(0x8401)
class MeasurementDone(Message, frozen=True):
    """The measurement is complete: how many pairs it found, and how many of them open and short."""

    measurement: U16
    measured: U8
    open_pairs: U8
    short_pairs: U8
