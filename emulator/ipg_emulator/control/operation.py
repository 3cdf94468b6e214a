"""The catalogue of operations: `@operation` declares one, and every front end is derived from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from ipg_emulator.virtual import Subject

A = TypeVar("A")


class OperationError(ValueError):
    """An operation cannot be done; the text says what was wrong, and what would be right. Nothing has changed."""


class Operation(msgspec.Struct, Generic[A], frozen=True, forbid_unknown_fields=True):
    """Something that is asked of a running device; `A` is what it gives."""

    def run(self, subject: Subject) -> A:
        """Do it at the device's present.

        Raises:
            OperationError: it cannot be done.
        """
        raise NotImplementedError


OPERATIONS: dict[str, type[Operation[Any]]] = {}
"""By their names, in the order of their declaration."""
_READS: set[type[Operation[Any]]] = set()
_ANSWERS: dict[type[Operation[Any]], Any] = {}

C = TypeVar("C", bound=Operation[Any])


def operation(name: str, *, reads: bool = False) -> Callable[[type[C]], type[C]]:
    """Declare an operation under a name of lower-case words and hyphens; one that only `reads` leaves the device as it is."""

    def declare(cls: type[C]) -> type[C]:
        if name in OPERATIONS:
            raise ValueError(f"operation {name} is {OPERATIONS[name].__name__} already, so it cannot be {cls.__name__}")
        OPERATIONS[name] = cls
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
