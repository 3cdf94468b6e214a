"""`ipg-host` against a virtual device in the same process: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from ipg_host.cli import main
from ipg_host.cli.main import build_parser
from ipg_host.cli.shell import _history
from ipg_host.serial import open_port
from ipg_protocol import Reply, ResponseFlag, State, Status, encode_frame, event_frame
from ipg_protocol.commands.link import (
    Abort,
    GetStatus,
    Identify,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.session import CloseSession, ClosingReason, OpenSession, Session, SessionClosing
from ipg_protocol.commands.therapy import StartTherapy, TherapyState
from ipg_protocol.refusal import BootDetail, Done, StateDetail
from prompt_toolkit.history import FileHistory, InMemoryHistory

DEVICE = "ipg://scs-rechargeable?seed=1&open=3&short=12"


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("amplitude set 99mA", 1, "amplitude 99 mA; allowed are 0 mA to 8 mA in steps of 0.1 mA, the nearest is 8 mA"),
        ("program select 4", 1, "program 4 is not there now; the nearest that is, is 2"),
        ("--role clinician amplitude set 2.55mA", 1, "OFF_GRID"),
        ("--role observer start", 1, "START_THERAPY refused (NOT_PERMITTED): this takes the role PATIENT"),
        ("amplitude set 2.5", 2, "'2.5' has no unit: write it in uA or mA, such as 2.5mA"),
        ("amplitude set 2.5V", 2, "has the unit 'V'"),
        ("amplitude set -1mA", 2, "'-1mA' is not a whole number of uA, 0 or more"),
        ("amplitude step none", 2, "steps must be a whole number"),
        ("program show -1", 2, "program must be a number from 0 to 253"),
        ("program write 0 /nonexistent.toml", 2, "/nonexistent.toml: No such file or directory"),
        ("faults clear flood", 2, "'flood' is not a fault"),
        ("limits set", 2, "give at least one limit"),
        ("impedance --anode left", 2, "'left' is neither a contact number"),
        ("--timeout soon status", 2, "--timeout must be a number of seconds"),
        ("", 2, "the following arguments are required: COMMAND"),
        ("dance", 2, "invalid choice: 'dance'"),
        ("--port / status", 3, "it is a directory, not a serial port"),
        ("--port ipg://no-such-model status", 3, "unknown model 'no-such-model'"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(run, line, code, message):
    found, out, err = run(line)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("ipg-host: ")
    assert err.count("\n") == 1


def test_no_port_is_wrong_usage(run, monkeypatch):
    monkeypatch.delenv("IPG_PORT")
    assert run("status") == (2, "", "ipg-host: no port: give --port PORT or set IPG_PORT\n")


@pytest.mark.parametrize(
    ("answer", "message"), [(None, "IDENTIFY: no answer to 5 sends"), (b"login: ", "bytes came that hold no frame")]
)
def test_silence_and_garbage_have_one_exit_code(run, scripted, monkeypatch, answer, message):
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {Identify: lambda _: answer}
    code, _, err = run("status")
    assert code == 4
    assert message in err


def test_a_change_without_an_answer_has_its_own_exit_code(run, scripted, monkeypatch):
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 1, 30_000, 0, 0),
        StartTherapy: lambda _: None,
        TransactionStatus: lambda _: None,
    }
    found, _, err = run("start")
    assert found == 5
    assert "it may have been carried out or not" in err


def test_a_device_that_vanishes_in_the_middle_is_told(run, scripted, monkeypatch):
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)

    def vanish(_):
        scripted.broken = True

    scripted.script = {Identify: vanish, GetStatus: vanish}
    found, _, err = run("status")
    assert found == 4
    assert "the port is gone: Input/output error" in err


def test_a_port_in_use_has_an_exit_code(run):
    device, host = pty.openpty()
    port = open_port(os.ttyname(host))
    assert run(f"--port {os.ttyname(host)} status")[0] == 3
    port.close()
    os.close(device)
    os.close(host)


def test_interrupting_has_an_exit_code(run, scripted, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {Identify: interrupt}
    assert run("status") == (130, "", "ipg-host: interrupted\n")


def test_the_shell_keeps_one_connection_and_survives_errors(shell):
    code, out, err = shell("amplitude set 3mA", "dance", "amplitude set 99mA", "", "--json amplitude get", "exit", "status")
    assert code == 2
    assert json.loads(out[out.index("{") :])["programmed_microamps"] == 3000
    assert "invalid choice: 'dance'" in err
    assert "OUT_OF_RANGE" in err


def test_a_piped_shell_ends_with_the_exit_code_of_the_first_failure(shell):
    assert shell("battery", "amplitude set 99mA", "dance", "battery")[0] == 1
    assert shell("battery", "amplitude --help")[0] == 0


def test_json_without_a_command_is_an_error_of_its_line(shell):
    code, out, err = shell("--json", "battery --json")
    assert (code, json.loads(out)["tier"]) == (2, "OK")
    assert err == "the following arguments are required: COMMAND; see --help\n"


@pytest.mark.parametrize("reason", ["vanished", "in use"])
def test_a_lost_link_ends_the_shell(shell, scripted, monkeypatch, reason):
    in_use = encode_frame(event_frame(SessionClosing(ClosingReason.PORT_IN_USE), 0))

    def lose(_):
        scripted.broken = reason == "vanished"
        return in_use if reason == "in use" else None

    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {GetBattery: lose}
    code, _, err = shell("battery", "battery")
    assert code == (4 if reason == "vanished" else 3)
    assert (err.count("\n"), len(scripted.requests)) == (1, 1)


def test_interrupting_a_piped_shell_ends_it(shell, scripted, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {GetBattery: interrupt}
    assert shell("battery", "battery") == (130, "", "ipg-host: interrupted\n")
    assert len(scripted.requests) == 1


def test_the_history_is_kept_in_memory_where_it_cannot_be_stored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert isinstance(_history(), FileHistory)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nonexistent")
    assert isinstance(_history(), InMemoryHistory)


def raising(error: BaseException):
    def answer(_):
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "code"),
    [(lambda _: Reply(Status.WRONG_STATE, ResponseFlag(0), StateDetail(State.EOS)), 1), (raising(KeyboardInterrupt()), 130)],
)
def test_a_session_is_closed_whatever_becomes_of_the_command(run, scripted, monkeypatch, answer, code):
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 1, 30_000, 0, 0),
        StartTherapy: answer,
        Abort: lambda _: Done(),
        CloseSession: lambda _: Done(),
    }
    assert run("start")[0] == code
    aborted = [Abort] if code == 130 else []
    assert [type(request) for request in scripted.requests] == [OpenSession, StartTherapy, *aborted, CloseSession]


def test_a_change_that_the_device_has_forgotten_is_not_repeated(run, scripted, monkeypatch):
    no_session = Reply(Status.NO_SESSION, ResponseFlag(0), BootDetail(2))
    answers = iter([None, no_session])
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 2, 30_000, 0, 0),
        StartTherapy: lambda _: next(answers),
        TransactionStatus: lambda _: TransactionReport(TransactionOutcome.FORGOTTEN, 0, b""),
    }
    code, _, err = run("start")
    assert code == 5
    assert [type(request) for request in scripted.requests].count(StartTherapy) == 2
    assert (
        "does not keep what became of it any more; it may have been carried out or not; `ipg-host transaction 1` tells" in err
    )


@pytest.mark.parametrize(
    ("redirection", "message"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_output_that_cannot_be_written_is_told(redirection, message):
    command = f"{sys.executable} -m ipg_host --port '{DEVICE}' battery {redirection}"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (1, f"ipg-host: the output cannot be written: {message}\n")


def test_the_shell_takes_a_higher_role_when_a_command_needs_it(shell):
    code, out, err = shell("programs", "program erase 1", "counters")
    assert (code, err) == (0, "")
    assert "sessions            3" not in out
    assert "sessions            2" in out


def test_a_session_that_was_lost_is_opened_again(run, scripted, monkeypatch):
    refused = Reply(Status.NO_SESSION, ResponseFlag(0), BootDetail(2))
    answers = iter([refused, TherapyState(State.RAMPING, 2000)])
    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 2, 30_000, 0, 0),
        StartTherapy: lambda _: next(answers),
        TransactionStatus: lambda _: TransactionReport(TransactionOutcome.NOT_SEEN, 0, b""),
        CloseSession: lambda _: Done(),
    }
    code, out, _ = run("start")
    asked = [OpenSession, StartTherapy, OpenSession, TransactionStatus, StartTherapy, CloseSession]
    assert (code, [type(request) for request in scripted.requests]) == (0, asked)
    assert "RAMPING" in out


def test_help_documents_every_exit_code(capsys):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    listed = out[out.index("exit codes:") :].splitlines()[1:]
    assert [line.split()[0] for line in listed] == ["0", "1", "2", "3", "4", "5", "130"]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_completion_script_can_be_printed(capsys, name):
    with pytest.raises(SystemExit):
        main(["--print-completion", name])
    assert "impedance" in capsys.readouterr().out


def test_frames_are_logged_decoded_at_debug_level(run, caplog):
    caplog.set_level("DEBUG", logger="ipg_host")
    run("battery")
    assert "GetBattery()" in caplog.text
    assert "Battery(millivolts=" in caplog.text
