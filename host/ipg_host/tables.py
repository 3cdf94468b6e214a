"""TOML files that people write: a list of tables, in which a quantity may stand as text with its unit."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from ipg_host.errors import InputError

T = TypeVar("T")

WholeNumber: TypeAlias = Callable[[Mapping[str, Any], str], tuple[str, Any]]
"""From a table and one of its keys to the key and the value to take in its place."""


def load(path: Path, parse: Callable[[str], T]) -> T:
    """What `parse` makes of a file's text.

    Raises:
        InputError: it cannot be read, or does not describe what it should; names the file, the place, and what is allowed.
    """
    try:
        return parse(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_tables(text: str, rows: str, whole_number: WholeNumber, shape: type[T]) -> T:
    """TOML as a `shape`, once `whole_number` has gone over each key of the tables that stand under `rows`.

    Raises:
        InputError: it is not TOML, or not of this shape.
    """
    try:
        raw = tomllib.loads(text)
        if rows in raw:
            tables = msgspec.convert(raw[rows], list[dict[str, Any]])
            raw[rows] = [_with_whole_numbers(f"{rows}[{index}]", table, whole_number) for index, table in enumerate(tables)]
        return msgspec.convert(raw, shape)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(str(error)) from error


def _with_whole_numbers(place: str, table: Mapping[str, Any], whole_number: WholeNumber) -> dict[str, Any]:
    converted: dict[str, Any] = {}
    for key in table:
        try:
            number_key, value = whole_number(table, key)
        except InputError as error:
            raise InputError(f"{place}.{key}: {error}") from error
        converted[number_key] = value
    return converted
