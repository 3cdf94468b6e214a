"""What the chip is soldered to. The firmware sees only these protocols; a fault is another object behind one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from ipg_protocol.commands.programs import AreaSettings, ContactShare


class Load(msgspec.Struct, frozen=True):
    """What an area's current source sees across its cathodes and anodes: a resistance in series with a capacitance."""

    ohms: float
    farads: float
    limiting_contact: int
    """The contact with the highest impedance in the pattern."""


class PairReading(msgspec.Struct, frozen=True):
    """What the test pulse of an impedance measurement showed, noise included."""

    ohms: float
    in_compliance: bool
    """False when the output stage could not deliver the test current in full."""


class Electrodes(Protocol):
    """The contacts, and what lies between them."""

    def load(self, contacts: Sequence[ContactShare]) -> Load:
        """The load that a pattern of contacts presents."""
        ...

    def measure(self, cathode: int, anode: int) -> PairReading:
        """Send one test pulse between two contacts."""
        ...


class Drive(msgspec.Struct, frozen=True):
    """One stretch of output of one area: amplitude goes in a straight line from one value to the other.

    `delivered` differs from `programmed` where compliance limits. Times in microseconds; `until` None means until replaced.
    Cycling is counted from `cycle_origin`: on for `cycle_on_seconds` of the settings, off for `cycle_off_seconds`.
    """

    settings: AreaSettings
    start: int
    until: int | None
    programmed_from: int
    programmed_to: int
    delivered_from: int
    delivered_to: int
    cycle_origin: int


class Output(Protocol):
    """The output stage."""

    def deliverable_microamps(self, settings: AreaSettings) -> int:
        """The most it can drive through these contacts at this pulse width: the compliance limit."""
        ...

    def drive(self, drives: Sequence[Drive], now: int) -> None:
        """From `now` on, output these and nothing else; what was set before for later than `now` is dropped."""
        ...

    def delivered_microamps(self, area: int, now: int) -> int:
        """The amplitude of the area's pulses at this moment; 0 when off, also in the off-part of a cycle."""
        ...

    def charge_nanocoulombs(self, area: int, since: int, now: int) -> int:
        """Charge of the stimulating phases delivered between two times, by the closed form over segments.

        Exact when `since` is 0 or within the last 512 stretches of the area; before them, it counts from the oldest kept.
        """
        ...

    def on_time_us(self, area: int, since: int, now: int) -> int:
        """How long the area's output was on between two times; exact as far back as the charge."""
        ...


class BatteryReading(msgspec.Struct, frozen=True):
    """The battery at one moment. Voltage is under the present load."""

    millivolts: int
    charge_permille: int
    drain_microamps: int


class Power(Protocol):
    """The cell, and what is taken from it."""

    def read(self, now: int) -> BatteryReading:
        """Integrate consumption up to `now` and read the cell."""
        ...

    def telemetry(self, byte_count: int, now: int) -> None:
        """Account for bytes sent or received."""
        ...

    def sleep(self, asleep: bool, now: int) -> None:
        """Enter or leave the shelf mode's consumption."""
        ...


class Board(Protocol):
    """The whole board."""

    @property
    def electrodes(self) -> Electrodes: ...
    @property
    def output(self) -> Output: ...
    @property
    def power(self) -> Power: ...
    def temperature_millicelsius(self, now: int) -> int: ...
