"""How the memory is laid down in the store: a key and some bytes for each part of it that changes by itself.

Annotations are evaluated: to compile them later takes as long as the rest of the import.
"""

import struct
from collections.abc import Callable
from typing import Any

import msgspec
from ipg_protocol import wire
from ipg_protocol.commands.log import Counters, FaultList, LogEntry
from ipg_protocol.commands.programs import AreaSettings, ContactShare
from ipg_protocol.commands.sensing import Feedback
from ipg_protocol.commands.therapy import Limits, Schedule, ScheduleRow
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.firmware.configuration import CHECKPOINTS, Configuration, Program
from ipg_emulator.firmware.journal import HOSTS, TRANSACTIONS_PER_HOST, Entry
from ipg_emulator.model import DeviceModel

LAYOUT = 1
"""The version of all that stands here."""
EVENTS_KEPT = 32

IDENTITY = b"I"
TIME = b"T"
COUNTERS = b"C"
ACKNOWLEDGED = b"A"
CONDITION = b"M"
FAULTS = b"F"
SETTINGS = b"S"
PROGRAM = b"P"
CHECKPOINT = b"K"
LOG = b"G"
EVENT = b"E"
JOURNAL = b"J"
"""A key begins with one of these; of which there are several, the number follows."""


class Identity(msgspec.Struct, array_like=True, frozen=True):
    """Whose memory this is."""

    layout: int
    model: str
    serial: str


class Condition(msgspec.Struct, array_like=True, frozen=True):
    """What the device is in. Times are the device's own, in microseconds."""

    boot_counter: int = 0
    battery_tier: BatteryTier = BatteryTier.OK
    charge_permille: int | None = None
    """Of the cell, when it was last looked at."""
    clock_set: tuple[int, int] | None = None
    """What the clock was set to, in milliseconds since 1970, and what the board's clock read then."""
    dose_starts: tuple[int, ...] = ()
    """When doses were begun within the last day, on a model that limits them."""
    first_therapy_at: int | None = None
    mri_until: int | None = None
    row_ends_at: int | None = None
    """When the row of the schedule that is under way stops therapy."""
    therapy_on: bool = False
    """Whether therapy runs, or is held off to go on by itself."""

    @property
    def clock_offset_us(self) -> int | None:
        """What the time of day is ahead of the board's clock, in microseconds; None while it is not set."""
        return None if self.clock_set is None else self.clock_set[0] * 1000 - self.clock_set[1]

    def shifted(self, by_us: int) -> "Condition":
        """The same, in a time that is ahead by so much."""
        times = {name: getattr(self, name) for name in ("first_therapy_at", "mri_until", "row_ends_at")}
        moved: dict[str, Any] = {name: at + by_us for name, at in times.items() if at is not None}
        return msgspec.structs.replace(self, dose_starts=tuple(at + by_us for at in self.dose_starts), **moved)


class Settings(msgspec.Struct, frozen=True):
    """A configuration without its programs."""

    active_program: int
    limits: Limits
    schedule: Schedule
    """Its revision is the configuration's."""


class StoredEvent(msgspec.Struct, array_like=True, frozen=True):
    """An event and its frame, as it goes over the wire."""

    number: int
    frame: bytes


class _StoredProgram(msgspec.Struct, array_like=True, frozen=True):
    name: str
    revision: int
    checksum: int
    areas: tuple[bytes, ...]
    feedback: tuple[bytes, ...]


class _StoredSettings(msgspec.Struct, array_like=True, frozen=True):
    active_program: int
    limits: bytes
    schedule: bytes


class _StoredConfiguration(msgspec.Struct, array_like=True, frozen=True):
    settings: _StoredSettings
    programs: tuple[_StoredProgram | None, ...]


def _program_out(program: Program) -> _StoredProgram:
    areas, feedback = map(wire.encode, program.areas), map(wire.encode, program.feedback)
    return _StoredProgram(program.name, program.revision, program.checksum, tuple(areas), tuple(feedback))


def _program_in(stored: _StoredProgram) -> Program:
    areas = tuple(wire.decode(AreaSettings, area) for area in stored.areas)
    feedback = tuple(wire.decode(Feedback, row) for row in stored.feedback)
    return Program(stored.name, areas, stored.revision, stored.checksum, feedback)


def _settings_out(settings: Settings) -> _StoredSettings:
    return _StoredSettings(settings.active_program, wire.encode(settings.limits), wire.encode(settings.schedule))


def _settings_in(stored: _StoredSettings) -> Settings:
    return Settings(stored.active_program, wire.decode(Limits, stored.limits), wire.decode(Schedule, stored.schedule))


def settings_of(configuration: Configuration) -> Settings:
    """All of a configuration but its programs."""
    schedule = Schedule(configuration.revision, configuration.schedule)
    return Settings(configuration.active_program, configuration.limits, schedule)


def configuration_of(settings: Settings, programs: tuple[Program | None, ...]) -> Configuration:
    """The configuration that its parts make."""
    schedule = settings.schedule
    return Configuration(schedule.revision, settings.active_program, settings.limits, programs, schedule.rows)


def _configuration_out(configuration: Configuration) -> _StoredConfiguration:
    programs = tuple(None if program is None else _program_out(program) for program in configuration.programs)
    return _StoredConfiguration(_settings_out(settings_of(configuration)), programs)


def _configuration_in(stored: _StoredConfiguration) -> Configuration:
    programs = tuple(None if program is None else _program_in(program) for program in stored.programs)
    return configuration_of(_settings_in(stored.settings), programs)


_Form = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]
_pack = msgspec.msgpack.Encoder().encode


def _message(kind: type[wire.Message]) -> _Form:
    return wire.encode, lambda data: wire.decode(kind, data)


def _packed(kind: Any) -> _Form:
    return _pack, msgspec.msgpack.Decoder(kind).decode


def _packed_as(kind: Any, out: Callable[[Any], Any], back: Callable[[Any], Any]) -> _Form:
    decode = msgspec.msgpack.Decoder(kind).decode
    return lambda value: _pack(out(value)), lambda data: back(decode(data))


_FORMS: dict[bytes, _Form] = {
    IDENTITY: _packed(Identity),
    TIME: _packed(int),
    ACKNOWLEDGED: _packed(int),
    CONDITION: _packed(Condition),
    COUNTERS: _message(Counters),
    FAULTS: (
        lambda faults: wire.encode(FaultList(tuple(faults.values()))),
        lambda data: {row.fault: row for row in wire.decode(FaultList, data).rows},
    ),
    SETTINGS: _packed_as(_StoredSettings, _settings_out, _settings_in),
    PROGRAM: _packed_as(_StoredProgram, _program_out, _program_in),
    CHECKPOINT: _packed_as(_StoredConfiguration, _configuration_out, _configuration_in),
    LOG: _message(LogEntry),
    EVENT: _packed(StoredEvent),
    JOURNAL: _packed(Entry),
}


def most_bytes(model: DeviceModel) -> int:
    """What the memory of a device can come to, keys included: never less."""
    size = wire.minimum_size
    contacts = size(ContactShare) * (len(model.contacts) + 1)
    program = 64 + model.areas_per_program * (size(AreaSettings) + contacts + size(Feedback) + 8)
    schedule = size(ScheduleRow) * model.schedule_rows
    configuration = 128 + schedule + program * model.program_slots
    transaction = 128 + 2 * schedule
    log = (size(LogEntry) + 8) * model.log_entries
    journals = transaction * HOSTS * TRANSACTIONS_PER_HOST
    return 1024 + configuration * (1 + CHECKPOINTS) + log + journals + 96 * EVENTS_KEPT


def encode(key: bytes, value: Any) -> bytes:
    """The bytes of a part of the memory."""
    return _FORMS[key[:1]][0](value)


def decode(key: bytes, data: bytes) -> Any:
    """The part of the memory that `encode` made these of.

    Raises:
        msgspec.MsgspecError, WireError: they are of another layout.
    """
    return _FORMS[key[:1]][1](data)


_JOURNAL_KEY = struct.Struct("<cQB")


def numbered(kind: bytes, number: int) -> bytes:
    """The key of one of several."""
    return kind + number.to_bytes(2, "little")


def journal_key(host_id: int, slot: int) -> bytes:
    """The key of a transaction in its place."""
    return _JOURNAL_KEY.pack(JOURNAL, host_id, slot)


def journal_place(key: bytes) -> tuple[int, int]:
    """The host and the place that a key of the journal names."""
    _, host_id, slot = _JOURNAL_KEY.unpack(key)
    return host_id, slot
