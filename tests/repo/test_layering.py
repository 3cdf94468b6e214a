"""Who may import whom, which library enters where, and how long a module may grow."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_OF = {
    "ipg_protocol": ROOT / "protocol/ipg_protocol",
    "ipg_emulator": ROOT / "emulator/ipg_emulator",
    "ipg_host": ROOT / "host/ipg_host",
    "ipg_conformance": ROOT / "tests/conformance/ipg_conformance",
}
MAY_IMPORT = {
    "ipg_protocol": set[str](),
    "ipg_emulator": {"ipg_protocol"},
    "ipg_host": {"ipg_protocol"},
    "ipg_conformance": {"ipg_protocol"},
}
ONLY_IMPORTER = {
    "construct": "protocol/ipg_protocol/wire.py",
    "crcmod": "protocol/ipg_protocol/frame.py",
    "cobs": "protocol/ipg_protocol/frame.py",
    "pcapng": "protocol/ipg_protocol/capture.py",
    "asyncio": "host/ipg_host/aio.py",
}
EDGE_LIBRARIES = {
    "time",
    "random",
    "threading",
    "asyncio",
    "socket",
    "serial",
    "secrets",
    "construct",
    "crcmod",
    "cobs",
    "pcapng",
}
HOST_FROM_THE_EMULATOR = (
    "emulator/ipg_emulator/campaign/hosts.py",
    "emulator/ipg_emulator/testing/ipg.py",
    "emulator/ipg_emulator/testing/target.py",
)
"""The worlds of a campaign hold real hosts, and fixtures give clients: these import the host library, inside functions only."""
INWARD = {"ipg_emulator.firmware": {"ipg_emulator.ports", "ipg_emulator.runner", "ipg_emulator.cli", "ipg_emulator.faults"}}
LONGEST_MODULE = 380
LONGEST_FUNCTION = 35


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def _imports(path: Path) -> frozenset[str]:
    """Every module named by an import, wherever it stands; of `from a import b` both `a` and `a.b`."""
    return frozenset(module for node in ast.walk(_tree(path)) for module in _named_modules(node))


def _libraries(path: Path) -> set[str]:
    return {module.partition(".")[0] for module in _imports(path)}


def _named_modules(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name.name for name in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [module, *(f"{module}.{name.name}" for name in names)]
        case ast.Call(func=ast.Name(id="import_module" | "__import__"), args=[ast.Constant(value=str(module)), *_]):
            return [module]
        case _:
            return []


def _modules(package: str) -> list[Path]:
    return sorted(SOURCE_OF[package].rglob("*.py"))


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


EVERY_MODULE = [path for package in SOURCE_OF for path in _modules(package)]


@pytest.mark.parametrize("package", SOURCE_OF)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
    above = SOURCE_OF.keys() - MAY_IMPORT[package] - {package}
    found = {(_relative(path), top) for path in _modules(package) for top in _libraries(path) & above}
    assert found <= {(path, "ipg_host") for path in HOST_FROM_THE_EMULATOR}


@pytest.mark.parametrize("path", HOST_FROM_THE_EMULATOR)
def test_the_emulator_imports_the_host_library_inside_functions_only(path: str) -> None:
    module = _tree(ROOT / path)
    at_the_top = [node for statement in module.body for node in _run_at_import(statement)]
    assert not [name for node in at_the_top for name in _named_modules(node) if name.startswith("ipg_host")]
    assert "ipg_host" in _libraries(ROOT / path)


def _run_at_import(statement: ast.stmt) -> list[ast.AST]:
    """The nodes of a statement that run when its module is imported; what stands there for the type checkers alone does not."""
    if isinstance(statement, ast.If) and isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING":
        return []
    functions = [node for node in ast.walk(statement) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    return [node for node in ast.walk(statement) if id(node) not in inside]


@pytest.mark.parametrize("layer", INWARD)
def test_a_core_does_not_import_its_edges(layer: str) -> None:
    package, _, folder = layer.partition(".")
    core = sorted((SOURCE_OF[package] / folder).rglob("*.py"))
    assert core
    prefixes = tuple(f"{edge}." for edge in INWARD[layer])
    imported = {(_relative(path), f"{module}.") for path in core for module in _imports(path)}
    assert not {(path, module) for path, module in imported if module.startswith(prefixes)}


@pytest.mark.parametrize("library", ONLY_IMPORTER)
def test_a_library_enters_through_one_module(library: str) -> None:
    importers = {_relative(path) for path in EVERY_MODULE if library in _libraries(path)}
    assert importers <= {ONLY_IMPORTER[library]}


def _ruff() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]


def test_the_lint_bans_every_edge_library() -> None:
    assert set(_ruff()["flake8-tidy-imports"]["banned-api"]) == EDGE_LIBRARIES


def test_each_exception_of_the_lint_is_used() -> None:
    patterns = [pattern for pattern, rules in _ruff()["per-file-ignores"].items() if "TID251" in rules]
    for pattern in patterns:
        exempted = [path for path in EVERY_MODULE if path.match(str(ROOT / pattern))]
        used = {library for path in exempted for library in _libraries(path)}
        shipped = any((ROOT / pattern).is_relative_to(source) for source in SOURCE_OF.values())
        assert not shipped or used & EDGE_LIBRARIES, f"{pattern} needs no exception"


def test_no_library_is_imported_past_the_lint() -> None:
    """`import_module("time")` gets past it; construct's own module may, to start fast."""
    found = {
        (module.partition(".")[0], _relative(path))
        for path in EVERY_MODULE
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        for module in _named_modules(node)
    }
    assert {(library, path) for library, path in found if library in EDGE_LIBRARIES} <= set(ONLY_IMPORTER.items())


def test_modules_are_short() -> None:
    lengths = {_relative(path): len(path.read_text().splitlines()) for path in EVERY_MODULE}
    assert not {path: length for path, length in lengths.items() if length > LONGEST_MODULE}


def test_modules_say_what_they_are_for() -> None:
    assert not [_relative(path) for path in EVERY_MODULE if not ast.get_docstring(_tree(path))]


def test_functions_are_short() -> None:
    lengths = {
        f"{_relative(path)}: {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in EVERY_MODULE
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
