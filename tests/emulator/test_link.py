"""The gates and the numbering: what is refused, what is repeated, and what never happens twice."""

from __future__ import annotations

import pytest
from ipg_protocol import CATALOGUE, Kind, ResponseFlag, Role, State, Status, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import (
    Abort,
    EnterShelfMode,
    GetLinkStatistics,
    GetStatus,
    GetTime,
    Ping,
    Pong,
    Reset,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.programs import ListPrograms, SelectProgram
from ipg_protocol.commands.session import CloseSession, ClosingReason, KeepAlive, OpenSession, SessionClosing
from ipg_protocol.commands.therapy import SetAmplitude, StepAmplitude
from ipg_protocol.frame import Frame
from ipg_protocol.refusal import BootDetail, Done, MalformedDetail, RequestDetail, RoleDetail, StateDetail


def programmed(bench):
    return bench.device.active_program.areas[0].amplitude_microamps


def test_an_unknown_opcode_is_refused(bench):
    (frame,) = bench.send(Frame(Kind.REQUEST, 0x7777, 5))
    assert (frame.opcode, frame.request_id) == (0x7777, 5)
    assert frame.payload == bytes((Status.UNKNOWN_COMMAND, 0))


def test_a_command_with_a_role_needs_a_session(make_bench):
    bench = make_bench()
    assert bench.refused(ListPrograms(0)) == (Status.NO_SESSION, BootDetail(1))


def test_a_role_below_the_one_required_is_not_permitted(make_bench):
    bench = make_bench()
    bench.open(Role.PATIENT)
    assert bench.refused(EnterShelfMode(1)) == (Status.NOT_PERMITTED, RoleDetail(Role.SERVICE))


@pytest.mark.parametrize("size", [0, 3, 5, 242])
def test_a_payload_of_the_wrong_length_is_malformed(bench, size):
    (frame,) = bench.send(Frame(Kind.REQUEST, 0x0001, 1, bytes(size)))
    reply = decode_reply(frame)
    assert (reply.status, reply.body) == (Status.MALFORMED, MalformedDetail(0xFF, 4, size))


def test_a_value_outside_an_enumeration_is_malformed_and_names_the_field(make_bench):
    bench = make_bench()
    frame = request_frame(OpenSession(Role.SERVICE, 1, 1), 1)
    (answer,) = bench.send(Frame(Kind.REQUEST, frame.opcode, 1, b"\x09" + frame.payload[1:]))
    assert decode_reply(answer).body == MalformedDetail(0, len(frame.payload), len(frame.payload))


def test_a_repeated_request_is_answered_from_store_and_not_executed(bench):
    request = StepAmplitude(bench.transaction(), 0, 1, bench.device.configuration.revision)
    first = bench.reply(request, 1)
    amplitude = programmed(bench)
    again = bench.reply(request, 1)
    assert again.body == first.body
    assert again.flags is ResponseFlag.REPLAYED
    assert programmed(bench) == amplitude


def test_other_bytes_under_a_used_id_are_refused(bench):
    bench.reply(ListPrograms(0), 1)
    reply = bench.reply(ListPrograms(1), 1)
    assert (reply.status, reply.body) == (Status.ID_REUSED, RequestDetail(1))


def test_an_id_out_of_the_window_is_stale_and_a_late_one_within_it_is_executed(bench):
    for request_id in (*range(1, 5), *range(6, 12)):
        bench.reply(KeepAlive(), request_id)
    late = bench.reply(KeepAlive(), 5)
    assert (late.status, late.flags) == (Status.OK, ResponseFlag(0))
    assert bench.reply(ListPrograms(0), 3).status is Status.STALE


def test_a_committed_transaction_is_not_executed_again_under_another_request_id(bench):
    request = StepAmplitude(9, 0, 1, bench.device.configuration.revision)
    first = bench.reply(request, 1)
    amplitude = programmed(bench)
    again = bench.reply(request, 2)
    assert (again.body, again.flags) == (first.body, ResponseFlag.REPLAYED)
    assert programmed(bench) == amplitude


def test_a_transaction_is_known_over_sessions_and_a_restart(bench):
    bench.ask(SetAmplitude(4, 0, programmed(bench)))
    bench.ask(Reset(5))
    bench.advance(1)
    opened = bench.ask(OpenSession(Role.SERVICE, host_id=7, nonce=2))
    assert (opened.last_transaction, opened.boot_counter) == (5, 2)
    report = bench.reply(TransactionStatus(4), 1).body
    assert (report.outcome, report.opcode) == (TransactionOutcome.COMMITTED, 0x0303)
    assert bench.reply(TransactionStatus(6), 2).body.outcome is TransactionOutcome.NOT_SEEN


def test_the_33rd_transaction_makes_the_first_forgotten(bench):
    for transaction in range(1, 34):
        bench.ask(SetAmplitude(transaction, 0, programmed(bench)))
    assert bench.ask(TransactionStatus(1)).outcome is TransactionOutcome.FORGOTTEN
    assert bench.ask(TransactionStatus(2)).outcome is TransactionOutcome.COMMITTED


def test_a_refused_change_is_not_seen(bench):
    bench.refused(SetAmplitude(3, 9, 0))
    assert bench.ask(TransactionStatus(3)).outcome is TransactionOutcome.NOT_SEEN


def test_transaction_zero_is_reserved_and_its_refusal_is_kept(bench):
    refusal = bench.reply(SelectProgram(0, 0), 1)
    assert (refusal.status, refusal.body.field, refusal.body.minimum) == (Status.OUT_OF_RANGE, 0, 1)
    assert bench.reply(SelectProgram(1, 0), 1).status is Status.ID_REUSED


def test_a_transaction_used_for_something_else_is_refused(bench):
    bench.ask(SelectProgram(1, 1))
    assert bench.refused(SelectProgram(1, 0)) == (Status.ID_REUSED, RequestDetail(1))


def test_opening_twice_with_the_same_nonce_keeps_the_session(bench):
    bench.reply(KeepAlive(), 1)
    reply = bench.reply(OpenSession(Role.SERVICE, host_id=7, nonce=1))
    assert reply.flags is ResponseFlag.REPLAYED
    assert bench.reply(KeepAlive(), 1).flags is ResponseFlag.REPLAYED


def test_another_opening_replaces_the_session_and_says_so(bench):
    bench.ask(OpenSession(Role.PATIENT, host_id=8, nonce=1))
    assert bench.happened(SessionClosing) == [SessionClosing(ClosingReason.REPLACED)]
    assert bench.reply(KeepAlive(), 1).flags is ResponseFlag(0)


def test_an_idle_session_closes_and_therapy_commands_are_refused(bench):
    bench.advance(bench.model.timing.session_idle_ms / 1000)
    assert bench.happened(SessionClosing) == [SessionClosing(ClosingReason.IDLE)]
    assert bench.refused(KeepAlive())[0] is Status.NO_SESSION


def test_a_closed_session_is_closed(bench):
    bench.ask(CloseSession())
    assert bench.refused(KeepAlive())[0] is Status.NO_SESSION


def test_reset_answers_then_boots_and_keeps_the_configuration(bench):
    bench.ask(SelectProgram(1, 1))
    assert bench.ask(Reset(2)) == Done()
    assert bench.ask(GetStatus()).state is State.BOOT
    assert bench.refused(OpenSession(Role.SERVICE, 7, 5)) == (Status.WRONG_STATE, StateDetail(State.BOOT))
    bench.advance(bench.model.timing.boot_ms / 1000)
    status = bench.ask(GetStatus())
    assert (status.state, status.boot_counter, status.active_program) == (State.IDLE, 2, 1)


def test_shelf_mode_is_left_by_a_reset(bench):
    bench.ask(EnterShelfMode(1))
    assert bench.refused(ListPrograms(0)) == (Status.WRONG_STATE, StateDetail(State.SHELF))
    bench.ask(Reset(2))
    bench.advance(1)
    assert bench.ask(GetStatus()).state is State.IDLE


def test_noise_is_counted_by_kind_and_never_answered(bench):
    bad_crc = encode_frame(request_frame(Ping(0x41424344), 1)).replace(b"\x41", b"\x40")
    for noise in (bad_crc, b"\x00\x09abc\x00", b"\x00" + b"x" * 400 + b"\x00", b"\x00\x03ab\x00"):
        bench.firmware.receive(noise, bench.now)
    assert bench.frames() == []
    assert bench.ask(Ping(6)) == Pong(6)
    statistics = bench.ask(GetLinkStatistics())
    assert statistics.noise_bad_crc == 1
    assert statistics.noise_bad_cobs == 1
    assert statistics.noise_oversize == 1
    assert statistics.noise_bad_length == 1


def test_every_opcode_answers_every_payload_length(bench):
    """Nothing on the wire raises, and every good frame gets exactly one answer."""
    for opcode in (*CATALOGUE, 0, 0xFFFF):
        for size in range(60):
            answers = bench.send(Frame(Kind.REQUEST, opcode, 1_000_000, bytes(size)))
            assert len(answers) == 1
            decode_reply(answers[0]) if opcode in CATALOGUE else None


def test_a_request_behind_a_reset_in_the_same_read_is_answered(bench):
    both = encode_frame(request_frame(Reset(1), 1)) + encode_frame(request_frame(Ping(5), 2))
    bench.firmware.receive(both, bench.now)
    assert [decode_reply(frame).body for frame in bench.frames()] == [Done(), Pong(5)]


def test_the_clock_wraps_and_never_stops_answering(bench):
    bench.ask(SetTime(1, 2**64 - 1))
    bench.advance(1)
    assert bench.ask(GetTime()).unix_milliseconds == 999


def test_a_forgotten_transaction_is_not_executed_again(bench):
    requests = [SetAmplitude(transaction, 0, programmed(bench)) for transaction in range(1, 34)]
    for request in requests:
        bench.ask(request)
    status, detail = bench.refused(requests[0])
    assert (status, detail.field, detail.minimum) == (Status.OUT_OF_RANGE, 0, 2)


@pytest.mark.parametrize("own", [1, 7])
def test_only_an_earlier_request_can_be_aborted(bench, own):
    for number, target in enumerate((0, own + 1, own + 3, 2**32 - 1), own):
        reply = bench.reply(Abort(target), number)
        assert (reply.status, reply.body.minimum, reply.body.maximum) == (Status.OUT_OF_RANGE, 1, number - 1)


def test_an_aborted_request_is_refused_whenever_it_comes_and_has_no_effect(bench):
    amplitude, revision = programmed(bench), bench.device.configuration.revision
    assert bench.reply(Abort(3), 4).body == Done()
    for request in (StepAmplitude(1, 0, 1, revision), ListPrograms(0)):
        reply = bench.reply(request, 3)
        assert (reply.status, reply.flags, reply.body) == (Status.ABORTED, ResponseFlag(0), RequestDetail(3))
    assert (programmed(bench), bench.device.configuration.revision) == (amplitude, revision)
    assert bench.reply(StepAmplitude(1, 0, 1, revision), 5).status is Status.OK


def test_an_aborted_id_becomes_stale_with_the_others(bench):
    bench.reply(Abort(3), 4)
    for request_id in range(5, 12):
        bench.reply(KeepAlive(), request_id)
    assert bench.reply(KeepAlive(), 3).status is Status.STALE


def test_what_took_effect_is_too_late_to_abort(bench):
    first = bench.reply(SelectProgram(1, 1), 3)
    reply = bench.reply(Abort(3), 4)
    assert (reply.status, reply.body) == (Status.TOO_LATE, RequestDetail(3))
    assert bench.reply(SelectProgram(1, 1), 3).body == first.body


def test_what_was_refused_needs_no_abort_and_keeps_its_refusal(bench):
    refusal = bench.reply(SelectProgram(1, 200), 3)
    assert bench.reply(Abort(3), 4).status is Status.OK
    assert bench.reply(SelectProgram(1, 200), 3).body == refusal.body


def test_the_fate_of_a_request_that_is_not_kept_any_more_is_stale(bench):
    bench.reply(KeepAlive(), 1)
    bench.reply(KeepAlive(), 100)
    reply = bench.reply(Abort(1), 101)
    assert (reply.status, reply.body) == (Status.STALE, RequestDetail(100))


def test_aborted_ids_end_with_their_session(bench):
    bench.reply(Abort(1), 2)
    bench.open(nonce=2)
    assert bench.reply(KeepAlive(), 1).status is Status.OK
