"""The suite is held against SPEC.md: what a case names is required, and what is required has its cases or a reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from ipg_conformance import CASES, Case, Need, Profile, exempt
from ipg_conformance.cli import main
from ipg_conformance.permission import Permission
from ipg_conformance.report.run import Requirement
from ipg_conformance.requirements import SuiteError, check, faults_of, is_mandatory, requirements, specification

ROOT = Path(__file__).parents[2]
MUST = Requirement(id="REQ-THR-001", text="A device MUST.")
SHOULD = Requirement(id="REQ-THR-002", text="A device SHOULD.")


def made(case_id: str, *named: str) -> Case:
    return Case(
        id=case_id,
        requirements=named,
        function=print,
        profile=Profile.QUICK,
        need=Need.SOUND_LEADS,
        bare=True,
        timeout_seconds=1.0,
        applies=None,
        declared=dict.fromkeys(Permission, False),
    )


def faults(*cases: Case, known: tuple[Requirement, ...] = (MUST,)) -> list[str]:
    told = faults_of(cases, {requirement.id: requirement for requirement in known})
    return [fault for fault in told if not fault.startswith("a reason is given")]


def test_suite_is_fit_to_be_run() -> None:
    check(CASES.values())


def test_requirement_with_a_valid_and_an_invalid_case_is_proven() -> None:
    assert faults(made("THR/A/BV-01", "REQ-THR-001"), made("THR/A/BI-01", "REQ-THR-001")) == []


@pytest.mark.parametrize("kind", ["BV", "LT"])
def test_requirement_without_an_invalid_case_is_a_fault(kind: str) -> None:
    assert faults(made(f"THR/A/{kind}-01", "REQ-THR-001")) == [
        "REQ-THR-001 has neither an invalid case (BI, BO, RT) nor a reason for having none"
    ]


@pytest.mark.parametrize("kind", ["BI", "BO", "RT"])
def test_requirement_without_a_valid_case_is_a_fault(kind: str) -> None:
    assert faults(made(f"THR/A/{kind}-01", "REQ-THR-001")) == [
        "REQ-THR-001 has neither a valid case (BV, LT) nor a reason for having none"
    ]


def test_what_only_should_be_needs_no_case() -> None:
    assert faults(known=(SHOULD,)) == []


def test_unknown_requirement_is_a_fault() -> None:
    both = (made("THR/A/BV-01", "REQ-THR-001", "REQ-ZZZ-001"), made("THR/A/BI-01", "REQ-THR-001"))
    assert faults(*both) == ["THR/A/BV-01 names REQ-ZZZ-001, which SPEC.md does not have"]


def test_case_without_a_requirement_is_a_fault() -> None:
    both = (made("THR/A/BV-01", "REQ-THR-001"), made("THR/A/BI-01", "REQ-THR-001"), made("THR/B/BI-01"))
    assert faults(*both) == ["THR/B/BI-01 names no requirement"]


def test_reason_makes_up_for_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_reasons("WITHOUT_INVALID"), "REQ-THR-001", "it cannot be done wrong")
    assert faults(made("THR/A/BV-01", "REQ-THR-001")) == []


def test_needless_reason_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_reasons("WITHOUT_VALID"), "REQ-THR-001", "it cannot be done right")
    both = (made("THR/A/BV-01", "REQ-THR-001"), made("THR/A/BI-01", "REQ-THR-001"))
    assert faults(*both) == ["REQ-THR-001 has a valid case (BV, LT), and a reason for having none"]


def test_reason_for_what_is_not_required_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_reasons("WITHOUT_VALID"), "REQ-ZZZ-001", "there is none")
    assert "a reason is given for REQ-ZZZ-001, which SPEC.md does not have" in faults_of(CASES.values(), requirements())


def _reasons(name: str) -> dict[str, str]:
    table: dict[str, str] = getattr(exempt, name)
    return table


def test_suite_that_is_not_fit_is_not_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(CASES, "THR/MADE/BV-01", made("THR/MADE/BV-01", "REQ-ZZZ-001"))
    assert main(["run", "--target", "emulator"]) == 5
    said = capsys.readouterr().err
    assert said == (
        "ipg-conformance: the suite is not fit to be run:\n"
        "THR/MADE/BV-01 names REQ-ZZZ-001, which SPEC.md does not have\n"
    )  # fmt: skip


def test_requirements_are_all_of_the_specification_in_its_order() -> None:
    text = (ROOT / "protocol/SPEC.md").read_text()
    ids = [line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| REQ-")]
    assert list(requirements()) == ids


def test_bars_in_a_requirement_are_read_as_they_are_shown() -> None:
    assert "|difference| / the larger" in requirements()["REQ-THR-004"].text


def test_reasons_stand_with_their_requirement() -> None:
    assert requirements()["REQ-STG-001"].exemption.startswith("without a valid case (BV, LT): ")
    assert requirements()["REQ-THR-002"].exemption == ""


def test_must_and_should_are_told_apart() -> None:
    assert [name for name, requirement in requirements().items() if not is_mandatory(requirement)] == ["REQ-FRM-012"]


def look_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def files(_: str) -> Path:
        return folder

    monkeypatch.setattr("ipg_conformance.requirements.resources.files", files)


def test_specification_that_was_shipped_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "SPEC.md").write_text("shipped")
    look_in(tmp_path, monkeypatch)
    assert specification() == "shipped"


def test_specification_that_is_nowhere_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    look_in(tmp_path, monkeypatch)
    monkeypatch.setattr("ipg_conformance.requirements.__file__", str(tmp_path / "a/b/c/requirements.py"))
    with pytest.raises(SuiteError, match="install it anew"):
        specification()


def test_wheel_ships_the_specification() -> None:
    build: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"] == {"protocol/SPEC.md": "ipg_conformance/SPEC.md"}
