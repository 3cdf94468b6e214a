"""The device's lasting memory: read from the store at every boot, and what has changed written back in one atomic record.

What is not written does not outlive the boot, whatever ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from ipg_protocol.commands.log import Counters, FaultRecord, Latch, LogCode, LogEntry
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.vocabulary import FaultCode

from ipg_emulator.board import Flash
from ipg_emulator.firmware import layout
from ipg_emulator.firmware.configuration import CHECKPOINTS, Configuration, Program, factory_configuration
from ipg_emulator.firmware.journal import Committed, Journal, Journals
from ipg_emulator.firmware.layout import Condition, Identity, StoredEvent
from ipg_emulator.firmware.store import Store
from ipg_emulator.model import DeviceModel


class ForeignMemory(Exception):
    """The memory is another device's."""


class Memory:
    """All that the device keeps. It is changed freely, and `save` makes it last."""

    def __init__(self, model: DeviceModel, serial: str, store: Store) -> None:
        """Read the memory; what the factory puts there, if there is none.

        Raises:
            ForeignMemory: it belongs to another model or serial number.
        """
        self.serial = serial
        self._store = store
        self._log_capacity = model.log_entries
        self.configuration = factory_configuration(model, revision=1)
        self.checkpoints: tuple[Configuration | None, ...] = (None,) * CHECKPOINTS
        self.counters = Counters(*[0] * len(Counters.__struct_fields__))
        self.faults: dict[FaultCode, FaultRecord] = {}
        self.condition = Condition()
        self.acknowledged_event = 0
        self.events: dict[int, bytes] = {}
        """The last events that were not acknowledged: their frames by their numbers, oldest first."""
        self._log: list[LogEntry] = []
        self._journals = Journals()
        self._time = 0
        self._unsaved: dict[bytes, bytes | None] = {}
        self._written: dict[bytes, Any] = {}
        if store.values:
            self._check_identity(Identity(layout.LAYOUT, model.name, serial))
            self._read()
            self._written = self._parts()
        else:
            self._unsaved[layout.IDENTITY] = layout.encode(layout.IDENTITY, Identity(layout.LAYOUT, model.name, serial))
        self._saved = self._essence()

    # The store

    def _check_identity(self, own: Identity) -> None:
        stored = self._store.values.get(layout.IDENTITY)
        try:
            found = stored and layout.decode(layout.IDENTITY, stored)
        except msgspec.MsgspecError:
            found = None
        if found != own:
            whose = f"{found.serial} ({found.model}, layout {found.layout})" if found else "no device of this kind"
            raise ForeignMemory(f"it belongs to {whose}, not to {own.serial} ({own.model}, layout {own.layout})")

    def _read(self) -> None:
        values = self._store.values
        stored = {key: layout.decode(key, data) for key, data in values.items() if key[:1] != layout.JOURNAL}
        self.condition = stored[layout.CONDITION]
        self.counters, self.faults = stored[layout.COUNTERS], stored[layout.FAULTS]
        self._time, self.acknowledged_event = stored[layout.TIME], stored[layout.ACKNOWLEDGED]
        slots = range(len(self.configuration.programs))
        programs = tuple(stored.get(layout.numbered(layout.PROGRAM, slot)) for slot in slots)
        self.configuration = layout.configuration_of(stored[layout.SETTINGS], programs)
        kept = [layout.numbered(layout.CHECKPOINT, number) for number in range(CHECKPOINTS)]
        self.checkpoints = tuple(map(stored.get, kept))
        self._log = sorted((row for key, row in stored.items() if key[:1] == layout.LOG), key=lambda row: row.number)
        events = sorted((row for key, row in stored.items() if key[:1] == layout.EVENT), key=lambda row: row.number)
        self.events = {event.number: event.frame for event in events if event.number > self.acknowledged_event}
        for key, data in values.items():
            if key[:1] == layout.JOURNAL:
                self._journals.put(*layout.journal_place(key), layout.decode(key, data))

    def _essence(self) -> tuple[object, ...]:
        """What must not be lost, beside what is appended to log, journals and events."""
        return (self.configuration, self.checkpoints, self.faults, self.condition)

    def _parts(self) -> dict[bytes, Any]:
        """Every part of the memory that is not appended to, by its key."""
        configuration = self.configuration
        parts: dict[bytes, Any] = {
            layout.CONDITION: self.condition,
            layout.COUNTERS: self.counters,
            layout.ACKNOWLEDGED: self.acknowledged_event,
            layout.FAULTS: self.faults,
            layout.SETTINGS: layout.settings_of(configuration),
        }
        parts |= {layout.numbered(layout.PROGRAM, slot): program for slot, program in enumerate(configuration.programs)}
        parts |= {layout.numbered(layout.CHECKPOINT, number): kept for number, kept in enumerate(self.checkpoints)}
        return parts

    def save(self, now: int) -> None:
        """Write all that has changed, in one record; without such a change, nothing.

        Counters and acknowledgements go along with the next record, but are not worth one of their own.
        """
        if self._unsaved or self._essence() != self._saved:
            self.flush(now)

    def flush(self, now: int) -> None:
        """Write all that has changed, counters and acknowledgements too; into a flash that takes nothing, nothing."""
        if not self.is_writable:
            return
        parts = self._parts()
        changes = self._unsaved | {
            key: None if part is None else layout.encode(key, part)
            for key, part in parts.items()
            if self._written.get(key) != part
        }
        self._time = now
        self._store.write({**changes, layout.TIME: layout.encode(layout.TIME, now)})
        self._unsaved, self._written, self._saved = {}, parts, self._essence()

    @property
    def is_writable(self) -> bool:
        """Whether what changes can be made to last."""
        return self._store.flash.is_writable

    def move_to(self, flash: Flash) -> None:
        """Go on in a flash that holds the same, such as the same with something wrong or mended."""
        self._store.flash = flash

    def findings(self) -> Iterator[tuple[LogCode, int]]:
        """What the log has to say of the store as this boot found it."""
        found = self._store.recovery
        if found.is_lost:
            yield LogCode.STORAGE_LOST, 0
        elif found.lost_records or found.fell_back:
            yield LogCode.STORAGE_RECOVERED, found.lost_records

    # Configuration

    def commit(self, configuration: Configuration) -> int:
        """Replace the configuration as a whole; the revision rises by one and is returned."""
        revision = self.configuration.revision + 1
        self.configuration = msgspec.structs.replace(configuration, revision=revision)
        return revision

    def store_program(self, number: int, program: Program | None) -> int:
        """Replace one slot; the revision is returned. An emptied slot is neither active nor in the schedule after."""
        return self.commit(self.configuration.storing(number, program))

    # Condition

    def note(self, **changes: Any) -> None:
        """Take note of what the device is in: fields of `Condition`."""
        self.condition = msgspec.structs.replace(self.condition, **changes)

    def begin_boot(self, now: int, *, keeps_clock: bool, time_went_on: bool) -> None:
        """Count the boot. Where the device's time has begun anew, what is kept in it is moved; a clock without power is lost.

        Changes that the store has lost may have been boots, so they count as such: no boot counter is ever used twice.
        """
        if not time_went_on:
            self.condition = self.condition.shifted(now - self._time)
        boots = self.condition.boot_counter + 1 + self._store.recovery.lost_records
        self.note(boot_counter=boots, clock_set=self.condition.clock_set if keeps_clock else None)
        self.count("boots")

    @property
    def boot_counter(self) -> int:
        return self.condition.boot_counter

    # Transactions

    def journal(self, host_id: int) -> Journal:
        """The transactions of a host; of hosts beyond the last few that changed something, nothing is kept."""
        return self._journals.of(host_id)

    def record(self, host_id: int, transaction: int, committed: Committed) -> None:
        """Take note that a change has taken effect."""
        self.count("changes_committed")
        slot, entry = self._journals.record(host_id, transaction, committed)
        self._unsaved[layout.journal_key(host_id, slot)] = layout.encode(layout.JOURNAL, entry)
        for dropped, journal in self._journals.displaced().items():
            self._unsaved |= {layout.journal_key(dropped, place): None for place in journal.slots}

    # Counters, log and events

    def count(self, counter: str, by: int = 1) -> None:
        self.counters = msgspec.structs.replace(self.counters, **{counter: getattr(self.counters, counter) + by})

    def log(self, code: LogCode, argument: int, *, uptime_us: int) -> None:
        number = self._log[-1].number + 1 if self._log else 1
        entry = LogEntry(number, self.boot_counter, uptime_us // 1000, code, argument)
        self._log.append(entry)
        del self._log[: -self._log_capacity]
        key = layout.numbered(layout.LOG, number % self._log_capacity)
        self._unsaved[key] = layout.encode(key, entry)

    def log_entries(self) -> list[LogEntry]:
        """The entries kept, oldest first."""
        return self._log

    @property
    def log_dropped(self) -> int:
        """How many entries are no longer kept."""
        return self._log[0].number - 1 if self._log else 0

    @property
    def last_event(self) -> int:
        """The number of the newest event, 0 if there was none."""
        return max(self.acknowledged_event, *self.events) if self.events else self.acknowledged_event

    def add_event(self, number: int, frame: bytes) -> None:
        """Keep an event until it is acknowledged; beyond the last few, the oldest is dropped."""
        self.events[number] = frame
        if len(self.events) > layout.EVENTS_KEPT:
            del self.events[next(iter(self.events))]
        key = layout.numbered(layout.EVENT, number % layout.EVENTS_KEPT)
        self._unsaved[key] = layout.encode(key, StoredEvent(number, frame))

    def acknowledge(self, number: int) -> None:
        """Drop every event up to `number`; a number never used acknowledges nothing."""
        if self.acknowledged_event < number <= self.last_event:
            self.acknowledged_event = number
            self.events = {kept: frame for kept, frame in self.events.items() if kept > number}

    # Faults

    def raise_fault(self, fault: FaultCode, *, contact: int = WHOLE_MESSAGE, value: int, uptime_us: int) -> None:
        times = self.faults[fault].times + 1 if fault in self.faults else 1
        record = FaultRecord(fault, Latch.LATCHED, contact, min(times, 0xFFFF), value, uptime_us // 1000)
        self.faults = {**self.faults, fault: record}

    def clear_fault(self, fault: FaultCode) -> None:
        self.faults = {**self.faults, fault: msgspec.structs.replace(self.faults[fault], latch=Latch.CLEARED)}

    @property
    def latched_faults(self) -> list[FaultCode]:
        return [fault for fault in sorted(self.faults) if self.faults[fault].latch is Latch.LATCHED] if self.faults else []
