"""`ipg-emulator plot`: what it draws, from what, and what it says when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from ipg_emulator.board import Drive, Load, Segment
from ipg_emulator.cli import main
from ipg_emulator.model import load
from ipg_emulator.plot import PlotError, check_target
from ipg_emulator.plot.scenes import growth_curves
from ipg_emulator.plot.waveform import Part, closer_looks, occasions, parts
from ipg_emulator.published import area_of
from ipg_emulator.record import OutputRecord
from ipg_emulator.recording import SegmentFile
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

SECOND = 1_000_000
SETTINGS = area_of(
    load("scs-rechargeable"),
    waveform=Waveform.TONIC_ACTIVE_RECHARGE,
    ramp_seconds=2,
    pulse_width_us=200,
    amplitude_microamps=4000,
    rate_millihertz=40_000,
    patient_maximum_microamps=5000,
    contacts=(ContactShare(3, -1000), ContactShare(255, 1000)),
)
BEGINNINGS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def stretch(start: int, until: int, level: int, to_level: int, settings: AreaSettings = SETTINGS) -> Segment:
    drive = Drive(settings, start * SECOND, until * SECOND, level, to_level, level, to_level, cycle_origin=0)
    return Segment(drive, Load(500.0, 1e-6, 1e-6, 3))


SESSION = [stretch(1, 3, 0, 4000), stretch(3, 5, 4000, 4000), stretch(5, 6, 4000, 5000), stretch(6, 7, 5000, 0)]


def test_a_continuous_stretch_is_drawn_whole() -> None:
    assert list(parts(SESSION[0].drive, 3 * SECOND)) == [Part(1.0, 3.0, 0, 4000)]


def test_the_off_parts_of_a_cycle_are_left_out() -> None:
    cycled = msgspec.structs.replace(SETTINGS, cycle_on_seconds=2, cycle_off_seconds=3)
    drive = stretch(1, 8, 0, 7000, cycled).drive
    assert list(parts(drive, 8 * SECOND)) == [Part(1.0, 2.0, 0, 1000), Part(5.0, 7.0, 4000, 6000)]


def test_a_year_of_cycles_is_drawn_by_its_outline() -> None:
    cycled = msgspec.structs.replace(SETTINGS, cycle_on_seconds=30, cycle_off_seconds=90)
    drive = stretch(0, 365 * 86_400, 4000, 4000, cycled).drive
    assert len(list(parts(drive, 365 * 86_400 * SECOND))) == 1


def test_a_session_is_told_by_its_occasions() -> None:
    assert occasions(SESSION) == [(1.0, "start"), (5.0, "change"), (6.0, "stop")]


def test_the_closer_looks_are_taken_while_the_output_is_on() -> None:
    cycled = msgspec.structs.replace(SETTINGS, cycle_on_seconds=2, cycle_off_seconds=3)
    segments = [stretch(0, 9, 4000, 4000, cycled)]
    model = load("scs-rechargeable")
    train, pulse = closer_looks(OutputRecord(model, segments), segments, segments[0].drive, model)
    assert (train.start, train.end) == (6_940_000, 7_000_000)
    assert pulse.start < 6_975_000
    assert 6_975_450 < pulse.end < 7_000_000
    assert (train.title, pulse.title) == ("40 pulses a second", "200 us, 0.8 uC")


def test_a_growth_curve_rises_with_charge_and_with_nearness() -> None:
    curves = {curve.posture: curve.microvolts for curve in growth_curves(load("scs-closed-loop"), 0)}
    assert list(curves["supine"]) == sorted(curves["supine"])
    assert curves["supine"][-1] > curves["standing"][-1] > curves["prone"][-1] > 100


@pytest.mark.parametrize(
    "options",
    [
        ["waveform", "--model", "scs-burst"],
        ["waveform", "--model", "tms"],
        ["waveform", "--model", "tdcs", "--seconds", "40"],
        ["battery", "--model", "scs-burst", "--program", "0"],
        ["impedance", "--model", "scs-rechargeable", "--lead-fault", "3=open", "--lead-fault", "9=short"],
        ["ecap", "--model", "scs-closed-loop"],
    ],
    ids=" ".join,
)
def test_a_picture_is_drawn(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "picture.png"
    assert main(["plot", *options, "-o", str(target)]) == 0
    assert target.read_bytes().startswith(BEGINNINGS[".png"])
    assert capsys.readouterr().out == f"{target}\n"


@pytest.mark.parametrize("suffix", BEGINNINGS)
def test_a_record_is_drawn_and_the_same_record_gives_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    write = SegmentFile(str(record), "scs-rechargeable")
    for segment in SESSION:
        write(segment)
    pictures = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for picture in pictures:
        assert main(["plot", "waveform", "--model", "scs-rechargeable", "--record", str(record), "-o", str(picture)]) == 0
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second
    assert first.startswith(BEGINNINGS[suffix])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["impedance", "--model", "tms", "-o", "a.png"], "tms does not measure impedance"),
        (["ecap", "--model", "tens", "-o", "a.png"], "tens does not sense"),
        (["battery", "--model", "tms", "-o", "a.png"], "tms lives on mains power: its battery does not run down"),
        (["waveform", "--model", "tens", "--program", "9", "-o", "a.png"], "tens has no program in slot 9"),
        (["waveform", "--model", "tens", "-o", "a.gif"], "a.gif: a picture's name ends in .png, .svg, .pdf"),
        (["waveform", "--model", "nope", "-o", "a.png"], "unknown model 'nope'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_drawn_is_refused_in_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *options]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"ipg-emulator: {words}")
    assert message.count("\n") == 1


def test_a_record_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "notes.txt"
    record.write_text("dear diary\n")
    assert main(["plot", "waveform", "--model", "tens", "--record", str(record), "-o", str(tmp_path / "a.png")]) == 2
    assert f"{record}: not a file of `ipg-emulator run --record`" in capsys.readouterr().err


def test_an_empty_record_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "record.jsonl"
    record.write_text("")
    assert main(["plot", "waveform", "--model", "tens", "--record", str(record), "-o", str(tmp_path / "a.png")]) == 2
    assert "nothing was delivered" in capsys.readouterr().err


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlotError, match=r"^plotting needs matplotlib: pip install 'virtual-ipg\[plot\]'$"):
        check_target("a.png")


def test_running_a_device_imports_neither_numpy_nor_matplotlib() -> None:
    program = (
        "import sys, ipg_emulator.cli, ipg_emulator.runner, ipg_emulator.factory, ipg_emulator.recording;"
        "import ipg_emulator.ports.pty;"
        "print(sorted({'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
