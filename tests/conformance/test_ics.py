"""The ICS: what a maker declares is compared with the device, and inputs are called as they stand there."""

from __future__ import annotations

import sys
import tomllib
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from ipg_conformance import Conditions, Profile, Result, Verdict, open_port, run_cases, tester
from ipg_conformance.case import CASES
from ipg_conformance.cli import main
from ipg_conformance.device import Device
from ipg_conformance.expect import Inconclusive, OutOfReach
from ipg_conformance.ics import Statement, StatementError, feature_name, read_statement
from ipg_conformance.inputs import CommandInputs, DeclaredInputs, PortInputs, Switch, inputs_of
from ipg_conformance.runner import select
from ipg_conformance.undeclared import undeclared_features
from ipg_emulator.model import names
from ipg_protocol.commands.link import Capability, CapabilityRow

URL = "ipg://scs-rechargeable?seed=1"


@pytest.fixture(scope="module")
def text() -> str:
    return written("scs-rechargeable")


def written(model: str) -> str:
    stream = StringIO()
    with redirect_stdout(stream):
        assert main(["ics", "init", "--target", "emulator", "--model", model]) == 0
    return stream.getvalue()


def statement(folder: Path, text: str) -> Statement:
    path = folder / "ics.toml"
    path.write_text(text)
    return read_statement(path)


def declared(folder: Path, text: str) -> dict[str, Result]:
    cases = [case for case in CASES.values() if case.feature == "ICS"]
    results = run_cases(open_port(URL), cases, conditions=Conditions(statement=statement(folder, text)))
    return {result.case: result for result in results}


@pytest.mark.parametrize("model", names())
def test_what_init_writes_declares_what_the_device_reports(model: str, tmp_path: Path) -> None:
    reported = Device(tester.Tester(open_port(f"ipg://{model}?seed=1"))).read_capabilities()
    found = statement(tmp_path, written(model))
    assert set(found.rows.values()) == set(reported)
    assert found.undeclared(reported) == []


def test_device_that_is_as_declared_passes(text: str, tmp_path: Path) -> None:
    assert {result.verdict for result in declared(tmp_path, text).values()} == {Verdict.PASS}


def test_without_a_statement_nothing_is_compared() -> None:
    (result,) = run_cases(open_port(URL), [CASES["ICS/IDENTITY/BV-01"]])
    assert (result.verdict, result.out_of_reach) == (Verdict.NOT_APPLICABLE, True)


@pytest.mark.parametrize("name", ["model", "firmware", "protocol"])
def test_other_identity_than_declared_fails(name: str, text: str, tmp_path: Path) -> None:
    told = tomllib.loads(text)["device"][name]
    result = declared(tmp_path, text.replace(f'{name} = "{told}"', f'{name} = "9.9"'))["ICS/IDENTITY/BV-01"]
    assert (result.verdict, result.what, result.expected, result.got) == (Verdict.FAIL, f"the {name}", "9.9", told)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("PROGRAM_SLOTS = 8", "PROGRAM_SLOTS = 9", "PROGRAM_SLOTS 0"),
        ("maximum = 25500", "maximum = 25400", "AMPLITUDE_MICROAMPS 0"),
        ('  "PING",\n', '  "PING",\n  "RECORD_ECAP",\n', "RECORD_ECAP 1537"),
        ("CHECKPOINTS = 2", "CHECKPOINTS = 2\nUSE_PERIOD_DAYS = 5", "USE_PERIOD_DAYS 0"),
    ],
)
def test_capability_that_is_not_as_declared_fails(before: str, after: str, named: str, text: str, tmp_path: Path) -> None:
    changed = text.replace("USE_PERIOD_DAYS = 0\n", "") if "USE_PERIOD" in after else text
    assert before in changed
    result = declared(tmp_path, changed.replace(before, after))["ICS/CAPABILITIES/BV-01"]
    assert result.verdict is Verdict.FAIL
    assert named in result.what


def test_statement_that_declares_no_row_leaves_none_undeclared(tmp_path: Path) -> None:
    row = CapabilityRow(Capability.PROGRAM_SLOTS, 0, 0, 8, 1)
    assert statement(tmp_path, "[device]\nmodel = 'x'").undeclared([row]) == []
    assert statement(tmp_path, "[capabilities]\nCHECKPOINTS = 2").undeclared([row]) == [row]


def test_declaration_is_compared_before_anything_else() -> None:
    assert [case.feature for case in select(Profile.FULL)][:2] == ["ICS", "ICS"]


def test_undeclared_feature_that_passes_is_told(text: str, tmp_path: Path) -> None:
    shorter = text.replace('  "PING",\n', "").replace("CHECKPOINTS = 2\n", "")
    found = statement(tmp_path, shorter)
    device = Device(tester.Tester(open_port(URL)))
    cases = [case for case in CASES.values() if case.id.startswith("CMD/LENGTH/BI-0") and case.id.endswith("/PING")]
    lines = undeclared_features(found, device.read_capabilities(), run_cases(open_port(URL), cases))
    assert lines == [
        "not declared: PING: passes, 2 cases",
        "not declared, and no case of this run is about them alone: CHECKPOINTS",
    ]


def test_run_tells_what_is_not_declared(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ics.toml"
    path.write_text(text.replace('  "PING",\n', ""))
    assert main(["run", "--target", "emulator", "--ics", str(path), "--only", "ICS", "CMD/VALID/BV-01/PING"]) == 0
    assert "not declared: PING: passes, 1 cases" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (CapabilityRow(Capability.COMMAND, 1, 0, 0, 0), "PING"),
        (CapabilityRow(Capability.COMMAND, 0x7E7E, 0, 0, 0), "COMMAND"),
        (CapabilityRow(Capability.WAVEFORM, 1, 0, 0, 0), "TONIC_PASSIVE_RECHARGE"),
        (CapabilityRow(Capability.PROGRAM_SLOTS, 0, 0, 8, 1), "PROGRAM_SLOTS"),
    ],
)
def test_features_have_the_names_that_ids_end_in(row: CapabilityRow, name: str) -> None:
    assert feature_name(row) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[device]\nmodle = 'x'", "unknown field `modle`"),
        ("[capabilities]\nWINGS = 2", "there is no such capability"),
        ("[capabilities]\nCOMMAND = ['FLY']", "the protocol has no command FLY"),
        ("[capabilities]\nPROGRAM_SLOTS = 'eight'", "Expected"),
        ("[inputs]\nmagnet = 'put-magnet'", "must hold {present}"),
        ("[inputs]\nreset = ''", "the command is empty"),
        ("[inputs]\nreset = 'a \"'", "No closing quotation"),
        ("[inputs", "Expected ']'"),
    ],
)
def test_file_that_is_no_statement_is_told_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(StatementError) as caught:
        statement(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_statement_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--target", "emulator", "--ics", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err == f"ipg-conformance: {tmp_path / 'none.toml'}: No such file or directory\n"


def script(folder: Path, body: str) -> str:
    path = folder / "input.py"
    path.write_text(f"import sys\n{body}\n")
    return f"{sys.executable} {path}"


def test_input_is_called_with_what_is_to_be_present(tmp_path: Path) -> None:
    command = script(tmp_path, f"open({str(tmp_path / 'said')!r}, 'a').write(sys.argv[1] + ' ')")
    inputs = CommandInputs(
        DeclaredInputs(magnet=command + " {present}", power=Switch(present=command + " on", absent=command + " off"))
    )
    inputs.magnet(True)
    inputs.magnet(False)
    inputs.power(False)
    inputs.power(True)
    assert (tmp_path / "said").read_text() == "true false off on "


def test_input_that_fails_is_inconclusive(tmp_path: Path) -> None:
    inputs = CommandInputs(DeclaredInputs(reset=script(tmp_path, "sys.exit('the line is stuck')")))
    with pytest.raises(Inconclusive, match="the input `reset` ended with 1: the line is stuck"):
        inputs.reset()


def test_input_that_cannot_be_called_is_inconclusive() -> None:
    with pytest.raises(Inconclusive, match="cannot be called: no-such-program: No such file"):
        CommandInputs(DeclaredInputs(reset="no-such-program --now")).reset()


def test_input_that_hangs_is_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipg_conformance.inputs.LONGEST_SECONDS", 0.2)
    inputs = CommandInputs(DeclaredInputs(reset=script(tmp_path, "import time; time.sleep(20)")))
    with pytest.raises(Inconclusive, match=r"took longer than 0\.2 s"):
        inputs.reset()


def test_without_an_input_the_case_is_out_of_reach() -> None:
    with pytest.raises(OutOfReach, match="no way to do it is given: `magnet` in \\[inputs\\] of the ICS"):
        CommandInputs().magnet(True)


def test_declared_inputs_come_before_those_of_the_port() -> None:
    port = open_port(URL)
    given = CommandInputs(DeclaredInputs(reset="true"))
    assert inputs_of(port, given) is given
    assert isinstance(inputs_of(port, CommandInputs()), PortInputs)


@pytest.mark.parametrize("model", names())
def test_loss_of_power_is_tested_where_the_port_can_bring_it(model: str) -> None:
    cases = [case for case in CASES.values() if case.id.startswith("RST/POWER")]
    assert {result.verdict for result in run_cases(open_port(f"ipg://{model}?seed=1"), cases)} == {Verdict.PASS}


def test_magnet_that_stops_is_tested_where_the_port_can_bring_it() -> None:
    cases = [case for case in CASES.values() if case.id.startswith(("MAG/HOLD", "MAG/MRI"))]
    assert {result.verdict for result in run_cases(open_port(URL), cases)} == {Verdict.PASS}


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ics.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StatementError, match=r"ics\.toml: it is no text in UTF-8$"):
        read_statement(path)
