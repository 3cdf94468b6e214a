"""What a fault is, as an object and as data: on which occasions, how likely, for how long. Each kind is declared once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum, unique
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from ipg_protocol.command import CATALOGUE, EVENTS
from ipg_protocol.commands.sensing import EcapSamples
from ipg_protocol.commands.session import SessionClosing
from ipg_protocol.frame import Frame
from ipg_protocol.trace import Towards
from ipg_protocol.vocabulary import State

if TYPE_CHECKING:
    from ipg_emulator.virtual import VirtualIpg

Count = Annotated[int, msgspec.Meta(ge=1)]
Copies = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Way = Literal["device", "host", "both"]

Undo = Callable[[int], None]
"""Makes well again, at a time in microseconds. Like all that a device holds, it can be pickled: no lambda."""


class FaultError(ValueError):
    """A fault cannot be had: the text says which, what is wrong with it, and what would be right."""


class Chance(Protocol):
    """What faults use of a seeded generator."""

    def random(self) -> float: ...
    def randrange(self, below: int, /) -> int: ...
    def getrandbits(self, bits: int, /) -> int: ...
    def randbytes(self, count: int, /) -> bytes: ...


def check_name(what: str, name: str, known: Iterable[str]) -> None:
    """See that a name is one of those that are known.

    Raises:
        FaultError: names those that are nearest, or all where none is near.
    """
    names = list(known)
    if name not in names:
        from difflib import get_close_matches

        near = get_close_matches(name.upper() if names and names[0].isupper() else name, names)
        does_it_mean = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        raise FaultError(f"there is no {what} {name!r}; {does_it_mean}")


def commands() -> list[str]:
    """The names of all commands."""
    return [entry.name for entry in CATALOGUE.values()]


def kept_events() -> list[str]:
    """The names of the events that a device raises and keeps; what is sent once and not kept is none of them."""
    return [event.name for event in EVENTS.values() if event.message not in (EcapSamples, SessionClosing)]


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """The occasions on which a fault strikes: those that meet everything that is given. Nothing given: always."""

    at_ms: Milliseconds | None = None
    """From so long after the fault was planned on; what has a moment, such as a reset, then happens once."""
    frame: Count | None = None
    """The n-th frame in the fault's direction since then, counted from 1."""
    command: str | None = None
    """Frames of the command of this name, such as SELECT_PROGRAM: the request, and its response."""
    state: str | None = None
    """While the device is in the state of this name, such as THERAPY; what has a moment happens as it is entered."""
    event: str | None = None
    """From the time on that the device has raised an event of this name, such as BATTERY_TIER_CHANGED; what has a moment
    happens each time that it is raised."""
    nth: Count | None = None
    """Of these occasions, only the n-th."""

    def __post_init__(self) -> None:
        """See that there are such names.

        Raises:
            FaultError: there is no such command, state or event.
        """
        if self.command is not None:
            check_name("command", self.command, commands())
        if self.state is not None:
            check_name("state", self.state, State.__members__)
        if self.event is not None:
            check_name("event", self.event, kept_events())

    @property
    def is_of_frames(self) -> bool:
        """Whether it takes a frame to tell an occasion."""
        return self.frame is not None or self.command is not None


@unique
class Place(StrEnum):
    """Where a fault meets bytes."""

    LINE = "line"
    """Between host and device."""
    DEVICE = "device"
    """At the device's own end: requests before it handles them, and what it answers."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault", repr_omit_defaults=True):
    """What every fault has. Subclasses are frame faults or conditions."""

    when: When = When()
    probability: Probability = 1.0
    """Of each occasion; with 0, nothing whatever is changed."""
    times: Count | None = None
    """How often it strikes at most; if left out, every time."""
    seed: int = 0
    """Of its own randomness, beside the device's seed."""
    survives_restart: bool = False
    """Whether it is still there after the device has restarted."""

    def check(self, ipg: VirtualIpg, /) -> None:
        """See that this device can have the fault, as when it names a contact.

        Raises:
            FaultError: it cannot.
        """

    def watches(self) -> frozenset[tuple[Place, Towards]]:
        """Where it needs to see frames, and those that go which way."""
        raise NotImplementedError

    def concerns(self, _: Passing, /) -> bool:
        """Whether a frame is of those that it strikes and counts."""
        return True


class Carried(msgspec.Struct):
    """What is on its way: a frame with both its delimiters, or bytes that are none."""

    at_us: int
    """When it arrives, unless it waits for what is before it."""
    data: bytes
    byte_us: int = 0
    """How long the line takes for each of its bytes."""
    overtaken_by: int | None = 0
    """How many frames sent after it arrive before it, if they come by `at_us`; None: all that come by then."""
    is_answer: bool = False
    """Whether it goes back the way that the frame has come."""


class Passing(NamedTuple):
    """A frame that a fault can strike, as it was sent."""

    ipg: VirtualIpg
    to: Towards
    now: int
    data: bytes
    frame: Frame | None
    """What the bytes decode to; None: they are delimited as a frame, but it is broken."""


class FrameFault(Fault, frozen=True):
    """A fault of the line, or of a reply: what it makes of each frame that it strikes."""

    place: ClassVar[Place] = Place.LINE
    did: ClassVar[str]
    """What it did to the frame, in the words of the trace."""

    def directions(self) -> tuple[Towards, ...]:
        """The directions in which it can strike."""
        raise NotImplementedError

    def watches(self) -> frozenset[tuple[Place, Towards]]:
        return frozenset((self.place, to) for to in self.directions())

    def strike(self, carried: Carried, passing: Passing, chance: Chance, /) -> list[Carried]:
        """What arrives in place of a frame, or of what other faults have made of it; nothing, if the list is empty."""
        raise NotImplementedError


class Condition(Fault, frozen=True):
    """A fault of the board or the firmware, that is there for a while.

    It begins each time that its occasion comes: a state is entered, an event is raised, a moment is reached; or as a frame
    reaches the device, before that is handled.
    """

    outlasts_boots: ClassVar[bool] = True
    """Whether what it does to the device is still done once that has restarted; else the fault waits for its next occasion."""
    for_ms: Milliseconds | None = None
    """How long it lasts; if left out, until it is taken away. What is over in a moment has no use for it."""

    def watches(self) -> frozenset[tuple[Place, Towards]]:
        return frozenset({(Place.DEVICE, Towards.DEVICE)} if self.when.is_of_frames else ())

    def begin(self, ipg: VirtualIpg, now: int, chance: Chance, /) -> Undo | None:
        """Let it go wrong; what is returned makes it well again. None: it was over in a moment."""
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
