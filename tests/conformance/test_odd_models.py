"""The suite passes devices that are sound but odd: what it takes for granted must stand in the capabilities."""

from __future__ import annotations

import re
from pathlib import Path

import ipg_emulator
import pytest
from ipg_conformance.cli import main

MODELS = Path(ipg_emulator.__file__).parent / "models"
DOSES_PER_DAY = '[limits.doses_per_day]\nvalue = 3\nsource = "our design"\nconfidence = "design"\n\n[timing]'
ODD = {
    "direct current of which a dose is all there may be, three times a day": ("tdcs", {r"\[timing\]": DOSES_PER_DAY}),
    "direct current and two areas": (
        "tdcs",
        {
            r"areas_per_program = 1": "areas_per_program = 2",
            r"(\[limits.sum_of_rates_millihertz\]\nvalue = )\S+": r"\g<1>2_000",
        },
    ),
    "sine bursts of two widths": (
        "vns-external",
        {r"minimum = 100, maximum = 100, step = 1": "minimum = 100, maximum = 200, step = 100"},
    ),
    "no ramps at all": (
        "tens",
        {
            r"(\[ranges.ramp_seconds\]\nsegments = ).*": r"\1[{ minimum = 0, maximum = 0, step = 1 }]",
            r"\nramp_seconds = \d+": "\nramp_seconds = 0",
            r"stop_ramp_ms = \S+": "stop_ramp_ms = 0",
        },
    ),
    "a host that may be silent for 2 s": ("tens", {r"host_silence_ms = \d\S*": "host_silence_ms = 2_000"}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_model_is_conformant(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, changes = ODD[name]
    text = (MODELS / f"{model}.toml").read_text()
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text)
        assert count, f"{model} has no {pattern}"
    path = tmp_path / "odd.toml"
    path.write_text(text)
    code = main(["run", "--target", "emulator", "--model", str(path)])
    assert code == 0, capsys.readouterr().out
