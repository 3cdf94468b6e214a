"""REQ-CMD: what every command has in common, derived from the catalogue: payloads, sessions, roles, states, refusals."""

from __future__ import annotations

from typing import Any

from ipg_protocol import CATALOGUE, COMMAND_OF, Command, Reply, Request, Role, State, Status, encode
from ipg_protocol.commands.link import EnterShelfMode, FactoryReset, GetStatus, Reset, SetTime
from ipg_protocol.commands.log import ClearFault
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode
from ipg_protocol.commands.programs import SaveCheckpoint
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.wire import is_fixed, minimum_size

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.payloads import bad_fields, good_fields, too_long, too_short
from ipg_conformance.samples import valid_request, zeros
from ipg_conformance.states import bring_to, bring_to_one_for
from ipg_conformance.together import answers_to, answers_while_booting, answers_while_measuring, groups

EVERY = [(command.name, command) for command in CATALOGUE.values()]
WITH_ROLE = [(name, command) for name, command in EVERY if command.role is not None]
ABOVE_OBSERVER = [(name, command) for name, command in EVERY if command.role]
WITH_PAYLOAD = [(name, command) for name, command in EVERY if minimum_size(command.request)]
CHANGES = [(name, command) for name, command in EVERY if command.is_change]
WITH_ENUMERATION = [
    (name, command) for name, command in EVERY if [*bad_fields(command.request, encode(zeros(command.request)))]
]
OPTIONAL = [(name, command) for name, command in EVERY if command.optional]
KEEPS_REVISION = (StartTherapy, Reset, SetTime, EnterShelfMode, ClearFault, EnterMriMode, LeaveMriMode, SaveCheckpoint)

IN_A_BOOT_BYTES = 200
"""So few are there before a device has booted."""


@case("CMD/UNKNOWN/BI-01", "REQ-CMD-001")
def unknown_opcode(device: Device) -> None:
    """Opcodes next to known ones, and far from any, are refused UNKNOWN_COMMAND."""
    near = {opcode + step for opcode in CATALOGUE for step in (-1, 1, 0x100)}
    for opcode in sorted((near | {0, 0x7FFF, 0x8001, 0xFFFF}) - CATALOGUE.keys()):
        reply = device.tester.request_bytes(opcode, b"")
        expect_refusal(f"opcode {opcode:#06x}", reply, Status.UNKNOWN_COMMAND)


@case("CMD/UNKNOWN/BI-02", "REQ-CMD-001")
def unknown_opcode_without_session(device: Device) -> None:
    """Without a session, too, an unknown opcode is refused UNKNOWN_COMMAND."""
    device.ask(CloseSession())
    expect_refusal("opcode 0x7E7E", device.tester.request_bytes(0x7E7E, b"\1"), Status.UNKNOWN_COMMAND)


@case("CMD/VALID/BV-01", "REQ-CMD-008", "REQ-CMD-005", each=EVERY, slow=("SELF_TEST", "ENTER_MRI_MODE"))
def valid_use(device: Device, command: Command) -> None:
    """A valid request is accepted, and its answer has the declared layout."""
    expect_ok(device.request(ready_request(device, command)), command.response, command.name)


def ready_request(device: Device, command: Command) -> Request[Any]:
    """A valid request, on a device that was brought to take it."""
    device.need(command.request)
    bring_to_one_for(device, command)
    return valid_request(device, command)


@case("CMD/REVISION/BV-01", "REQ-CMD-009", each=CHANGES, slow=("ENTER_MRI_MODE", "LEAVE_MRI_MODE"))
def revision_rises_with_changes(device: Device, command: Command) -> None:
    """A change of configuration raises the revision by one; what starts, keeps, clears or holds off leaves it."""
    request = ready_request(device, command)
    before = device.status().revision
    device.ask(request)
    expect("the revision", device.status().revision, before + (command.request not in KEEPS_REVISION))


@case(
    "CMD/REVISION/BV-02",
    "REQ-CMD-009",
    each=[(name, command) for name, command in EVERY if not command.is_change],
    slow=("SELF_TEST",),
)
def revision_stays(device: Device, command: Command) -> None:
    """A request that is no change leaves the revision."""
    request = ready_request(device, command)
    before = device.status().revision
    device.ask(request)
    expect("the revision", device.status().revision, before)


@case("CMD/LENGTH/BI-01", "REQ-CMD-002", each=WITH_PAYLOAD)
def too_short_payload(device: Device, command: Command) -> None:
    """Every shorter payload is refused MALFORMED, with the size expected and the size received."""
    payload = encode(valid_request(device, command))
    expected = {"expected_size": len(payload)} if is_fixed(command.request) else {}
    before = device.snapshot()
    for short in too_short(payload):
        reply = device.tester.request_bytes(command.opcode, short)
        detail = {"field": WHOLE_MESSAGE, "received_size": len(short)} | expected
        expect_refusal(f"{command.name} cut to {len(short)} bytes", reply, Status.MALFORMED, **detail)
    expect("what a refusal must leave (REQ-CMD-006)", device.snapshot(), before)


@case("CMD/LENGTH/BI-02", "REQ-CMD-002", each=EVERY)
def too_long_payload(device: Device, command: Command) -> None:
    """A longer payload is refused MALFORMED, with the size expected and the size received."""
    payload = encode(valid_request(device, command))
    before = device.snapshot()
    for long in too_long(payload):
        reply = device.tester.request_bytes(command.opcode, long)
        detail = {"field": WHOLE_MESSAGE, "expected_size": minimum_size(command.request), "received_size": len(long)}
        expect_refusal(f"{command.name} drawn out to {len(long)} bytes", reply, Status.MALFORMED, **detail)
    expect("what a refusal must leave (REQ-CMD-006)", device.snapshot(), before)


@case("CMD/ENUM/BI-01", "REQ-CMD-002", each=WITH_ENUMERATION)
def value_outside_enumeration(device: Device, command: Command) -> None:
    """A value that an enumeration, flag or text field cannot hold is refused MALFORMED, naming the field."""
    payload = encode(valid_request(device, command))
    before = device.snapshot()
    for bad in bad_fields(command.request, payload):
        reply = device.tester.request_bytes(command.opcode, bad.payload)
        detail = {"field": bad.field, "received_size": len(bad.payload)}
        expect_refusal(f"{command.name} with a bad {bad.name}", reply, Status.MALFORMED, **detail)
    expect("what a refusal must leave (REQ-CMD-006)", device.snapshot(), before)


@case("CMD/SESSION/BO-01", "REQ-CMD-003", each=WITH_ROLE)
def command_without_session(device: Device, command: Command) -> None:
    """A command with a role, sent without a session, is refused NO_SESSION with the boot counter."""
    request = valid_request(device, command)
    before = device.snapshot()
    boot_counter = device.status().boot_counter
    device.ask(CloseSession())
    reply = device.tester.request(request)
    expect_refusal(command.name, reply, Status.NO_SESSION, boot_counter=boot_counter)
    device.open_session()
    expect("what a refusal must leave (REQ-CMD-006)", device.snapshot(), before)


@case("CMD/SESSION/BV-01", "REQ-CMD-003", each=[(name, command) for name, command in EVERY if command.role is None])
def command_needs_no_session(device: Device, command: Command) -> None:
    """A command without a role is accepted without a session."""
    request = valid_request(device, command)
    device.ask(CloseSession())
    expect_ok(device.tester.request(request), command.response, command.name)


@case("CMD/ROLE/BI-01", "REQ-CMD-004", "REQ-CMD-006", each=ABOVE_OBSERVER)
def role_too_low(device: Device, command: Command) -> None:
    """Every role below the command's is refused NOT_PERMITTED with the role required, and nothing changes."""
    request = valid_request(device, command)
    before = device.snapshot()
    for role in Role:
        if command.role is not None and role < command.role:
            device.open_session(role)
            what = f"{command.name} as {role.name}"
            expect_refusal(what, device.tester.request(request), Status.NOT_PERMITTED, required=command.role)
    expect("what a refusal must leave (REQ-CMD-006)", device.snapshot(), before)


@case("CMD/ROLE/BV-01", "REQ-CMD-004", each=WITH_ROLE)
def role_high_enough(device: Device, command: Command) -> None:
    """The command's role and every role above it pass the gate: a malformed payload is refused as such."""
    payload = encode(valid_request(device, command)) + b"\0"
    for role in Role:
        if command.role is not None and role >= command.role:
            device.open_session(role)
            reply = device.tester.request_bytes(command.opcode, payload)
            expect_refusal(f"{command.name} as {role.name}", reply, Status.MALFORMED)


@case("CMD/ORDER/BI-01", "REQ-CMD-003", "REQ-CMD-004", each=ABOVE_OBSERVER)
def session_and_role_before_payload(device: Device, command: Command) -> None:
    """Whoever may not send a command learns nothing of its payload: NOT_PERMITTED and NO_SESSION come before MALFORMED."""
    device.need(command.request)
    payload = encode(zeros(command.request)) + b"\0"
    device.open_session(Role.OBSERVER)
    expect_refusal(command.name, device.tester.request_bytes(command.opcode, payload), Status.NOT_PERMITTED)
    device.ask(CloseSession())
    expect_refusal(command.name, device.tester.request_bytes(command.opcode, payload), Status.NO_SESSION)


@case("CMD/ORDER/BO-01", "REQ-CMD-002", "REQ-CMD-005")
def payload_before_state(device: Device) -> None:
    """A payload that does not fit is refused MALFORMED in a state that is not for the command, too."""
    device.begin_therapy()
    for command in (COMMAND_OF[EnterShelfMode], COMMAND_OF[FactoryReset]):
        payload = encode(zeros(command.request)) + b"\0"
        expect_refusal(command.name, device.tester.request_bytes(command.opcode, payload), Status.MALFORMED)


def _probe(state: State, command: Command, sample: Request[Any]) -> bytes:
    """Where the command is allowed, a payload that passes the gate and does nothing; where not, a valid one."""
    return encode(sample) + b"\0" * (state in command.states)


STATES = [
    (state.name, state) for state in (State.SUSPENDED, State.IDLE, State.RAMPING, State.THERAPY, State.MEASURING, State.SHELF)
]


@case("CMD/STATE/BO-01", "REQ-CMD-005", "REQ-STA-001", each=STATES, slow=("SUSPENDED",), outputs=True, destructive=True)
def commands_by_state(device: Device, state: State) -> None:
    """In each state every command that is not for it is refused WRONG_STATE, and every other passes the gate."""
    expect_gates(device, state)


@case(
    "CMD/STATE/BO-01", "REQ-CMD-005", "REQ-IMP-004", each=[("FAULT", State.FAULT)], need=Need.SHORTED_CONTACT, destructive=True
)
def commands_in_fault(device: Device, state: State) -> None:
    """In FAULT every command that is not for it is refused WRONG_STATE, and every other passes the gate."""
    expect_gates(device, state)


Samples = list[tuple[Command, Request[Any]]]


def probes_of(state: State, samples: Samples) -> list[tuple[int, bytes]]:
    """What to send in a state, by opcode and payload."""
    return [(command.opcode, _probe(state, command, sample)) for command, sample in samples]


def expect_gates(device: Device, state: State) -> None:
    samples = [(command, valid_request(device, command)) for _, command in EVERY if device.has(command.request)]
    probes = probes_of(state, samples)
    if state is State.MEASURING:
        replies = answers_while_measuring(device, probes)
    else:
        bring_to(device, state)
        replies = answers_to(device, probes)
    if state in (State.RAMPING, State.THERAPY, State.SUSPENDED):
        expect("the state before and after", device.status().state, state)
    expect_answers_of_gates(state, samples, replies)


def expect_answers_of_gates(state: State, samples: Samples, replies: list[Reply]) -> None:
    """What is not for the state is refused so, and the rest passed the gate."""
    for (command, _), reply in zip(samples, replies, strict=True):
        what = f"{command.name} in {state.name}"
        if state in command.states:
            expect_refusal(what, reply, Status.MALFORMED)
        else:
            expect_refusal(what, reply, Status.WRONG_STATE, state=state)


@case("RST/BOOT/BO-01", "REQ-RST-002", "REQ-CMD-005", outputs=True, destructive=True, profile=Profile.FULL)
def commands_while_booting(device: Device) -> None:
    """While booting, commands for that state pass the gate; others are refused WRONG_STATE (with a role, or NO_SESSION)."""
    commands = [command for _, command in EVERY if device.has(command.request)]
    probes = [(command.opcode, _probe(State.BOOT, command, zeros(command.request))) for command in commands]
    replies = [reply for some in groups(probes, IN_A_BOOT_BYTES) for reply in answers_while_booting(device, some)]
    expect_boot_gates(commands, replies)


def expect_boot_gates(commands: list[Command], replies: list[Reply]) -> None:
    for command, reply in zip(commands, replies, strict=True):
        if State.BOOT in command.states:
            expect_refusal(command.name, reply, Status.MALFORMED)
        elif command.role is None or reply.status is not Status.NO_SESSION:
            expect_refusal(command.name, reply, Status.WRONG_STATE, state=State.BOOT)


@case("CMD/REPLY/BV-01", "REQ-CMD-008")
def reply_begins_with_status_and_flags(device: Device) -> None:
    """A response's payload is status, flags, answer: GET_STATUS has 2 bytes before its declared ones."""
    number = device.tester.send(0x0003, b"")
    payload = device.tester.response_to(0x0003, number).payload
    expect("status and flags", payload[:2], bytes((Status.OK, 0)))
    expect("the size of the answer", len(payload) - 2, len(encode(device.ask(GetStatus()))))


@case("CMD/REPLY/BI-01", "REQ-CMD-008")
def refusal_is_status_flags_detail(device: Device) -> None:
    """A refusal's payload is status, flags, detail and nothing more: each of four, byte for byte."""
    boot_counter = device.status().boot_counter.to_bytes(4, "little")
    refused = [(0x0003, bytes(3), bytes((Status.MALFORMED, 0, WHOLE_MESSAGE, 0, 3)))]
    refused += [(0x7E7E, b"", bytes((Status.UNKNOWN_COMMAND, 0)))]
    device.open_session(Role.OBSERVER)
    shelf = encode(EnterShelfMode(1))
    refused += [(COMMAND_OF[EnterShelfMode].opcode, shelf, bytes((Status.NOT_PERMITTED, 0, Role.SERVICE)))]
    for opcode, payload, expected in refused:
        number = device.tester.send(opcode, payload)
        expect(f"the refusal of {opcode:#06x}", device.tester.response_to(opcode, number).payload, expected)
    device.ask(CloseSession())
    number = device.tester.send(COMMAND_OF[EnterShelfMode].opcode, shelf)
    answer = device.tester.response_to(COMMAND_OF[EnterShelfMode].opcode, number).payload
    expect("the refusal without a session", answer, bytes((Status.NO_SESSION, 0)) + boot_counter)


@case("CMD/ENUM/BV-01", "REQ-CMD-002", each=WITH_ENUMERATION)
def every_member_of_an_enumeration(device: Device, command: Command) -> None:
    """Every value that an enumeration has passes the layout: whatever becomes of the request, it is not MALFORMED."""
    payload = encode(valid_request(device, command))
    for good in good_fields(command.request, payload):
        reply = device.tester.request_bytes(command.opcode, good.payload)
        expect_that(f"{command.name} with {good.name} fits the layout", reply.status is not Status.MALFORMED, reply)


@case("CMD/LACKING/BI-01", "REQ-CMD-010", "REQ-CAP-002", each=OPTIONAL)
def command_that_the_device_lacks(device: Device, command: Command) -> None:
    """A command that no row names is refused NOT_SUPPORTED for the whole of it: with any role or none, well-formed or not."""
    if device.capabilities.supports(command.request):
        raise NotApplicable("the device has the command")
    payloads = (encode(zeros(command.request)), b"", bytes(200))
    for role in Role:
        device.open_session(role)
        for payload in payloads:
            expect_lacking(device, f"{command.name} as {role.name}, {len(payload)} bytes", command, payload)
    device.ask(CloseSession())
    expect_lacking(device, f"{command.name} without a session", command, payloads[0])
    device.open_session()
    device.ask(EnterShelfMode(NEXT))
    expect_lacking(device, f"{command.name} on the shelf", command, payloads[0])


def expect_lacking(device: Device, what: str, command: Command, payload: bytes) -> None:
    reply = device.tester.request_bytes(command.opcode, payload)
    expect_refusal(what, reply, Status.NOT_SUPPORTED, field=WHOLE_MESSAGE)
