"""What `ipg-emulator run` shows while it runs."""

from __future__ import annotations

import os
import pty

import pytest
from ipg_emulator.console import EventLines, StatusLine, describe, describe_fleet
from ipg_protocol.commands.therapy import StartTherapy


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_each_event_is_a_plain_line(bench, pipe):
    reader, writer = pipe
    EventLines(bench.firmware, writer)
    bench.ask(StartTherapy(1))
    line = "    0.020000 THERAPY_STATE_CHANGED previous=IDLE state=RAMPING cause=COMMAND\n"
    assert os.read(reader, 1000).decode() == line


def test_among_several_devices_a_line_says_whose_event_it_is(bench, pipe):
    reader, writer = pipe
    EventLines(bench.firmware, writer, "[7] ")
    bench.ask(StartTherapy(1))
    assert os.read(reader, 1000).decode().startswith("    0.020000 [7] THERAPY_STATE_CHANGED ")


def test_a_fleet_is_counted_by_state(make_bench):
    resting, treating = make_bench(), make_bench()
    treating.open()
    treating.ask(StartTherapy(1))
    line = describe_fleet([resting.firmware, treating.firmware])
    assert line == "2 devices: 1 IDLE, 1 RAMPING | 2 answered, 0 refused, 0 noise"


def test_the_status_line_says_what_is_delivered_and_is_not_repeated(bench, pipe):
    reader, writer = pipe
    line = StatusLine(lambda _: describe(bench.firmware, bench.now), writer)
    line.wake(bench.now)
    assert b"IDLE      program 0 (0.00 mA, 0.00 mA) | battery 4.1" in os.read(reader, 1000)
    line.wake(line.wake_at())
    line.end()
    assert os.read(reader, 1000) == b"\n"


def test_the_status_line_keeps_to_the_terminal_width(bench):
    master, slave = pty.openpty()
    line = StatusLine(lambda _: describe(bench.firmware, bench.now), slave)
    line.wake(bench.now)
    shown = os.read(master, 1000).split(b"\x1b[K")[1]
    assert len(shown) == 79
    os.close(master)
    os.close(slave)
