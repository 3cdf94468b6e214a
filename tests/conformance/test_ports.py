"""The suite against a device of its own process, on real ports and in real time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest
from ipg_conformance.cli import main
from ipg_conformance.report.json import read_report
from ipg_conformance.report.run import Result

EMULATOR = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--seed", "1"]
SUITE = [sys.executable, "-m", "ipg_conformance", "run", "--allow", "output,destructive", "--target"]
MADE_FOR_HASTE = ["FRM/PARTIAL", "FRM/NOISE/LT-01", "RST/BOOT", "TST", "SES/IDLE", "EVT/RESEND", "THR/START", "THR/STOP"]


@contextmanager
def started(*call: str) -> Generator[subprocess.Popen[str]]:
    """A process that is ended at the latest with the test."""
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def device(*options: str) -> Generator[str]:
    """Where a new device is reached."""
    with started(*EMULATOR, *options) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]


def results(folder: Path) -> dict[str, Result]:
    """What a report says of each case, but for times and how the device is reached."""
    found = read_report(folder / "report.json").run.results
    return {result.case: msgspec.structs.replace(result, seconds=0.0, repeat="", exchange=()) for result in found}


@pytest.mark.timeout(240)
def test_quick_profile_passes_and_reports_the_same_over_pty_tcp_and_in_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("here", "pty", "tcp")
    here, *others = [["--profile", "quick", "--out", str(tmp_path / name)] for name in names]
    with ExitStack() as ended:
        targets = [ended.enter_context(device(*options)) for options in ([], ["--tcp", "0"])]
        calls = zip(targets, others, strict=True)
        runs = [ended.enter_context(started(*SUITE, target, *words)) for target, words in calls]
        codes = [main(["run", "--target", "ipg://scs-rechargeable?seed=1", *here])]
        said = [run.communicate()[0] for run in runs]
    assert codes + [run.returncode for run in runs] == [0, 0, 0], "\n".join([capsys.readouterr().out, *said])
    reports = [results(tmp_path / name) for name in names]
    beyond = {case for report in reports for case, result in report.items() if result.out_of_reach}
    in_process, over_pty, over_tcp = ({case: report[case] for case in report if case not in beyond} for report in reports)
    assert over_pty == over_tcp == in_process


@pytest.mark.timeout(120)
def test_device_in_a_hurry_passes_in_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    with device("--speed", "10") as target:
        code = main([*SUITE[3:], target, "--speed", "10", "--only", *MADE_FOR_HASTE])
    assert code == 0, capsys.readouterr().out
