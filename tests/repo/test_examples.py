"""The example that a newcomer runs first types only what the commands take."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ipg_conformance.cli import parser as conformance_parser
from ipg_emulator.cli import build_parser as emulator_parser
from ipg_host.cli.main import build_parser as host_parser

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
PARSERS = {"ipg-host": host_parser, "ipg-emulator": emulator_parser, "ipg-conformance": conformance_parser}


@pytest.fixture
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", EXAMPLES / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_line_of_the_demo_is_taken_by_its_command(demo, monkeypatch, tmp_path, capsys) -> None:
    class Running:
        stdout = SimpleNamespace(readline=lambda: "READY pty demo-out/ipg0\n")

        def __init__(self, *_: object, **__: object) -> None: ...
        def terminate(self) -> None: ...
        def wait(self, _: float = 0) -> int:
            return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "HELD_SECONDS", 0)
    monkeypatch.setattr(demo, "state", lambda: "IDLE")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=0))
    monkeypatch.setattr(subprocess, "Popen", Running)
    assert demo.main() == 0
    lines = [shlex.split(line[2:]) for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    assert {name for name, *_ in lines} == set(PARSERS)
    for name, *words in lines:
        assert isinstance(PARSERS[name]().parse_args(words), argparse.Namespace)
