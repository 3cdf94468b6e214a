"""`ipg-conformance`: exit codes, what it prints, and its JUnit report."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from ipg_conformance import CASES
from ipg_conformance.cli import main
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.refusal import Refused
from ipg_protocol import Message, Status
from ipg_protocol.commands.therapy import StopTherapy
from ipg_protocol.refusal import BootDetail

URL = "ipg://scs-rechargeable?seed=1"


def test_run_of_nothing_is_not_conformant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", "emulator", "--only", "NO-SUCH-CASE"]) == 2
    assert "no case begins with NO-SUCH-CASE" in capsys.readouterr().err


def test_run_without_an_applicable_case_is_not_conformant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", URL, "--only", "IMP/SHORT"]) == 1
    assert "NOT CONFORMANT protocol 1.0: 0 passed, 0 failed, 2 not applicable" in capsys.readouterr().out


def test_unknown_model_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", "emulator", "--model", "nope"]) == 2
    assert "unknown model 'nope'; known: dbs-primary, dbs-rechargeable, drg-primary" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["/no/such/port", "ipg://no-such-model", "socket://127.0.0.1:1", "nonsense://"])
def test_port_that_cannot_be_opened(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", target, "--only", "FRM"]) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"ipg-conformance: {target}: ")
    assert len(said.splitlines()) == 1


def test_model_goes_with_the_emulator_only() -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["run", "--target", URL, "--model", "drg-primary"])
    assert exit_info.value.code == 2


def test_failure_shows_requirement_expected_got_and_exchange(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = HANDLERS[StopTherapy]

    def altered(request: StopTherapy, context: Context) -> Message | None:
        if context.link.session is None:
            raise Refused(Status.NO_SESSION, BootDetail(1))
        return stop(request, context)

    monkeypatch.setitem(HANDLERS, StopTherapy, altered)
    assert main(["run", "--target", URL, "--only", "THR/STOP/BV-02/IMMEDIATE"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED THR/STOP/BV-02/IMMEDIATE  REQ-THR-002" in printed
    assert "expected: OK, TherapyState" in printed
    assert "got:      NO_SESSION BootDetail(boot_counter=1)" in printed
    assert "> 00 06 11 01 02 03" in printed
    assert "REQUEST STOP_THERAPY" in printed


def test_junit_report_counts_what_the_console_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.xml"
    assert main(["run", "--target", URL, "--only", "IMP", "--junit", str(report)]) == 0
    suite = ElementTree.parse(report).getroot()[0]
    skipped = suite.findall("testcase/skipped")
    assert (int(suite.attrib["tests"]), int(suite.attrib["skipped"])) == (len(suite.findall("testcase")), len(skipped))
    assert skipped[0].attrib["message"] in capsys.readouterr().out
    names = {element.attrib["value"] for element in suite.iter("property")}
    assert {"REQ-IMP-001", "REQ-IMP-002", "REQ-IMP-003"} <= names


def test_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(CASES)} cases"
