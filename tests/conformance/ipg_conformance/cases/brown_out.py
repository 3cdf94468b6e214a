"""REQ-RST-008: a supply that gives way for a moment. They take the input `brown_out`."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability, ResetCause, ResetHappened
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import BeginProgramWrite, CommitProgram, WriteProgramBlock
from ipg_protocol.commands.session import SessionClosing
from ipg_protocol.commands.therapy import ReadLimits

from ipg_conformance.case import case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.therapy import MARGIN_SECONDS, delivered_microamps, expect_in_full
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import expect, expect_refusal

ENDINGS = (LogCode.SESSION_CLOSED, LogCode.THERAPY_STOPPED)


def give_way(device: Device) -> None:
    """Let the supply give way for a moment, and wait until the device has booted."""
    device.inputs.brown_out()
    device.wait_for_boot()


@case("RST/BROWNOUT/BV-01", "REQ-RST-008", "REQ-RST-006", "REQ-RST-007", outputs=True, destructive=True)
def brown_out_is_told(device: Device) -> None:
    """RESET_HAPPENED and the log name BROWN_OUT, and nothing ends before it in the log; therapy comes back where it may."""
    device.run_therapy()
    programs, boots = device.programs(), device.status().boot_counter
    newest = device.ask(LogInfo()).newest
    device.forget_events()
    give_way(device)
    device.open_session()
    happened = device.tester.wait_for_event(ResetHappened)
    expect("cause and boot counter", (happened.cause, happened.boot_counter), (ResetCause.BROWN_OUT, boots + 1))
    entries = entries_from(device, newest + 1)
    expect("the entries BOOT", [entry.argument for entry in entries if entry.code is LogCode.BOOT], [ResetCause.BROWN_OUT])
    before_boot = [entry.code for entry in entries if entry.boot_counter == boots and entry.code in ENDINGS]
    expect("what the log has of an end", before_boot, [])
    expect("the programs", device.programs(), programs)
    expect_therapy_after(device)


def expect_therapy_after(device: Device) -> None:
    """Therapy comes back in full where THERAPY_AFTER_RESET is 1 and no dose forbids it, and else stays off."""
    area = device.typical()
    if device.capabilities.limit(Capability.THERAPY_AFTER_RESET) and not area.dose_seconds:
        device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
        expect_in_full(device, area.amplitude_microamps)
    else:
        expect("the state", device.status().state, State.IDLE)
        expect("what is delivered", delivered_microamps(device), 0)


@case("RST/BROWNOUT/RT-01", "REQ-RST-008", "REQ-RST-007", "REQ-PRG-003", destructive=True)
def brown_out_in_the_middle(device: Device) -> None:
    """A brown-out while a program is written loses that one alone; the session is gone, unannounced."""
    device.write_program(device.typical())
    before = device.stored_areas(), device.programs(), device.status().revision
    device.ask(BeginProgramWrite(device.program, 1, "lost"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    device.forget_events()
    give_way(device)
    expect_refusal("READ_LIMITS", device.request(ReadLimits()), Status.NO_SESSION)
    expect("the events SESSION_CLOSING", device.tester.events_of(SessionClosing), [])
    device.open_session()
    expect("areas, programs and revision", (device.stored_areas(), device.programs(), device.status().revision), before)
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect_refusal("COMMIT_PROGRAM", reply, Status.CONFLICT, revision=before[2])
