"""The examples that a newcomer copies from do what they say."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from ipg_emulator.board import Drive
from ipg_emulator.model import load
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SECOND = 1_000_000
SETTINGS = AreaSettings(
    area=0,
    waveform=Waveform.TONIC_ACTIVE_RECHARGE,
    ramp_seconds=2,
    pulse_width_us=200,
    amplitude_microamps=4000,
    rate_millihertz=40_000,
    cycle_on_seconds=0,
    cycle_off_seconds=0,
    patient_minimum_microamps=0,
    patient_maximum_microamps=5000,
    contacts=(ContactShare(3, -1000), ContactShare(255, 1000)),
)


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_delivered", EXAMPLES / "draw_delivered.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stretch(start: int, until: int, level: int, to_level: int, settings: AreaSettings = SETTINGS) -> Drive:
    return Drive(settings, start * SECOND, until * SECOND, level, to_level, level, to_level, cycle_origin=0)


SESSION = [stretch(1, 3, 0, 4000), stretch(3, 5, 4000, 4000), stretch(5, 6, 4000, 5000), stretch(6, 7, 5000, 0)]


def test_a_continuous_stretch_is_drawn_whole(drawing: ModuleType) -> None:
    assert list(drawing.on_parts(SESSION[0])) == [((1.0, 0.0), (3.0, 4.0))]


def test_the_off_parts_of_a_cycle_are_left_out(drawing: ModuleType) -> None:
    cycled = msgspec.structs.replace(SETTINGS, cycle_on_seconds=2, cycle_off_seconds=3)
    parts = list(drawing.on_parts(stretch(1, 8, 0, 7000, cycled)))
    assert parts == [((1.0, 0.0), (2.0, 1.0)), ((5.0, 4.0), (7.0, 6.0))]


def test_a_session_is_told_by_its_occasions(drawing: ModuleType) -> None:
    assert drawing.occasions(SESSION) == [(1.0, "start to 4 mA"), (5.0, "step to 5 mA"), (6.0, "stop")]


def test_a_pulse_recovers_its_charge(drawing: ModuleType) -> None:
    corners = drawing.pulse(SETTINGS, load("drg-primary").output, -4.0)
    charge = sum((after[0] - before[0]) * after[1] for before, after in pairwise(corners))
    assert charge == pytest.approx(0)


def test_a_record_is_drawn(drawing: ModuleType, tmp_path: Path) -> None:
    record, target = tmp_path / "record.jsonl", tmp_path / "drawing.png"
    record.write_bytes(b"".join(msgspec.json.encode(drive) + b"\n" for drive in SESSION))
    assert drawing.main(["scs-rechargeable", str(record), str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")
