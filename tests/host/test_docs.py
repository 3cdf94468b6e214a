"""What docs/host.md shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ipg_host.cli.verbs import VERBS
from ipg_host.programs import parse_program
from ipg_host.schedules import parse_schedule
from ipg_protocol.commands.therapy import ScheduleRow

PAGE = (Path(__file__).parents[2] / "docs" / "host.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/host.md", "exec"), {})


def test_the_example_programs_and_schedule_are_such():
    tonic, magnetic, schedule = blocks("toml")
    assert parse_program(tonic).name == "Back and leg"
    assert parse_program(magnetic).areas[0].amplitude_microamps == 450
    assert parse_schedule(schedule) == (ScheduleRow(450, 45, 0), ScheduleRow(1260, 90, 1))


def test_every_command_is_on_the_page():
    assert [path for verb in VERBS if (path := " ".join(verb.path)) not in PAGE] == []
