"""What a run of the suite found, as plain data: all that a report says is in here, and nothing that can be reckoned from it."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated

import msgspec
from ipg_protocol.trace import Record

from ipg_conformance.line import Line

CaseId = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}/[A-Z0-9-]+/(BV|BI|BO|LT|RT)-[0-9]{2}(/.+)?$")]
RequirementId = Annotated[str, msgspec.Meta(pattern="^REQ-[A-Z]{3}-[0-9]{3}$")]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]
EXCHANGE = "What went over the wire. Left out of report.json where the case passed or does not apply: trace.pcapng has it all."


@unique
class Verdict(StrEnum):
    """How a case ended."""

    PASS = "PASS"
    FAIL = "FAIL"
    NON_STRICT = "NON-STRICT"
    """The device does not do what it SHOULD."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The environment did not let the case come to an end; that says nothing of the device."""
    NOT_APPLICABLE = "NOT-APPLICABLE"
    WAIVED = "WAIVED"
    """It failed, and a waiver that is still good says why that is accepted."""
    ERROR = "ERROR"
    """The suite's own fault."""


class Requirement(msgspec.Struct, frozen=True):
    """A numbered requirement of the SPEC."""

    id: RequirementId
    text: str
    exemption: str = ""
    """Why it has no valid or no invalid case; empty when it has both."""


class Waiver(msgspec.Struct, frozen=True):
    """Why a failure is accepted, and until when."""

    reason: str
    expires: str
    """The last day on which it is good, as 2027-01-31."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the device says of itself; empty where it could not be asked."""

    model: str = ""
    serial: str = ""
    firmware: str = ""
    protocol: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case."""

    case: CaseId
    requirements: tuple[RequirementId, ...]
    summary: str
    verdict: Verdict
    seconds: Seconds
    seed: int
    outputs: bool = False
    """Whether it raises the device's output."""
    destructive: bool = False
    """Whether it erases or resets configuration."""
    steps: tuple[str, ...] = ()
    what: str = ""
    """What was checked when it ended other than by passing, or why it came to no end."""
    expected: str = ""
    got: str = ""
    expected_bytes: bytes = b""
    """Where bytes differ: those that had to come, or the beginning of them. A payload, or bytes as they are on the wire."""
    got_bytes: bytes = b""
    """Those that came instead."""
    predicate: str = ""
    """What does not hold of the device, so that the case is NOT-APPLICABLE."""
    out_of_reach: bool = False
    """Whether it is NOT-APPLICABLE by what the run may or can do, and not by what the device is."""
    waiver: Waiver | None = None
    traceback: str = ""
    """Of an ERROR."""
    was_prepared: bool = True
    """False when the device could not even be brought to the state in which the case begins."""
    repeat: str = ""
    """The command that repeats the case."""
    exchange: Annotated[tuple[Record, ...], msgspec.Meta(description=EXCHANGE)] = ()
    """What went over the wire, in the tester's time since the run began."""

    @property
    def feature(self) -> str:
        """What the id begins with, such as THR."""
        return self.case.split("/", 1)[0]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run. With the same seed on the same device only times differ."""

    target: str
    profile: str
    seed: int
    started: str
    """In UTC, as 2026-11-23T06:00:00Z."""
    seconds: Seconds
    command: str
    """What was called."""
    conclusion: str
    """The last line of the console."""
    exit_code: Count
    ended_early: str = ""
    """Why not all that was selected was run, such as "interrupted"; empty when all was."""
    selected: Count
    """How many cases were to be run."""
    suite_version: str
    protocol_version: str
    device: Identity
    line: Line | None = None
    """The line to it, as measured; a time, too. None where it was never reached."""
    declaration: str = ""
    """The file in which the device's maker declares its capabilities, if one was given, and the digest of it."""
    notes: tuple[str, ...] = ()
    """What is worth knowing besides, such as features that pass and are not declared."""
    requirements: tuple[Requirement, ...]
    """All of the SPEC, in its order."""
    results: tuple[Result, ...]


def first_wrong_byte(expected: bytes, got: bytes) -> int | None:
    """Where bytes first differ from what they had to be; None where they do not.

    What had to be may be a beginning only: bytes beyond it are not looked at.
    """
    if got.startswith(expected):
        return None
    pairs = zip(expected, got, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), len(got))
