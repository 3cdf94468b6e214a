"""The suite over slow lines: what is chosen here for its timing passes on each. `tests/campaigns/slow_lines.py` runs it all."""

from __future__ import annotations

import random
import runpy
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ipg_conformance import Profile, Verdict, run_cases
from ipg_conformance.runner import select

CAMPAIGN: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "campaigns" / "slow_lines.py"))
Line = CAMPAIGN["Line"]
MS = 1000

TIMED = (
    "FRM/PARTIAL",
    "FRM/OVERSIZE/RT-01",
    "FRM/ANSWER/LT-01",
    "FRM/NOISE/LT-01",
    "CMD/STATE/BO-01/MEASURING",
    "TIM/SET",
    "RST/BOOT",
    "RST/FACTORY/BO-01",
    "RST/RESET",
    "RST/SHELF/BO-01",
    "RST/THERAPY",
    "SES/IDLE/LT-01",
    "SES/REPLACE",
    "REQ/ABORT/BV-01",
    "REQ/PENDING",
    "TST/BUSY",
    "THR/CHANGE/LT-01",
    "THR/READ",
    "THR/START",
    "THR/STOP/BV-05",
    "THR/STOP/LT",
    "MRI/SUSPEND",
    "MRI/TIME",
    "IMP/ALL",
    "IMP/BUSY",
    "IMP/THERAPY",
    "EVT",
)
"""Cases that bound a time, or that meet the device in what soon passes."""
SOON_OVER = ("FRM/PARTIAL/LT-02", "REQ/PENDING/BV", "IMP/BUSY", "THR/START/BO-01/MEASURING", "EVT/NUMBER")
"""Those of them that take no long in real time."""


@pytest.mark.parametrize("line", [Line(9_600, 50), Line(3_000_000, 200)], ids=str)
def test_cases_that_bound_a_time_pass_over_a_slow_line(line: Any) -> None:
    results = run_cases(CAMPAIGN["VirtualLine"](line), select(Profile.FULL, TIMED))
    assert len(results) > 60
    assert CAMPAIGN["amiss"](line, results) == []


def test_device_that_answers_late_on_a_quick_line_is_told_apart_from_no_line() -> None:
    line = Line(115_200, 60)
    (result,) = run_cases(CAMPAIGN["VirtualLine"](line), select(Profile.FULL, ["FRM/ANSWER/LT-01"]))
    assert line.is_late
    assert result.verdict is Verdict.NON_STRICT


@pytest.mark.timeout(60)
def test_cases_pass_over_tcp_with_delay_and_pacing() -> None:
    join = partial(CAMPAIGN["over_line"], Line(115_200, 5))
    ending = CAMPAIGN["run_suite"]("TCP", join, "--only", *SOON_OVER)
    assert ending.amiss == []
    assert ending.last_line.startswith("CONFORMANT")


@pytest.mark.timeout(60)
@pytest.mark.skipif(shutil.which("socat") is None, reason="there is no socat on this system")
def test_cases_pass_over_a_pair_of_terminals_that_socat_joins() -> None:
    ending = CAMPAIGN["run_suite"]("socat", CAMPAIGN["over_socat"], "--only", *SOON_OVER, "CMD/SESSION")
    assert ending.amiss == []
    assert ending.last_line.startswith("CONFORMANT")


def wire(baud: int, delay_ms: int) -> Any:
    return CAMPAIGN["Wire"](Line(baud, delay_ms), random.Random(1))


def test_bytes_leave_a_line_one_after_the_other_and_arrive_later() -> None:
    line = wire(10_000, 5)  # a byte takes 1 ms
    line.send(bytes(range(20)), now=0)
    assert line.arrived(6 * MS - 1) == b""
    assert line.arrived(25 * MS) == bytes(range(20))
    assert line.next_at() is None


def test_what_is_sent_to_a_line_that_is_not_free_waits() -> None:
    line = wire(10_000, 0)
    line.send(b"ab", now=0)
    line.send(b"c", now=1 * MS)
    line.send(b"d", now=50 * MS)
    assert line.arrived(2 * MS) in (b"a", b"ab", b"")
    assert line.arrived(3 * MS).endswith(b"c")
    assert line.arrived(51 * MS - 1) == b""
    assert line.arrived(51 * MS) == b"d"


def test_a_line_cuts_what_is_sent_anywhere_and_joins_it() -> None:
    line = wire(115_200, 0)
    frames = [bytes([number]) * 30 for number in range(50)]
    for frame in frames:
        line.send(frame, now=0)
    pieces: list[bytes] = []
    while (at := line.next_at()) is not None:
        pieces.append(line.arrived(at))
    assert b"".join(pieces) == b"".join(frames)
    assert any(len(set(piece)) > 1 for piece in pieces)
    assert any(len(piece) % 30 for piece in pieces)
