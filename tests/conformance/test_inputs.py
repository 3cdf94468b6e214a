"""Inputs beside the link: what their declarations may be, and the cases that battery, charger and time let run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ipg_conformance import CASES, Case, Conditions, Result, Verdict, open_port, run_cases, tester
from ipg_conformance.case import Need
from ipg_conformance.cell import cell_at
from ipg_conformance.device import Device
from ipg_conformance.expect import NotApplicable, OutOfReach
from ipg_conformance.ics import StatementError, read_statement
from ipg_conformance.inputs import CommandInputs, DeclaredInputs, PortInputs, Tiers
from ipg_emulator.model import Supply, load
from ipg_protocol import State
from ipg_protocol.vocabulary import BatteryTier

CELL = [case for case in CASES.values() if case.feature == "CEL" and case.need is Need.SOUND_LEADS]
ONE_OF_EACH_SUPPLY = ["drg-primary", "scs-rechargeable", "scs-trial", "pns-battery-free", "tms"]
CHARGER = [case for case in CASES.values() if case.id.startswith(("CHG/PLACE", "CHG/CHARGE"))]
USE = [case for case in CASES.values() if case.feature == "USE"]


def came_of(model: str, cases: list[Case], defect: str = "") -> dict[str, Result]:
    port = open_port(f"ipg://{model}?seed=1" + (f"&defect={defect}" if defect else ""))
    return {result.case: result for result in run_cases(port, cases)}


def verdicts(model: str, cases: list[Case]) -> set[Verdict]:
    return {result.verdict for result in came_of(model, cases).values()}


def device_with(inputs: CommandInputs) -> Device:
    return Device(tester.Tester(open_port("ipg://scs-rechargeable?seed=1")), inputs)


def noting(folder: Path, word: str) -> str:
    """A command that writes down what it is called with."""
    path = folder / "input.py"
    path.write_text(f"import sys\nopen({str(folder / 'said')!r}, 'a').write(' '.join(sys.argv[1:]) + '; ')\n")
    return f"{sys.executable} {path} {word}"


# Declarations


def test_battery_charger_and_time_are_called_with_what_is_filled_in(tmp_path: Path) -> None:
    charger, battery, time = noting(tmp_path, "charger {present}"), noting(tmp_path, "to {tier}"), noting(tmp_path, "{seconds}")
    inputs = CommandInputs(DeclaredInputs(charger=charger, battery=battery, time=time))
    inputs.charger(True)
    inputs.battery(BatteryTier.EOS)
    inputs.time(1799.2)
    assert (tmp_path / "said").read_text() == "charger true; to EOS; 1800; "


def test_battery_may_have_a_command_for_some_tiers_alone(tmp_path: Path) -> None:
    inputs = CommandInputs(DeclaredInputs(battery=Tiers(OK=noting(tmp_path, "full"), LOW=noting(tmp_path, "low"))))
    inputs.battery(BatteryTier.LOW)
    assert (tmp_path / "said").read_text() == "low; "
    with pytest.raises(OutOfReach, match="`battery` in \\[inputs\\]"):
        inputs.battery(BatteryTier.EOS)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("battery = 'set-supply'", "inputs.battery: the command must hold {tier}, or be a table of a command for each tier"),
        ("battery = { FULL = 'x' }", "unknown field `FULL`"),
        ("time = 'wait'", "inputs.time: the command must hold {seconds}"),
        ("charger = 'x'", "inputs.charger: the command must hold {present}, or be a table of `present` and `absent`"),
    ],
)
def test_input_that_says_nothing_of_what_is_wanted_is_told(declared: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ics.toml"
    path.write_text(f"[inputs]\n{declared}\n")
    with pytest.raises(StatementError) as caught:
        read_statement(path)
    assert said in str(caught.value)


def test_inputs_of_a_statement_are_those_that_are_called(tmp_path: Path) -> None:
    path = tmp_path / "ics.toml"
    path.write_text(f"[inputs]\nbattery = {{ OK = '{noting(tmp_path, 'ok')}' }}\n")
    read_statement(path).inputs.battery(BatteryTier.OK)
    assert (tmp_path / "said").read_text() == "ok; "


# Without an input, or one that does nothing


def test_without_time_a_long_wait_is_out_of_reach() -> None:
    with pytest.raises(OutOfReach, match="it would take 1440 minutes, and there is no input `time`"):
        device_with(CommandInputs()).let_pass(86_400)


def test_without_time_a_device_that_looks_at_its_battery_every_hour_is_out_of_reach(tmp_path: Path) -> None:
    device = device_with(
        CommandInputs(DeclaredInputs(battery=noting(tmp_path, "{tier}"), charger=noting(tmp_path, "{present}")))
    )
    device.settle()
    with pytest.raises(OutOfReach, match="the device has not looked at its battery within"), cell_at(device, BatteryTier.EOS):
        pytest.fail("the battery is said to be at EOS")
    assert (tmp_path / "said").read_text().startswith("false; OK; EOS; ")
    assert (tmp_path / "said").read_text().endswith("OK; ")


def test_cell_is_not_run_down_where_nothing_charges_it_again(tmp_path: Path) -> None:
    device = device_with(CommandInputs(DeclaredInputs(battery=noting(tmp_path, "{tier}"))))
    device.settle()
    with pytest.raises(OutOfReach, match="`charger`"), cell_at(device, BatteryTier.EOS):
        pytest.fail("the battery is said to be at EOS")
    assert "EOS" not in (tmp_path / "said").read_text()


def test_device_without_a_battery_or_charger_says_so() -> None:
    inputs = PortInputs(open_port("ipg://tms?seed=1"))
    with pytest.raises(NotApplicable, match="tms has no battery: it lives on mains"):
        inputs.battery(BatteryTier.LOW)
    with pytest.raises(NotApplicable, match="tms has no charger"):
        inputs.charger(True)


# The cases


def test_models_have_one_of_each_supply() -> None:
    assert {load(model).battery.supply for model in ONE_OF_EACH_SUPPLY} == set(Supply)


@pytest.mark.parametrize("model", ONE_OF_EACH_SUPPLY)
def test_cell_that_runs_down_is_tested_where_there_is_one(model: str) -> None:
    found = verdicts(model, CELL)
    assert found <= {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert (Verdict.PASS in found) is (load(model).battery.supply is not Supply.MAINS)


def test_rechargeable_device_with_mri_mode_passes_all_of_them() -> None:
    assert verdicts("scs-rechargeable", CELL) == {Verdict.PASS}


def test_charger_that_comes_and_goes_is_tested() -> None:
    assert verdicts("scs-rechargeable", CHARGER) == {Verdict.PASS}


def test_cases_of_a_charger_do_not_apply_where_none_is_taken() -> None:
    assert verdicts("drg-primary", CHARGER) == {Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize("model", ["scs-trial", "pns-percutaneous"])
def test_use_period_is_tested_to_its_end(model: str) -> None:
    assert verdicts(model, USE) == {Verdict.PASS}


def test_rechargeable_device_is_idle_behind_every_case_that_runs_its_cell_down() -> None:
    port = open_port("ipg://scs-rechargeable?seed=1")
    for case in CELL:
        run_cases(port, [case])
        assert Device(tester.Tester(port)).status().state is State.IDLE, case.id


def test_cases_of_a_cell_need_leave_for_output_and_destruction() -> None:
    conditions = Conditions(allowed=frozenset())
    found = run_cases(open_port("ipg://scs-rechargeable?seed=1"), CELL, conditions=conditions)
    assert {(result.verdict, result.out_of_reach) for result in found} == {(Verdict.NOT_APPLICABLE, True)}


def test_therapy_that_goes_on_at_the_end_of_service_is_caught_without_another_s_help() -> None:
    case = "CEL/EOS/BV-01"
    assert came_of("scs-rechargeable", [CASES[case]], "therapy-not-stopped-at-eos")[case].verdict is Verdict.FAIL
