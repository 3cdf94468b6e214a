"""REQ-REQ-005 and 006: requests that take time, and requests that are to have no effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipg_protocol import COMMAND_OF, Reply, Request, ResponseFlag, Role, State, Status
from ipg_protocol.commands.link import (
    Abort,
    EnterShelfMode,
    GetStatus,
    Reset,
    SelfTest,
    SelfTestReport,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import Amplitude, ReadLimits, SetAmplitude, StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import Done

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.numbering import ANSWERS_KEPT, replayed, step_down
from ipg_conformance.device import HOST_ID, NEXT, Device
from ipg_conformance.expect import expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.together import ask_together, send

SELF_TEST = COMMAND_OF[SelfTest].opcode
TEST_SECONDS = 0.4
UNDER_WAY_SECONDS = 0.02
FRESH_NONCE = 0xFFFF_0000

ENDINGS: tuple[tuple[str, Callable[[Device], Request[Any]]], ...] = (
    ("START_THERAPY", lambda _: StartTherapy(NEXT)),
    ("MEASURE_IMPEDANCE", lambda device: MeasureImpedance(device.sound_contacts[0], device.return_contact)),
    ("ENTER_SHELF_MODE", lambda _: EnterShelfMode(NEXT)),
    ("CLOSE_SESSION", lambda _: CloseSession()),
    ("OPEN_SESSION", lambda _: OpenSession(Role.SERVICE, HOST_ID, FRESH_NONCE)),
    ("RESET", lambda _: Reset(NEXT)),
)
"""What brings the device to a state that is not for SELF_TEST, or ends its session."""


def begin_test(device: Device) -> int:
    """Send a SELF_TEST that has then begun; its request id."""
    number = device.tester.send(SELF_TEST, b"")
    device.tester.listen(UNDER_WAY_SECONDS)
    expect("answers so far", device.tester.responses, [])
    return number


def answer(device: Device, number: int) -> Reply:
    return device.tester.answer_to(SELF_TEST, number)


def break_off(device: Device, number: int) -> Reply:
    """ABORT the SELF_TEST under way; its answer."""
    device.ask(Abort(number))
    reply = answer(device, number)
    expect_refusal("the SELF_TEST", reply, Status.ABORTED, request_id=number)
    return reply


@case("REQ/PENDING/BV-01", "REQ-REQ-005", "REQ-FRM-011", profile=Profile.FULL)
def repeat_under_way_is_pending(device: Device) -> None:
    """The repeat of a SELF_TEST under way is refused PENDING; the answer comes once, and is repeated from store."""
    number = begin_test(device)
    for _ in range(2):
        device.tester.send(SELF_TEST, b"", number)
    for _ in range(2):
        reply = answer(device, number)
        expect_refusal("the repeat", reply, Status.PENDING, request_id=number)
        expect("its flags", reply.flags, ResponseFlag(0))
    first = answer(device, number)
    expect_ok(first, SelfTestReport)
    expect("the flags of the answer", first.flags, ResponseFlag(0))
    device.tester.expect_silence()
    expect("the answer to the repeat", device.tester.request(SelfTest(), number), replayed(first))


@case("REQ/PENDING/BV-02", "REQ-REQ-005", "REQ-THR-002", profile=Profile.FULL)
def others_are_served_meanwhile(device: Device) -> None:
    """Reads, changes and STOP_THERAPY are served while a SELF_TEST is under way, and do not break it off."""
    number = begin_test(device)
    meanwhile: tuple[Request[Any], ...] = (GetStatus(), ReadLimits(), SetTime(NEXT, 1_000), StopTherapy(StopMode.IMMEDIATE))
    for request, reply in zip(meanwhile, ask_together(device, *meanwhile), strict=True):
        command = COMMAND_OF[type(request)]
        expect_ok(reply, command.response, f"{command.name} is accepted")
    expect("answers to the SELF_TEST so far", device.tester.responses, [])
    expect_ok(answer(device, number), SelfTestReport)


@case("REQ/PENDING/BI-01", "REQ-REQ-002", "REQ-REQ-005")
def id_of_a_pending_request(device: Device) -> None:
    """Another request under the id of the one under way is refused ID_REUSED."""
    number = begin_test(device)
    read_limits = COMMAND_OF[ReadLimits].opcode
    for opcode in (read_limits, SELF_TEST):
        device.tester.send(opcode, b"", number)
    end = send(device, Abort(number))
    reply = device.tester.answer_to(read_limits, number)
    expect_refusal("READ_LIMITS under its id", reply, Status.ID_REUSED, request_id=number)
    expect_refusal("the repeat", answer(device, number), Status.PENDING, request_id=number)
    expect_refusal("the SELF_TEST", answer(device, number), Status.ABORTED, request_id=number)
    expect_ok(device.tester.answer_to(COMMAND_OF[Abort].opcode, end), Done, "ABORT is accepted")


@case("REQ/PENDING/BO-02", "REQ-REQ-005", "REQ-REQ-006", profile=Profile.FULL)
def later_requests_leave_it_be(device: Device) -> None:
    """PENDING names the id of the SELF_TEST though later ones have come, and an ABORT of another request leaves it alone."""
    number = begin_test(device)
    abort = send(device, Abort(device.tester.take_request_id()))
    device.tester.send(SELF_TEST, b"", number)
    expect_ok(device.tester.answer_to(COMMAND_OF[Abort].opcode, abort), Done, "ABORT is accepted")
    expect_refusal("the repeat", answer(device, number), Status.PENDING, request_id=number)
    expect_ok(answer(device, number), SelfTestReport)


@case("REQ/PENDING/BO-01", "REQ-REQ-005", "REQ-FRM-011", each=ENDINGS)
def broken_off_by_what_it_cannot_go_with(device: Device, ending: Callable[[Device], Request[Any]]) -> None:
    """What brings the device to a state not for SELF_TEST, or ends the session, breaks it off: it is answered ABORTED, once."""
    device.write_program(device.typical())
    request = ending(device)
    device.need(type(request))
    number = begin_test(device)
    device.ask(request)
    expect_refusal("the SELF_TEST", answer(device, number), Status.ABORTED, request_id=number)


@case("TST/BUSY/BO-01", "REQ-TST-001", profile=Profile.FULL)
def second_test_meanwhile(device: Device) -> None:
    """A second SELF_TEST is refused BUSY with the time left; once the first is answered, it is taken."""
    number = begin_test(device)
    left_ms = getattr(expect_refusal("a second one", device.tester.request(SelfTest()), Status.BUSY), "retry_after_ms", 0)
    expect_that("the time left is above 0, and no more than a test takes", 0 < left_ms <= TEST_SECONDS * 1000, left_ms)
    expect_ok(answer(device, number), SelfTestReport)
    break_off(device, begin_test(device))


@case("REQ/ABORT/BV-01", "REQ-REQ-006", "REQ-REQ-005", profile=Profile.FULL)
def request_under_way_is_broken_off(device: Device) -> None:
    """ABORT of a SELF_TEST under way is OK; the test is answered ABORTED, also when it is repeated, and another may begin."""
    number = begin_test(device)
    first = break_off(device, number)
    expect("the answer to the repeat", device.tester.request(SelfTest(), number), replayed(first))
    break_off(device, begin_test(device))
    device.catch_up(TEST_SECONDS)
    expect("further answers", device.tester.responses, [])


@case("REQ/ABORT/BV-02", "REQ-REQ-006", "REQ-TXN-002")
def request_that_never_came(device: Device) -> None:
    """ABORT of an id never seen is OK; what comes under it is refused ABORTED, each time, and has no effect."""
    request = step_down(device)
    before = device.snapshot()
    number = device.tester.take_request_id()
    device.ask(Abort(number))
    for late in (request, request, ReadLimits()):
        expect_refusal("what comes late", device.tester.request(late, number), Status.ABORTED, request_id=number)
    expect("programs, limits, therapy and revision", device.snapshot(), before)
    expect("the outcome", device.ask(TransactionStatus(request.transaction)).outcome, TransactionOutcome.NOT_SEEN)
    expect("the flags under a new id", device.tester.request(request).flags, ResponseFlag(0))


@case("REQ/ABORT/BV-03", "REQ-REQ-006")
def refused_request_has_no_effect(device: Device) -> None:
    """ABORT of a refused request is OK, and the refusal stays its answer, in whatever state the repeat comes."""
    device.write_program(device.typical())
    number = device.tester.take_request_id()
    request = SetAmplitude(device.next_transaction(), area=200, amplitude_microamps=0)
    refusal = device.tester.request(request, number)
    device.ask(Abort(number))
    expect("the answer to the repeat", device.tester.request(request, number), replayed(refusal))
    device.ask(StartTherapy(NEXT))
    inopportune = device.tester.take_request_id()
    shelf = EnterShelfMode(device.next_transaction())
    refusal = device.tester.request(shelf, inopportune)
    expect_refusal("ENTER_SHELF_MODE", refusal, Status.WRONG_STATE)
    device.ask(Abort(inopportune))
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the answer to the repeat", device.tester.request(shelf, inopportune), replayed(refusal))
    expect("the state", device.status().state, State.IDLE)


@case("REQ/ABORT/BV-04", "REQ-REQ-006", "REQ-REQ-001")
def repeated_abort(device: Device) -> None:
    """The repeat of an ABORT is answered from store."""
    target, number = device.tester.take_request_id(), device.tester.take_request_id()
    first = device.tester.request(Abort(target), number)
    expect_ok(first, Done)
    expect("the answer to the repeat", device.tester.request(Abort(target), number), replayed(first))


@case("REQ/ABORT/BO-01", "REQ-REQ-006", "REQ-CMD-006")
def too_late_to_abort(device: Device) -> None:
    """ABORT of a request that took effect is refused TOO_LATE with its id; the effect stays, and the repeat gets the answer."""
    request = step_down(device)
    number = device.tester.take_request_id()
    first = device.tester.request(request, number)
    changed = expect_ok(first, Amplitude)
    expect_refusal("ABORT", device.tester.request(Abort(number)), Status.TOO_LATE, request_id=number)
    expect("the answer to the repeat", device.tester.request(request, number), replayed(first))
    expect("the revision", device.status().revision, changed.revision)
    expect("the amplitude", device.stored_amplitude(), changed.amplitude_microamps)


@case("REQ/ABORT/LT-01", "REQ-REQ-006", "REQ-REQ-003")
def request_no_longer_kept(device: Device) -> None:
    """ABORT of an id 8 or more below the highest is refused STALE with the highest; the one above it is taken."""
    device.open_session()
    device.tester.request(ReadLimits(), 1)
    device.tester.request(ReadLimits(), 100)
    for index, target in enumerate((1, 50, 100 - ANSWERS_KEPT)):
        reply = device.tester.request(Abort(target), 101 + index)
        expect_refusal(f"ABORT of {target}", reply, Status.STALE, request_id=100 + index)
    expect_ok(device.tester.request(Abort(103 - ANSWERS_KEPT + 1), 104), Done)


@case("REQ/ABORT/BI-01", "REQ-REQ-006", "REQ-CMD-007")
def abort_of_what_is_not_earlier(device: Device) -> None:
    """An id that is not from 1 to one below the ABORT's own is refused OUT_OF_RANGE."""
    device.open_session()
    for number, target in ((20, 0), (21, 21), (22, 23), (23, 0xFFFF_FFFF)):
        reply = device.tester.request(Abort(target), number)
        detail = {"field": 0, "minimum": 1, "maximum": number - 1}
        expect_refusal(f"ABORT of {target} under {number}", reply, Status.OUT_OF_RANGE, **detail)
    expect_ok(device.tester.request(ReadLimits(), 24), COMMAND_OF[ReadLimits].response)
