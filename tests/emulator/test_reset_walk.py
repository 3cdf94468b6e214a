"""Random walks through resets of every cause: what a device has in memory is what it would find at its next boot."""

from __future__ import annotations

import random

import msgspec
import pytest
from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.faults import FailingFlash, Moment, PowerCut
from ipg_emulator.firmware.memory import Memory
from ipg_emulator.firmware.store import Store
from ipg_emulator.firmware.therapy import Goal
from ipg_emulator.model import load
from ipg_emulator.surroundings import Surroundings
from ipg_protocol import Role, State, encode_frame, request_frame
from ipg_protocol.commands.link import Reset, ResetCause, SelfTest, SetTime
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode
from ipg_protocol.commands.programs import RestoreCheckpoint, SaveCheckpoint, SelectProgram
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ScheduleRow, SetAmplitude, StartTherapy, StopMode, StopTherapy, WriteSchedule

STEPS = 200
MIDNIGHT_MS = 1_800_000_000_000 // 86_400_000 * 86_400_000
PAUSES_US = (0, 1, 10_000, 20_000, 500_000, 2_000_000, 30_000_000)
ROWS = (ScheduleRow(0, 1, 1), ScheduleRow(2, 1, 0))


def walked(name):
    """A model whose therapy is resumed."""
    return msgspec.structs.replace(load(name), therapy_after_reset=load("scs-rechargeable").therapy_after_reset)


class Walk:
    """A device in a world that cuts its power in any write."""

    def __init__(self, make_bench, name, seed):
        self.chance = random.Random(seed)
        self.memory = FlashMemory()
        self.flash = FailingFlash(self.memory, self.chance.getrandbits)
        self.bench = make_bench(walked(name), seed=seed, flash=self.flash, charge_permille=self.chance.choice((1000, 30, 5)))
        self.surroundings = Surroundings(self.bench.firmware)
        self._last_id = 0

    def step(self):
        """Do anything; where that cuts the power, the device boots."""
        bench, chance = self.bench, self.chance
        bench.now += chance.choice(PAUSES_US)
        if chance.random() < 0.05:
            self.flash.fail_at(chance.randrange(3), chance.choice(list(Moment)))
        firmware, now = bench.firmware, bench.now
        happenings = (
            *[self.ask] * 14,
            lambda: self.surroundings.magnet(chance.random() < 0.5, now),
            lambda: firmware.fail(chance.choice((ResetCause.BROWN_OUT, ResetCause.WATCHDOG)), now),
            lambda: firmware.power_lost(now),
            *[lambda: firmware.power_restored(now)] * 3,
        )
        try:
            firmware.wake(now)
            chance.choice(happenings)()
        except PowerCut:
            self.flash.fail_at(None, Moment.BEFORE)
            firmware.fail(ResetCause.BROWN_OUT, now)
        bench.frames()

    def ask(self):
        chance, bench = self.chance, self.bench
        opening = OpenSession(Role.SERVICE, chance.choice((7, 8)), chance.getrandbits(32))
        number = bench.transaction()
        request = (
            opening
            if bench.firmware.link.session is None
            else chance.choice(
                (
                    *[StartTherapy(number)] * 3,
                    StopTherapy(StopMode.RAMP),
                    SelectProgram(number, chance.randrange(2)),
                    SetAmplitude(number, 0, chance.choice((500, 1000))),
                    SetTime(number, MIDNIGHT_MS),
                    WriteSchedule(number, ROWS),
                    SaveCheckpoint(number, 0),
                    RestoreCheckpoint(number, 0),
                    EnterMriMode(number, 1),
                    LeaveMriMode(number),
                    SelfTest(),
                    Reset(number),
                    opening,
                )
            )
        )
        self._last_id = 1 if request is opening else self._last_id + 1
        bench.firmware.receive(encode_frame(request_frame(request, self._last_id)), bench.now)

    def stored(self):
        """What a boot would find."""
        copy = FlashMemory()
        copy.tear(0, self.memory.read(0, self.memory.page_count * self.memory.page_bytes))
        return Memory(self.bench.model, self.bench.device.serial, Store(copy))


def kept(memory):
    journals = {host: (memory.journal(host).kept, memory.journal(host).forgotten) for host in (7, 8)}
    state = (memory.configuration, memory.checkpoints, memory.faults, memory.condition)
    return (*state, memory.log_entries(), memory.log_dropped, memory.last_event, journals)


def is_meant_to_run(delivery):
    runs = delivery.is_using_active_program and delivery.therapy.goal is not Goal.STOPPING
    return runs and (delivery._boost is None or delivery._goes_back)


@pytest.mark.parametrize("name", ["scs-rechargeable", "vns-implanted", "pns-percutaneous", "tdcs"])
@pytest.mark.parametrize("seed", range(4))
def test_a_boot_finds_what_the_device_had_in_memory_and_whether_therapy_was_to_run(make_bench, name, seed):
    walk = Walk(make_bench, name, seed)
    for step in range(STEPS):
        walk.step()
        device, memory = walk.bench.device, walk.bench.firmware.memory
        if device.state is not State.BOOT and walk.bench.firmware.wake_at() is not None:
            assert memory.condition.therapy_on == is_meant_to_run(device.delivery)
        if step % 10 == 0:
            found = walk.stored()
            assert kept(found) == kept(memory)
            assert memory.events.items() <= found.events.items()
