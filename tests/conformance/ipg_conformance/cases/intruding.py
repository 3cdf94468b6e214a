"""REQ-SES and REQ-TXN: requests that come without a session, for the wrong one, or under a number that means another."""

from __future__ import annotations

from typing import Any

import msgspec
from ipg_protocol import COMMAND_OF, Command, Request, ResponseFlag, Role, State, Status, encode
from ipg_protocol.commands.link import Abort, EnterShelfMode, GetTime, SetTime, TransactionOutcome, TransactionStatus
from ipg_protocol.commands.session import CloseSession, ClosingReason, KeepAlive, OpenSession, SessionClosing
from ipg_protocol.commands.therapy import ReadLimits, StopMode, StopTherapy

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.framing import ping_body
from ipg_conformance.cases.gates import WITH_ROLE
from ipg_conformance.cases.numbering import step_down
from ipg_conformance.cases.session import IDLE_TOLERANCE_SECONDS, OTHER_HOST_ID, open_alert
from ipg_conformance.device import HOST_ID, NEXT, Device
from ipg_conformance.expect import expect, expect_refusal
from ipg_conformance.samples import zeros
from ipg_conformance.wire_bytes import delimited, flip

NO_ROLE = 9
MANY_TRANSACTIONS = 70
NOISE_EACH_SECONDS = 2.0
CLOCK_MILLISECONDS = 1_700_000_000_000
FORGOTTEN_ID, USED_ID, ABORTED_ID, HIGHEST_ID = 1, 100, 101, 102


def outcome(device: Device, transaction: int) -> TransactionOutcome:
    return device.ask(TransactionStatus(transaction)).outcome


@case("SES/OPEN/BI-01", "REQ-SES-001", "REQ-CMD-002")
def malformed_opening_leaves_the_session(device: Device) -> None:
    """OPEN_SESSION of a role that is none, or cut short, is refused MALFORMED, and the session goes on as it was."""
    device.open_session(Role.CLINICIAN)
    device.forget_events()
    opcode, payload = COMMAND_OF[OpenSession].opcode, encode(OpenSession(Role.OBSERVER, OTHER_HOST_ID, 3))
    for wrong in (bytes((NO_ROLE,)) + payload[1:], payload[:-1], b""):
        expect_refusal("OPEN_SESSION", device.tester.request_bytes(opcode, wrong), Status.MALFORMED)
    device.ask(SetTime(NEXT, CLOCK_MILLISECONDS))
    expect("events", device.tester.events_of(SessionClosing), [])


@case("SES/REPLACE/BO-01", "REQ-SES-002", "REQ-SES-001")
def opening_that_comes_late(device: Device) -> None:
    """OPEN_SESSION under the nonce of a session that was replaced is no repeat: it replaces the present one."""
    first = OpenSession(role=Role.OBSERVER, host_id=OTHER_HOST_ID, nonce=501)
    device.tester.request(first)
    device.tester.request(msgspec.structs.replace(first, role=Role.CLINICIAN, nonce=502))
    device.forget_events()
    expect("the flags", device.tester.request(first).flags, ResponseFlag(0))
    expect("the event", device.tester.wait_for_event(SessionClosing).reason, ClosingReason.REPLACED)
    reply = device.tester.request(SetTime(1, CLOCK_MILLISECONDS))
    expect_refusal("SET_TIME as OBSERVER", reply, Status.NOT_PERMITTED, required=Role.CLINICIAN)


@case("SES/CLOSE/BO-01", "REQ-SES-004", "REQ-CMD-003")
def closing_what_is_closed(device: Device) -> None:
    """CLOSE_SESSION again, under its id or another, is refused NO_SESSION; no request opens a session by itself."""
    number = device.tester.take_request_id()
    device.tester.request(CloseSession(), number)
    for request_id in (number, number + 1):
        expect_refusal("CLOSE_SESSION", device.tester.request(CloseSession(), request_id), Status.NO_SESSION)
    expect("the alert SESSION_OPEN", open_alert(device), False)


@case("SES/KEEP/BO-01", "REQ-SES-005", "REQ-CMD-003")
def keeping_what_is_closed(device: Device) -> None:
    """KEEP_ALIVE without a session is refused NO_SESSION, and opens none."""
    device.ask(CloseSession())
    for _ in range(3):
        expect_refusal("KEEP_ALIVE", device.tester.request(KeepAlive()), Status.NO_SESSION)
        expect("the alert SESSION_OPEN", open_alert(device), False)


@case("SES/IDLE/RT-01", "REQ-SES-003", "REQ-FRM-003", profile=Profile.FULL)
def noise_is_no_request(device: Device) -> None:
    """Spoiled frames do not restart the idle time: the session closes when it would have closed in silence."""
    device.need_silent_host()
    idle_seconds = device.open_session().idle_timeout_ms / 1000
    device.forget_events()
    spoiled = delimited(flip(ping_body(), 8 * 12))
    began = device.tester.clock()
    while device.tester.clock() - began < idle_seconds + IDLE_TOLERANCE_SECONDS:
        device.tester.send_bytes(spoiled)
        device.tester.listen(NOISE_EACH_SECONDS)
    expect("the reason", device.tester.wait_for_event(SessionClosing).reason, ClosingReason.IDLE)


@case("TXN/STATUS/BO-01", "REQ-TXN-002")
def refused_at_every_gate_is_not_seen(device: Device) -> None:
    """A change refused for role, layout, state or want of a session is NOT_SEEN, and is executed under its number after."""
    device.begin_therapy()
    request = EnterShelfMode(device.next_transaction())
    opcode, payload = COMMAND_OF[EnterShelfMode].opcode, encode(request)
    expect_refusal("one byte too many", device.tester.request_bytes(opcode, payload + b"\0"), Status.MALFORMED)
    expect_refusal("while therapy runs", device.tester.request(request), Status.WRONG_STATE)
    device.open_session(Role.CLINICIAN)
    expect_refusal("as CLINICIAN", device.tester.request(request), Status.NOT_PERMITTED)
    device.ask(CloseSession())
    expect_refusal("without a session", device.tester.request(request), Status.NO_SESSION)
    device.open_session()
    expect("the outcome", outcome(device, request.transaction), TransactionOutcome.NOT_SEEN)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the flags when it is in place", device.tester.request(request).flags, ResponseFlag(0))
    expect("the state", device.status().state, State.SHELF)


@case("TXN/STATUS/BO-02", "REQ-TXN-002", "REQ-TXN-001")
def transaction_of_another_host_is_not_seen(device: Device) -> None:
    """What one host has committed is NOT_SEEN to another, under the same number."""
    request = step_down(device)
    device.ask(request)
    device.open_session(host_id=new_host(device))
    expect("the outcome to another host", outcome(device, request.transaction), TransactionOutcome.NOT_SEEN)
    device.open_session()
    expect("the outcome to this host", outcome(device, request.transaction), TransactionOutcome.COMMITTED)


def new_host(device: Device) -> int:
    """A host id that the device has not met: made of the boot counter and the uptime."""
    boot_counter = device.status().boot_counter
    return HOST_ID ^ (boot_counter << 32) ^ (device.ask(GetTime()).uptime_milliseconds & 0xFFFF_FFFF) << 8


@case("TXN/ZERO/BV-01", "REQ-TXN-003", "REQ-SES-001")
def first_transaction_of_a_host(device: Device) -> None:
    """To a host that the device has not met OPEN_SESSION tells 0 as the last transaction, and 1 is taken."""
    session = device.open_session(host_id=new_host(device))
    expect("the last transaction", session.last_transaction, 0)
    request = SetTime(1, CLOCK_MILLISECONDS)
    expect("status and flags", device.tester.request(request).flags, ResponseFlag(0))
    expect("the outcome", outcome(device, 1), TransactionOutcome.COMMITTED)


@case("TXN/HOST/LT-02", "REQ-SES-001", "REQ-TXN-002")
def many_transactions_of_a_host(device: Device) -> None:
    """After more changes than a device keeps OPEN_SESSION tells the last transaction; the first of them is FORGOTTEN."""
    host = new_host(device)
    device.open_session(host_id=host)
    for transaction in range(1, MANY_TRANSACTIONS + 1):
        device.ask(SetTime(transaction, CLOCK_MILLISECONDS))
    expect("the last transaction", device.open_session(host_id=host).last_transaction, MANY_TRANSACTIONS)
    expect("the outcome of the first", outcome(device, 1), TransactionOutcome.FORGOTTEN)
    expect("the outcome of the last", outcome(device, MANY_TRANSACTIONS), TransactionOutcome.COMMITTED)
    refused = device.tester.request(SetTime(1, CLOCK_MILLISECONDS))
    expect_refusal("the first one again", refused, Status.OUT_OF_RANGE, field=0)


@case("TIM/SET/BO-01", "REQ-TIM-001", "REQ-TXN-001", profile=Profile.FULL)
def repeated_clock_is_not_set_back(device: Device) -> None:
    """SET_TIME that comes again, or is refused for its role or its transaction, leaves the clock to run."""
    request = device.numbered(SetTime(NEXT, CLOCK_MILLISECONDS))
    device.ask(request)
    device.tester.listen(0.2)
    expect("the flags of the repeat", device.tester.request(request).flags, ResponseFlag.REPLAYED)
    expect_refusal("transaction 0", device.tester.request(SetTime(0, 1)), Status.OUT_OF_RANGE)
    device.open_session(Role.PATIENT)
    expect_refusal("as PATIENT", device.tester.request(SetTime(device.next_transaction(), 1)), Status.NOT_PERMITTED)
    now = device.ask(GetTime()).unix_milliseconds
    passed = now - CLOCK_MILLISECONDS
    expect("whether the clock has gone on", 150 <= passed < 60_000, True)


@case("REQ/REUSED/BI-02", "REQ-REQ-002", "REQ-CMD-006")
def reused_id_takes_no_effect(device: Device) -> None:
    """A change under the id of another request is refused ID_REUSED, is not executed, and is NOT_SEEN."""
    request = step_down(device)
    before = device.snapshot()
    number = device.tester.take_request_id()
    device.tester.request(ReadLimits(), number)
    expect_refusal("the change", device.tester.request(request, number), Status.ID_REUSED, request_id=number)
    expect("programs, limits, therapy and revision", device.snapshot(), before)
    expect("the outcome", outcome(device, request.transaction), TransactionOutcome.NOT_SEEN)


@case("REQ/GATE/BO-01", "REQ-REQ-002", "REQ-REQ-003", "REQ-REQ-006", "REQ-CMD-006", each=WITH_ROLE)
def number_comes_before_the_request(device: Device, command: Command) -> None:
    """Under a used, a forgotten or an aborted id every request is refused ID_REUSED, STALE or ABORTED, whatever it asks for."""
    device.need(command.request)
    device.open_session()
    used: Request[Any] = KeepAlive() if command.request is not KeepAlive else ReadLimits()
    for number in (FORGOTTEN_ID, USED_ID):
        device.tester.request(used, number)
    device.tester.request(Abort(ABORTED_ID), HIGHEST_ID)
    payload = encode(device.numbered(zeros(command.request)))
    before = device.status()
    for number, status, told in (
        (USED_ID, Status.ID_REUSED, USED_ID),
        (FORGOTTEN_ID, Status.STALE, HIGHEST_ID),
        (ABORTED_ID, Status.ABORTED, ABORTED_ID),
    ):
        reply = device.tester.request_bytes(command.opcode, payload, number)
        expect_refusal(f"{command.name} under id {number}", reply, status, request_id=told)
    after = device.status()
    expect("state and revision", (after.state, after.revision), (before.state, before.revision))
