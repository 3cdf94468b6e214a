"""What a run may do to a device: which commands raise output or change what is kept, and which cases send them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import EnumMeta, StrEnum, unique
from functools import cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple, cast

from ipg_protocol import CATALOGUE, COMMAND_OF, Command, Message
from ipg_protocol.commands.link import Reset
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.therapy import StartTherapy, WriteSchedule

PACKAGE = __package__ or ""


@unique
class Permission(StrEnum):
    """What is not done to a device unless it is allowed."""

    OUTPUT = "output"
    """Current at the contacts: therapy, and the pulses of a measurement."""
    DESTRUCTIVE = "destructive"
    """What the device keeps is erased, replaced or reset: programs, limits, schedule, clock, mode."""


EVERYTHING = frozenset(Permission)
NOTHING = frozenset[Permission]()

RAISE_OUTPUT = {StartTherapy, MeasureImpedance, WriteSchedule}
KEEP_WHAT_IS_KEPT = {StartTherapy, Reset}
"""Changes that erase nothing."""


def needed_for(opcode: int) -> frozenset[Permission]:
    """What must be allowed for a request to be sent, be its payload right or wrong: a device may be at fault."""
    command = CATALOGUE.get(opcode)
    if command is None:
        return NOTHING
    outputs = command.request in RAISE_OUTPUT
    destroys = command.is_change and command.request not in KEEP_WHAT_IS_KEPT
    return frozenset([Permission.OUTPUT] * outputs + [Permission.DESTRUCTIVE] * destroys)


def derived(function: Callable[..., None], device: type, *arguments: object) -> frozenset[Permission]:
    """What a case needs, reckoned from the commands that its function, and what that calls, speak of.

    A table is looked up by the arguments of the case and by the members of enumerations that are spoken of; the rest of it
    does not count.
    """
    keys = {part for argument in arguments for part in _parts(argument)}
    found = keys & COMMAND_OF.keys()
    seen, tables = set[Any](), list[Mapping[Any, Any]]()
    reached = {function, *keys}
    while reached - seen:
        for called in reached - seen:
            spoken = _spoken_of(called, device)
            found.update(spoken.requests)
            keys.update(spoken.members)
            tables.extend(spoken.tables)
            reached.update(spoken.functions)
            seen.add(called)
        reached |= {table[key] for table in tables for key in keys & table.keys() if isinstance(table[key], FunctionType)}
    return frozenset[Permission]().union(*(needed_for(COMMAND_OF[request].opcode) for request in found))


def _parts(argument: object) -> Iterator[Any]:
    match argument:
        case Command():
            yield argument.request
        case Message():
            yield type(argument)
        case tuple() | list() | frozenset():
            for part in cast("tuple[object, ...]", argument):
                yield from _parts(part)
        case _:
            if argument.__hash__ is not None:
                yield argument


class _SpokenOf(NamedTuple):
    """What the code of a function names."""

    requests: Collection[type[Message]] = ()
    functions: Collection[FunctionType] = ()
    tables: Collection[Mapping[Any, Any]] = ()
    members: Collection[Any] = ()


@cache
def _spoken_of(function: object, device: type) -> _SpokenOf:
    """What a function of the suite names: globals, what it closes over, and methods of the device."""
    if not isinstance(function, FunctionType) or not function.__module__.startswith(PACKAGE):
        return _SpokenOf()
    names = _names(function.__code__)
    methods = vars(device)
    values: list[Any] = [function.__globals__[name] for name in names & function.__globals__.keys()]
    values += [methods[name] for name in names & methods.keys()]
    values += [cell.cell_contents for cell in function.__closure__ or ()]
    values += [value.fget for value in values if isinstance(value, property)]
    return _SpokenOf(
        {value for value in values if isinstance(value, type) and value in COMMAND_OF},
        {value for value in values if isinstance(value, FunctionType)},
        [value for value in values if isinstance(value, Mapping)],
        {enum[name] for enum in values if isinstance(enum, EnumMeta) for name in names & enum.__members__.keys()},
    )


@cache
def _names(code: CodeType) -> frozenset[str]:
    inner = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return frozenset(code.co_names).union(*inner)
