"""Faults of the line between host and device: frames lost, damaged, late or out of order, and times when it is bad."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from ipg_protocol.trace import Towards

from ipg_emulator.faults.fault import (
    Carried,
    Chance,
    Condition,
    Copies,
    Count,
    FrameFault,
    Milliseconds,
    Passing,
    Place,
    Probability,
    Undo,
    Way,
    fault,
)
from ipg_emulator.virtual import VirtualIpg

BITS_PER_BYTE = 10
"""On a serial line: a start bit, eight of data, a stop bit."""
BREAK = b"\0"
"""What a receiver reads while a line is held low."""

_DIRECTIONS: dict[Way, tuple[Towards, ...]] = {
    "device": (Towards.DEVICE,),
    "host": (Towards.HOST,),
    "both": (Towards.DEVICE, Towards.HOST),
}


class LineFault(FrameFault, frozen=True):
    """A fault that strikes single frames on the line."""

    towards: Way = "both"
    """Which way the frames go that it strikes."""

    def directions(self) -> tuple[Towards, ...]:
        return _DIRECTIONS[self.towards]


@fault
class Drop(LineFault, frozen=True, kw_only=True, tag="drop"):
    """The frame is lost."""

    did: ClassVar[str] = "dropped"

    def strike(self, _: Carried, _passing: Passing, _chance: Chance, /) -> list[Carried]:
        return []


@fault
class Corrupt(LineFault, frozen=True, kw_only=True, tag="corrupt"):
    """Bits of the frame are changed, wherever in it chance has it, its delimiters included."""

    did: ClassVar[str] = "corrupted"
    bits: Count = 1
    """How many, all of them different."""

    def strike(self, carried: Carried, _: Passing, chance: Chance, /) -> list[Carried]:
        places = 8 * len(carried.data)
        flipped: set[int] = set()
        while len(flipped) < min(self.bits, places):
            flipped.add(chance.randrange(places))
        altered = int.from_bytes(carried.data) ^ sum(1 << place for place in flipped)
        return [_with(carried, altered.to_bytes(len(carried.data)))]


@fault
class Truncate(LineFault, frozen=True, kw_only=True, tag="truncate"):
    """The end of the frame is missing."""

    did: ClassVar[str] = "truncated"
    bytes: Count = 4
    """How many are cut off. With 1, the delimiter alone is: the frame ends where the next begins."""

    def strike(self, carried: Carried, _: Passing, _chance: Chance, /) -> list[Carried]:
        return [_with(carried, carried.data[: -self.bytes])]


@fault
class Duplicate(LineFault, frozen=True, kw_only=True, tag="duplicate"):
    """The frame arrives more than once."""

    did: ClassVar[str] = "repeated"
    copies: Copies = 1
    """How many more than the one that was sent."""

    def strike(self, carried: Carried, _: Passing, _chance: Chance, /) -> list[Carried]:
        return [carried] * (1 + self.copies)


@fault
class Delay(LineFault, frozen=True, kw_only=True, tag="delay"):
    """The frame arrives late, and what is sent after it does not overtake it."""

    did: ClassVar[str] = "delayed"
    milliseconds: Milliseconds = 100
    jitter: Milliseconds = 0
    """Up to so many milliseconds more, as chance has it."""

    def strike(self, carried: Carried, _: Passing, chance: Chance, /) -> list[Carried]:
        more_us = chance.randrange(self.jitter * 1000 + 1)
        return [msgspec.structs.replace(carried, at_us=carried.at_us + self.milliseconds * 1000 + more_us)]


@fault
class Reorder(LineFault, frozen=True, kw_only=True, tag="reorder"):
    """The frame arrives after the next one."""

    did: ClassVar[str] = "held back behind the next frame"
    milliseconds: Milliseconds = 100
    """How long it waits for a next one at most."""

    def strike(self, carried: Carried, _: Passing, _chance: Chance, /) -> list[Carried]:
        return [msgspec.structs.replace(carried, at_us=carried.at_us + self.milliseconds * 1000, overtaken_by=1)]


@fault
class Garbage(LineFault, frozen=True, kw_only=True, tag="garbage"):
    """Bytes that nobody sent arrive before the frame; they may be any, delimiters too."""

    did: ClassVar[str] = "preceded by garbage"
    bytes: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 8
    """How many."""

    def strike(self, carried: Carried, _: Passing, chance: Chance, /) -> list[Carried]:
        return [_with(carried, chance.randbytes(self.bytes) + carried.data)]


class LineCondition(Condition, frozen=True):
    """A while during which the line is bad for all that is sent over it, the frame that was the occasion included."""

    did: ClassVar[str]
    """What it did to bytes, in the words of the trace."""
    towards: Way = "both"
    """Which way the bytes go that it concerns."""

    def stretches(self) -> frozenset[tuple[Place, Towards]]:
        """Where it is bad."""
        return frozenset((Place.LINE, to) for to in _DIRECTIONS[self.towards])

    def watches(self) -> frozenset[tuple[Place, Towards]]:
        return self.stretches() if self.when.is_of_frames else frozenset()

    def begin(self, _ipg: VirtualIpg, _now: int, _chance: Chance, /) -> Undo:
        return nothing_to_undo

    def carry(self, carried: Carried, chance: Chance, /) -> list[Carried]:
        """What arrives in place of some bytes."""
        raise NotImplementedError


def nothing_to_undo(_now: int, /) -> None:
    """The line is good as soon as nobody says that it is bad."""


@fault
class Stuck(LineCondition, frozen=True, kw_only=True, tag="stuck"):
    """The line stays at one level, and what is sent is lost."""

    did: ClassVar[str] = "lost while the line was stuck"
    level: Literal["high", "low"] = "high"
    """High, as between bytes: silence. Low, as a break: a zero byte is read in place of whatever is sent at once."""
    for_ms: Milliseconds | None = 1000

    def carry(self, carried: Carried, _: Chance, /) -> list[Carried]:
        return [_with(carried, BREAK)] if self.level == "low" else []


@fault
class Cut(LineCondition, frozen=True, kw_only=True, tag="cut"):
    """The line is cut: nothing passes until it is mended."""

    did: ClassVar[str] = "lost while the line was cut"

    def carry(self, _: Carried, _chance: Chance, /) -> list[Carried]:
        return []


@fault
class NoiseBurst(LineCondition, frozen=True, kw_only=True, tag="noise-burst"):
    """There is noise on the line: bytes arrive as others."""

    did: ClassVar[str] = "altered by noise"
    of_bytes: Probability = 0.1
    """How likely each byte is altered."""
    for_ms: Milliseconds | None = 1000

    def carry(self, carried: Carried, chance: Chance, /) -> list[Carried]:
        noisy = (byte ^ 1 + chance.randrange(255) if chance.random() < self.of_bytes else byte for byte in carried.data)
        return [_with(carried, bytes(noisy))]


@fault
class SlowBytes(LineCondition, frozen=True, kw_only=True, tag="slow-bytes"):
    """The line is slow: bytes arrive one by one."""

    did: ClassVar[str] = "slowed down"
    baud: Annotated[int, msgspec.Meta(ge=75, le=12_000_000)] = 1200

    def carry(self, carried: Carried, _: Chance, /) -> list[Carried]:
        return [msgspec.structs.replace(carried, byte_us=BITS_PER_BYTE * 1_000_000 // self.baud)]


def _with(carried: Carried, data: bytes) -> Carried:
    return msgspec.structs.replace(carried, data=data)
