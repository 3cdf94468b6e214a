"""The steps of a case as its source has them, one statement each: what the docstring says in general, exactly."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType

from ipg_conformance.case import Case
from ipg_conformance.device import Device
from ipg_conformance.permission import PACKAGE
from ipg_conformance.tester import Tester
from ipg_conformance.wording import shown


def steps_of(case: Case) -> tuple[str, ...]:
    """What the case does, step by step; with `each`, first what stands for the argument."""
    names = list(inspect.signature(case.function).parameters)[1:]
    given = (f"{name} = {_argument_text(value, case)}" for name, value in zip(names, case.arguments, strict=True))
    return (*given, *_statements(case.function))


def _argument_text(value: object, case: Case) -> str:
    """What stands for an argument; of a function without a name, what the case's id ends in."""
    name = getattr(value, "__name__", "") if isinstance(value, FunctionType) else shown(value)
    return case.id.rpartition("/")[2] if name == "<lambda>" else name


def glossary_of(case: Case) -> dict[str, str]:
    """What the functions do that the steps call by name, each in one line."""
    function = _declared(case.function)
    nodes = (node for statement in (function.body if function else []) for node in ast.walk(statement))
    called = {ast.unparse(node.func): _called(node.func, case.function) for node in nodes if isinstance(node, ast.Call)}
    told = {name: inspect.getdoc(found) or "" for name, found in called.items() if found is not None}
    return {name: doc.partition("\n")[0] for name, doc in told.items() if doc}


def _called(called: ast.expr, function: Callable[..., None]) -> object:
    """The suite's own function that an expression names: one of its modules, or a method of the device or the tester."""
    match called:
        case ast.Name(name):
            found = function.__globals__.get(name)
            return found if isinstance(found, FunctionType) and found.__module__.startswith(PACKAGE) else None
        case ast.Attribute(ast.Name("device"), name):
            return getattr(Device, name, None)
        case ast.Attribute(ast.Attribute(ast.Name("device"), "tester"), name):
            return getattr(Tester, name, None)
        case _:
            return None  # a method of what an earlier step returned: its name has to say it


@cache
def _statements(function: Callable[..., None]) -> tuple[str, ...]:
    declared = _declared(function)
    return tuple(_texts(declared)) if declared else ()


def _declared(function: Callable[..., None]) -> ast.FunctionDef | None:
    code = function.__code__
    return _functions(code.co_filename).get(code.co_firstlineno)


@cache
def _functions(path: str) -> dict[int, ast.FunctionDef]:
    """The functions of a module by the line on which they begin, decorators included."""
    functions = [node for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return {min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node for node in functions}


def _texts(function: ast.FunctionDef) -> Iterator[str]:
    has_docstring = ast.get_docstring(function) is not None
    for statement in function.body[has_docstring:]:
        yield ast.unparse(statement)
