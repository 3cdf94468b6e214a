"""REQ-RST: resets that come at a bad moment, are refused, or cut off what was under way."""

from __future__ import annotations

from ipg_protocol import COMMAND_OF, Role, State, Status, encode
from ipg_protocol.commands.link import (
    Capability,
    DeviceStatus,
    EnterShelfMode,
    FactoryReset,
    GetCapabilities,
    GetStatus,
    Identify,
    Ping,
    Reset,
    ResetHappened,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.measurement import ALL_CONTACTS, ImpedanceVerdict, MeasureImpedance, MeasurementStarted
from ipg_protocol.commands.power import GetBattery, GetCharging
from ipg_protocol.commands.programs import BeginProgramWrite, CommitProgram, WriteProgramBlock
from ipg_protocol.commands.therapy import SetAmplitude, StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import Done

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.numbering import step_down
from ipg_conformance.cases.resets import expect_rest
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal
from ipg_conformance.leads import measure
from ipg_conformance.samples import zeros
from ipg_conformance.states import bring_to
from ipg_conformance.together import answers_behind_reset, answers_while_booting, approach, ask_in, ask_together, raw, send
from ipg_conformance.wording import shown

RUNNING = [(state.name, state) for state in (State.RAMPING, State.THERAPY, State.MEASURING, State.SUSPENDED)]
READY_IN_BOOT = (Ping, Identify, GetStatus, GetCapabilities, GetBattery, GetCharging, StopTherapy)


@case("RST/RESET/BO-01", "REQ-RST-001", "REQ-RST-002", "REQ-CMD-006")
def requests_behind_a_reset(device: Device) -> None:
    """A change behind RESET in the same go meets the new boot, which has no session: it is refused and not executed."""
    device.write_program(device.typical())
    before = device.stored_amplitude()
    lower = device.smallest().amplitude_microamps
    status, refused = answers_behind_reset(device, GetStatus(), SetAmplitude(NEXT, 0, lower))
    boot_counter = expect_ok(status, DeviceStatus).boot_counter
    expect_refusal("SET_AMPLITUDE", refused, Status.NO_SESSION, boot_counter=boot_counter)
    device.open_session()
    expect("the amplitude", device.stored_amplitude(), before)


@case("RST/BOOT/BV-01", "REQ-RST-002")
def served_while_booting(device: Device) -> None:
    """PING, IDENTIFY, GET_STATUS, GET_CAPABILITIES, GET_BATTERY, GET_CHARGING and STOP_THERAPY are accepted in BOOT."""
    commands = [COMMAND_OF[request] for request in READY_IN_BOOT if device.has(request)]
    replies = answers_while_booting(device, [raw(device, zeros(command.request)) for command in commands])
    for command, reply in zip(commands, replies, strict=True):
        expect_ok(reply, command.response, f"{command.name} is accepted in BOOT")


@case("RST/RESET/BI-01", "REQ-RST-008", "REQ-RST-001")
def refused_reset_is_none(device: Device) -> None:
    """A RESET that is refused, for its role, its layout or its transaction, is no boot: not counted, logged or told."""
    before, newest = device.status().boot_counter, device.ask(LogInfo()).newest
    expect_refusal("transaction 0", device.tester.request(Reset(0)), Status.OUT_OF_RANGE)
    payload = encode(device.numbered(Reset(NEXT))) + b"\0"
    expect_refusal("too long", device.tester.request_bytes(COMMAND_OF[Reset].opcode, payload), Status.MALFORMED)
    device.open_session(Role.PATIENT)
    expect_refusal("as PATIENT", device.request(Reset(NEXT)), Status.NOT_PERMITTED)
    device.tester.listen(0.1)
    expect("state and boot counter", (device.status().state, device.status().boot_counter), (State.IDLE, before))
    expect("events", device.tester.events_of(ResetHappened), [])
    expect("entries BOOT", [e for e in entries_from(device, newest + 1) if e.code is LogCode.BOOT], [])


@case("RST/SHELF/BO-01", "REQ-RST-003", "REQ-CMD-005", each=RUNNING, slow=("SUSPENDED",))
def shelf_is_for_rest(device: Device, state: State) -> None:
    """ENTER_SHELF_MODE is refused WRONG_STATE while there is something to do, and the state stays."""
    approach(device, state)
    refused, status = ask_in(device, state, EnterShelfMode(NEXT), GetStatus())
    expect_refusal("ENTER_SHELF_MODE", refused, Status.WRONG_STATE, state=state)
    expect("the state", expect_ok(status, DeviceStatus).state, state)


@case("RST/SHELF/BO-02", "REQ-RST-003", "REQ-THR-001")
def nothing_leads_out_of_the_shelf(device: Device) -> None:
    """In SHELF neither START_THERAPY, STOP_THERAPY nor a second ENTER_SHELF_MODE changes the state; the session stays."""
    device.write_program(device.typical())
    bring_to(device, State.SHELF)
    for request in (StartTherapy(NEXT), EnterShelfMode(NEXT), SetTime(NEXT, 1)):
        expect_refusal(shown(type(request)), device.request(request), Status.WRONG_STATE, state=State.SHELF)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the state", device.status().state, State.SHELF)


@case("RST/FACTORY/BO-01", "REQ-RST-004", "REQ-CMD-005", "REQ-CMD-006", each=RUNNING, slow=("SUSPENDED",))
def factory_reset_is_for_rest(device: Device, state: State) -> None:
    """FACTORY_RESET is refused WRONG_STATE while therapy runs, is held off or is measured, and nothing changes."""
    approach(device, state)
    before = device.status().revision, device.programs(), device.stored_areas()
    (refused,) = ask_in(device, state, FactoryReset(NEXT))
    expect_refusal("FACTORY_RESET", refused, Status.WRONG_STATE, state=state)
    after = device.status().revision, device.programs(), device.stored_areas()
    expect("revision, programs and areas", after, before)


@case("RST/THERAPY/BO-01", "REQ-RST-006", "REQ-THR-002")
def stop_while_booting(device: Device) -> None:
    """A STOP_THERAPY that comes while the device boots is accepted, and therapy stays off after the boot."""
    device.run_therapy()
    device.ask(Reset(NEXT))
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.wait_for_boot()
    expect_rest(device)


@case("RST/LASTING/BO-01", "REQ-RST-007", "REQ-PRG-003", each=[("SOME_BLOCKS", 2), ("ALL_BLOCKS", 1)])
def program_being_written_is_lost(device: Device, area_count: int) -> None:
    """A program of which some blocks, or all of them, but no COMMIT came, is gone after a RESET; the stored one is whole."""
    if area_count > device.capabilities.limit(Capability.AREAS_PER_PROGRAM):
        raise NotApplicable("a program of this device has one area")
    device.write_program(device.typical())
    before = device.stored_areas(), device.programs(), device.status().revision
    device.ask(BeginProgramWrite(device.program, area_count, "lost"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    device.restart()
    expect("areas, programs and revision", (device.stored_areas(), device.programs(), device.status().revision), before)
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect_refusal("COMMIT_PROGRAM", reply, Status.CONFLICT, revision=before[2])


@case("TXN/RESET/BO-01", "REQ-TXN-004", "REQ-RST-007")
def change_with_a_reset_at_its_heels(device: Device) -> None:
    """A change with a RESET right behind it is COMMITTED exactly when its effect is there."""
    request = step_down(device)
    before = device.stored_amplitude()
    number = send(device, request)
    device.ask(Reset(NEXT))
    device.wait_for_boot()
    answer = device.tester.answer_to(COMMAND_OF[type(request)].opcode, number)
    device.open_session()
    outcome = device.ask(TransactionStatus(request.transaction)).outcome
    changed = device.stored_amplitude() != before
    expect("whether it is COMMITTED", outcome is TransactionOutcome.COMMITTED, changed)
    expect("whether it was accepted", answer.status is Status.OK, changed)


@case("IMP/PAIR/BO-01", "REQ-IMP-001", "REQ-RST-001", profile=Profile.FULL)
def reset_breaks_off_a_measurement(device: Device) -> None:
    """RESET in MEASURING leads to a boot, and the measurement is not taken up again."""
    device.need(MeasureImpedance)
    cathode, anode = device.sound_contacts[0], device.return_contact
    begun, accepted = ask_together(device, MeasureImpedance(ALL_CONTACTS, device.return_contact), Reset(NEXT))
    expect_ok(begun, MeasurementStarted, "MEASURE_IMPEDANCE is accepted")
    expect_ok(accepted, Done, "RESET is accepted")
    device.wait_for_boot()
    device.open_session()
    expect("the state", device.status().state, State.IDLE)
    device.tester.listen(0.2)
    expect("the state a little later", device.status().state, State.IDLE)
    expect("what a new measurement finds", measure(device, cathode, anode).verdict, ImpedanceVerdict.OK)
