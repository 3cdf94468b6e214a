"""The suite passes the emulator in every model, covers the specification, and leaves a device with therapy stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ipg_conformance import CASES, Port, Profile, Result, open_port, run_cases, tester
from ipg_conformance.areas import shares
from ipg_conformance.cli import main
from ipg_conformance.exempt import WITHOUT_INVALID, WITHOUT_VALID
from ipg_conformance.requirements import INVALID_KINDS, VALID_KINDS, is_mandatory, requirements
from ipg_conformance.runner import select
from ipg_conformance.safety import period_us
from ipg_conformance.wire_bytes import body_of, cobs
from ipg_emulator.model import names
from ipg_protocol import CATALOGUE, Frame, Kind, Reply, Request, State, Status, encode_frame
from ipg_protocol.commands.link import DeviceStatus, GetStatus
from ipg_protocol.commands.therapy import ReadLimits
from ipg_protocol.wire import minimum_size

URL = "ipg://scs-rechargeable?seed=1"


@pytest.mark.parametrize("model", names())
def test_emulator_is_conformant(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", "--target", "emulator", "--model", model])
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert printed.splitlines()[-1].startswith("CONFORMANT core 1.0: ")


def proven_by(kinds: frozenset[str]) -> set[str]:
    """The requirements with a case of one of these kinds."""
    return {requirement for case in CASES.values() if case.kind in kinds for requirement in case.requirements}


def test_every_requirement_has_a_valid_and_an_invalid_case_or_a_reason() -> None:
    mandatory = {name for name, requirement in requirements().items() if is_mandatory(requirement)}
    assert mandatory - proven_by(VALID_KINDS) == set(WITHOUT_VALID)
    assert mandatory - proven_by(INVALID_KINDS) == set(WITHOUT_INVALID)


def test_every_reason_is_given_in_words() -> None:
    assert all(len(reason.split()) >= 4 for reason in [*WITHOUT_VALID.values(), *WITHOUT_INVALID.values()])


def test_every_case_says_what_it_shows() -> None:
    assert [case.id for case in CASES.values() if not case.summary or not case.requirements] == []


@pytest.mark.parametrize("name", [command.name for command in CATALOGUE.values()])
def test_every_command_is_used_validly_and_with_a_payload_too_long(name: str) -> None:
    assert {f"CMD/VALID/BV-01/{name}", f"CMD/LENGTH/BI-02/{name}"} <= CASES.keys()


def test_every_command_with_a_payload_is_used_with_less_of_it() -> None:
    names = {command.name for command in CATALOGUE.values() if minimum_size(command.request)}
    assert {case.removeprefix("CMD/LENGTH/BI-01/") for case in CASES if case.startswith("CMD/LENGTH/BI-01/")} == names


def test_quick_profile_is_part_of_the_full_one() -> None:
    quick, full = select(Profile.QUICK), select(Profile.FULL)
    assert len(full) == len(CASES)
    assert {case.id for case in quick} < {case.id for case in full}


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0", b"\1\0\2", bytes(range(200))])
def test_frames_by_hand_are_the_protocol_s(payload: bytes) -> None:
    frame = Frame(Kind.REQUEST, 0x0102, 0x0304_0506, payload)
    assert b"\0" + cobs(body_of(0x11, frame.opcode, frame.request_id, payload)) + b"\0" == encode_frame(frame)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_sum_whatever_the_contacts(count: int) -> None:
    assert sum(share.permille for share in shares(range(count), -1000)) == -1000


def test_period_is_the_inverse_of_the_rate() -> None:
    assert period_us(40_000) == 25_000


def ask(port: Port, message: Request[DeviceStatus]) -> DeviceStatus:
    body = tester.Tester(port).request(message).body
    assert isinstance(body, DeviceStatus)
    return body


def interrupt_while_ramping(port: Port) -> Callable[[Result], None]:
    def listener(_: Result) -> None:
        assert ask(port, GetStatus()).state is State.RAMPING
        raise KeyboardInterrupt

    return listener


def test_interrupted_run_stops_therapy_and_closes_the_session() -> None:
    port = open_port(URL)
    with pytest.raises(KeyboardInterrupt):
        run_cases(port, select(Profile.QUICK, ["CMD/STATE/BO-01/RAMPING"]), interrupt_while_ramping(port))
    assert ask(port, GetStatus()).state is State.IDLE
    refused: Reply = tester.Tester(port).request(ReadLimits())
    assert refused.status is Status.NO_SESSION


def test_a_run_ends_as_it_began() -> None:
    port = open_port(URL)
    run_cases(port, select(Profile.QUICK, ["THR/START/BV-02"]))
    first = ask(port, GetStatus())
    run_cases(port, select(Profile.QUICK, ["THR/START/BV-02"]))
    second = ask(port, GetStatus())
    assert (second.state, second.alerts) == (first.state, first.alerts)
