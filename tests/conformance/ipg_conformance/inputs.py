"""Inputs: what is done to a device beside its link, by commands that its maker names or by the port itself."""

from __future__ import annotations

import shlex
import subprocess
from typing import Any, Protocol

import msgspec

from ipg_conformance.case import Inconclusive, OutOfReach

LONGEST_SECONDS = 30.0


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command to bring something, and one to take it away."""

    present: str
    absent: str


class Inputs(Protocol):
    """What can be done to a device. Each raises OutOfReach where there is no way to do it, Inconclusive where it failed."""

    def magnet(self, present: bool) -> None: ...
    def power(self, present: bool) -> None: ...
    def reset(self) -> None: ...


class CommandInputs:
    """Inputs as commands, `{present}` in them becoming true or false; the commands are not run by a shell."""

    def __init__(self, magnet: str | Switch | None = None, power: str | Switch | None = None, reset: str | None = None) -> None:
        """Take the commands.

        Raises:
            ValueError: one is not a command, or says nothing of what is to be present.
        """
        self._magnet = _switch("magnet", magnet)
        self._power = _switch("power", power)
        self._reset = None if reset is None else _words("reset", reset)

    def __bool__(self) -> bool:
        return any((self._magnet, self._power, self._reset))

    def magnet(self, present: bool) -> None:
        _call("magnet", self._magnet.get(present))

    def power(self, present: bool) -> None:
        _call("power", self._power.get(present))

    def reset(self) -> None:
        _call("reset", self._reset)


class PortInputs:
    """Inputs of a port that brings its device's surroundings along, as `ipg://` does."""

    def __init__(self, surroundings: Any) -> None:
        self._surroundings = surroundings

    def magnet(self, present: bool) -> None:
        self._surroundings.magnet(present)

    def power(self, present: bool) -> None:
        if present:
            self._surroundings.restore_power()
        else:
            self._surroundings.cut_power()

    def reset(self) -> None:
        _call("reset", None)


def inputs_of(port: object, declared: CommandInputs) -> Inputs:
    """What can be done to the device on a port: what is declared, else what the port offers."""
    if declared:
        return declared
    surroundings = getattr(port, "surroundings", None)
    return declared if surroundings is None else PortInputs(surroundings)


def _switch(name: str, given: str | Switch | None) -> dict[bool, list[str]]:
    if given is None:
        return {}
    if isinstance(given, Switch):
        return {True: _words(name, given.present), False: _words(name, given.absent)}
    if "{present}" not in given:
        raise ValueError(f"inputs.{name}: the command must hold {{present}}, or be a table of `present` and `absent`")
    return {present: _words(name, given.replace("{present}", str(present).lower())) for present in (False, True)}


def _words(name: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"inputs.{name}: {error}") from None
    if not words:
        raise ValueError(f"inputs.{name}: the command is empty")
    return words


def _call(name: str, command: list[str] | None) -> None:
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
