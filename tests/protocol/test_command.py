"""The catalogue is complete, says everything once, and refuses what contradicts it."""

from __future__ import annotations

import pytest
from ipg_protocol import (
    CATALOGUE,
    COMMAND_OF,
    EVENT_OF,
    EVENTS,
    REFUSAL_DETAIL,
    Change,
    Command,
    Frame,
    Kind,
    Message,
    Reply,
    Request,
    ResponseFlag,
    Role,
    State,
    Status,
    WireError,
    decode_event,
    decode_reply,
    event_frame,
    reply_frame,
    request_frame,
)
from ipg_protocol.command import command, event
from ipg_protocol.commands.link import Ping, Pong, Reset
from ipg_protocol.commands.therapy import SetAmplitude, StopTherapy, TherapyCause, TherapyStateChanged
from ipg_protocol.frame import MAXIMUM_PAYLOAD
from ipg_protocol.refusal import Done, RangeDetail
from ipg_protocol.vocabulary import ANY_STATE
from ipg_protocol.wire import fields, minimum_size

by_command = pytest.mark.parametrize("entry", CATALOGUE.values(), ids=[entry.name for entry in CATALOGUE.values()])


@by_command
def test_a_command_says_what_it_is_for(entry: Command) -> None:
    assert entry.request.__doc__
    assert entry.response.__doc__


@by_command
def test_every_refusal_of_a_command_has_a_detail(entry: Command) -> None:
    assert set(entry.refusals) <= set(REFUSAL_DETAIL)
    assert list(entry.refusals) == sorted(entry.refusals)
    assert Status.OK not in entry.refusals


@by_command
def test_what_a_gate_can_refuse_follows_from_role_and_states(entry: Command) -> None:
    refusals = set(entry.refusals)
    assert Status.MALFORMED in refusals
    assert (Status.NO_SESSION in refusals) == (entry.role is not None)
    assert (Status.NOT_PERMITTED in refusals) == bool(entry.role)
    assert entry.states == ANY_STATE or Status.WRONG_STATE in refusals


@by_command
def test_a_change_carries_its_transaction_first_and_refuses_number_0(entry: Command) -> None:
    if entry.is_change:
        assert fields(entry.request)[0].name == "transaction"
        assert Status.OUT_OF_RANGE in entry.refusals
        assert entry.role is not None


@by_command
def test_the_shortest_request_and_answer_fit_a_frame(entry: Command) -> None:
    assert minimum_size(entry.request) <= MAXIMUM_PAYLOAD
    assert minimum_size(entry.response) + 2 <= MAXIMUM_PAYLOAD


@by_command
def test_a_command_is_found_by_number_and_by_type(entry: Command) -> None:
    assert CATALOGUE[entry.opcode] is COMMAND_OF[entry.request] is entry


def test_every_refusal_has_a_detail_with_a_doc_line() -> None:
    assert set(REFUSAL_DETAIL) == set(Status) - {Status.OK}
    assert all(detail.__doc__ for detail in REFUSAL_DETAIL.values())


def test_every_event_says_what_happened_and_is_found_by_type() -> None:
    assert all(entry.message.__doc__ for entry in EVENTS.values())
    assert [EVENT_OF[entry.message] for entry in EVENTS.values()] == list(EVENTS.values())


def test_numbers_of_commands_and_events_do_not_meet() -> None:
    assert not set(CATALOGUE) & set(EVENTS)


def test_stop_needs_no_session_and_no_state() -> None:
    assert COMMAND_OF[StopTherapy].role is None
    assert COMMAND_OF[StopTherapy].states == frozenset(State)
    assert not issubclass(StopTherapy, Change)


def test_an_opcode_taken_twice_is_refused() -> None:
    class Second(Request[Done], frozen=True):
        """Would be PING too."""

    with pytest.raises(ValueError, match="0x0001 is PING already, so it cannot be Second"):
        command(0x0001, role=Role.PATIENT)(Second)


def test_an_event_number_taken_twice_is_refused() -> None:
    class Second(Message, frozen=True):
        """Would be RESET_HAPPENED too."""

    with pytest.raises(ValueError, match="0x8001 is RESET_HAPPENED already, so it cannot be Second"):
        event(0x8001)(Second)


def test_a_request_frame_carries_opcode_and_number() -> None:
    assert request_frame(Ping(5), 9) == Frame(Kind.REQUEST, 0x0001, 9, b"\x05\0\0\0")


def test_a_reply_comes_back_with_status_flags_and_body() -> None:
    reply = Reply(Status.OK, ResponseFlag.REPLAYED, Pong(5))
    frame = reply_frame(0x0001, 9, reply)
    assert frame == Frame(Kind.RESPONSE, 0x0001, 9, b"\0\x01\x05\0\0\0")
    assert decode_reply(frame) == reply


def test_a_refusal_comes_back_with_its_detail() -> None:
    reply = Reply(Status.OUT_OF_RANGE, ResponseFlag(0), RangeDetail(2, 0, 25000, 100, 25000))
    assert decode_reply(reply_frame(COMMAND_OF[SetAmplitude].opcode, 1, reply)) == reply


def test_a_refusal_of_an_unknown_command_can_be_read() -> None:
    reply = Reply(Status.UNKNOWN_COMMAND, ResponseFlag(0), Done())
    assert decode_reply(reply_frame(0x7777, 1, reply)) == reply


def test_an_event_comes_back() -> None:
    message = TherapyStateChanged(State.IDLE, State.RAMPING, TherapyCause.COMMAND)
    frame = event_frame(message, 3)
    assert (frame.kind, frame.request_id) == (Kind.EVENT, 3)
    assert decode_event(frame) == message


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Kind.RESPONSE, 0x0001, 1, b"\0"),
        Frame(Kind.RESPONSE, 0x0001, 1, b"\xee\0"),
        Frame(Kind.RESPONSE, 0x7777, 1, b"\0\0"),
        Frame(Kind.RESPONSE, 0x0001, 1, b"\0\0\x01"),
        Frame(Kind.RESPONSE, 0x0001, 1, b"\x06\0\x01"),
    ],
    ids=["no flags", "unknown status", "unknown opcode", "short answer", "short detail"],
)
def test_an_answer_that_cannot_be_read_is_a_wire_error(frame: Frame) -> None:
    with pytest.raises(WireError):
        decode_reply(frame)


def test_an_event_that_cannot_be_read_is_a_wire_error() -> None:
    with pytest.raises(WireError, match="0x9999"):
        decode_event(Frame(Kind.EVENT, 0x9999, 1))


def test_a_request_that_does_not_fit_names_its_field() -> None:
    with pytest.raises(WireError) as caught:
        request_frame(Reset(1 << 32), 1)
    assert caught.value.field == "transaction"
