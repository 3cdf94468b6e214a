"""What docs/host.md shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ipg_host.programs import parse_program

PAGE = (Path(__file__).parents[2] / "docs" / "host.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_runs(block):
    exec(compile(block, "docs/host.md", "exec"), {})


def test_the_example_program_is_one():
    assert parse_program(blocks("toml")[0]).name == "Back and leg"
