"""`ipg-emulator campaign`: the same outcomes whoever runs the worlds, and a failure that can be replayed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ipg_emulator.campaign import command
from ipg_emulator.campaign.batch import run_batch, summary_of
from ipg_emulator.campaign.failure import commit, read_failure
from ipg_emulator.cli import main
from ipg_emulator.firmware.delivery import Delivery


def summary(capsys: pytest.CaptureFixture[str], *arguments: str, seeds: int = 10) -> dict[str, Any]:
    assert main(["campaign", "--seeds", str(seeds), "--hours", "0.1", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the worlds here, where a bug can be planted."""
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))


@pytest.fixture
def planted(in_this_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delivery, "stop", lambda *_: None)


def test_a_short_campaign_finds_nothing_and_counts_what_it_did(
    in_this_process: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = summary(capsys, seeds=20)
    assert (found["worlds"], found["violations"]) == (20, 0)
    assert found["device_hours"] >= 2
    assert all(found[count] > 10 for count in ("commands", "changes", "resets", "power_cuts", "lost", "repeated", "corrupted"))


def test_one_process_and_two_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert summary(capsys, "--jobs", "1") == summary(capsys, "--jobs", "2")


def test_outcomes_add_up_to_the_same_in_any_order() -> None:
    with ThreadPoolExecutor(1) as executor:
        outcomes = [outcome for chunk in run_batch(executor, range(10), 0.1) for outcome in chunk]
    assert summary_of(outcomes) == summary_of(reversed(outcomes))


def test_a_failure_is_told_written_down_replayed_and_known_to_be_mended(
    planted: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["campaign", "--seed", "0", "--seeds", "2", "--failures", str(tmp_path)])
    told = capsys.readouterr().err
    path = min(tmp_path.iterdir())
    failure = read_failure(str(path))
    assert f"seed {failure.seed}, {commit()}: {failure.violation.invariant}" in told
    assert f"replay: ipg-emulator campaign --seed {failure.seed} --seeds 1\n" in told
    assert f"in short: ipg-emulator campaign --replay {path}" in told
    assert len(failure.history.actions) < 10
    with pytest.raises(SystemExit, match="1"):
        main(["campaign", "--replay", str(path)])
    assert failure.violation.invariant in capsys.readouterr().out
    monkeypatch.undo()
    assert main(["campaign", "--replay", str(path)]) == 0
    assert f"{path}: no violation" in capsys.readouterr().out


def test_a_file_that_is_no_failure_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(SystemExit, match="2"):
        main(["campaign", "--replay", str(path)])
    assert capsys.readouterr().err.count("\n") == 1


def test_a_failure_file_that_cannot_be_read_is_wrong_usage_and_no_violation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["campaign", "--replay", str(tmp_path / "none.json")])
    assert capsys.readouterr().err == f"ipg-emulator: {tmp_path / 'none.json'}: No such file or directory\n"


@pytest.mark.parametrize("address", ["", "foo", "tcp://foo", "tcp://:8786", "http://127.0.0.1:8786"])
def test_what_is_no_address_of_a_scheduler_is_wrong_usage(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["campaign", "--scheduler", address])
    assert "is not the address of a scheduler" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--failures", "--replay"])
def test_an_empty_path_is_wrong_usage(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["campaign", option, ""])
    assert f"argument {option}: the path is empty" in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(command, "CONNECT_SECONDS", 0.5)
    with pytest.raises(SystemExit, match="3"):
        main(["campaign", "--scheduler", "tcp://127.0.0.1:9"])
    error = capsys.readouterr().err
    assert error.startswith("ipg-emulator: the scheduler tcp://127.0.0.1:9 cannot be reached")
    assert error.count("\n") == 1


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_campaign_that_is_ended_leaves_no_worker_behind(sent: signal.Signals) -> None:
    arguments = [sys.executable, "-m", "ipg_emulator", "campaign", "--seeds", "99", "--hours", "1000", "--jobs", "1"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as campaign:
        with pytest.raises(subprocess.TimeoutExpired):
            campaign.communicate(timeout=2)
        campaign.send_signal(sent)
        campaign.communicate(timeout=10)  # up to the end of its output, which a worker that lives on would hold open
    assert campaign.returncode == (130 if sent is signal.SIGINT else -sent)


@pytest.fixture
def scheduler() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    )
    with cluster:
        yield cluster.scheduler_address


def test_a_dask_cluster_finds_the_same(in_this_process: None, scheduler: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert summary(capsys, "--scheduler", scheduler) == summary(capsys)
