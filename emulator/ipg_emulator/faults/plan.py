"""Fault plans: faults as data, in TOML. What is wrong with a plan is told when it is read, never when it strikes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import starmap
from typing import Any, cast

import msgspec

from ipg_emulator.faults import board, firmware, leads, line, reply
from ipg_emulator.faults.fault import FAULTS, Fault, FaultError, When, check_name
from ipg_emulator.toml_file import read_toml

__all__ = ["KINDS", "FaultError", "FaultPlan", "fault_from", "load_plan", "plan_from"]

KINDS = (line, reply, leads, board, firmware)
"""The modules whose import declares the kinds of faults."""


class FaultPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Faults that are there from the device's start. They are numbered from 1, in their order."""

    seed: int = 0
    """Of all their randomness, beside the device's seed."""
    faults: tuple[Fault, ...] = ()


def load_plan(path: str | os.PathLike[str]) -> FaultPlan:
    """The plan in a file.

    Raises:
        FaultError: it cannot be read, or names the fault by its number and kind, what is wrong with it, and what is allowed.
    """
    data = read_toml(path, FaultError)
    try:
        return plan_from(data)
    except FaultError as error:
        raise FaultError(f"{os.fspath(path)}: {error}") from None


def plan_from(data: Mapping[str, Any]) -> FaultPlan:
    """A plan as data: `seed`, and `faults`, a list of tables, among which faults may stand as objects.

    Raises:
        FaultError: as `load_plan`.
    """
    _check_keys(data, FaultPlan.__struct_fields__, "a plan", "")
    seed, tables = data.get("seed", 0), data.get("faults", [])
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultError(f"seed: expected a whole number, got {seed!r}")
    if not isinstance(tables, list):
        raise FaultError("faults: expected tables, each under [[faults]]")
    return FaultPlan(seed, tuple(starmap(_numbered, enumerate(tables, 1))))  # pyright: ignore[reportUnknownArgumentType]


def _numbered(number: int, table: Any) -> Fault:
    try:
        return table if isinstance(table, Fault) else fault_from(table)
    except FaultError as error:
        kind = cast("dict[str, Any]", table).get("fault") if isinstance(table, dict) else None
        known = isinstance(kind, str) and kind in FAULTS
        raise FaultError(f"fault {number}{f' ({kind})' if known else ''}: {error}") from None


def fault_from(mapping: Mapping[str, Any]) -> Fault:
    """A fault as data: its kind in `fault`, the rest by the names of its fields.

    Raises:
        FaultError: names the kind or the field, what is wrong with it, and what is allowed.
    """
    if not isinstance(mapping, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from a file
        raise FaultError(f"expected a table with a field `fault`, got {mapping!r}")
    kind = mapping.get("fault")
    if not isinstance(kind, str):
        raise FaultError(f"the field `fault` must name a kind: {', '.join(FAULTS)}")
    check_name("fault", kind, FAULTS)
    cls = FAULTS[kind]
    _check_keys(mapping, ("fault", *cls.__struct_fields__), kind, "")
    when = mapping.get("when", {})
    if isinstance(when, Mapping):
        _check_keys(when, When.__struct_fields__, "it", "when: ")  # pyright: ignore[reportUnknownArgumentType]
    try:
        return msgspec.convert(dict(mapping), cls)
    except msgspec.ValidationError as error:
        raise FaultError(_told(error, cls)) from None


def _check_keys(mapping: Mapping[Any, Any], known: tuple[str, ...], what: str, where: str) -> None:
    unknown = [str(name) for name in mapping if name not in known]
    if unknown:
        raise FaultError(f"{where}there is no field {' or '.join(map(repr, unknown))}; {what} has {', '.join(known)}")


def _told(error: msgspec.ValidationError, kind: type[Fault]) -> str:
    """What is wrong, after the name of the field that it is wrong with, and what that takes."""
    from ipg_emulator.faults.describe import takes

    what, _, where = str(error).partition(" - at `$.")
    field = where.removesuffix("`") or what.removeprefix("Object missing required field ").strip("`")
    *outer, name = field.split("[")[0].split(".")
    struct = When if outer == ["when"] else kind
    if name in struct.__struct_fields__ and name != "when" and not isinstance(error.__cause__, FaultError):
        return f"{field}: {what[:1].lower()}{what[1:]}; it takes a {takes(struct, name)}"
    return f"{field}: {what[:1].lower()}{what[1:]}" if where else what[:1].lower() + what[1:]
