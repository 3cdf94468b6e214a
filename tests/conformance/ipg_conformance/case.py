"""Cases: `@case` declares one with its given id, the requirements it proves, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from functools import cached_property, partial
from typing import Any, TypeVar

from ipg_protocol import crc32c

from ipg_conformance.device import Device
from ipg_conformance.permission import Permission, derived
from ipg_conformance.predicate import Predicate


@unique
class Profile(StrEnum):
    """QUICK leaves out what takes long on a real port, and more of the same; FULL runs everything."""

    QUICK = "quick"
    FULL = "full"


LONGEST_SECONDS = {Profile.QUICK: 120.0, Profile.FULL: 300.0}
"""How long a case may take in real time unless it says so itself, over the slowest of lines."""

MOST_QUICK_VARIANTS = 4
"""Of a case that is run once for each argument, so many are in QUICK, spread evenly."""


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

    def run(self, device: Device) -> None:
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
    "CEL": "running down",
    "USE": "use period",
}
"""What an id begins with, in the order in which the features are run: last comes what a device may not recover from."""

CASES: dict[str, Case] = {}

F = TypeVar("F", bound=Callable[..., None])


def case(
    case_id: str,
    *requirements: str,
    each: Iterable[tuple[str, Any]] | None = None,
    profile: Profile = Profile.QUICK,
    slow: Collection[str] = (),
    need: Need = Need.SOUND_LEADS,
    bare: bool = False,
    outputs: bool | None = None,
    destructive: bool | None = None,
    timeout_seconds: float | None = None,
    applies: Predicate | None = None,
) -> Callable[[F], F]:
    """Declare a case, or with `each` (name, argument) one case per argument, its id ending in the name.

    The id says feature, subject and kind: BV valid behaviour, BI invalid, BO inopportune, LT limits and timing,
    RT robustness. `slow` names the arguments with which it takes so long that only FULL runs it. What is not said of
    output and destruction is derived from the commands that the function speaks of.
    """
    variants = [("", ())] if each is None else [(f"/{name}", (argument,)) for name, argument in each]
    quick = _quick_variants([suffix for suffix, _ in variants if suffix[1:] not in slow]) if profile is Profile.QUICK else ()
    said = {Permission.OUTPUT: outputs, Permission.DESTRUCTIVE: destructive}
    limit = timeout_seconds or LONGEST_SECONDS[profile]
    build = partial(
        Case, requirements=requirements, need=need, bare=bare, timeout_seconds=limit, applies=applies, declared=said
    )

    def declare(function: F) -> F:
        for suffix, arguments in variants:
            kept = Profile.QUICK if suffix in quick else Profile.FULL
            _add(build(id=case_id + suffix, function=function, arguments=arguments, profile=kept))
        return function

    return declare


def _quick_variants(suffixes: Sequence[str]) -> set[str]:
    last, most = len(suffixes) - 1, MOST_QUICK_VARIANTS - 1
    return set(suffixes) if last <= most else {suffixes[round(last * part / most)] for part in range(most + 1)}


def _add(declared: Case) -> None:
    if declared.id in CASES or declared.feature not in FEATURES:
        raise ValueError(f"case {declared.id} is declared twice, or its feature is not in FEATURES")
    CASES[declared.id] = declared
