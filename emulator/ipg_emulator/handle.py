"""A running device as a test sees it beside its link: what it delivers, what it refused and why, its surroundings, its time.

Times are seconds of the device's time, as `now` tells them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum, IntFlag
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ipg_protocol.command import EVENT_OF
from ipg_protocol.wire import Message

from ipg_emulator.control import operations as ops
from ipg_emulator.control.answers import (
    Description,
    LogLine,
    SeenEvent,
    SeenRefusal,
    Silence,
    SnapshotReport,
    StateReport,
    TimeReport,
    TraceLine,
)
from ipg_emulator.control.operation import Operation, StillToCome, perform
from ipg_emulator.control.plain import plain
from ipg_emulator.control.witness import witness_of
from ipg_emulator.delivered import Delivery
from ipg_emulator.faults.fault import Fault
from ipg_emulator.virtual import Subject

if TYPE_CHECKING:
    from ipg_emulator.control.channel import Channel

A = TypeVar("A")

POLL_SECONDS = 0.002
"""How often it is looked whether what is waited for in real time has happened."""


class Handle:
    """One device, by whatever way its operations reach it.

    Every method raises `OperationError` where the device cannot do what is asked; nothing has changed then.
    """

    def __init__(self, ask: Callable[[Operation[Any]], Any]) -> None:
        """`ask` has an operation run on the device, and gives its answer."""
        self._ask = ask
        self._waited_for = 0

    def ask(self, operation: Operation[A]) -> A:
        """Have any operation run."""
        answer: A = self._ask(operation)
        return answer

    # The device and its time

    def describe(self) -> Description:
        """Model, serial number, seed."""
        return self.ask(ops.Describe())

    def state(self) -> StateReport:
        """The device at this moment."""
        return self.ask(ops.GetState())

    def time(self) -> TimeReport:
        """The device's time, and how it passes."""
        return self.ask(ops.GetTime())

    @property
    def now(self) -> float:
        """The device's time."""
        return self.time().at_seconds

    def advance(self, seconds: float) -> float:
        """Let so much time pass at once; the time then."""
        return self.ask(ops.Advance(seconds)).at_seconds

    # What goes wrong

    def inject(self, fault: Fault) -> int:
        """Let something go wrong from now on; the number by which it can be removed."""
        return self.ask(ops.InjectFault(fault)).number

    def remove_fault(self, number: int) -> None:
        """Let it be well again."""
        self.ask(ops.RemoveFault(number))

    def clear_faults(self) -> None:
        """Let everything be well again."""
        self.ask(ops.ClearFaults())

    def faults(self) -> list[ops.PlannedFault]:
        """What goes wrong, and how often it has."""
        return self.ask(ops.ListFaults())

    # What is round it

    def posture(self, name: str) -> None:
        """The patient moves into another posture."""
        self.ask(ops.TakePosture(name))

    def cough(self) -> None:
        """The patient coughs once."""
        self.ask(ops.Cough())

    def migrate_leads(self, contacts: float) -> None:
        """The leads shift along the cord by so many contacts."""
        self.ask(ops.MigrateLeads(contacts))

    def break_lead(self, contact: int, fault: str = "open") -> None:
        """A contact breaks: open, short, breach or intermittent."""
        self.ask(ops.BreakLead(contact, fault))

    def mend_lead(self, contact: int) -> None:
        """A contact is sound again."""
        self.ask(ops.MendLead(contact))

    def magnet(self, present: bool = True) -> None:
        """A magnet comes, or goes."""
        self.ask(ops.HoldMagnet(present))

    def charger(self, coupling_permille: int = 1000) -> None:
        """The charger is laid over the implant, moved, or (0) taken away."""
        self.ask(ops.PlaceCharger(coupling_permille))

    def battery(self, tier: str) -> None:
        """The cell is at a tier's level: OK, LOW, ERI or EOS. The device finds out when it next checks its battery."""
        self.ask(ops.SetBattery(tier))

    def worn_disc(self, present: bool) -> None:
        """The disc that feeds the device is put on, or lifted."""
        self.ask(ops.WearDisc(present))

    def replace_battery(self) -> None:
        """A new cell is put in; the device boots on it."""
        self.ask(ops.ReplaceBattery())

    def brown_out(self) -> None:
        """The supply gives way for a moment: the device boots on what it has stored."""
        self.ask(ops.GiveWay())

    def cut_power(self) -> None:
        """The supply is gone, until `restore_power`."""
        self.ask(ops.CutPower())

    def restore_power(self) -> None:
        """The supply is back: the device boots."""
        self.ask(ops.RestorePower())

    # What has happened

    def delivered(self, between: tuple[float, float] | None = None, area: int | None = None) -> Delivery:
        """What was really delivered between two times; without them, since it was watched."""
        start, end = between or (None, None)
        return self.ask(ops.Delivered(start, end, area))

    def no_stimulation(self, after: float, before: float | None = None, area: int | None = None) -> None:
        """Nothing was delivered after a time, up to another or to now.

        Raises:
            AssertionError: something was; it says what, and when. Or no time has passed in which anything could have been.
        """
        delivery = self.ask(ops.Delivered(after, before, area))
        if delivery.from_seconds == delivery.until_seconds:
            raise AssertionError(f"no time has passed since {after:.6f} s, so nothing is shown: let some pass first")
        times = f"between {delivery.from_seconds:.6f} s and {delivery.until_seconds:.6f} s"
        if not delivery.is_nothing:
            raise AssertionError(f"there was stimulation {times}:\n{delivery}")

    def wait_for(self, event: str | type[Message], within: float = 10.0, **fields: object) -> SeenEvent:
        """The next event of this kind with these fields, of those that came after the one waited for before.

        Where time stands still, so much of it passes; else the event is waited for.

        Raises:
            AssertionError: it did not come within so many seconds of the device's time; it says what came instead.
        """
        name = event if isinstance(event, str) else EVENT_OF[event].name
        wanted = {field: _plain(value) for field, value in fields.items()}
        waited = self.ask(ops.WaitFor(name, within, wanted, self._waited_for))
        if waited.event is None:
            raise AssertionError(_missing(name, wanted, waited))
        self._waited_for = waited.event.number
        return waited.event

    def events(self, after: int = 0) -> list[SeenEvent]:
        """The events that the device has raised, numbered from 1."""
        return self.ask(ops.Events(after))

    def refusals(self) -> list[SeenRefusal]:
        """Which requests were refused, and why."""
        return self.ask(ops.Refusals())

    def silences(self) -> list[Silence]:
        """What was dropped, ignored or altered, by reason."""
        return self.ask(ops.Silences())

    def trace(self, last: int = 100) -> list[TraceLine]:
        """The last bytes of the link, and what they say."""
        return self.ask(ops.Trace(last))

    def log(self) -> list[LogLine]:
        """The device's log."""
        return self.ask(ops.ReadLog())

    def counters(self) -> dict[str, int]:
        """What the device and its link have counted."""
        return self.ask(ops.ReadCounters())

    # As it was

    def snapshot(self, name: str = "snapshot") -> SnapshotReport:
        """Keep the whole device as it is."""
        return self.ask(ops.TakeSnapshot(name))

    def restore(self, name: str = "snapshot") -> SnapshotReport:
        """Go on from a snapshot, at its time."""
        return self.ask(ops.RestoreSnapshot(name))

    def write_snapshot(self, path: str, name: str = "snapshot") -> None:
        """Write a snapshot to a file, which `ipg-emulator run --snapshot` goes on from.

        Raises:
            OSError: it cannot be written.
        """
        content = self.ask(ops.ExportSnapshot(name)).content
        with open(path, "wb") as file:
            file.write(content)

    def snapshots(self) -> list[SnapshotReport]:
        """The snapshots that are kept."""
        return self.ask(ops.ListSnapshots())


def local(subject: Subject) -> Handle:
    """The handle of a device in this process, which is watched from now on."""
    witness_of(subject.ipg)
    return Handle(partial(_perform, subject))


def over(channel: Channel, device: int = 0) -> Handle:
    """The handle of a device at the other end of a control channel; one of several has its number, from 0."""
    return Handle(partial(channel.ask, device))


def _perform(subject: Subject, operation: Operation[A]) -> A:
    """Run an operation, and let real time pass meanwhile if it waits for something."""
    while True:
        try:
            return perform(operation, subject)
        except StillToCome as later:
            operation = later.again
            time.sleep(POLL_SECONDS)


def _plain(value: object) -> object:
    return plain(value) if isinstance(value, Enum | IntFlag | bytes) else value


def _missing(name: str, fields: Mapping[str, object], waited: ops.Waited) -> str:
    wanted = " ".join([name, *(f"{field}={value}" for field, value in fields.items())])
    told = "".join(f"\n  {event.at_seconds:.6f} s {event.name} {event.fields}" for event in waited.instead)
    return f"there was no {wanted} by {waited.until_seconds:.6f} s; what came instead:{told or ' nothing'}"
