"""The catalogue of operations: `@operation` declares one, and every front end is derived from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from ipg_emulator.virtual import Subject

A = TypeVar("A")

MISREAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON from a stranger raises: it is none, it does not fit, its text is no UTF-8, it is nested too deep."""


class OperationError(ValueError):
    """An operation cannot be done; the text says what was wrong, and what would be right. Nothing has changed."""


class Operation(msgspec.Struct, Generic[A], frozen=True, forbid_unknown_fields=True):
    """Something that is asked of a running device; `A` is what it gives."""

    def run(self, subject: Subject) -> A:
        """Do it at the device's present.

        Raises:
            OperationError: it cannot be done.
            StillToCome: it waits for something, and the device's time passes by itself.
        """
        raise NotImplementedError


class StillToCome(Exception):
    """What an operation waits for has not happened yet: run `again` in its place, a little later."""

    def __init__(self, again: Operation[Any]) -> None:
        super().__init__("what is waited for has not happened yet")
        self.again = again


OPERATIONS: dict[str, type[Operation[Any]]] = {}
"""By their names, in the order of their declaration. Importing `ipg_emulator.control.operations` fills it."""
_READS: set[type[Operation[Any]]] = set()
_ANSWERS: dict[type[Operation[Any]], Any] = {}
_NAMES: dict[type[Operation[Any]], str] = {}

C = TypeVar("C", bound=Operation[Any])


def operation(name: str, *, reads: bool = False) -> Callable[[type[C]], type[C]]:
    """Declare an operation under a name of lower-case words and hyphens; one that only `reads` leaves the device as it is."""

    def declare(cls: type[C]) -> type[C]:
        if name in OPERATIONS:
            raise ValueError(f"operation {name} is {OPERATIONS[name].__name__} already, so it cannot be {cls.__name__}")
        OPERATIONS[name] = cls
        _NAMES[cls] = name
        _ANSWERS[cls] = get_args(cast("Any", cls).__orig_bases__[0])[0]
        if reads:
            _READS.add(cls)
        return cls

    return declare


def only_reads(operation: type[Operation[Any]]) -> bool:
    """Whether an operation leaves the device as it is."""
    return operation in _READS


def answer_type(operation: type[Operation[Any]]) -> Any:
    """What an operation gives."""
    return _ANSWERS[operation]


def name_of(operation: type[Operation[Any]]) -> str:
    """The name that an operation is declared under."""
    return _NAMES[operation]


def perform(operation: Operation[A], subject: Subject) -> A:
    """Run an operation that somebody in this process has made, with its values checked as those from outside are.

    Raises:
        OperationError: a value is not allowed, or it cannot be done.
        StillToCome: see there.
    """
    kind = type(operation)
    try:
        checked = msgspec.convert(msgspec.to_builtins(operation), kind)
    except msgspec.ValidationError as error:
        raise misread_error(kind, error) from None
    return run_on(checked, subject)


def misread_error(operation: type[Operation[Any]], error: Exception) -> OperationError:
    """The refusal of values that do not fit an operation."""
    from ipg_emulator.control.misread import why_misread

    return OperationError(f"{name_of(operation)}: {why_misread(operation, error)}")


def run_on(operation: Operation[A], subject: Subject) -> A:
    """Run an operation whose values are allowed; what has been due by then happens before, and what the device says goes out.

    Raises:
        OperationError: it cannot be done.
        StillToCome: see there.
    """
    with subject.exclusively():
        subject.present()
        answer = operation.run(subject)
        subject.present()
        return answer
