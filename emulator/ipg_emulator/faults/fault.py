"""What a fault is, as an object and as data: on which occasions, how likely, for how long. Each kind is declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import msgspec
from ipg_protocol.trace import Towards

if TYPE_CHECKING:
    from ipg_emulator.virtual import VirtualIpg

Count = Annotated[int, msgspec.Meta(ge=1)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]

Undo = Callable[[int], None]
"""Makes well again, at a time in microseconds. Like all that a device holds, it can be pickled: no lambda."""


class Chance(Protocol):
    """What faults use of a seeded generator."""

    def random(self) -> float: ...
    def randrange(self, below: int, /) -> int: ...
    def getrandbits(self, bits: int, /) -> int: ...
    def randbytes(self, count: int, /) -> bytes: ...


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The occasions on which a fault strikes: those that meet everything that is given. Nothing given: always."""

    at_ms: Milliseconds | None = None
    """From so long after the fault was planned on; what has a moment, such as a reset, then happens once."""
    frame: Count | None = None
    """The n-th frame in the fault's direction since then, counted from 1."""
    command: str | None = None
    """Frames of the command of this name, such as SELECT_PROGRAM: the request, and its response."""
    state: str | None = None
    """While the device is in the state of this name, such as THERAPY."""
    event: str | None = None
    """From the time on that the device has raised an event of this name, such as BATTERY_TIER_CHANGED."""
    nth: Count | None = None
    """Of these occasions, only the n-th."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """What every fault has. Subclasses are frame faults or conditions."""

    when: When = When()
    probability: Probability = 1.0
    """Of each occasion; with 0, nothing whatever is changed."""
    times: Count | None = None
    """How often it strikes at most; None: every time."""
    seed: int = 0
    """Of its own randomness, beside the device's seed."""
    survives_restart: bool = False
    """Whether it is still there after the device has restarted."""


class Carried(msgspec.Struct):
    """What is on the line: a frame with both its delimiters, or bytes that are none."""

    at_us: int
    """When it arrives."""
    data: bytes


class FrameFault(Fault, frozen=True):
    """A fault of the line, or of a reply: what it makes of each frame that it strikes."""

    def towards(self) -> tuple[Towards, ...]:
        """The directions in which it can strike."""
        raise NotImplementedError

    def strike(self, frame: Carried, to: Towards, chance: Chance) -> list[Carried]:
        """What arrives in place of a frame; nothing, if the list is empty."""
        raise NotImplementedError


class Condition(Fault, frozen=True):
    """A fault of the board or the firmware, that is there for a while."""

    for_ms: Milliseconds | None = None
    """How long it lasts; None: until it is taken away."""

    def begin(self, ipg: VirtualIpg, now: int, chance: Chance) -> Undo:
        """Let it go wrong; what is returned makes it well again."""
        raise NotImplementedError


FAULTS: dict[str, type[Fault]] = {}
"""Every kind of fault by its name in a plan, in the order of declaration."""

F = TypeVar("F", bound=Fault)


def fault(cls: type[F]) -> type[F]:
    """Declare a kind of fault; its class names it by its tag."""
    name = cls.__struct_config__.tag
    if not isinstance(name, str) or name in FAULTS:
        raise ValueError(f"{cls.__name__} needs a tag of its own, not {name!r}")
    FAULTS[name] = cls
    return cls
