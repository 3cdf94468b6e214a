"""docs/testing-your-host.md is followed as its reader would: its files are written, its changes made, its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "testing-your-host.md").read_text()
ANYTHING = "..."
"""In the output that the page shows, on a line of its own or within one."""


def _blocks() -> list[tuple[str, str, str]]:
    """Language, rest of the opening line, and text of every fenced block, in their order."""
    return re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def _change(folder: Path, name: str, difference: str) -> None:
    """Make the change that a block of `diff` shows in a file."""
    lines = difference.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] != other) for other in "+-")
    text = (folder / name).read_text()
    assert text.count(old) == 1, f"{name} holds not one place like\n{old}"
    (folder / name).write_text(text.replace(old, new))


def _run(folder: Path, block: str) -> None:
    """Run the commands of a `console` block, and hold what they print against what the page shows."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=25,
            check=False,
        )
        assert _is_as_shown(done.stdout, shown), f"$ {command}\n{done.stdout}"


def _is_as_shown(printed: str, shown: str) -> bool:
    """Whether output is what the page shows, but for durations and the width of the terminal."""
    printed, shown = (re.sub(r"in [0-9.]+s", "in a while", re.sub(r"([ =_-])\1+", r"\1", text)) for text in (printed, shown))
    return re.fullmatch(re.escape(shown).replace(re.escape(ANYTHING), ".*"), printed, re.DOTALL) is not None


@pytest.mark.timeout(120)
def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    for language, name, text in _blocks():
        match language:
            case "console":
                _run(tmp_path, text)
            case "diff":
                _change(tmp_path, name, text)
            case _ if name:
                with (tmp_path / name).open("a") as file:
                    file.write(text)
            case _:
                pytest.fail(f"a block of {language} that has no file name")


def test_the_host_program_of_the_tutorial_is_the_readers_own() -> None:
    (program,) = [text for _, name, text in _blocks() if name == "stepper.py" and text.startswith('"""')]
    assert "ipg_" not in program
    assert len([line for line in program.splitlines() if line]) <= 40
