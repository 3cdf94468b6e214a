"""Cases: `@case` declares one with its given id, the requirements it proves, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import cached_property, partial
from typing import Any, TypeVar, cast

import msgspec
from ipg_protocol import Frame, Message, Reply, Status, crc32c, encode
from ipg_protocol.describe import describe_frame

from ipg_conformance.permission import Permission, derived
from ipg_conformance.predicate import Predicate

M = TypeVar("M", bound=Message)

FRAMES_SHOWN = 3


class Failure(Exception):
    """The device did not do what a requirement says; the bytes are given where it shows in a payload."""

    def __init__(self, what: str, *, expected: str, got: str, expected_bytes: bytes = b"", got_bytes: bytes = b"") -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got
        self.expected_bytes = expected_bytes
        self.got_bytes = got_bytes


class NotRecommended(Failure):
    """The device did not do what the specification says it SHOULD."""


class NeverReady(Failure):
    """The device could not be brought to the state in which cases begin."""


class NotApplicable(Exception):
    """The case asks for something that this device does not have or cannot be brought to."""


class OutOfReach(NotApplicable):
    """The case asks for something that this run may not or cannot do; the device might well pass it."""


class NotAllowed(OutOfReach):
    """The case does to the device what the run may not do."""

    def __init__(self, permissions: Iterable[Permission]) -> None:
        super().__init__(f"not allowed: --allow {','.join(sorted(permissions))}")


class Inconclusive(Exception):
    """The environment did not let the case come to an end, which says nothing of the device."""


@unique
class Profile(StrEnum):
    """QUICK leaves out what takes long on a real port; FULL runs everything."""

    QUICK = "quick"
    FULL = "full"


LONGEST_SECONDS = {Profile.QUICK: 120.0, Profile.FULL: 300.0}
"""How long a case may take in real time unless it says so itself, over the slowest of lines."""


@unique
class Need(StrEnum):
    """What must be true of the device's leads for a case to mean anything."""

    SOUND_LEADS = "leads without a short"
    OPEN_CONTACT = "a contact that measures open"
    SHORTED_CONTACT = "a contact that measures short"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case. `arguments` are handed to the function after the device; their names end the id."""

    id: str
    requirements: tuple[str, ...]
    function: Callable[..., None]
    arguments: tuple[Any, ...] = ()
    profile: Profile
    need: Need
    bare: bool
    """Whether the case runs without a session and without bringing the device to a known state first."""
    timeout_seconds: float
    applies: Predicate | None
    declared: dict[Permission, bool | None]
    """Whether it raises output or is destructive, where the declaration says so."""

    @property
    def feature(self) -> str:
        return self.id.split("/", 1)[0]

    @property
    def kind(self) -> str:
        """BV, BI, BO, LT or RT."""
        return self.id.split("/")[2][:2]

    @property
    def summary(self) -> str:
        return (self.function.__doc__ or "").split("\n", 1)[0]

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What must be allowed for the case to run."""
        from ipg_conformance.device import Device

        found = derived(self.function, Device, *self.arguments)
        said = {permission: permission in found if given is None else given for permission, given in self.declared.items()}
        return frozenset(permission for permission, needed in said.items() if needed)

    @property
    def outputs(self) -> bool:
        """Whether it raises the device's output."""
        return Permission.OUTPUT in self.permissions

    @property
    def destructive(self) -> bool:
        """Whether it erases, replaces or resets what the device keeps."""
        return Permission.DESTRUCTIVE in self.permissions

    def seed(self, of_run: int) -> int:
        """The seed of the case in a run with this seed."""
        return crc32c(f"{of_run} {self.id}".encode())

    def run(self, device: Any) -> None:
        self.function(device, *self.arguments)


FEATURES = {
    "ICS": "declaration",
    "FRM": "framing",
    "IDN": "identity",
    "CAP": "capabilities",
    "CMD": "gates",
    "TIM": "clock",
    "TST": "self-test",
    "RST": "resets",
    "SES": "session",
    "REQ": "numbering",
    "TXN": "transactions",
    "PRG": "programs",
    "WAV": "waveforms",
    "THR": "therapy",
    "STA": "states",
    "HST": "host silence",
    "SCH": "schedule",
    "SUS": "suspension",
    "MRI": "MRI mode",
    "MAG": "magnet",
    "ECP": "sensing",
    "IMP": "impedance",
    "BAT": "battery",
    "CHG": "charging",
    "LON": "longevity",
    "TMP": "temperature",
    "LOG": "log",
    "EVT": "events",
    "FLT": "faults",
    "DOS": "doses",
}
"""What an id begins with, in the order in which the features are run."""

CASES: dict[str, Case] = {}

F = TypeVar("F", bound=Callable[..., None])


def case(
    case_id: str,
    *requirements: str,
    each: Iterable[tuple[str, Any]] | None = None,
    profile: Profile = Profile.QUICK,
    need: Need = Need.SOUND_LEADS,
    bare: bool = False,
    outputs: bool | None = None,
    destructive: bool | None = None,
    timeout_seconds: float | None = None,
    applies: Predicate | None = None,
) -> Callable[[F], F]:
    """Declare a case, or with `each` (name, argument) one case per argument, its id ending in the name.

    The id says feature, subject and kind: BV valid behaviour, BI invalid, BO inopportune, LT limits and timing,
    RT robustness. What is not said of output and destruction is derived from the commands that the function speaks of.
    """
    variants = [("", ())] if each is None else [(f"/{name}", (argument,)) for name, argument in each]
    build = partial(
        Case,
        requirements=requirements,
        profile=profile,
        need=need,
        bare=bare,
        timeout_seconds=timeout_seconds or LONGEST_SECONDS[profile],
        applies=applies,
        declared={Permission.OUTPUT: outputs, Permission.DESTRUCTIVE: destructive},
    )

    def declare(function: F) -> F:
        for suffix, arguments in variants:
            _add(build(id=case_id + suffix, function=function, arguments=arguments))
        return function

    return declare


def _add(declared: Case) -> None:
    if declared.id in CASES or declared.feature not in FEATURES:
        raise ValueError(f"case {declared.id} is declared twice, or its feature is not in FEATURES")
    CASES[declared.id] = declared


def expect(what: str, got: object, expected: object) -> None:
    """Fail unless the two are equal."""
    if got != expected:
        raise Failure(what, expected=shown(expected), got=shown(got), expected_bytes=_bytes(expected), got_bytes=_bytes(got))


def expect_that(what: str, holds: bool, got: object) -> None:
    """Fail unless `holds`; `what` says what must hold."""
    if not holds:
        raise Failure(what, expected=what, got=shown(got))


def expect_recommended(what: str, holds: bool, got: object) -> None:
    """Not as strict as `expect_that`: what the specification says a device SHOULD do."""
    if not holds:
        raise NotRecommended(what, expected=what, got=shown(got))


def expect_ok(reply: Reply, answer: type[M], what: str = "the request is accepted") -> M:
    """The answer of an accepted request; fails on a refusal."""
    if reply.status is not Status.OK or not isinstance(reply.body, answer):
        raise Failure(
            what,
            expected=f"OK, {answer.__name__}",
            got=shown(reply),
            expected_bytes=bytes([Status.OK]),
            got_bytes=_bytes(reply),
        )
    return reply.body


def expect_refusal(what: str, reply: Reply, status: Status, **detail: object) -> Message:
    """The detail of a refused request; fails unless status and the named parts of the detail are as given."""
    found = {name: getattr(reply.body, name, None) for name in detail}
    if reply.status is not status or found != detail:
        is_detail = reply.status is status and None not in found.values()
        right = msgspec.structs.replace(reply, body=msgspec.structs.replace(reply.body, **detail)) if is_detail else None
        raise Failure(
            what,
            expected=f"{status.name} {detail or ''}".strip(),
            got=shown(reply),
            expected_bytes=_bytes(right) or bytes([status]),
            got_bytes=_bytes(reply),
        )
    return reply.body


def shown(value: object) -> str:
    """What was got, for people: a reply by its status, of many frames the first few in words."""
    if isinstance(value, Reply):
        return f"{value.status.name} {value.body}" + (f" {value.flags.name}" if value.flags else "")
    frames = _frames(value)
    if frames:
        more = f"; and {len(frames) - FRAMES_SHOWN} more" if len(frames) > FRAMES_SHOWN else ""
        return "; ".join(map(describe_frame, frames[:FRAMES_SHOWN])) + more
    return str(value)


def _frames(value: object) -> list[Frame]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Frame)]


def _bytes(value: object) -> bytes:
    """The bytes of a payload, where a value is one or stands for one."""
    match value:
        case bytes():
            return value
        case Reply():
            return bytes([value.status, value.flags]) + encode(value.body)
        case Message():
            return encode(value)
        case _:
            return b""
