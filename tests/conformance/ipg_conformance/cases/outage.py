"""REQ-RST, REQ-TXN, REQ-TIM: what a loss of power leaves as it was, and what it does not. They take the input `power`."""

from __future__ import annotations

from typing import Any

from ipg_protocol import COMMAND_OF, Request, Status
from ipg_protocol.commands.link import Alert, GetTime, ResetCause, SetTime, TransactionOutcome, TransactionStatus
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import ReadLimits, ScheduleRow, WriteSchedule

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.numbering import step_down
from ipg_conformance.cell import lose_power
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import expect, expect_refusal, expect_that
from ipg_conformance.samples import UNIX_MILLISECONDS
from ipg_conformance.together import send

CHECKPOINT = 0
MORE_THAN_A_DAY_SECONDS = 25 * 3600.0
NOON = 720
LAST_ENTRIES = 20


@case("RST/POWER/BV-02", "REQ-RST-007", "REQ-TXN-004", outputs=True, destructive=True)
def what_was_answered_outlives_a_loss_of_power(device: Device) -> None:
    """Programs, limits, selection, schedule, checkpoints, transactions, log and numbers outlive a loss of power."""
    device.write_program(device.typical())
    device.ask(SaveCheckpoint(NEXT, CHECKPOINT))
    kept = device.stored_areas(), device.status().active_program
    device.ask(EraseProgram(NEXT, device.program))
    last = device.ask(TransactionStatus(device.next_transaction() - 1))
    boots, newest = device.status().boot_counter, device.ask(LogInfo()).newest
    before, entries = _configuration(device), entries_from(device, max(0, newest - LAST_ENTRIES))
    lose_power(device)
    device.open_session()
    expect("programs, limits, schedule and selection", _configuration(device), before)
    expect_that("the boot counter has risen", device.status().boot_counter > boots, device.status())
    expect("the log's last entries until then", entries_from(device, entries[0].number)[: len(entries)], entries)
    expect_that("the log's numbers go on", device.ask(LogInfo()).newest > newest, device.ask(LogInfo()))
    found = device.ask(TransactionStatus(device.next_transaction() - 1))
    expect("the last transaction", (found.outcome, found.opcode), (last.outcome, last.opcode))
    device.ask(RestoreCheckpoint(NEXT, CHECKPOINT))
    expect("what the checkpoint kept", (device.stored_areas(), device.status().active_program), kept)


def _configuration(device: Device) -> tuple[object, ...]:
    """What is stored, without the state and the revision, which each change raises."""
    return (device.status().active_program, device.stored_areas(), device.ask(ReadLimits()), *device.snapshot()[1:])


@case("RST/POWER/BO-01", "REQ-RST-007", "REQ-PRG-003", destructive=True)
def program_being_written_is_lost_with_the_power(device: Device) -> None:
    """A program whose blocks have come, but no COMMIT_PROGRAM, is gone after a loss of power; the stored one is whole."""
    device.write_program(device.typical())
    before = device.stored_areas(), device.programs(), device.status().revision
    device.ask(BeginProgramWrite(device.program, 1, "lost"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    lose_power(device)
    device.open_session()
    expect("areas, programs and revision", (device.stored_areas(), device.programs(), device.status().revision), before)
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect_refusal("COMMIT_PROGRAM", reply, Status.CONFLICT, revision=before[2])


@case("TXN/POWER/RT-01", "REQ-TXN-004", "REQ-RST-007", destructive=True)
def change_with_a_loss_of_power_at_its_heels(device: Device) -> None:
    """A change whose answer the loss of power may have taken is COMMITTED exactly when its effect is there."""
    request = step_down(device)
    before = device.stored_amplitude()
    number = send(device, request)
    lose_power(device)
    device.open_session()
    outcome = device.ask(TransactionStatus(request.transaction)).outcome
    changed = device.stored_amplitude() != before
    expect("whether it is COMMITTED", outcome is TransactionOutcome.COMMITTED, changed)
    answers = [frame for frame in device.tester.responses if (frame.opcode, frame.request_id) == _place(request, number)]
    expect_that("no answer came of what is not there", changed or not answers, answers)
    device.tester.responses.clear()


def _place(request: Request[Any], number: int) -> tuple[int, int]:
    return COMMAND_OF[type(request)].opcode, number


@case("TIM/POWER/BV-01", "REQ-TIM-001", destructive=True)
def clock_is_lost_until_it_is_set(device: Device) -> None:
    """After a loss of power CLOCK_NOT_SET stands, over a RESET too, until SET_TIME sets the clock."""
    device.ask(SetTime(NEXT, UNIX_MILLISECONDS))
    lose_power(device)
    device.open_session()
    expect("CLOCK_NOT_SET after the loss", _is_not_set(device), True)
    device.restart()
    expect("CLOCK_NOT_SET after RESET", _is_not_set(device), True)
    device.ask(SetTime(NEXT, UNIX_MILLISECONDS))
    expect("CLOCK_NOT_SET once it is set", _is_not_set(device), False)
    passed = device.ask(GetTime()).unix_milliseconds - UNIX_MILLISECONDS
    expect_that("the clock goes on from there", 0 <= passed < 1000 * (5 + device.tester.line_seconds), passed)


def _is_not_set(device: Device) -> bool:
    return bool(device.status().alerts & Alert.CLOCK_NOT_SET)


@case("SCH/POWER/BO-01", "REQ-TIM-001", "REQ-SCH-003", profile=Profile.FULL, outputs=True, destructive=True)
def schedule_waits_for_the_clock(device: Device) -> None:
    """After a loss of power a schedule starts nothing in more than a day, for the clock is not set."""
    device.need(WriteSchedule)
    device.write_program(device.typical())
    device.ask(WriteSchedule(NEXT, (ScheduleRow(NOON, 1, device.program),)))
    device.ask(SetTime(NEXT, UNIX_MILLISECONDS))
    lose_power(device)
    device.open_session()
    newest = device.ask(LogInfo()).newest
    device.let_pass(MORE_THAN_A_DAY_SECONDS)
    device.open_session()
    expect("CLOCK_NOT_SET", _is_not_set(device), True)
    started = [entry for entry in entries_from(device, newest + 1) if entry.code is LogCode.THERAPY_STARTED]
    expect("what was started", started, [])


@case("RST/CAUSE/BV-01", "REQ-RST-008", "REQ-LOG-002", profile=Profile.FULL)
def every_boot_has_its_cause(device: Device) -> None:
    """The log names POWER_ON as the cause of the first boot, and of no other; the boots' counters rise."""
    device.restart()
    boots = [entry for entry in entries_from(device, 0) if entry.code is LogCode.BOOT]
    for entry in boots:
        expect(f"whether boot {entry.boot_counter} is POWER_ON", entry.argument == ResetCause.POWER_ON, entry.boot_counter == 1)
    expect("the cause of the last", boots[-1].argument, ResetCause.COMMAND)
    counters = [entry.boot_counter for entry in boots]
    expect("their counters in order, each once", counters, sorted(set(counters)))
