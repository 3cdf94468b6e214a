"""The suite against a device of its own process, on real ports and in real time."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ipg_conformance.cli import main

EMULATOR = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--seed", "1"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [[], ["--tcp", "0"]], ids=["pty", "tcp"])
def test_quick_profile_passes_over_a_port(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([*EMULATOR, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout is not None
        target = device.stdout.readline().split()[-1]
        code = main(["run", "--target", target, "--profile", "quick", "--allow", "output,destructive"])
        device.terminate()
    assert code == 0, capsys.readouterr().out
