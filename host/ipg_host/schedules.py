"""Daily schedules as TOML: `[[rows]]` with `time = "07:30"` (UTC), `duration = "45 min"` and `program = 0`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from ipg_protocol.commands.therapy import ScheduleRow

from ipg_host.errors import InputError
from ipg_host.tables import load, read_tables
from ipg_host.units import Quantity, parse_quantity

_MINUTES_PER_HOUR = 60


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minute_of_day: int
    duration_minutes: Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
    program: Annotated[int, msgspec.Meta(ge=0, le=255)]


class _Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: tuple[_Row, ...]


def load_schedule(path: Path) -> tuple[ScheduleRow, ...]:
    """Read a schedule file.

    Raises:
        InputError: it cannot be read, or does not describe a schedule; the text names the file, the place, and what is allowed.
    """
    return load(path, parse_schedule)


def parse_schedule(text: str) -> tuple[ScheduleRow, ...]:
    """The rows that TOML text describes, by time of day; `rows = []` describes none.

    Raises:
        InputError: it does not describe a schedule.
    """
    table = read_tables(text, "rows", _whole_number, _Schedule)
    rows = sorted(table.rows, key=lambda row: row.minute_of_day)
    return tuple(ScheduleRow(row.minute_of_day, row.duration_minutes, row.program) for row in rows)


def _whole_number(row: Mapping[str, Any], key: str) -> tuple[str, Any]:
    match key:
        case "time":
            return "minute_of_day", _minute_of_day(str(row[key]))
        case "duration":
            return "duration_minutes", parse_quantity(str(row[key]), Quantity.MINUTES)
        case _:
            return key, row[key]


def _minute_of_day(text: str) -> int:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)(?::00)?", text)
    if match is None:
        raise InputError(f"{text!r} is not a time of day from 00:00 to 23:59")
    return int(match[1]) * _MINUTES_PER_HOUR + int(match[2])


def schedule_toml(rows: Sequence[ScheduleRow]) -> str:
    """The text from which `parse_schedule` makes the same rows."""
    return "\n".join(_row_toml(row) for row in rows) if rows else "rows = []\n"


def _row_toml(row: ScheduleRow) -> str:
    hour, minute = divmod(row.minute_of_day, _MINUTES_PER_HOUR)
    lines = (f'time = "{hour:02}:{minute:02}"', f'duration = "{row.duration_minutes} min"', f"program = {row.program}")
    return "\n".join(("[[rows]]", *lines)) + "\n"
