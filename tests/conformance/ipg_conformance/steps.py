"""The steps of a case as its source has them, one statement each: what the docstring says in general, exactly."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from ipg_conformance.case import Case


def steps_of(case: Case) -> tuple[str, ...]:
    """What the case does, step by step; with `each`, first what stands for the argument."""
    names = list(inspect.signature(case.function).parameters)[1:]
    given = (f"{name} = {_value_text(value)}" for name, value in zip(names, case.arguments, strict=True))
    return (*given, *_statements(case.function))


def _value_text(value: object) -> str:
    name = getattr(value, "name", None) or getattr(value, "__name__", None)
    return name if isinstance(name, str) else str(value)


@cache
def _statements(function: Callable[..., None]) -> tuple[str, ...]:
    code = function.__code__
    body = _functions(code.co_filename).get(code.co_firstlineno)
    return tuple(_texts(body)) if body else ()


@cache
def _functions(path: str) -> dict[int, ast.FunctionDef]:
    """The functions of a module by the line on which they begin, decorators included."""
    functions = [node for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return {min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node for node in functions}


def _texts(function: ast.FunctionDef) -> Iterator[str]:
    has_docstring = ast.get_docstring(function) is not None
    for statement in function.body[has_docstring:]:
        yield ast.unparse(statement)
