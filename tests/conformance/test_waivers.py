"""Waivers: what they accept, when they run out, and that one that is not needed is a failure."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from ipg_conformance import Result, Verdict
from ipg_conformance.cli import main
from ipg_conformance.report.run import Waiver
from ipg_conformance.waivers import WaiverError, Waivers, read_waivers

CASE = "THR/STOP/LT-01"
TODAY = date(2026, 11, 23)
TEXT = '[[waiver]]\ncase = "THR/STOP/LT-01"\nreason = "mended in 1.1"\nexpires = 2026-12-31\n'


def result(verdict: Verdict, case: str = CASE) -> Result:
    return Result(case=case, requirements=("REQ-THR-002",), summary="", verdict=verdict, seconds=0.0, seed=1, what="the state")


def waivers(expires: date = TODAY) -> Waivers:
    return Waivers([(CASE, "mended in 1.1", expires)], TODAY)


def test_failure_is_waived_with_reason_and_last_day() -> None:
    waived = waivers().applied_to(result(Verdict.FAIL))
    assert (waived.verdict, waived.waiver) == (Verdict.WAIVED, Waiver("mended in 1.1", "2026-11-23"))


def test_waiver_that_has_expired_fails() -> None:
    expired = waivers(date(2026, 11, 22)).applied_to(result(Verdict.FAIL))
    assert (expired.verdict, expired.what) == (Verdict.FAIL, "its waiver has expired on 2026-11-22; the state")


@pytest.mark.parametrize("expires", [TODAY, date(2026, 11, 22)])
def test_waiver_of_a_case_that_passes_fails(expires: date) -> None:
    assert waivers(expires).applied_to(result(Verdict.PASS)).verdict is Verdict.FAIL


@pytest.mark.parametrize("verdict", [Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE, Verdict.NON_STRICT, Verdict.ERROR])
def test_other_verdicts_stand(verdict: Verdict) -> None:
    assert waivers().applied_to(result(verdict)).verdict is verdict


def test_other_cases_are_left_alone() -> None:
    other = result(Verdict.FAIL, "THR/STOP/LT-02")
    assert waivers().applied_to(other) == other


def read(folder: Path, text: str) -> Waivers:
    path = folder / "waivers.toml"
    path.write_text(text)
    return read_waivers(path, [CASE], TODAY)


def test_file_names_case_reason_and_day(tmp_path: Path) -> None:
    assert read(tmp_path, TEXT).applied_to(result(Verdict.FAIL)).waiver == Waiver("mended in 1.1", "2026-12-31")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT.replace("LT-01", "LT-77"), "there is no case THR/STOP/LT-77"),
        (TEXT + TEXT, "THR/STOP/LT-01 is waived twice"),
        (TEXT.replace("mended in 1.1", " "), "the waiver of THR/STOP/LT-01 gives no reason"),
        (TEXT.replace("expires = 2026-12-31", ""), "missing required field `expires`"),
        (TEXT.replace("2026-12-31", '"soon"'), "Invalid RFC3339 encoded date"),
        (TEXT.replace("case =", "cases ="), "unknown field `cases`"),
        ("[waiver", "Expected ']'"),
    ],
)
def test_file_that_is_wrong_is_told_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(WaiverError, match=r"waivers\.toml: ") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def run_with(folder: Path, text: str, *more: str) -> int:
    path = folder / "waivers.toml"
    path.write_text(text)
    target = ["run", "--target", "ipg://scs-rechargeable?seed=1", "--only", "THR/STOP/LT-01"]
    return main([*target, "--waivers", str(path), *more])


def test_run_with_a_needless_waiver_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(tmp_path, TEXT) == 1
    assert "it is waived, and passes: take the waiver away" in capsys.readouterr().out


def test_run_with_a_wrong_file_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(tmp_path, "waiver = 1") == 2
    assert capsys.readouterr().err.startswith("ipg-conformance: ")


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(WaiverError, match=r"waivers\.toml: it is no text in UTF-8$"):
        read_waivers(path, [], TODAY)
