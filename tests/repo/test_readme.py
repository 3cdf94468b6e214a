"""The README does what it says: its commands and programs are run, and print what it shows, numbers aside."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


class Command(NamedTuple):
    """A command of a console block, and the output that the README shows below it."""

    line: str
    shown: str


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def _commands(block: str) -> list[Command]:
    return [Command(*part.partition("\n")[::2]) for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]


CONSOLE = [command for block in _blocks("console") for command in _commands(block)]
DEVICES = [command for command in CONSOLE if command.line.startswith("ipg-emulator run ")]
OTHERS = [command for command in CONSOLE if command not in DEVICES]


def _shape(text: str) -> list[str]:
    """The words of each line; numbers, which may differ from run to run, all look the same."""
    return [re.sub(r"-?\d[\d.:]*", "N", " ".join(line.split())) for line in text.splitlines() if line.strip()]


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run to the end, with errors in the same stream as the rest, as on a terminal."""
    return subprocess.run(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}


@pytest.fixture(scope="module")
def device(place: Path, environment: dict[str, str]) -> Iterator[list[str]]:
    """The device of the README, running; gives the lines that it printed when it was ready."""
    process = subprocess.Popen(
        shlex.split(DEVICES[0].line),
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield [process.stdout.readline() for _ in DEVICES[0].shown.splitlines()]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_the_device_says_what_the_readme_shows(device: list[str]) -> None:
    assert _shape("".join(device)) == _shape(DEVICES[0].shown)


@pytest.mark.timeout(90)
def test_the_commands_print_what_the_readme_shows(device: list[str], place: Path, environment: dict[str, str]) -> None:
    """One after the other, as they stand: what a command shows depends on those before it."""
    for command in OTHERS:
        done = _run(["bash", "-c", command.line], place, environment)
        assert _shape(done.stdout) == _shape(command.shown), command.line
        assert done.returncode == 0


@pytest.mark.parametrize("number", range(len(_blocks("python"))))
def test_a_program_of_the_readme_runs(number: int, device: list[str], place: Path, environment: dict[str, str]) -> None:
    program = place / f"test_readme_program_{number}.py"
    program.write_text(_blocks("python")[number])
    is_pytest = "def test_" in program.read_text()
    line = [sys.executable, "-m", "pytest", "-q", program.name] if is_pytest else [sys.executable, program.name]
    done = _run(line, place, environment)
    assert done.returncode == 0, done.stdout


def test_the_tasks_of_the_readme_are_there() -> None:
    lines = [line for block in _blocks("sh") for line in block.splitlines()]
    assert lines
    for line in lines:
        assert line == ". .venv/bin/activate" or _run([*line.split(), "--dry-run"], ROOT, dict(os.environ)).returncode == 0


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
