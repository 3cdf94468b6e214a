"""Short runs of the fuzz targets in tests/fuzz, by chance and guided by coverage; and defects planted for them to find."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"
RUNS_BY_CHANCE = {"frames": 300, "messages": 5_000, "device": 60}
GUIDED_RUNS = {"frames": 2_000, "messages": 5_000, "device": 200}
FINDING = 77
"""What libFuzzer exits with when the target has raised."""

DEFECTS = {
    "frames": "from ipg_protocol import Kind, frame; frame._KINDS[0x15] = Kind.HANDSHAKE",
    "messages": "from ipg_protocol import wire; wire._Members.__missing__ = lambda members, value: members._enum(value)",
    "device": """
from ipg_emulator.firmware.dispatch import HANDLERS
from ipg_protocol.commands.therapy import SetAmplitude
sound = HANDLERS[SetAmplitude]
HANDLERS[SetAmplitude] = lambda request, context: sound(request, context) if request.amplitude_microamps else 1 // 0
""",
}
PLANTED = """
import sys
from pathlib import Path

import engine

prepared = engine.prepared

def plant(*arguments):
    target = prepared(*arguments)
    exec(sys.argv[2])
    return target

engine.prepared = plant
engine.fuzz(sys.argv[1], Path(sys.argv[3]), ["-runs=20000", "-seed=1"])
"""

guided = pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris has wheels for CPython 3.11 to 3.14 on Linux x86_64 only"
)


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[Callable[[bytes], None], list[bytes]]]:
    monkeypatch.syspath_prepend(FUZZ)
    from engine import prepared

    return prepared


@pytest.mark.parametrize("name", RUNS_BY_CHANCE)
def test_a_target_holds_for_its_seeds_changed_by_chance(target, name):
    run, seeds = target(name)
    rng = random.Random(1)
    for _ in range(RUNS_BY_CHANCE[name]):
        data = bytearray(rng.choice(seeds) + rng.randbytes(rng.randrange(40)))
        data[rng.randrange(len(data))] = rng.randrange(256)
        run(bytes(data))


def fuzz(*arguments: str | Path) -> tuple[int, str]:
    """The exit code and the output of a fuzzer in a process of its own, which libFuzzer ends."""
    environment = {**os.environ, "PYTHONPATH": str(FUZZ)}
    process = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    return process.returncode, process.stdout + process.stderr


@guided
@pytest.mark.parametrize("name", GUIDED_RUNS)
def test_nothing_is_found_where_coverage_leads(name, tmp_path):
    code, output = fuzz(FUZZ, name, f"--runs={GUIDED_RUNS[name]}", f"--place={tmp_path}")
    assert code == 0, output
    found = re.search(rf"{name}: ([\d,]+) runs, nothing found", output)
    assert found is not None, output
    assert int(found[1].replace(",", "")) >= GUIDED_RUNS[name]


@guided
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found_and_its_input_kept(name, tmp_path):
    code, output = fuzz("-c", PLANTED, name, DEFECTS[name], tmp_path)
    assert code == FINDING, output
    assert len(list((tmp_path / "crashes").iterdir())) == 1
