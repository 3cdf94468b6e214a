"""What the device keeps over a reset: programs, limits, selection, transactions, faults, log, counters."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import msgspec
from ipg_protocol import crc32c, encode
from ipg_protocol.commands.log import Counters, FaultRecord, Latch, LogCode, LogEntry
from ipg_protocol.commands.programs import NO_PROGRAM, AreaSettings
from ipg_protocol.commands.sensing import Feedback
from ipg_protocol.commands.therapy import Limits, ScheduleRow
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.vocabulary import BatteryTier, FaultCode

from ipg_emulator.model import DeviceModel

TRANSACTIONS_PER_HOST = 32
HOSTS = 8


class Program(msgspec.Struct, frozen=True):
    """A stored program; `checksum` is that of its areas, so that damage is seen."""

    name: str
    areas: tuple[AreaSettings, ...]
    revision: int
    checksum: int
    feedback: tuple[Feedback, ...] = ()
    """How areas follow the ECAP, as far as it was ever said; a program written anew follows nothing."""


def areas_checksum(areas: tuple[AreaSettings, ...]) -> int:
    """CRC-32C over the bytes of the areas, area 0 first."""
    return crc32c(b"".join(encode(area) for area in areas))


class Configuration(msgspec.Struct, frozen=True):
    """Everything a change of configuration replaces at once."""

    revision: int
    active_program: int
    limits: Limits
    programs: tuple[Program | None, ...]
    schedule: tuple[ScheduleRow, ...] = ()
    """By time of day; the program of each row is stored."""

    @property
    def active(self) -> Program | None:
        """The active program; None when none is selected."""
        return self.stored(self.active_program)

    def stored(self, number: int) -> Program | None:
        """The program in a slot; None when the slot is empty, or there is none of that number."""
        return self.programs[number] if number < len(self.programs) else None


def factory_configuration(model: DeviceModel, revision: int) -> Configuration:
    """The configuration that a device of this model leaves the factory with."""
    programs: list[Program | None] = []
    for default in model.programs:
        areas = tuple(area.settings(number) for number, area in enumerate(default.areas))
        programs.append(Program(default.name, areas, revision, areas_checksum(areas)))
    programs += [None] * (model.program_slots - len(programs))
    limits = Limits(
        amplitude_microamps=model.ranges.amplitude_microamps.maximum,
        pulse_width_us=model.ranges.pulse_width_us.maximum,
        rate_millihertz=model.ranges.rate_millihertz.maximum,
        charge_per_phase_nanocoulombs=model.limits.charge_per_phase_nanocoulombs.value,
        revision=revision,
    )
    return Configuration(revision, 0 if model.programs else NO_PROGRAM, limits, tuple(programs))


class Committed(NamedTuple):
    """A transaction that took effect: the request it came with, and the answer it got."""

    opcode: int
    payload: bytes
    answer: bytes


class Journal:
    """The transactions of one host: the last ones kept, and the highest no longer kept."""

    def __init__(self) -> None:
        self.kept: OrderedDict[int, Committed] = OrderedDict()
        self.forgotten = 0

    @property
    def last(self) -> int:
        return max([self.forgotten, *self.kept])

    def record(self, transaction: int, committed: Committed) -> None:
        self.kept[transaction] = committed
        if len(self.kept) > TRANSACTIONS_PER_HOST:
            dropped, _ = self.kept.popitem(last=False)
            self.forgotten = max(self.forgotten, dropped)


class Memory:
    """The device's lasting memory."""

    def __init__(self, model: DeviceModel, serial: str) -> None:
        self.serial = serial
        self.boot_counter = 0
        self.configuration = factory_configuration(model, revision=1)
        self.counters = Counters(*[0] * len(Counters.__struct_fields__))
        self.faults: dict[FaultCode, FaultRecord] = {}
        self.battery_tier: BatteryTier = BatteryTier.OK
        self.clock_offset_us: int | None = None
        self.dose_starts: list[int] = []
        """When doses were begun within the last day, on a model that limits them. Times go on over restarts."""
        self.first_therapy_at: int | None = None
        self.mri_until: int | None = None
        self._journals: OrderedDict[int, Journal] = OrderedDict()
        self._log: list[LogEntry] = []
        self._log_capacity = model.log_entries
        self.log_dropped = 0

    def commit(self, configuration: Configuration) -> int:
        """Replace the configuration as a whole; the revision rises by one and is returned."""
        revision = self.configuration.revision + 1
        self.configuration = msgspec.structs.replace(configuration, revision=revision)
        return revision

    def store_program(self, number: int, program: Program | None) -> int:
        """Replace one slot; the revision is returned. An emptied slot is neither active nor in the schedule after."""
        programs = list(self.configuration.programs)
        programs[number] = program and msgspec.structs.replace(program, revision=self.configuration.revision + 1)
        active, schedule = self.configuration.active_program, self.configuration.schedule
        if program is None:
            active = NO_PROGRAM if number == active else active
            schedule = tuple(row for row in schedule if row.program != number)
        changed = {"programs": tuple(programs), "active_program": active, "schedule": schedule}
        return self.commit(msgspec.structs.replace(self.configuration, **changed))

    def journal(self, host_id: int) -> Journal:
        """The transactions of a host; of hosts beyond the last few nothing is kept."""
        journal = self._journals.setdefault(host_id, Journal())
        self._journals.move_to_end(host_id)
        if len(self._journals) > HOSTS:
            self._journals.popitem(last=False)
        return journal

    def count(self, counter: str, by: int = 1) -> None:
        self.counters = msgspec.structs.replace(self.counters, **{counter: getattr(self.counters, counter) + by})

    def log(self, code: LogCode, argument: int, *, uptime_us: int) -> None:
        number = self._log[-1].number + 1 if self._log else 1
        self._log.append(LogEntry(number, self.boot_counter, uptime_us // 1000, code, argument))
        if len(self._log) > self._log_capacity:
            del self._log[0]
            self.log_dropped += 1

    def log_entries(self) -> list[LogEntry]:
        """The entries kept, oldest first."""
        return self._log

    def raise_fault(self, fault: FaultCode, *, contact: int = WHOLE_MESSAGE, value: int, uptime_us: int) -> None:
        times = self.faults[fault].times + 1 if fault in self.faults else 1
        self.faults[fault] = FaultRecord(fault, Latch.LATCHED, contact, min(times, 0xFFFF), value, uptime_us // 1000)

    def clear_fault(self, fault: FaultCode) -> None:
        self.faults[fault] = msgspec.structs.replace(self.faults[fault], latch=Latch.CLEARED)

    @property
    def latched_faults(self) -> list[FaultCode]:
        return [fault for fault in sorted(self.faults) if self.faults[fault].latch is Latch.LATCHED] if self.faults else []
