"""Reads model files: TOML text in, a checked `DeviceModel` out, or one line that says what is wrong and what is allowed."""

from __future__ import annotations

import os
import re
import tomllib
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from ipg_emulator.model.device import DeviceModel

_SHIPPED = os.path.join(os.path.dirname(os.path.dirname(__file__)), "models")


class ModelError(ValueError):
    """A model file cannot be used; the text names the file, the field, and what is allowed."""


def names() -> list[str]:
    """The models that are shipped, sorted."""
    return sorted(name.removesuffix(".toml") for name in os.listdir(_SHIPPED) if name.endswith(".toml"))


def load(name_or_path: str) -> DeviceModel:
    """A shipped model by name, or a model file by path (anything that ends in `.toml`).

    Raises:
        ModelError: there is no such model, or the file does not describe one.
    """
    if name_or_path.endswith(".toml"):
        path = name_or_path
    elif name_or_path in names():
        path = os.path.join(_SHIPPED, f"{name_or_path}.toml")
    else:
        raise ModelError(f"unknown model {name_or_path!r}; known: {', '.join(names())}, or the path of a .toml file")
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file.read(), path)
    except OSError as error:
        raise ModelError(f"{name_or_path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{name_or_path}: not UTF-8 text at byte {error.start}") from error


def parse(text: str, origin: str) -> DeviceModel:
    """The model that TOML text describes; `origin` names it in errors.

    Raises:
        ModelError: names the field and what is allowed there.
    """
    try:
        return msgspec.convert(tomllib.loads(text), DeviceModel)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{origin}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ModelError(f"{origin}: {_plain(str(error))}") from error


def _plain(problem: str) -> str:
    """msgspec's ``reason - at `$.path``` as `path: reason`, with the choices where msgspec does not give them."""
    reason, _, path = problem.partition(" - at `$")
    path = path.strip(".`")
    choices = _choices(path) if "unknown field" in reason or "enum value" in reason else []
    return f"{path}: {reason}".removeprefix(": ").replace("`", "") + (f"; known: {', '.join(choices)}" if choices else "")


def _choices(path: str) -> list[str]:
    """The keys or the values that may stand at a path of the model."""
    at: Any = DeviceModel
    for name in re.findall(r"\w+|\[", path.replace("[...]", "[")):
        if name == "[":
            at = [part for part in get_args(at) if part is not Ellipsis][-1]
        elif not name.isdigit():
            at = _without_none(get_type_hints(at)[name])
    if issubclass(at, Enum):
        return [str(member.value) for member in at]
    return list(at.__struct_fields__)


def _without_none(hint: Any) -> Any:
    """The type of a table that a model may lack."""
    return get_args(hint)[0] if isinstance(hint, UnionType) else hint
