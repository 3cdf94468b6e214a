"""What must hold of a device besides its configuration: its boots, log, counters, events, and what it delivers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol

from ipg_protocol.command import Change, decode_event
from ipg_protocol.commands.log import Counters, LogEntry
from ipg_protocol.commands.therapy import StopMode
from ipg_protocol.frame import Frame
from ipg_protocol.vocabulary import State
from ipg_protocol.wire import Message

from ipg_emulator.campaign.reference import Kept
from ipg_emulator.firmware import Firmware

DELIVERING = frozenset({State.RAMPING, State.THERAPY})
LOST_WITH_THE_RAM = frozenset({"requests_refused"})
"""Counters that are written along with the next change only, so that a brown-out may take their last counts."""

Client = tuple[int, int]
"""A host's id, and how many times it had taken the line."""


class Witness(Protocol):
    """Who is told what the hosts know of their changes, and which events they hear."""

    def committed(self, host_id: int, request: Change[Any]) -> None: ...
    def not_applied(self, host_id: int, request: Change[Any]) -> None: ...
    def not_seen(self, host_id: int, request: Change[Any]) -> None: ...
    def delivered(self, client: Client, frame: bytes, event: Message, now: int) -> None: ...


class Broken(Exception):
    """An invariant does not hold."""

    def __init__(self, invariant: str, expected: object, found: object) -> None:
        super().__init__(f"{invariant}: expected {expected}, found {found}")
        self.invariant = invariant
        self.expected = str(expected)
        self.found = str(found)


def require(holds: bool, invariant: str, expected: object, found: object) -> None:
    """Raise `Broken` unless an invariant holds."""
    if not holds:
        raise Broken(invariant, expected, found)


class Records:
    """Boot counter, log and counters: they only ever go on."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        self.boot_counter = firmware.memory.boot_counter
        self.counters = firmware.memory.counters
        self.entries: dict[int, LogEntry] = {}
        """Every log entry that there ever was."""
        self._last = 0
        self._judge_log(booted=True)

    def judge(self, boots: int) -> None:
        """Judge a step in which the device has booted so many times; times that were cut short may not count."""
        found = self._firmware.memory.boot_counter
        lowest, highest = self.boot_counter + (boots > 0), self.boot_counter + boots
        require(lowest <= found <= highest, "the boot counter rises by one with each boot", f"{lowest} to {highest}", found)
        self.boot_counter = found
        self._judge_log(booted=boots > 0)
        self._judge_counters(booted=boots > 0)

    def _judge_log(self, *, booted: bool) -> None:
        kept = self._firmware.memory.log_entries()
        newest = kept[-1].number if kept else 0
        require(newest >= self._last, "log entries are never lost", f"entry {self._last} or newer", newest)
        for entry in kept if booted else kept[len(kept) - min(len(kept), newest - self._last + 1) :]:
            known = self.entries.setdefault(entry.number, entry)
            require(known == entry, "log entries never change", known, entry)
        expected = list(range(newest - len(kept) + 1, newest + 1)) if booted else []
        if booted:
            numbers = [entry.number for entry in kept]
            require(numbers == expected, "log numbers rise by one", expected, numbers)
        self._last = newest

    def _judge_counters(self, *, booted: bool) -> None:
        found, before = self._firmware.memory.counters, self.counters
        if found is not before:
            for name in Counters.__struct_fields__:
                if not (booted and name in LOST_WITH_THE_RAM):
                    lowest, count = getattr(before, name), getattr(found, name)
                    require(count >= lowest, f"the counter {name} never falls", f"{lowest} or more", count)
            self.counters = found


class Events:
    """Event numbers rise, an event never changes, and no client gets one twice."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[int, bytes]] = {}
        self._last = 0
        self._delivered: set[tuple[Client, int]] = set()

    def said(self, frame: Frame) -> None:
        """Judge an event as the device sends it, for the first time or again."""
        number, event = frame.request_id, (frame.opcode, frame.payload)
        if number == 0:
            return
        known = self._said.get(number)
        if known is None:
            require(number > self._last, "event numbers rise", f"more than {self._last}", number)
            self._said[number], self._last = event, number
        else:
            require(known == event, "an event never changes", known, event)

    def delivered(self, client: Client, frame: Frame, event: Message) -> None:
        """Judge an event as a host hands it on."""
        number = frame.request_id
        if number == 0:
            return
        require((client, number) not in self._delivered, "no event is delivered twice", "one delivery", f"event {number} again")
        require(number in self._said, "events are delivered as they were sent", "an event that was sent", number)
        sent = decode_event(Frame(frame.kind, self._said[number][0], number, self._said[number][1]))
        require(sent == event, "events are delivered as they were sent", sent, event)
        self._delivered.add((client, number))


class OutputWatch:
    """What is delivered: nothing but in therapy, never more than was programmed, and nothing more after STOP_THERAPY."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        self._areas = range(firmware.model.areas_per_program)
        self._ceilings = [0] * len(self._areas)
        self._most = firmware.model.ranges.amplitude_microamps.maximum
        magnet = firmware.model.magnet
        self._boost = magnet.boost_program if magnet is not None and magnet.boosts else None
        self._stop_ramp_us = firmware.model.timing.stop_ramp_ms * 1000

    def judge(self, kept: Kept, now: int) -> None:
        """Judge what is delivered at this moment: a ramp may come down from what was programmed when it began."""
        output, state = self._firmware.board.output, self._firmware.device.state
        for area in self._areas:
            programmed = self._programmed(kept, area)
            self._ceilings[area] = max(self._ceilings[area], programmed) if state is State.RAMPING else programmed
            bound = min(self._ceilings[area], kept.limits[0], self._most) if state in DELIVERING else 0
            level = output.delivered_microamps(area, now)
            require(level <= bound, "no more is delivered than programmed and allowed", f"at most {bound}", level)

    def _programmed(self, kept: Kept, area: int) -> int:
        """The highest amplitude of an area among the programs that may run."""
        programs = [kept.program(number) for number in (kept.active, self._boost) if number is not None]
        return max((each.areas[area].amplitude_microamps for each in programs if each and area < len(each.areas)), default=0)

    def judge_stop(self, mode: StopMode, now: int) -> None:
        """Judge the output at the moment at which STOP_THERAPY is answered: off, or falling to nothing by the stop ramp."""
        until = now if mode is StopMode.IMMEDIATE else now + self._stop_ramp_us
        output = self._firmware.board.output
        for area in self._areas:
            course = [output.delivered_microamps(area, now + (until - now) * part // 4) for part in range(5)]
            falls = all(later <= earlier for earlier, later in pairwise(course))
            require(falls and course[-1] == 0, "STOP_THERAPY takes effect at once", f"a fall to 0 of area {area}", course)
