"""Inputs: what is done to a device beside its link, by commands that its maker names or by the port itself."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Protocol

import msgspec
from ipg_protocol.vocabulary import BatteryTier

from ipg_conformance.expect import Inconclusive, NotApplicable, OutOfReach

LONGEST_SECONDS = 30.0
PERFECT_COUPLING_PERMILLE = 1000
SECONDS = "{seconds}"


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command to bring something, and one to take it away."""

    present: str
    absent: str


class Tiers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command for each tier that the battery can be brought to."""

    OK: str | None = None
    LOW: str | None = None
    ERI: str | None = None
    EOS: str | None = None


class DeclaredInputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commands that the suite calls to do what no request can."""

    magnet: str | Switch | None = None
    power: str | Switch | None = None
    charger: str | Switch | None = None
    battery: str | Tiers | None = None
    time: str | None = None
    brown_out: str | None = None
    reset: str | None = None


NOTHING_DECLARED = DeclaredInputs()


class Inputs(Protocol):
    """What can be done to a device. Each raises OutOfReach where there is no way to do it, Inconclusive where it failed."""

    @property
    def has_time(self) -> bool:
        """Whether `time` is there, so that long waits need not be waited for."""
        ...

    def magnet(self, present: bool) -> None: ...
    def power(self, present: bool) -> None: ...
    def brown_out(self) -> None: ...
    def charger(self, present: bool) -> None: ...
    def battery(self, tier: BatteryTier) -> None: ...
    def time(self, seconds: float) -> None: ...
    def reset(self) -> None: ...


class CommandInputs:
    """Inputs as commands, in which `{present}`, `{tier}` and `{seconds}` are filled in; they are not run by a shell."""

    def __init__(self, declared: DeclaredInputs = NOTHING_DECLARED) -> None:
        """Take the commands.

        Raises:
            ValueError: one is not a command, or does not hold what is to be filled in.
        """
        self._magnet = _switch("magnet", declared.magnet)
        self._power = _switch("power", declared.power)
        self._charger = _switch("charger", declared.charger)
        self._battery = _tiers(declared.battery)
        self._time = None if declared.time is None else _holding("time", declared.time, "seconds", [SECONDS])[SECONDS]
        self._brown_out = None if declared.brown_out is None else _words("brown_out", declared.brown_out)
        self._reset = None if declared.reset is None else _words("reset", declared.reset)
        self._is_there = declared != NOTHING_DECLARED

    def __bool__(self) -> bool:
        return self._is_there

    @property
    def has_time(self) -> bool:
        return self._time is not None

    def magnet(self, present: bool) -> None:
        _call("magnet", self._magnet.get(present))

    def power(self, present: bool) -> None:
        _call("power", self._power.get(present))

    def brown_out(self) -> None:
        _call("brown_out", self._brown_out)

    def charger(self, present: bool) -> None:
        _call("charger", self._charger.get(present))

    def battery(self, tier: BatteryTier) -> None:
        _call("battery", self._battery.get(tier.name))

    def time(self, seconds: float) -> None:
        _call("time", self._time and [word.replace(SECONDS, str(ceil(seconds))) for word in self._time])

    def reset(self) -> None:
        _call("reset", self._reset)


class PortInputs:
    """Inputs of a port that brings its device's surroundings and time along, as `ipg://` does."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._surroundings = port.surroundings

    @property
    def has_time(self) -> bool:
        return True

    def magnet(self, present: bool) -> None:
        self._surroundings.magnet(present)

    def power(self, present: bool) -> None:
        if present:
            self._surroundings.restore_power()
        else:
            self._surroundings.cut_power()

    def brown_out(self) -> None:
        self._surroundings.brown_out()

    def charger(self, present: bool) -> None:
        self._happen(self._surroundings.charger, PERFECT_COUPLING_PERMILLE * present)

    def battery(self, tier: BatteryTier) -> None:
        self._happen(self._surroundings.battery, tier)

    def time(self, seconds: float) -> None:
        self._port.advance(seconds)

    def reset(self) -> None:
        _call("reset", None)

    def _happen(self, act: Any, what: object) -> None:
        try:
            act(what)
        except ValueError as error:
            raise NotApplicable(str(error)) from None


def inputs_of(port: object, declared: CommandInputs) -> Inputs:
    """What can be done to the device on a port: what is declared, else what the port offers."""
    return declared if declared or not hasattr(port, "surroundings") else PortInputs(port)


def _switch(name: str, given: str | Switch | None) -> dict[bool, list[str]]:
    if given is None:
        return {}
    if isinstance(given, Switch):
        return {True: _words(name, given.present), False: _words(name, given.absent)}
    found = _holding(name, given, "present", ["true", "false"])
    return {True: found["true"], False: found["false"]}


def _tiers(given: str | Tiers | None) -> Mapping[str, list[str]]:
    if given is None:
        return {}
    if isinstance(given, str):
        return _holding("battery", given, "tier", list(BatteryTier.__members__))
    commands: dict[str, str | None] = msgspec.structs.asdict(given)
    return {tier: _words("battery", command) for tier, command in commands.items() if command is not None}


def _holding(name: str, command: str, word: str, values: Sequence[str]) -> dict[str, list[str]]:
    """The command with each of the values in place of a word that it must hold."""
    if f"{{{word}}}" not in command:
        table = {"present": "`present` and `absent`", "tier": "a command for each tier"}.get(word)
        raise ValueError(f"inputs.{name}: the command must hold {{{word}}}" + (f", or be a table of {table}" if table else ""))
    return {value: _words(name, command.replace(f"{{{word}}}", value)) for value in values}


def _words(name: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"inputs.{name}: {error}") from None
    if not words:
        raise ValueError(f"inputs.{name}: the command is empty")
    return words


def _call(name: str, command: Sequence[str] | None) -> None:
    if command is None:
        raise OutOfReach(f"no way to do it is given: `{name}` in [inputs] of the ICS")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Inconclusive(f"the input `{name}` took longer than {LONGEST_SECONDS:g} s: {shlex.join(command)}") from None
    except OSError as error:
        raise Inconclusive(f"the input `{name}` cannot be called: {command[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it says nothing"]
        raise Inconclusive(f"the input `{name}` ended with {done.returncode}: {said[0]}")
