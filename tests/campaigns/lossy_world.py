"""One host, one device, and a link between them that loses and repeats, in virtual time; the device resets at any moment."""

from __future__ import annotations

import random
from collections import Counter
from enum import Enum, unique
from heapq import heappop, heappush
from itertools import count
from typing import Any

from ipg_emulator.board.flash import FlashMemory
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.flash import FailingFlash, Moment, PowerCut
from ipg_emulator.firmware.layout import JOURNAL
from ipg_emulator.firmware.store import Store
from ipg_emulator.model import load
from ipg_host.session import Session
from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, Request, encode_frame
from ipg_protocol.commands.link import ResetCause, TransactionStatus
from ipg_protocol.wire import Message

MODEL = "pns-percutaneous"
"""It stays off after a reset, so that every start of therapy is a host's."""
LOSS = 0.15
REPEAT = 0.10
RESET = 0.02
LATENCY_US = (2_000, 20_000)
LATE_US = 600_000
"""How late a repeat comes where the link does not keep the order: behind retries, later commands and resets."""
REQUEST_BYTE = 0x11


@unique
class Rules(Enum):
    """What keeps a change from being applied twice, and with what of it the host and the device do without."""

    ALL = "all rules"
    NO_JOURNAL = "request ids and stored answers, but a journal that does not outlive a boot"
    RETRY_ONLY = "retries only, which the device cannot know for repeats"


class NumberedAnew:
    """Gives every request that arrives at the device numbers of its own, so that none can be known for a repeat."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._original: dict[int, int] = {}

    def arriving(self, wire: bytes) -> bytes:
        """A request of the host, as the device takes it."""
        (frame,) = FrameReader().feed(wire, 0)
        entry = CATALOGUE[frame.opcode]
        number = next(self._numbers)
        self._original[number] = frame.request_id
        is_numbered = entry.is_change or entry.request is TransactionStatus
        payload = number.to_bytes(4, "little") + frame.payload[4:] if is_numbered else frame.payload
        return encode_frame(Frame(frame.kind, frame.opcode, number, payload))

    def received(self, wire: bytes) -> bytes:
        """A frame of the device, as the host takes it."""
        (frame,) = FrameReader().feed(wire, 0)
        if frame.kind is not Kind.RESPONSE:
            return wire
        return encode_frame(Frame(frame.kind, frame.opcode, self._original[frame.request_id], frame.payload))


class World:
    """One host, one device, and the link between them, in virtual time; everything that chance decides comes from the seed."""

    def __init__(self, seed: int, rules: Rules, *, in_order: bool) -> None:
        self.tally: Counter[str] = Counter()
        self._rng = random.Random(seed)
        self._rules = rules
        self._anew = NumberedAnew() if rules is Rules.RETRY_ONLY else None
        model = load(MODEL)
        self._memory = FlashMemory()
        self._flash = FailingFlash(self._memory, self._rng.getrandbits)
        self.device = build_device(model, seed=seed, flash=self._flash)
        self.host = Session(self._rng.random)
        self.now = boot_finished_at(model)
        self._in_order = in_order
        self._last_arrival = {True: 0, False: 0}
        self._arrivals: list[tuple[int, int, bool, bytes]] = []
        self._order = count()

    def ask(self, request: Request[Any]) -> Message:
        """What the host's session makes of a request.

        Raises:
            IpgError: the device refused, or the outcome is unknown.
        """
        exchange = self.host.request(request, self.now)
        self._exchange_bytes()
        while not exchange.done:
            self._go_on()
        answer: Message = exchange.result()
        return answer

    # Time

    def _go_on(self) -> None:
        """Let the next thing happen."""
        arrival = self._arrivals[0][0] if self._arrivals else None
        self.now = max(self.now, min(at for at in (arrival, self.host.wake_at(), self.device.wake_at()) if at is not None))
        try:
            if arrival is not None and arrival <= self.now:
                self._arrive()
            self.device.wake(self.now)
        except PowerCut:
            self._reset("during")
        self.host.wake(self.now)
        self._exchange_bytes()

    def _exchange_bytes(self) -> None:
        said = self.host.take_output()
        if said:
            self._carry(said, to_device=True)
        said = self.device.take_output(self.now)
        if said:
            self._carry(said, to_device=False)

    # The link

    def _carry(self, said: bytes, *, to_device: bool) -> None:
        rng = self._rng
        for piece in said.split(b"\0"):
            if not piece:
                continue
            wire = b"\0" + piece + b"\0"
            if to_device and wire[2] == REQUEST_BYTE:
                self._count_request(wire)
            if rng.random() >= LOSS:
                self._schedule(rng.randrange(*LATENCY_US), to_device, wire)
            if rng.random() < REPEAT:
                self._schedule(rng.randrange(LATENCY_US[0], LATENCY_US[1] if self._in_order else LATE_US), to_device, wire)

    def _count_request(self, wire: bytes) -> None:
        (frame,) = FrameReader().feed(wire, 0)
        self.tally["sends" if CATALOGUE[frame.opcode].is_change else "other requests"] += 1

    def _schedule(self, delay_us: int, to_device: bool, wire: bytes) -> None:
        at = self.now + delay_us
        if self._in_order:
            at = self._last_arrival[to_device] = max(at, self._last_arrival[to_device])
        heappush(self._arrivals, (at, next(self._order), to_device, wire))

    def _arrive(self) -> None:
        _, _, to_device, wire = heappop(self._arrivals)
        if to_device:
            self._arrive_at_device(wire)
        else:
            self.host.receive(self._anew.received(wire) if self._anew else wire, self.now)

    def _arrive_at_device(self, wire: bytes) -> None:
        if wire[2] == REQUEST_BYTE and self._anew:
            wire = self._anew.arriving(wire)
        if wire[2] == REQUEST_BYTE and self._rng.random() < RESET:
            self._rng.choice((self._reset_before, self._reset_during, self._reset_after))(wire)
        else:
            self.device.receive(wire, self.now)

    # Resets

    def _reset_before(self, wire: bytes) -> None:
        self._reset("before")

    def _reset_during(self, wire: bytes) -> None:
        """Let the power fail at the next write, mostly: the one that the request leads to, if it leads to one."""
        self._flash.fail_at(self._rng.choice((0, 0, 0, 5)), self._rng.choice(list(Moment)))
        self.device.receive(wire, self.now)

    def _reset_after(self, wire: bytes) -> None:
        """Reset the device once it has carried the request out, and at times has answered it."""
        self.device.receive(wire, self.now)
        if self._rng.random() < 0.5:
            self._exchange_bytes()
        self._reset("after")

    def _reset(self, moment: str) -> None:
        self.tally[f"resets {moment}"] += 1
        self.tally["replays"] += self.device.link.statistics().requests_replayed
        if self._rules is not Rules.ALL:
            store = Store(self._memory)
            store.write({key: None for key in store.values if key[:1] == JOURNAL})
        try:
            self.device.fail(self._rng.choice((ResetCause.BROWN_OUT, ResetCause.WATCHDOG)), self.now)
        except PowerCut:
            self._reset("during a boot")

    # What is known of the device, not over the link

    def applied(self) -> tuple[int, int]:
        """How many changes were applied, by the counter of changes and by their effects: revisions and starts of therapy."""
        memory = self.device.memory
        return memory.counters.changes_committed, memory.configuration.revision - 1 + memory.counters.therapy_starts

    def end(self) -> None:
        """Restart the device, so that only what it has stored is left."""
        self._reset("at the end")
        self.tally["events missed"] = self.host.events_missed
        self.tally["seconds"] = self.now // 1_000_000
