"""REQ-TXN: an intent named by host and transaction takes effect once, whatever is lost or repeated on the way."""

from __future__ import annotations

import msgspec
from ipg_protocol import CATALOGUE, COMMAND_OF, Command, Reply, ResponseFlag, Status, encode
from ipg_protocol.command import is_change
from ipg_protocol.commands.link import Reset, SetTime, TransactionOutcome, TransactionReport, TransactionStatus
from ipg_protocol.commands.therapy import ReadLimits, SetAmplitude, StartTherapy, StepAmplitude

from ipg_conformance.case import case
from ipg_conformance.cases.gates import ready_request
from ipg_conformance.cases.numbering import replayed, step_down
from ipg_conformance.device import HOST_ID, NEXT, Device
from ipg_conformance.expect import expect, expect_refusal
from ipg_conformance.samples import valid_request
from ipg_conformance.wording import shown

TRANSACTIONS_KEPT = 32
CHANGES = [(command.name, command) for command in CATALOGUE.values() if command.is_change]
STAYING_UP = [(name, command) for name, command in CHANGES if command.request is not Reset]
FRESH_HOST_ID = HOST_ID + 0x100
UNUSED_TRANSACTION = 0x7FFF_FFFF


@case("TXN/REPEAT/BV-01", "REQ-TXN-001")
def same_transaction_under_another_id(device: Device) -> None:
    """A committed transaction under a new request id gets the stored answer, REPLAYED, and is not executed."""
    request = step_down(device)
    first = device.tester.request(request)
    before = device.snapshot()
    expect("the answer to the repeat", device.tester.request(request), replayed(first))
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("TXN/REPEAT/BV-02", "REQ-TXN-001")
def same_transaction_in_another_session(device: Device) -> None:
    """A committed transaction is known in the same host's next session."""
    request = step_down(device)
    first = device.tester.request(request)
    device.open_session()
    before = device.snapshot()
    expect("the answer to the repeat", device.tester.request(request), replayed(first))
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("TXN/HOST/BV-01", "REQ-TXN-001")
def same_transaction_of_another_host(device: Device) -> None:
    """The same number from another host is another intent, and is executed."""
    device.open_session()
    request = device.numbered(SetTime(NEXT, 1_000_000))
    device.ask(request)
    other = device.open_session(host_id=FRESH_HOST_ID)
    fresh = msgspec.structs.replace(request, transaction=other.last_transaction + 1)
    expect("the flags of the other host's answer", device.tester.request(fresh).flags, ResponseFlag(0))


@case("TXN/REUSED/BI-01", "REQ-TXN-001")
def transaction_with_another_intent(device: Device) -> None:
    """A committed transaction with another payload or opcode is refused ID_REUSED, and nothing changes."""
    request = step_down(device)
    device.tester.request(request)
    before = device.snapshot()
    number = request.transaction
    others = (
        StepAmplitude(number, area=0, steps=1, expected_revision=device.status().revision),
        SetAmplitude(number, area=0, amplitude_microamps=0),
        StartTherapy(number),
    )
    for other in others:
        expect_refusal(shown(type(other)), device.tester.request(other), Status.ID_REUSED)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("TXN/STATUS/BV-01", "REQ-TXN-002")
def committed_transaction(device: Device) -> None:
    """TRANSACTION_STATUS of a committed change tells its opcode and its answer."""
    request = step_down(device)
    answer = encode(device.tester.request(request).body)
    report = device.ask(TransactionStatus(request.transaction))
    expect("the report", report, TransactionReport(TransactionOutcome.COMMITTED, COMMAND_OF[StepAmplitude].opcode, answer))


@case("TXN/STATUS/BV-04", "REQ-TXN-002", "REQ-TXN-001", each=STAYING_UP, slow=("ENTER_MRI_MODE", "LEAVE_MRI_MODE"))
def every_change_is_committed(device: Device, command: Command) -> None:
    """Each kind of change is COMMITTED with its opcode and answer, and not executed again under another request id."""
    request = ready_request(device, command)
    assert is_change(request), "it is one of CHANGES"
    answer = device.ask(request)
    before = device.status()
    report = TransactionReport(TransactionOutcome.COMMITTED, command.opcode, encode(answer))
    expect("the report", device.ask(TransactionStatus(request.transaction)), report)
    repeated = Reply(Status.OK, ResponseFlag.REPLAYED, answer)
    expect("the answer to the repeat", device.tester.request(request), repeated)
    expect("the revision", device.status().revision, before.revision)


@case("TXN/STATUS/BV-02", "REQ-TXN-002")
def refused_transaction_is_not_seen(device: Device) -> None:
    """A refused change, and a number never used, are NOT_SEEN."""
    device.write_program(device.typical())
    refused = SetAmplitude(device.next_transaction(), area=200, amplitude_microamps=0)
    expect_refusal("an area that is not there", device.tester.request(refused), Status.OUT_OF_RANGE)
    for number in (refused.transaction, UNUSED_TRANSACTION):
        outcome = device.ask(TransactionStatus(number)).outcome
        expect(f"the outcome of {number}", outcome, TransactionOutcome.NOT_SEEN)


@case("TXN/STATUS/BV-03", "REQ-TXN-002", "REQ-TXN-004", "REQ-RST-007")
def transaction_outlives_a_reset(device: Device) -> None:
    """A transaction committed before a RESET is COMMITTED after it."""
    request = device.numbered(SetTime(NEXT, 5_000_000))
    device.ask(request)
    device.restart()
    expect("the outcome", device.ask(TransactionStatus(request.transaction)).outcome, TransactionOutcome.COMMITTED)


@case("TXN/STATUS/LT-01", "REQ-TXN-002")
def old_transaction_is_forgotten(device: Device) -> None:
    """Of a host's transactions the last 32 are kept; the one before them is FORGOTTEN."""
    requests = [device.numbered(SetTime(NEXT, 1_000 * index)) for index in range(TRANSACTIONS_KEPT + 1)]
    for request in requests:
        device.ask(request)
    outcomes = [device.ask(TransactionStatus(request.transaction)).outcome for request in requests]
    expected = [TransactionOutcome.FORGOTTEN] + [TransactionOutcome.COMMITTED] * TRANSACTIONS_KEPT
    expect("the outcomes, oldest first", outcomes, expected)


@case("TXN/ZERO/BI-01", "REQ-TXN-003", "REQ-CMD-006", "REQ-CMD-009", each=CHANGES)
def transaction_zero(device: Device, command: Command) -> None:
    """Transaction 0 is refused OUT_OF_RANGE on field 0 with minimum 1, and nothing changes."""
    request = msgspec.structs.replace(valid_request(device, command), transaction=0)
    before = device.snapshot()
    expect_refusal(command.name, device.tester.request(request), Status.OUT_OF_RANGE, field=0, minimum=1)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("TXN/ZERO/BI-02", "REQ-REQ-004")
def refusal_of_zero_is_stored(device: Device) -> None:
    """The refusal of transaction 0 is the id's answer: with other bytes the id is refused ID_REUSED."""
    number = device.tester.take_request_id()
    expect_refusal("SET_TIME", device.tester.request(SetTime(0, 1), number), Status.OUT_OF_RANGE)
    expect_refusal("READ_LIMITS under its id", device.tester.request(ReadLimits(), number), Status.ID_REUSED)
