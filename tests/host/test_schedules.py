"""Schedule files: what is read, what is written, and what is said of a bad one."""

from __future__ import annotations

import pytest
from ipg_host.errors import InputError
from ipg_host.schedules import load_schedule, parse_schedule, schedule_toml
from ipg_protocol.commands.therapy import ScheduleRow

SCHEDULE = """
[[rows]]
time = "19:05"
duration = "1.5 h"
program = 2

[[rows]]
time = "07:30"
duration = "45 min"
program = 0
"""

ROWS = (ScheduleRow(450, 45, 0), ScheduleRow(1145, 90, 2))


def test_rows_come_by_time_of_day():
    assert parse_schedule(SCHEDULE) == ROWS


@pytest.mark.parametrize("rows", [ROWS, ()])
def test_what_is_written_is_read_back(rows):
    assert parse_schedule(schedule_toml(rows)) == rows


def test_a_time_of_toml_is_a_time_of_day():
    assert parse_schedule(SCHEDULE.replace('"07:30"', "07:30:00")) == ROWS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"07:30"', '"24:00"', r"rows\[1\].time: '24:00' is not a time of day from 00:00 to 23:59"),
        ('"07:30"', '"07:30:30"', r"rows\[1\].time: '07:30:30' is not a time of day"),
        ('"45 min"', '"45"', r"rows\[1\].duration: '45' has no unit: write it in min or h"),
        ('"45 min"', '"90 s"', r"has the unit 's': write it in min or h"),
        ("program = 0", "", "missing required field `program`"),
        ("program = 0", "programme = 0", "unknown field `programme`"),
        ("program = 0", "program = 256", "Expected `int` <= 255"),
        ("[[rows]]", "[[row]]", "unknown field `row`"),
        ("[[rows]]", "[rows]", "Cannot declare"),
        (SCHEDULE, "", "missing required field `rows`"),
    ],
)
def test_a_bad_file_is_told_where_and_what_is_allowed(tmp_path, old, new, message):
    file = tmp_path / "day.toml"
    file.write_text(SCHEDULE.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        load_schedule(file)
    assert str(caught.value).startswith(f"{file}: ")
