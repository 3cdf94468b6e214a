"""`ipg-conformance`: exit codes, what it prints, and its JUnit report."""

from __future__ import annotations

import os
import re
import select
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ipg_conformance import CASES, open_port
from ipg_conformance.cli import main, parser
from ipg_conformance.cli.target import allowed as allowed_of
from ipg_conformance.cli.target import repeat_command
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, expect_recommended
from ipg_conformance.permission import EVERYTHING, NOTHING, Permission
from ipg_conformance.report import read_report
from ipg_conformance.verdict import ExitCode
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.refusal import Refused
from ipg_protocol import Message, Status
from ipg_protocol.commands.therapy import StopTherapy
from ipg_protocol.refusal import BootDetail

URL = "ipg://scs-rechargeable?seed=1"


def test_run_of_nothing_is_not_conformant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", "emulator", "--only", "NO-SUCH-CASE"]) == 2
    assert "no case begins with NO-SUCH-CASE" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["FRM/EMPTY", "frm/cut"], ["FRM/EMPTY", ""]])
def test_word_with_which_no_case_begins_is_wrong_usage_beside_one_with_which_some_do(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--target", "emulator", "--only", *words]) == 2
    assert f"no case begins with {words[1] or 'nothing'}; see: ipg-conformance list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", " "], "argument --target: it is empty: name a port, a pyserial URL, or 'emulator'"),
        (["--target", "socket://bench"], "argument --target: 'socket://bench' is not of the form socket://HOST:PORT"),
        (["--target", URL, "--profile", "slow"], "argument --profile: invalid choice: 'slow'"),
        (["--target", URL, "--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_wrong_argument_is_told_in_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["run", *words])
    assert exit_info.value.code == ExitCode.USAGE
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"ipg-conformance run: error: {said}")


def test_run_without_an_applicable_case_is_not_conformant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", URL, "--only", "IMP/SHORT"]) == 2
    assert "NOTHING APPLICABLE core 1.0: 0 pass, 0 fail, 2 n/a; 0/" in capsys.readouterr().out


def test_unknown_model_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", "emulator", "--model", "nope"]) == 2
    assert "unknown model 'nope'; known: dbs-primary, dbs-rechargeable, drg-primary" in capsys.readouterr().err


@pytest.mark.parametrize(
    "target",
    [
        "/no/such/port",
        "ipg://no-such-model",
        "ipg://tens?seed=x",
        "ipg://tens?seed=1&seed=2",
        "socket://127.0.0.1:1",
        "nonsense://",
    ],
)
def test_port_that_cannot_be_opened(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", target, "--only", "FRM"]) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"ipg-conformance: {target}: ")
    assert len(said.splitlines()) == 1


def test_device_that_stops_late_is_waited_for_between_cases(capsys: pytest.CaptureFixture[str]) -> None:
    target = "ipg://scs-rechargeable?defect=immediate-stop-ramps"
    assert main(["run", "--target", target, "--allow", "output,destructive", "--only", "THR/STOP/BV-01", "THR/STOP/LT-01"]) == 1
    said = capsys.readouterr().out
    assert "FAIL THR/STOP/BV-01/THERAPY" in said
    assert not re.search("FAIL before|ended early", said)


def test_port_that_another_program_has_open_is_told_and_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    port = open_port(name)
    try:
        assert main(["run", "--target", name, "--only", "FRM"]) == 3
        assert capsys.readouterr().err == f"ipg-conformance: {name}: cannot be opened: another program has it open\n"
        assert select.select([ours], [], [], 0)[0] == []
        port.close()
        open_port(name).close()
    finally:
        os.close(ours)
        os.close(theirs)


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
    assert "FAIL THR/STOP/BV-02/IMMEDIATE  REQ-THR-002" in printed
    assert "REQ-THR-002: STOP_THERAPY MUST be accepted in every state" in printed
    assert "expected: OK\n" in printed
    assert "got:      NO_SESSION boot_counter=1\n" in printed
    assert "bytes:    byte 0 is 04, and had to be 00" in printed
    assert "> 00 06 11 01 02 03" in printed
    assert " [04] " in printed
    assert f"ipg-conformance run --target '{URL}' --seed 1 --only THR/STOP/BV-02/IMMEDIATE" in printed
    assert printed.splitlines()[-1] == "NOT CONFORMANT core 1.0: 0 pass, 1 fail, 0 n/a; 1/116 MUST covered"


def test_junit_report_counts_what_the_console_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.xml"
    assert main(["run", "--target", URL, "--only", "IMP", "--junit", str(report)]) == 0
    suite = ElementTree.parse(report).getroot()[0]
    skipped = suite.findall("testcase/skipped")
    assert (int(suite.attrib["tests"]), int(suite.attrib["skipped"])) == (len(suite.findall("testcase")), len(skipped))
    assert skipped[0].attrib["message"].removeprefix("not applicable: ") in capsys.readouterr().out
    names = {element.attrib["value"] for element in suite.iter("property")}
    assert {"REQ-IMP-001", "REQ-IMP-002", "REQ-IMP-003"} <= names


def test_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(CASES)} cases"


def test_explain_tells_the_requirement_the_steps_and_what_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "THR/STOP/BV-02/IMMEDIATE"]) == 0
    said = capsys.readouterr().out
    assert "STOP_THERAPY is accepted without a session." in said
    assert "REQ-THR-002: STOP_THERAPY MUST be accepted in every state" in said
    assert "Kind:     BV, valid behaviour" in said
    assert "Allow:    destructive, output" in said
    assert "  1. mode = IMMEDIATE\n" in said
    assert "  3. device.ask(CloseSession())\n" in said


def test_explain_tells_what_the_functions_do_that_the_steps_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "THR/STOP/LT-02"]) == 0
    _, _, words = capsys.readouterr().out.partition("\nWords:\n")
    assert "  expect: Fail unless the two are equal.\n" in words
    assert "  device.ask: Send a request that must be accepted, and return its answer.\n" in words
    assert "  case: " not in words


def test_explain_of_a_requirement_names_its_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "REQ-THR-002"]) == 0
    said = capsys.readouterr().out
    assert "THR/STOP/LT-02: STOP_THERAPY IMMEDIATE is IDLE" in said
    assert "Cases of what is invalid: " in said


def test_explain_of_a_requirement_that_no_case_reaches_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "REQ-STG-001"]) == 0
    assert "Not tested: without a valid case (BV, LT): " in capsys.readouterr().out


def test_every_case_can_be_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for name in CASES:
        assert main(["explain", name]) == 0
        assert "\n  1. " in capsys.readouterr().out.partition("\nSteps")[2], name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("THR/STOP", r"THR/STOP; did you mean one of \d+ such as THR/STOP/BV-01[^ ]*\?"),
        ("frm/cut/bv-01", r"frm/cut/bv-01; did you mean FRM/CUT/BV-01\?"),
        ("REQ-THR", r"REQ-THR; did you mean one of \d+ such as REQ-THR-001\?"),
        ("REQ-BAT-099", r"REQ-BAT-099; did you mean .*REQ-BAT-00.\?"),
        ("nonsense", "nonsense; see: ipg-conformance list"),
    ],
)
def test_explain_of_what_is_not_there_is_wrong_usage(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 2
    assert re.fullmatch(f"ipg-conformance: there is no case or requirement {said}\n", capsys.readouterr().err)


def reports(folder: Path, *more: str) -> int:
    return main(["run", "--target", "emulator", "--only", "FRM/EMPTY", "IMP/SHORT", "--out", str(folder), *more])


def test_run_writes_all_reports(tmp_path: Path) -> None:
    assert reports(tmp_path / "out") == 0
    wanted = {"report.json", "junit.xml", "report.html", "coverage.csv", "repro.txt", "trace.pcapng"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == wanted


def test_report_says_how_it_came_about(tmp_path: Path) -> None:
    assert reports(tmp_path, "--seed", "7") == 0
    run = read_report(tmp_path / "report.json").run
    assert (run.target, run.seed, run.profile, run.exit_code, run.selected) == ("emulator", 7, "full", 0, len(run.results))
    assert run.command == f"ipg-conformance run --target emulator --only FRM/EMPTY IMP/SHORT --out {tmp_path} --seed 7"
    assert (run.device.model, run.device.protocol) == ("scs-rechargeable", "1.0")
    assert run.conclusion.startswith("CONFORMANT core 1.0: ")
    assert all(result.steps for result in run.results)


def test_command_that_repeats_a_case_holds_all_that_matters() -> None:
    words = ["run", "--target", "/dev/tty S0", "--allow", "output", "--strict", "--ics", "a.toml", "--seed", "3"]
    assert repeat_command(parser().parse_args(words)) == (
        "ipg-conformance run --target '/dev/tty S0' --seed 3 --ics a.toml --allow output --strict"
    )


def test_diff_of_equal_reports_is_conformant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports(tmp_path / "a")
    reports(tmp_path / "b")
    assert main(["diff", str(tmp_path / "a/report.json"), str(tmp_path / "b/report.json")]) == 0
    assert "0 cases differ" in capsys.readouterr().out


def test_diff_with_a_worse_report_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reports(tmp_path / "a")

    def broken(_: Device) -> None:
        raise Failure("the answer", expected="one", got="none")

    monkeypatch.setitem(CASES["FRM/EMPTY/BV-01"].__dict__, "function", broken)
    assert reports(tmp_path / "b") == 1
    assert main(["diff", str(tmp_path / "a/report.json"), str(tmp_path / "b/report.json")]) == 1
    assert "worse   FRM/EMPTY/BV-01: PASS -> FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "text"), [("none.json", None), ("empty.json", "{}"), ("page.json", "<html>")])
def test_diff_of_what_is_no_report_is_wrong_usage(
    name: str, text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(["diff", str(tmp_path / name), str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ipg-conformance: ")
    assert name in said
    assert len(said.splitlines()) == 1


def test_folder_that_cannot_be_made_is_told_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert reports(tmp_path / "file/out") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"ipg-conformance: cannot write {tmp_path / 'file/out'}: ")


@pytest.mark.parametrize(("name", "why"), [("plain", "it is no serial port"), ("none", "No such file or directory")])
def test_what_is_no_port_is_told_in_a_line(name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain").touch()
    assert main(["run", "--target", str(tmp_path / name)]) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err == f"ipg-conformance: {tmp_path / name}: cannot be opened: {why}\n"


@pytest.mark.parametrize(("place", "why"), [(".", "Is a directory"), ("no/junit.xml", "No such file or directory")])
def test_file_that_cannot_be_written_is_told_before_the_run(
    place: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--target", URL, "--only", "FRM/EMPTY", "--junit", str(tmp_path / place)]) == 2
    assert capsys.readouterr() == ("", f"ipg-conformance: cannot write {tmp_path / place}: {why}\n")


def test_verdict_is_printed_though_the_report_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", URL, "--only", "FRM/EMPTY", "--junit", "/dev/full"]) == 2
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].startswith("CONFORMANT core 1.0: 3 pass")
    assert captured.err == "ipg-conformance: cannot write /dev/full: No space left on device\n"


def test_report_goes_into_a_pipe_and_the_pipe_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert main(["run", "--target", URL, "--only", "FRM/EMPTY", "--junit", str(pipe)]) == 0
        assert os.read(reader, 100).startswith(b"<?xml")
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--target", "emulator"], EVERYTHING),
        (["--target", "ipg://tens"], EVERYTHING),
        (["--target", "emulator", "--safe"], NOTHING),
        (["--target", "emulator", "--allow", "output"], frozenset({Permission.OUTPUT})),
        (["--target", "/dev/ttyUSB0"], NOTHING),
        (["--target", "/dev/ttyUSB0", "--allow", "destructive,output"], EVERYTHING),
        (["--target", "socket://127.0.0.1:5000", "--safe", "--allow", "destructive"], frozenset({Permission.DESTRUCTIVE})),
    ],
)
def test_run_is_safe_by_default_but_on_the_emulator(words: list[str], allowed: frozenset[Permission]) -> None:
    assert allowed_of(parser().parse_args(["run", *words])) == allowed


def test_unknown_permission_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["run", "--target", URL, "--allow", "everything"])
    assert exit_info.value.code == 2
    assert "'everything' is not among output, destructive" in capsys.readouterr().err


def test_strict_run_fails_what_should_be(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def late(_: Device) -> None:
        expect_recommended("soon", False, "late")

    monkeypatch.setitem(CASES["FRM/ANSWER/LT-01"].__dict__, "function", late)
    words = ["run", "--target", URL, "--only", "FRM/ANSWER/LT-01"]
    assert (main(words), main([*words, "--strict"])) == (0, 1)
    printed = capsys.readouterr().out
    assert "NON-STRICT FRM/ANSWER/LT-01  REQ-FRM-012" in printed
    assert "FAIL FRM/ANSWER/LT-01  REQ-FRM-012" in printed


def test_every_exit_code_is_told_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = {line.split()[0] for line in capsys.readouterr().out.partition("exit codes:")[2].splitlines() if line.strip()}
    assert told == {str(code.value) for code in ExitCode}
