"""The kinds of faults in words, from their declarations: what each does, its parameters, and what these may be."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect as types

from ipg_emulator.faults.fault import FAULTS, Condition, Fault, When, check_name
from ipg_emulator.faults.plan import KINDS

NO_DEFAULT = "must be given"


class Parameter(NamedTuple):
    """A field of a fault."""

    name: str
    takes: str
    default: str
    doc: str


def kinds_of(module: ModuleType) -> dict[str, type[Fault]]:
    """The kinds that a module declares, by name."""
    return {name: cls for name, cls in FAULTS.items() if cls.__module__ == module.__name__}


def every_kind() -> dict[str, type[Fault]]:
    """All kinds by name, in the order in which they are told."""
    return {name: cls for module in KINDS for name, cls in kinds_of(module).items()}


def kind_doc(kind: type[Fault]) -> str:
    """What a kind of fault is."""
    return " ".join((inspect.getdoc(kind) or "").split())


def common_parameters() -> list[Parameter]:
    """What every fault has, and every condition."""
    return [each for each in _parameters(Condition) if each.name != "when"]


def when_parameters() -> list[Parameter]:
    """The fields of `when`."""
    return _parameters(When)


def own_parameters(kind: type[Fault]) -> list[Parameter]:
    """The fields that a kind has beside the common ones, and those whose default is another."""
    common = common_parameters()
    return [each for each in _parameters(kind) if each.name != "when" and each not in common]


def takes(struct: type[msgspec.Struct], field: str) -> str:
    """What a field may be, in words."""
    return next(_words(each.type) for each in _fields(struct) if each.name == field)


def _parameters(struct: type[msgspec.Struct]) -> list[Parameter]:
    docs = _field_docs(struct)
    return [Parameter(each.name, _words(each.type), _default(each), docs.get(each.name, "")) for each in _fields(struct)]


def _fields(struct: type[msgspec.Struct]) -> tuple[types.Field, ...]:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    return info.fields


def _default(field: types.Field) -> str:
    if field.default_factory is not msgspec.NODEFAULT:
        return "none"
    if field.default is msgspec.NODEFAULT:
        return NO_DEFAULT
    return "none" if field.default is None else _toml(field.default)


def _toml(value: Any) -> str:
    """A value as it stands in a plan."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"  # pyright: ignore[reportUnknownArgumentType] - of any kind
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _words(kind: types.Type) -> str:
    return _WORDS[type(kind)](kind)


def _alternatives(kind: types.UnionType) -> str:
    return " or ".join(_words(each) for each in kind.types if not isinstance(each, types.NoneType))


def _bounds(least: float | None, most: float | None) -> str:
    if most is None:
        return "" if least is None else f" from {least}"
    return f" from {least or 0} to {most}"


_WORDS: dict[type[types.Type], Callable[[Any], str]] = {
    types.BoolType: lambda _: "true or false",
    types.DictType: lambda kind: f"table of {_words(kind.value_type)}s",
    types.FloatType: lambda kind: f"number{_bounds(kind.ge, kind.le)}",
    types.IntType: lambda kind: f"whole number{_bounds(kind.ge, kind.le)}",
    types.ListType: lambda kind: f"list of {_words(kind.item_type)}s",
    types.LiteralType: lambda kind: " or ".join(sorted(map(_toml, kind.values))),
    types.StrType: lambda _: "name",
    types.StructType: lambda kind: f"table of {', '.join(field.name for field in kind.fields)}",
    types.UnionType: _alternatives,
    types.VarTupleType: lambda kind: f"list of {_words(kind.item_type)}s",
}
"""What a field of each type may be."""


def _field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """What stands below each field in the source, of the class and those above it."""
    docs: dict[str, str] = {}
    for cls in reversed(struct.__mro__):
        if cls.__module__.startswith("ipg_emulator."):
            docs |= _docs_in(ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0])
    return docs


def _docs_in(declaration: ast.stmt) -> dict[str, str]:
    assert isinstance(declaration, ast.ClassDef)
    found: dict[str, str] = {}
    for field, below in zip(declaration.body, declaration.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(doc))):
                found[name] = " ".join(doc.split())
            case _:
                pass
    return found


def listing(name: str | None = None) -> str:
    """Every kind, or one, with its parameters and what all have in common, for a terminal.

    Raises:
        FaultError: there is no such kind.
    """
    kinds = every_kind()
    if name is not None:
        check_name("fault", name, kinds)
        kinds = {name: kinds[name]}
    lines = [line for name, kind in kinds.items() for line in (name, f"    {kind_doc(kind)}", *_lines(own_parameters(kind)))]
    return "\n".join([*lines, "", "every fault", *_lines(common_parameters()), "", "when", *_lines(when_parameters())])


def _lines(parameters: Iterable[Parameter]) -> Iterator[str]:
    for each in parameters:
        if each.name != "when":
            default = each.default if each.default == NO_DEFAULT else f"default {each.default}"
            yield f"    {each.name}: {each.takes} ({default}){f'. {each.doc}' if each.doc else ''}"
