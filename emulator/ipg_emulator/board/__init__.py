"""What the chip is soldered to. The firmware sees only these protocols; a fault is another object behind one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from ipg_protocol.commands.power import ChargingState
from ipg_protocol.commands.programs import AreaSettings, ContactShare


class Load(msgspec.Struct, frozen=True):
    """What an area's current source sees across its cathodes and anodes: a resistance in series with a capacitance.

    `farads` takes in the double layers and the coupling capacitors; `coupling_farads` is the latter's part alone.
    """

    ohms: float
    farads: float
    coupling_farads: float
    limiting_contact: int
    """The contact with the highest impedance in the pattern."""


class PairReading(msgspec.Struct, frozen=True):
    """What the test pulse of an impedance measurement showed, noise included."""

    ohms: float
    in_compliance: bool
    """False when the output stage could not deliver the test current in full."""


class Electrodes(Protocol):
    """The contacts, and what lies between them."""

    def load(self, contacts: Sequence[ContactShare], now: int) -> Load:
        """The load that a pattern of contacts presents."""
        ...

    def measure(self, cathode: int, anode: int, now: int) -> PairReading:
        """Send one test pulse between two contacts."""
        ...


class Drive(msgspec.Struct, frozen=True):
    """One stretch of output of one area: amplitude goes in a straight line from one value to the other.

    `delivered` differs from `programmed` where compliance limits. Times in microseconds; `until` None means until replaced.
    Cycling is counted from `cycle_origin`: on for `cycle_on_seconds` of the settings, off for `cycle_off_seconds`. So are
    pulses: pulse (or burst) n begins at `cycle_origin + offset_us + n / rate`, whole microseconds, rounded down.
    """

    settings: AreaSettings
    start: int
    until: int | None
    programmed_from: int
    programmed_to: int
    delivered_from: int
    delivered_to: int
    cycle_origin: int
    offset_us: int = 0


class Segment(msgspec.Struct, frozen=True):
    """A drive, or the part of it, that was really output, and the load that it met."""

    drive: Drive
    load: Load


class Delivered(msgspec.Struct, frozen=True):
    """What an area has delivered since the board was powered: see `Output.total`."""

    nanocoulombs: float = 0.0
    """Charge of the stimulating phases; of direct current, all its charge; of a coil, none."""
    on_time_us: int = 0
    pulses: float = 0.0
    microjoules: float = 0.0
    """Into the load: I^2 R over the stimulating phases."""


class Output(Protocol):
    """The output stage."""

    def deliverable_microamps(self, settings: AreaSettings, now: int) -> int:
        """The most it can drive through these contacts with this waveform: the compliance limit."""
        ...

    def residual_nanocoulombs(self, settings: AreaSettings, microamps: int, now: int) -> float:
        """The charge that recharge leaves behind in the steady state, with pulses of this amplitude."""
        ...

    def drive(self, drives: Sequence[Drive], now: int) -> None:
        """From `now` on, output these and nothing else; what was set before for later than `now` is dropped."""
        ...

    def delivered_microamps(self, area: int, now: int) -> int:
        """The amplitude of the area's pulses at this moment; 0 when off, also in the off-part of a cycle."""
        ...

    def total(self, area: int, now: int) -> Delivered:
        """All that an area has delivered up to `now`, by the closed form over segments; `now` is not before the last change."""
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

    def disconnect(self, now: int) -> None:
        """Feed the electronics no more, until `sleep` says that they run again."""
        ...

    def expected_microamps(self, now: int) -> float:
        """The mean drain of the coming day, if nothing is changed."""
        ...

    def milliamp_hours_to(self, millivolts: int, drain_microamps: float, now: int) -> float:
        """How much the cell still gives before its voltage under this drain falls to `millivolts`."""
        ...


class ChargingReading(msgspec.Struct, frozen=True):
    """The charger at one moment; `minutes_left` None when there is no telling."""

    state: ChargingState
    coupling_permille: int
    current_microamps: int
    minutes_left: int | None


class Charger(Protocol):
    """The coil under the skin, and the cell's charging circuit. It acts when the firmware wakes it."""

    def read(self, now: int) -> ChargingReading:
        """Bring charging up to `now` and read it."""
        ...

    def wake_at(self) -> int | None:
        """When charging will be in another state, or want to be looked at; None while no charger is there."""
        ...


class EcapReading(msgspec.Struct, frozen=True):
    """What the amplifier recorded after one pulse."""

    microvolts: float
    noise_microvolts: float
    latency_us: int


class Amplifier(Protocol):
    """Records what the nerve answers."""

    def record(self, settings: AreaSettings, microamps: int, now: int) -> EcapReading:
        """The response to a pulse of these settings, at this delivered amplitude."""
        ...


class Flash(Protocol):
    """The chip's flash memory. An erased byte reads 0xFF; only erased bytes can be programmed, in whole units.

    Power can fail inside `program` and `erase`: any of the bits that were being changed may then read either way.
    """

    page_count: int
    page_bytes: int
    unit_bytes: int

    @property
    def is_writable(self) -> bool:
        """As its status register says: whether `program` and `erase` do anything."""
        ...

    def read(self, address: int, size: int) -> bytes: ...

    def program(self, address: int, data: bytes) -> None:
        """Write whole units into erased bytes."""
        ...

    def erase(self, page: int) -> None:
        """Set a page to 0xFF."""
        ...


class Clock(Protocol):
    """The real-time clock: it counts microseconds, as its crystal has them."""

    def read(self, now: int) -> int:
        """What it has counted by `now`."""
        ...

    def when(self, reading: int) -> int:
        """The first moment at which it reads so much or more, if it goes on as it does."""
        ...


class Board(Protocol):
    """The whole board. `charger` and `amplifier` are None on a device without."""

    @property
    def electrodes(self) -> Electrodes: ...
    @property
    def output(self) -> Output: ...
    @property
    def power(self) -> Power: ...
    @property
    def flash(self) -> Flash: ...
    @property
    def charger(self) -> Charger | None: ...
    @property
    def amplifier(self) -> Amplifier | None: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def magnet_present(self) -> bool: ...
    def temperature_millicelsius(self, now: int) -> int: ...
