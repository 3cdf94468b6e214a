"""What a command of `ipg-host` is: arguments, the conversation held, and how its result is shown."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ipg_protocol import COMMAND_OF, Message, Role

from ipg_host.conversation import Procedure
from ipg_host.errors import InputError
from ipg_host.units import Quantity, parse_quantity

Argument = Callable[[ArgumentParser], object]


class Verb(NamedTuple):
    """One command. `sends` are the requests that need a role; the lowest role that may send them all is taken."""

    path: tuple[str, ...]
    help: str
    converse: Callable[[Namespace], Procedure[Any]]
    show: Callable[[Any], None] | None
    """None: the conversation shows what comes, and has no result."""
    sends: tuple[type[Message], ...] = ()
    arguments: tuple[Argument, ...] = ()
    rows: str = "rows"
    """The key under which a result that is a list stands in JSON."""

    @property
    def role(self) -> Role | None:
        return max((COMMAND_OF[request].role for request in self.sends), default=None, key=lambda role: role or 0)


def argument(*names: str, **options: Any) -> Argument:
    """An argument, with what `add_argument` takes."""
    return lambda parser: parser.add_argument(*names, **options)


def call(procedure: Callable[..., Procedure[Any]], *options: str) -> Callable[[Namespace], Procedure[Any]]:
    """The conversation of a procedure that takes the named arguments."""
    return lambda given: procedure(*(getattr(given, name) for name in options))


def number(name: str, maximum: int, text: str, minimum: int = 0) -> int:
    """A whole number without a unit.

    Raises:
        InputError: it is not one, or not in the range.
    """
    if not text.isdecimal() or not minimum <= int(text) <= maximum:
        raise InputError(f"{name} must be a number from {minimum} to {maximum}, got {text!r}")
    return int(text)


def quantity(kind: Quantity) -> Callable[[str], int]:
    """A parser of quantities of one kind."""
    return partial(parse_quantity, quantity=kind)


PROGRAM = argument("program", type=partial(number, "program", 253), help="the slot's number, counted from 0")
CHECKPOINT = argument("checkpoint", type=partial(number, "checkpoint", 255), help="the place's number, counted from 0")
AREA = argument("--area", type=partial(number, "area", 3), default=0, help="the area's number (default 0)")
