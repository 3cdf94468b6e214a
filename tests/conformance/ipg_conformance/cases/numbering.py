"""REQ-REQ: request ids, and what becomes of a request that comes again."""

from __future__ import annotations

from ipg_protocol import COMMAND_OF, Reply, ResponseFlag, Role, State, Status, encode
from ipg_protocol.commands.link import EnterShelfMode, TransactionStatus
from ipg_protocol.commands.log import LogInfo, ReadLog
from ipg_protocol.commands.programs import BeginProgramWrite
from ipg_protocol.commands.therapy import Amplitude, ReadLimits, SetAmplitude, StepAmplitude, StopMode, StopTherapy

from ipg_conformance.case import case
from ipg_conformance.device import Device
from ipg_conformance.expect import expect, expect_ok, expect_refusal
from ipg_conformance.wording import shown

ANSWERS_KEPT = 8
READ_LIMITS_OPCODE = 0x0307


def replayed(reply: Reply) -> Reply:
    """The same reply, flagged."""
    return Reply(reply.status, reply.flags | ResponseFlag.REPLAYED, reply.body)


def step_down(device: Device) -> StepAmplitude:
    """A change that would show if it were executed twice."""
    device.write_program(device.typical())
    transaction = device.next_transaction()
    return StepAmplitude(transaction, area=0, steps=-1, expected_revision=device.status().revision)


@case("REQ/REPEAT/BV-01", "REQ-REQ-001")
def repeated_change_is_not_executed(device: Device) -> None:
    """A change sent again under its id gets the stored answer, REPLAYED, and nothing is executed."""
    request = step_down(device)
    number = device.tester.take_request_id()
    first = device.tester.request(request, number)
    answer = expect_ok(first, Amplitude)
    expect("the answer to the repeat", device.tester.request(request, number), replayed(first))
    expect("the revision", device.status().revision, answer.revision)
    expect("the amplitude", device.stored_amplitude(), answer.amplitude_microamps)


@case("REQ/REPEAT/BV-02", "REQ-REQ-001")
def last_answers_are_kept(device: Device) -> None:
    """The answers to the last 8 requests are kept, of reads too."""
    device.open_session()
    first = device.tester.request(LogInfo(), 1)
    for number in range(2, ANSWERS_KEPT + 1):
        device.tester.request(ReadLog(cursor=0), number)
    expect("the answer to the oldest of 8", device.tester.request(LogInfo(), 1), replayed(first))


@case("REQ/REPEAT/BV-03", "REQ-REQ-001", "REQ-REQ-004")
def stored_refusal_is_repeated(device: Device) -> None:
    """A refusal by the command's own checks is kept as its answer, and repeated."""
    device.write_program(device.typical())
    request = SetAmplitude(device.next_transaction(), area=200, amplitude_microamps=0)
    number = device.tester.take_request_id()
    refusal = device.tester.request(request, number)
    expect_refusal("an area that is not there", refusal, Status.OUT_OF_RANGE)
    expect("the answer to the repeat", device.tester.request(request, number), replayed(refusal))


@case("REQ/REPEAT/BO-01", "REQ-REQ-001", "REQ-TXN-001")
def repeat_after_the_state_has_changed(device: Device) -> None:
    """A repeat is answered from store though the state that the change brought would refuse it; a new id, too."""
    request = EnterShelfMode(device.next_transaction())
    number = device.tester.take_request_id()
    first = device.tester.request(request, number)
    for request_id in (number, None):
        expect("the answer to the repeat", device.tester.request(request, request_id), replayed(first))


@case("REQ/REUSED/BI-01", "REQ-REQ-002")
def id_with_other_bytes(device: Device) -> None:
    """A used id with another payload or opcode is refused ID_REUSED, naming the id."""
    number = device.tester.take_request_id()
    device.tester.request(ReadLog(cursor=0), number)
    for other in (ReadLog(cursor=1), ReadLimits()):
        reply = device.tester.request(other, number)
        expect_refusal(shown(type(other)), reply, Status.ID_REUSED, request_id=number)
    first = device.tester.request(ReadLog(cursor=0), number)
    expect("the answer kept under the id", first.flags, ResponseFlag.REPLAYED)


@case("REQ/REUSED/BI-03", "REQ-REQ-002")
def id_with_one_other_byte(device: Device) -> None:
    """A request that differs from the one of its id in any one byte is refused ID_REUSED, be it the last of many."""
    begin = BeginProgramWrite(device.program, 1, "sixteen letters.")
    number = device.tester.take_request_id()
    first = device.tester.request(begin, number)
    opcode, payload = COMMAND_OF[BeginProgramWrite].opcode, encode(begin)
    for place, byte in enumerate(payload):
        other = payload[:place] + bytes([byte ^ 1]) + payload[place + 1 :]
        reply = device.tester.request_bytes(opcode, other, number)
        expect_refusal(f"byte {place} is another", reply, Status.ID_REUSED, request_id=number)
    expect("the answer to the repeat", device.tester.request(begin, number), replayed(first))


@case("REQ/STALE/BI-01", "REQ-REQ-003")
def old_id_is_stale(device: Device) -> None:
    """An id 8 or more below the highest is refused STALE with the highest."""
    device.open_session()
    device.tester.request(ReadLimits(), 1)
    device.tester.request(ReadLimits(), 100)
    for number in (1, 50, 100 - ANSWERS_KEPT, 0):
        reply = device.tester.request(ReadLimits(), number)
        expect_refusal(f"id {number} after id 100", reply, Status.STALE, request_id=100)


@case("REQ/STALE/LT-01", "REQ-REQ-003")
def unseen_id_in_the_window_is_executed(device: Device) -> None:
    """An id within the last 8 that was never seen is executed."""
    device.open_session()
    device.tester.request(ReadLimits(), 100)
    for number in range(100 - ANSWERS_KEPT + 1, 100):
        reply = device.tester.request(ReadLimits(), number)
        expect(f"status and flags of id {number}", (reply.status, reply.flags), (Status.OK, ResponseFlag(0)))


@case("REQ/UNSTORED/BV-01", "REQ-REQ-004")
def malformed_request_leaves_its_id(device: Device) -> None:
    """The id of a MALFORMED or an unknown request can be used."""
    number = device.tester.take_request_id()
    expect_refusal("one byte too many", device.tester.request_bytes(READ_LIMITS_OPCODE, b"\0", number), Status.MALFORMED)
    expect_refusal("opcode 0x7E7E", device.tester.request_bytes(0x7E7E, b"", number), Status.UNKNOWN_COMMAND)
    reply = device.tester.request(ReadLimits(), number)
    expect("status and flags", (reply.status, reply.flags), (Status.OK, ResponseFlag(0)))


@case("REQ/UNSTORED/BV-02", "REQ-REQ-004")
def forbidden_request_leaves_its_id(device: Device) -> None:
    """The id of a request refused NOT_PERMITTED can be used."""
    device.open_session(Role.OBSERVER)
    transaction = device.next_transaction()
    reply = device.tester.request(SetAmplitude(transaction, 0, 0), 1)
    expect_refusal("SET_AMPLITUDE as OBSERVER", reply, Status.NOT_PERMITTED)
    reply = device.tester.request(ReadLimits(), 1)
    expect("status and flags", (reply.status, reply.flags), (Status.OK, ResponseFlag(0)))


@case("REQ/REPEAT/BO-02", "REQ-REQ-001", "REQ-REQ-004")
def repeat_of_what_was_inopportune(device: Device) -> None:
    """A request refused WRONG_STATE stays refused when it is repeated in a state that would allow it."""
    device.begin_therapy()
    request = EnterShelfMode(device.next_transaction())
    number = device.tester.take_request_id()
    first = device.tester.request(request, number)
    expect_refusal("ENTER_SHELF_MODE while therapy runs", first, Status.WRONG_STATE)
    device.tester.request(StopTherapy(StopMode.IMMEDIATE))
    expect("the answer to the repeat", device.tester.request(request, number), replayed(first))
    expect("the state", device.status().state, State.IDLE)


@case("REQ/SESSION/BV-01", "REQ-REQ-001", "REQ-REQ-002")
def ids_begin_anew_with_a_session(device: Device) -> None:
    """Ids count within a session: in the next one, id 1 is new again."""
    device.open_session()
    device.tester.request(ReadLog(cursor=0), 1)
    device.open_session()
    reply = device.tester.request(TransactionStatus(1), 1)
    expect("status and flags", (reply.status, reply.flags), (Status.OK, ResponseFlag(0)))


@case("REQ/SEVERAL/BV-01", "REQ-FRM-011", "REQ-REQ-001")
def several_reads_in_flight(device: Device) -> None:
    """Four reads sent without waiting are each answered under their own id."""
    payload = encode(ReadLog(cursor=0))
    sent = [device.tester.send(0x0702, payload) for _ in range(4)]
    for number in sent:
        expect_ok(device.tester.answer_to(0x0702, number), type(device.ask(ReadLog(cursor=0))))
