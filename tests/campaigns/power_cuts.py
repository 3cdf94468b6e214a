"""Power cut before, inside and after every storage operation of a programmed device, and again while it recovers.

`python tests/campaigns/power_cuts.py [WORKLOADS]` runs so many seeded workloads on whole devices and prints the counts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from random import Random
from typing import Any, NamedTuple

import msgspec
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults import FailingFlash, Moment, PowerCut
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import Configuration, areas_checksum
from ipg_emulator.model import DeviceModel, load
from ipg_protocol import FrameReader, Kind, Reply, Role, Status, decode_reply, encode_frame, request_frame
from ipg_protocol.command import Request
from ipg_protocol.commands.link import FactoryReset, ResetCause, TransactionOutcome, TransactionStatus
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    ScheduleRow,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StopMode,
    StopTherapy,
    WriteLimits,
    WriteSchedule,
)

FULL = 100
INTENTS = 80
PAGES = 28
"""Of the flash: as few as hold a device's memory, so that banks are compacted often."""
MODELS = ("scs-rechargeable", "dbs-primary", "tens")
HOST = 7
SECOND = 1_000_000
Memory = tuple[Configuration, tuple[Configuration | None, ...]]
Intent = Sequence[Request[Any]]


class Wrong(Exception):
    """A device was found in a state in which it never was."""


class Tally(NamedTuple):
    """What was cut, and what was found; wear is that of the most and the least worn page, over all that were compacted."""

    workloads: int = 0
    changes: int = 0
    operations: int = 0
    cuts: int = 0
    second_cuts: int = 0
    old: int = 0
    new: int = 0
    most_worn: int = 0
    least_worn: int = 0
    worst_wear_permille: int = 1000
    """The most worn page of a device against its least worn one."""

    def plus(self, other: Tally) -> Tally:
        sums = Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))
        return sums._replace(worst_wear_permille=max(self.worst_wear_permille, other.worst_wear_permille))


class Host:
    """A host at a device: it numbers its requests and reads the replies. The device's time is the host's."""

    def __init__(self, firmware: Firmware, now: int) -> None:
        self.firmware = firmware
        self.now = now
        self._reader = FrameReader()
        self._request_ids = count(1)

    def ask(self, request: Request[Any]) -> Reply:
        frame = request_frame(request, next(self._request_ids))
        self.firmware.receive(encode_frame(frame), self.now)
        heard = self._reader.feed(self.firmware.take_output(self.now), self.now)
        (answer,) = (frame for frame in heard if frame.kind is Kind.RESPONSE)
        return decode_reply(answer)

    def ask_all(self, requests: Intent) -> Reply:
        """The reply to the last; the others must be answered."""
        *first, last = requests
        for request in first:
            reply = self.ask(request)
            if reply.status is not Status.OK:
                return reply
        return self.ask(last)

    def open_session(self, nonce: int) -> None:
        reply = self.ask(OpenSession(Role.SERVICE, HOST, nonce))
        if reply.status is not Status.OK:
            raise Wrong(f"no session: {reply}")
        self._request_ids = count(1)

    def pass_time(self, microseconds: int) -> None:
        end = self.now + microseconds
        while (at := self.firmware.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.firmware.wake(self.now)
        self.now = end
        self.firmware.take_output(self.now)


def memory_of(firmware: Firmware) -> Memory:
    """What changes of configuration change."""
    return firmware.memory.configuration, firmware.memory.checkpoints


def intents(rng: Random, model: DeviceModel, firmware: Firmware) -> Iterator[Intent]:
    """Changes that a host may want to make to the device as it is, without end; some will be refused."""
    ranges = model.ranges
    for transaction in count(1):
        configuration = firmware.memory.configuration
        slot = rng.randrange(model.program_slots)
        area = model.programs[0].areas[0].settings(0)
        program = (msgspec.structs.replace(area, amplitude_microamps=rng.choice(list(ranges.amplitude_microamps.values()))),)
        limits = configuration.limits
        rows = (ScheduleRow(rng.randrange(1440), rng.randrange(1, 60), configuration.active_program),)
        yield rng.choice((
            [SetAmplitude(transaction, 0, rng.choice(list(ranges.amplitude_microamps.values())[:50]))],
            [SetPulseWidth(transaction, 0, rng.choice(list(ranges.pulse_width_us.values())))],
            [SetRate(transaction, 0, rng.choice(list(ranges.rate_millihertz.values())))],
            [SelectProgram(transaction, slot)],
            [WriteLimits(transaction, limits.amplitude_microamps, limits.pulse_width_us, limits.rate_millihertz, 10_000)],
            [WriteSchedule(transaction, rows)],
            [SaveCheckpoint(transaction, rng.randrange(2))],
            [RestoreCheckpoint(transaction, rng.randrange(2))],
            [EraseProgram(transaction, slot)],
            [FactoryReset(transaction)] if rng.random() < 0.1 else [StartTherapy(transaction)],
            [
                BeginProgramWrite(slot, 1, f"program {transaction}"),
                *(WriteProgramBlock(slot, block) for block in program),
                CommitProgram(transaction, slot, areas_checksum(program)),
            ],
        ))  # fmt: skip


def cuts() -> Iterator[tuple[int, Moment]]:
    """Every moment of every operation, in order, without end."""
    return ((at, moment) for at in count() for moment in Moment)


class Trial:
    """One device whose power fails before, inside and after each storage operation, beside one whose power never fails."""

    def __init__(self, model: DeviceModel, seed: int) -> None:
        self.rng = Random(f"{model.name} {seed}")
        self.tally = Tally(workloads=1)
        self._model = model
        self._flash = FlashMemory(page_count=PAGES)
        self._supply = FailingFlash(self._flash, self.rng.getrandbits)
        self._twin = Host(build_device(model, seed=seed), boot_finished_at(model))
        self._twin.open_session(0)
        self._host = Host(self._power_on(seed), boot_finished_at(model))
        self._boots = 0
        self._check_boot()
        self._host.open_session(0)

    def run(self, wanted: int) -> Tally:
        """Make so many changes. Raises `Wrong` when the device is found as it never was."""
        for intent in intents(Random(self.rng.random()), self._model, self._twin.firmware):
            if self._twin.ask_all(intent).status is Status.OK:
                self._carry_out(intent, memory_of(self._twin.firmware))
                self._add(changes=1)
            if isinstance(intent[-1], StartTherapy):
                self._stop()
            if self.tally.changes == wanted:
                break
        wear = self._flash.wear()
        self._add(most_worn=max(wear), least_worn=min(wear))
        return self.tally._replace(worst_wear_permille=1000 * max(wear) // max(1, min(wear)))

    def _power_on(self, seed: int) -> Firmware:
        """Power on for the first time, with a cut at each operation."""
        for at, moment in cuts():
            self._supply.fail_at(at, moment)
            try:
                firmware = build_device(self._model, seed=seed, flash=self._supply)
            except PowerCut:
                self._add(cuts=1, operations=self._supply.operations)
            else:
                self._supply.fail_at(None, Moment.BEFORE)
                return firmware
        raise AssertionError("cuts() ends")

    def _carry_out(self, intent: Intent, wanted: Memory) -> None:
        """Make a change, with a cut at each of its operations in turn, until it is made."""
        host, before = self._host, memory_of(self._host.firmware)
        for at, moment in cuts():
            self._supply.fail_at(at, moment)
            try:
                reply = host.ask_all(intent)
            except PowerCut:
                self._recover()
                if self._found(intent[-1], before, wanted):
                    return
            else:
                if reply.status is not Status.OK or memory_of(host.firmware) != wanted:
                    raise Wrong(f"{intent[-1]}: {reply}")
                self._add(operations=self._supply.operations)
                self._supply.fail_at(None, Moment.BEFORE)
                return

    def _found(self, change: Any, before: Memory, wanted: Memory) -> bool:
        """Whether the change is found made, after a cut. It is made whole and journalled, or neither."""
        found = memory_of(self._host.firmware)
        report = self._host.ask(TransactionStatus(change.transaction)).body
        is_new = report.outcome is TransactionOutcome.COMMITTED  # type: ignore[attr-defined]
        if found != (wanted if is_new else before):
            raise Wrong(f"{change}: {report}, but {found}")
        self._add(new=int(is_new), old=int(not is_new))
        return is_new

    def _stop(self) -> None:
        """Stop therapy on both, with a cut at each operation, until it is off and stays off over a reset."""
        self._twin.ask(StopTherapy(StopMode.IMMEDIATE))
        self._twin.pass_time(10 * SECOND)
        for at, moment in cuts():
            self._supply.fail_at(at, moment)
            try:
                self._host.ask(StopTherapy(StopMode.IMMEDIATE))
                self._host.pass_time(10 * SECOND)
            except PowerCut:
                self._recover()
            else:
                self._supply.fail_at(None, Moment.BEFORE)
                return

    def _recover(self) -> None:
        """Boot after a cut, with a second one most times, and boot a third time: the same must be found."""
        self._add(cuts=1, operations=self._supply.operations)
        host = self._host
        at = 0 if self.rng.random() < 0.7 else self.rng.randrange(40)
        self._supply.fail_at(at, self.rng.choice(list(Moment)))
        try:
            host.firmware.fail(ResetCause.BROWN_OUT, host.now)
        except PowerCut:
            self._add(second_cuts=1)
            self._supply.fail_at(None, Moment.BEFORE)
            host.firmware.fail(ResetCause.BROWN_OUT, host.now)
        self._supply.fail_at(None, Moment.BEFORE)
        found = memory_of(host.firmware)
        self._check_boot()
        host.firmware.fail(ResetCause.WATCHDOG, host.now)
        self._check_boot()
        if memory_of(host.firmware) != found:
            raise Wrong(f"found {found}, and at the next boot {memory_of(host.firmware)}")
        host.pass_time(boot_finished_at(self._model))
        host.open_session(self.rng.getrandbits(32))

    def _check_boot(self) -> None:
        memory = self._host.firmware.memory
        numbers = [entry.number for entry in memory.log_entries()]
        if memory.boot_counter <= self._boots or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise Wrong(f"boot {memory.boot_counter} after {self._boots}, log {numbers}")
        self._boots = memory.boot_counter

    def _add(self, **more: int) -> None:
        self.tally = self.tally._replace(**{name: getattr(self.tally, name) + by for name, by in more.items()})


def campaign(seed: int, wanted: int = INTENTS) -> Tally:
    """One workload, on one of the models in turn."""
    return Trial(load(MODELS[seed % len(MODELS)]), seed).run(wanted)


def describe(total: Tally) -> str:
    return (
        f"{total.workloads} workloads, {total.changes:,} changes through the wire, {total.operations:,} storage operations: "
        f"{total.cuts:,} power cuts, {total.second_cuts:,} second ones while booting; "
        f"found the old state {total.old:,} times, the new {total.new:,} times, another 0 times; "
        f"pages erased {total.least_worn:,} to {total.most_worn:,} times, ratio at worst {total.worst_wear_permille / 1000:.2f}"
    )


def main(arguments: Sequence[str] = ()) -> int:
    """Run all of it; 1 if pages wear unevenly. A device in a wrong state raises, and names its seed."""
    workloads = int(arguments[0]) if arguments else FULL
    total = Tally()
    with ProcessPoolExecutor(2) as pool:
        for tally in pool.map(campaign, range(workloads)):
            total = total.plus(tally)
    print(describe(total))
    return 1 if total.worst_wear_permille > 2000 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
