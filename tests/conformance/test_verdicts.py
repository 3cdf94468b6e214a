"""Whose fault it is when a case does not pass, and what verdicts come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ipg_conformance import Case, Conditions, Need, Port, Profile, Result, Verdict, open_port, run_cases, tester
from ipg_conformance.case import CASES, case
from ipg_conformance.device import Device
from ipg_conformance.expect import (
    Failure,
    Inconclusive,
    NotApplicable,
    OutOfReach,
    expect,
    expect_ok,
    expect_recommended,
    expect_refusal,
)
from ipg_conformance.permission import Permission, needed_for
from ipg_conformance.predicate import Predicate, has_commands, has_waveform, is_at_least, is_not_zero
from ipg_conformance.runner import select
from ipg_conformance.states import bring_to
from ipg_conformance.verdict import ExitCode, conclusion, exit_code
from ipg_protocol import FrameReader, Kind, Reply, ResponseFlag, State, Status
from ipg_protocol.commands.link import Capability, FactoryReset, GetStatus, Ping, Pong
from ipg_protocol.commands.log import ReadCounters
from ipg_protocol.commands.programs import Waveform
from ipg_protocol.commands.sensing import RecordEcap
from ipg_protocol.refusal import BootDetail
from ipg_protocol.trace import Towards

URL = "ipg://scs-rechargeable?seed=1"


def made(function: Callable[[Device], None], **chosen: Any) -> Case:
    """A case that is in no catalogue."""
    usual: dict[str, Any] = {
        "id": "THR/MADE/BV-01",
        "requirements": ("REQ-THR-001",),
        "profile": Profile.QUICK,
        "need": Need.SOUND_LEADS,
        "bare": True,
        "timeout_seconds": 10.0,
        "applies": None,
        "declared": dict.fromkeys(Permission, False),
    }
    return Case(function=function, **usual | chosen)


def outcome(function: Callable[[Device], None], conditions: Conditions | None = None, **chosen: Any) -> Result:
    (result,) = run_cases(open_port(URL), [made(function, **chosen)], conditions=conditions)
    return result


def ends_with(error: Exception) -> Callable[[Device], None]:
    def run(_: Device) -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Failure("the state", expected="IDLE", got="FAULT"), Verdict.FAIL),
        (NotApplicable("the device has no doses"), Verdict.NOT_APPLICABLE),
        (OutOfReach("it would take 90 s"), Verdict.NOT_APPLICABLE),
        (Inconclusive("the magnet fell off"), Verdict.INCONCLUSIVE),
        (NameError("name 'devise' is not defined"), Verdict.ERROR),
        (RuntimeError("dictionary changed size"), Verdict.ERROR),
        (ZeroDivisionError("a step of 0"), Verdict.FAIL),
        (IndexError("no row of that kind"), Verdict.FAIL),
    ],
)
def test_what_a_case_ends_with_is_judged_by_whose_fault_it_is(error: Exception, verdict: Verdict) -> None:
    assert outcome(ends_with(error)).verdict is verdict


def test_attribute_that_an_answer_lacks_is_the_device_s_fault() -> None:
    assert outcome(lambda _: print(getattr(BootDetail(1), "minimum"))).verdict is Verdict.FAIL  # noqa: B009 - not typed so


def test_attribute_that_the_suite_s_own_object_lacks_is_the_suite_s_fault() -> None:
    assert outcome(lambda device: print(getattr(device, "minimum"))).verdict is Verdict.ERROR  # noqa: B009 - not typed so


def test_wrong_type_is_the_suite_s_fault_on_a_device_whose_capabilities_make_sense() -> None:
    def reckon(device: Device) -> None:
        assert device.capabilities.contacts
        raise TypeError("unsupported operand")

    assert outcome(reckon).verdict is Verdict.ERROR


def test_wrong_type_is_the_device_s_fault_when_its_capabilities_make_no_sense() -> None:
    def reckon(device: Device) -> None:
        device.capabilities.contacts.clear()
        raise TypeError("unsupported operand")

    assert outcome(reckon).verdict is Verdict.FAIL


def test_error_keeps_its_traceback() -> None:
    result = outcome(ends_with(KeyError("x")))
    assert "KeyError: 'x'" in result.traceback
    assert "in run\n    raise error" in result.traceback


def slow(device: Device) -> None:
    """It is slow, and only slow."""
    expect_recommended("soon", False, "late")


def test_what_only_should_be_is_non_strict() -> None:
    result = outcome(slow)
    assert (result.verdict, result.what, result.got) == (Verdict.NON_STRICT, "soon", "late")


def test_strict_run_takes_should_for_must() -> None:
    assert outcome(slow, Conditions(is_strict=True)).verdict is Verdict.FAIL


def test_case_that_comes_to_no_end_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipg_conformance.tester.VIRTUAL_CASE_SECONDS", 0.0)

    def wait_forever(device: Device) -> None:
        while True:
            device.tester.listen(1)

    result = outcome(wait_forever, timeout_seconds=30.0)
    assert (result.verdict, result.what) == (Verdict.INCONCLUSIVE, "the case took longer than 30 s")
    assert 30 < result.seconds < 32


def test_device_that_talks_without_end_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipg_conformance.tester.MOST_BYTES", 10_000)

    def read_forever(device: Device) -> None:
        while True:
            device.tester.request(GetStatus())

    result = outcome(read_forever)
    assert (result.verdict, result.expected) == (Verdict.FAIL, "at most 10000 bytes in a case")


def test_not_applicable_tells_the_predicate_in_words() -> None:
    result = outcome(slow, bare=False, applies=Predicate("the device has wings", lambda _: False))
    assert (result.verdict, result.predicate) == (Verdict.NOT_APPLICABLE, "only where the device has wings")


def test_predicate_that_holds_lets_the_case_run() -> None:
    assert outcome(lambda _: None, bare=False, applies=is_at_least(Capability.PROGRAM_SLOTS, 2)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("predicate", "words", "holds"),
    [
        (has_commands(RecordEcap), "the device has RECORD_ECAP", False),
        (has_commands(Ping, GetStatus), "the device has PING, GET_STATUS", True),
        (has_waveform(Waveform.SINE_BURST), "the device has SINE_BURST", False),
        (is_not_zero(Capability.MRI_MINUTES), "MRI_MINUTES is not 0", True),
        (is_at_least(Capability.PROGRAM_SLOTS, 9), "PROGRAM_SLOTS is at least 9", False),
    ],
)
def test_predicates_are_words_and_a_function_of_the_capabilities(predicate: Predicate, words: str, holds: bool) -> None:
    seen: list[bool] = []
    outcome(lambda device: seen.append(predicate.holds(device.capabilities)))
    assert (predicate.words, seen) == (words, [holds])


def test_differing_bytes_are_kept() -> None:
    with pytest.raises(Failure) as caught:
        expect("the answer", Pong(token=5), Pong(token=6))
    assert (caught.value.expected_bytes, caught.value.got_bytes) == (b"\6\0\0\0", b"\5\0\0\0")


def test_refusal_in_place_of_an_answer_keeps_the_payload() -> None:
    with pytest.raises(Failure) as caught:
        expect_ok(Reply(Status.NO_SESSION, ResponseFlag(0), BootDetail(1)), Pong)
    assert (caught.value.expected_bytes, caught.value.got_bytes) == (b"\0", bytes([Status.NO_SESSION, 0, 1, 0, 0, 0]))


def test_wrong_detail_of_a_refusal_keeps_the_payload_that_was_due() -> None:
    reply = Reply(Status.NO_SESSION, ResponseFlag(0), BootDetail(1))
    with pytest.raises(Failure) as caught:
        expect_refusal("PING", reply, Status.NO_SESSION, boot_counter=2)
    assert caught.value.expected_bytes == bytes([Status.NO_SESSION, 0, 2, 0, 0, 0])


def results(*verdicts: Verdict, **chosen: Any) -> list[Result]:
    usual: dict[str, Any] = {"requirements": ("REQ-THR-001",), "summary": "", "seconds": 0.0, "seed": 1}
    return [Result(case=f"THR/MADE/BV-{n:02}", verdict=verdict, **usual | chosen) for n, verdict in enumerate(verdicts)]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.PASS, Verdict.NOT_APPLICABLE], ExitCode.CONFORMANT),
        ([Verdict.PASS, Verdict.NON_STRICT], ExitCode.CONFORMANT),
        ([Verdict.PASS, Verdict.WAIVED], ExitCode.CONFORMANT),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], ExitCode.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, Verdict.FAIL], ExitCode.FAILED),
        ([Verdict.FAIL, Verdict.ERROR, Verdict.PASS], ExitCode.SUITE_ERROR),
        ([Verdict.NOT_APPLICABLE], ExitCode.USAGE),
        ([], ExitCode.USAGE),
    ],
)
def test_the_worst_verdict_decides(verdicts: list[Verdict], code: ExitCode) -> None:
    assert exit_code(results(*verdicts)) is code


def test_last_line_counts_verdicts_and_requirements() -> None:
    found = results(Verdict.PASS, Verdict.NON_STRICT)
    line = conclusion(found, 5, ExitCode.CONFORMANT)
    assert line == "CONFORMANT core 1.0: 1 pass, 0 fail, 1 non-strict, 0 n/a, 3 not run; 1/116 MUST covered"


def test_requirement_of_which_no_case_applies_to_the_device_need_not_be_covered() -> None:
    lacking = results(Verdict.NOT_APPLICABLE, requirements=("REQ-ECP-001",))
    assert conclusion(lacking, 1, ExitCode.USAGE).endswith("; 0/115 MUST covered")


def test_requirement_that_only_the_run_does_not_reach_counts_as_not_covered() -> None:
    unreached = results(Verdict.NOT_APPLICABLE, requirements=("REQ-ECP-001",), out_of_reach=True)
    assert conclusion(unreached, 1, ExitCode.USAGE).endswith("; 0/116 MUST covered")


def test_seed_of_a_case_follows_from_the_run_s_and_its_id() -> None:
    one, other = made(slow), made(slow, id="THR/MADE/BV-02")
    assert len({one.seed(1), one.seed(2), other.seed(1)}) == 3
    assert one.seed(1) == made(slow).seed(1)


def test_what_is_done_at_random_is_the_same_with_the_same_seed() -> None:
    def send_anything(device: Device) -> None:
        device.tester.request(Ping(device.tester.random.getrandbits(32)))

    runs = [outcome(send_anything, Conditions(seed=seed)).exchange for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_two_runs_with_one_seed_exchange_the_same() -> None:
    chosen = select(Profile.QUICK, ["THR/STOP", "EVT", "FRM"])
    first, second = (run_cases(open_port(URL), chosen) for _ in range(2))
    assert [(result.verdict, result.exchange) for result in first] == [(result.verdict, result.exchange) for result in second]


def test_case_of_an_unknown_feature_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="its feature is not in FEATURES"):
        case("ZZZ/MADE/BV-01", "REQ-THR-001")(slow)


def test_case_cannot_be_declared_twice() -> None:
    with pytest.raises(ValueError, match="is declared twice"):
        case("FRM/DELIMITERS/BV-01", "REQ-FRM-001")(slow)


def test_every_case_that_needs_leave_says_so() -> None:
    """What was sent, against what the case declares or what is derived of it."""
    short = {}
    for result in run_cases(open_port(URL), select(Profile.FULL)):
        reader = FrameReader()
        sent = [frame for record in result.exchange if record.to is Towards.DEVICE for frame in reader.feed(record.data, 0)]
        needed = {part for frame in sent if frame.kind is Kind.REQUEST for part in needed_for(frame.opcode)}
        if not needed <= CASES[result.case].permissions:
            short[result.case] = needed
    assert short == {}


@pytest.mark.parametrize(
    ("name", "permissions"),
    [
        ("FRM/DELIMITERS/BV-01", set[str]()),
        ("CMD/VALID/BV-01/PING", set[str]()),
        ("CMD/VALID/BV-01/MEASURE_IMPEDANCE", {"output"}),
        ("CMD/VALID/BV-01/FACTORY_RESET", {"destructive"}),
        ("THR/STOP/LT-02", {"output", "destructive"}),
    ],
)
def test_leave_that_a_case_needs_is_derived(name: str, permissions: set[str]) -> None:
    assert CASES[name].permissions == permissions


def safe(**chosen: Any) -> Conditions:
    return Conditions(allowed=frozenset[Permission](), **chosen)


def test_safe_run_tells_what_would_have_to_be_allowed() -> None:
    (result,) = run_cases(open_port(URL), [CASES["THR/STOP/LT-02"]], conditions=safe())
    assert (result.verdict, result.predicate) == (Verdict.NOT_APPLICABLE, "not allowed: --allow destructive,output")
    assert result.out_of_reach


def test_safe_run_sends_nothing_that_needs_leave_whatever_the_cases_declare() -> None:
    result = outcome(lambda device: print(device.ask(FactoryReset(9))), safe(), bare=False)
    assert (result.verdict, result.predicate) == (Verdict.NOT_APPLICABLE, "not allowed: --allow destructive")
    assert [record for record in result.exchange if record.to is Towards.DEVICE] == []


def test_safe_run_leaves_what_the_device_keeps_as_it_was() -> None:
    port = open_port(URL)
    before = kept(port)
    found = run_cases(port, select(Profile.QUICK), conditions=safe())
    assert {result.verdict for result in found} == {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert kept(port) == before


def kept(port: Port) -> tuple[object, ...]:
    device = Device(tester.Tester(port))
    device.open_session()
    counters = device.ask(ReadCounters())
    return device.status().revision, device.stored_areas(), counters.therapy_starts, counters.measurements


def test_run_leaves_a_device_that_it_prepared_in_idle() -> None:
    port = open_port(URL)
    run_cases(port, select(Profile.FULL, ["MAG/MRI/BO-01"]))
    assert Device(tester.Tester(port)).status().state is State.IDLE


def test_safe_run_on_a_device_that_is_held_off_says_what_it_cannot_do() -> None:
    port = open_port(URL)
    device = Device(tester.Tester(port))
    device.settle()
    bring_to(device, State.SUSPENDED)
    (result,) = run_cases(port, [made(lambda _: None, bare=False)], conditions=safe())
    assert result.predicate == "the device cannot be brought to IDLE: not allowed: --allow destructive"
