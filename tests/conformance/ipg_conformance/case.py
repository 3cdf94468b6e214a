"""Cases and verdicts: `@case` declares one with its given id, the requirements it proves, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum, unique
from typing import Any, NamedTuple, TypeVar

import msgspec
from ipg_protocol import Message, Reply, Status

M = TypeVar("M", bound=Message)


class Failure(Exception):
    """The device did not do what a requirement says."""

    def __init__(self, what: str, *, expected: str, got: str) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


class NotApplicable(Exception):
    """The case asks for something that this device does not have or cannot be brought to."""


@unique
class Profile(StrEnum):
    """QUICK leaves out what takes long on a real port; FULL runs everything."""

    QUICK = "quick"
    FULL = "full"


@unique
class Need(StrEnum):
    """What must be true of the device's leads for a case to mean anything."""

    SOUND_LEADS = "leads without a short"
    OPEN_CONTACT = "a contact that measures open"
    SHORTED_CONTACT = "a contact that measures short"


@unique
class Verdict(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


class Case(NamedTuple):
    """One case. `arguments` are handed to the function after the device; their names end the id."""

    id: str
    requirements: tuple[str, ...]
    summary: str
    profile: Profile
    need: Need
    bare: bool
    """Whether the case runs without a session and without bringing the device to a known state first."""
    run: Callable[[Any], None]

    @property
    def feature(self) -> str:
        return self.id.split("/", 1)[0]


class Result(msgspec.Struct, frozen=True):
    """What came of one case; `exchange` is what went over the wire, for a failure only."""

    case: Case
    verdict: Verdict
    seconds: float
    what: str = ""
    expected: str = ""
    got: str = ""
    exchange: tuple[tuple[str, bytes], ...] = ()
    was_prepared: bool = True
    """False when the device could not even be brought to the state in which the case begins."""


FEATURES = {
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
) -> Callable[[F], F]:
    """Declare a case, or with `each` (name, argument) one case per argument, its id ending in the name.

    The id says feature, subject and kind: BV valid behaviour, BI invalid, BO inopportune, LT limits and timing,
    RT robustness.
    """

    def declare(function: F) -> F:
        summary = (function.__doc__ or "").split("\n", 1)[0]
        if each is None:
            _add(Case(case_id, requirements, summary, profile, need, bare, function))
            return function
        for name, argument in each:
            run = _bound(function, argument)
            _add(Case(f"{case_id}/{name}", requirements, summary, profile, need, bare, run))
        return function

    return declare


def _bound(function: Callable[..., None], argument: Any) -> Callable[[Any], None]:
    return lambda device: function(device, argument)


def _add(declared: Case) -> None:
    if declared.id in CASES or declared.feature not in FEATURES:
        raise ValueError(f"case {declared.id} is declared twice, or its feature is not in FEATURES")
    CASES[declared.id] = declared


def expect(what: str, got: object, expected: object) -> None:
    """Fail unless the two are equal."""
    if got != expected:
        raise Failure(what, expected=str(expected), got=str(got))


def expect_that(what: str, holds: bool, got: object) -> None:
    """Fail unless `holds`; `what` says what must hold."""
    if not holds:
        raise Failure(what, expected=what, got=str(got))


def expect_ok(reply: Reply, answer: type[M], what: str = "the request is accepted") -> M:
    """The answer of an accepted request; fails on a refusal."""
    if reply.status is not Status.OK or not isinstance(reply.body, answer):
        raise Failure(what, expected=f"OK, {answer.__name__}", got=_text(reply))
    return reply.body


def expect_refusal(what: str, reply: Reply, status: Status, **detail: object) -> Message:
    """The detail of a refused request; fails unless status and the named parts of the detail are as given."""
    found = {name: getattr(reply.body, name, None) for name in detail}
    if reply.status is not status or found != detail:
        raise Failure(what, expected=f"{status.name} {detail or ''}".strip(), got=_text(reply))
    return reply.body


def _text(reply: Reply) -> str:
    return f"{reply.status.name} {reply.body}" + (f" {reply.flags.name}" if reply.flags else "")
