"""What was expected and what came is told as a trace tells it, and never as Python does."""

from __future__ import annotations

import pytest
from ipg_conformance.cases.adjusting import Setting
from ipg_conformance.expect import Failure, expect_refusal
from ipg_conformance.wording import command_text, shown
from ipg_protocol import COMMAND_OF, EVENT_OF, Frame, Kind, Reply, ResponseFlag, Role, State, Status
from ipg_protocol.commands.link import Alert, Capability, Identity, Ping, Pong
from ipg_protocol.commands.therapy import AmplitudeChanged, SetAmplitude, StopMode, StopTherapy
from ipg_protocol.refusal import Done, MalformedDetail, RoleDetail, StateDetail


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Reply(Status.OK, ResponseFlag(0), Done()), "OK"),
        (Reply(Status.OK, ResponseFlag.REPLAYED, Pong(7)), "OK REPLAYED token=7"),
        (Reply(Status.WRONG_STATE, ResponseFlag(0), StateDetail(State.THERAPY)), "WRONG_STATE state=THERAPY"),
        (Pong(7), "token=7"),
        (Done(), "nothing"),
        (StopTherapy(StopMode.IMMEDIATE), "STOP_THERAPY mode=IMMEDIATE"),
        (AmplitudeChanged(0, 100, 3), "AMPLITUDE_CHANGED area=0 amplitude_microamps=100 revision=3"),
        (SetAmplitude, "SET_AMPLITUDE"),
        (Identity, "Identity"),
        (State.IDLE, "IDLE"),
        (Alert.SESSION_OPEN | Alert.CLOCK_NOT_SET, "SESSION_OPEN|CLOCK_NOT_SET"),
        (Alert(0), "0"),
        (None, "nothing"),
        ([True, False], "yes, no"),
        (b"\x02\x00", "02 00"),
        (b"", "no bytes"),
        ((), "nothing"),
        ((State.IDLE, 0), "IDLE, 0"),
        ([Pong(1), Pong(2)], "token=1; token=2"),
        ([(6, Pong(1)), (7, "")], "[6; token=1], [7, '']"),
        ({State.THERAPY, State.IDLE}, "IDLE, THERAPY"),
        ({"bad_crc": 3, "bad_kind": [1, 2]}, "bad_crc=3 bad_kind=[1, 2]"),
        (
            Setting("field", Capability.RAMP_SECONDS, SetAmplitude),
            "field='field' capability=RAMP_SECONDS request=SET_AMPLITUDE",
        ),
        ([COMMAND_OF[Ping], EVENT_OF[AmplitudeChanged]], "PING, AMPLITUDE_CHANGED"),
        ("no answer", "no answer"),
    ],
)
def test_value_in_words(value: object, text: str) -> None:
    assert shown(value) == text


def test_many_frames_are_shown_by_the_first_three() -> None:
    frames = [Frame(Kind.REQUEST, 1, number, bytes(4)) for number in range(9)]
    assert shown(frames) == "REQUEST 0 PING token=0; REQUEST 1 PING token=0; REQUEST 2 PING token=0; and 6 more"


@pytest.mark.parametrize(("opcode", "text"), [(0x0001, "PING"), (0x7E7E, "0x7e7e")])
def test_command_that_is_none_is_told_by_its_opcode(opcode: int, text: str) -> None:
    assert command_text(opcode) == text


@pytest.mark.parametrize(
    ("reply", "detail", "expected"),
    [
        (Reply(Status.OK, ResponseFlag(0), Done()), {"required": Role.CLINICIAN}, "NOT_PERMITTED required=CLINICIAN"),
        (
            Reply(Status.NOT_PERMITTED, ResponseFlag(0), RoleDetail(Role.PATIENT)),
            {"required": Role.CLINICIAN},
            "NOT_PERMITTED required=CLINICIAN",
        ),
        (
            Reply(Status.NOT_PERMITTED, ResponseFlag(0), MalformedDetail(0, 4, 5)),
            {"received_size": 5, "field": 255},
            "NOT_PERMITTED field=255(whole message) received_size=5",
        ),
        (Reply(Status.OK, ResponseFlag(0), Done()), {}, "NOT_PERMITTED"),
    ],
)
def test_expected_refusal_is_told_field_by_field_in_the_order_of_its_detail(
    reply: Reply, detail: dict[str, object], expected: str
) -> None:
    with pytest.raises(Failure) as caught:
        expect_refusal("it", reply, Status.NOT_PERMITTED, **detail)
    assert caught.value.expected == expected
