"""REQ-PRG-011 and 012, REQ-RST-004: keeping a copy of the whole configuration, putting it back, and the factory's."""

from __future__ import annotations

import msgspec
from ipg_protocol import Message, State, Status
from ipg_protocol.commands.link import (
    Alert,
    Capability,
    FactoryReset,
    GetTime,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogInfo, ReadCounters
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ProgramSummary,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import WriteFeedback
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.commands.therapy import ReadLimits, ReadSchedule, WriteLimits, WriteSchedule

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.events import change_amplitude, numbers, prepare
from ipg_conformance.cases.log import entries_from
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.samples import UNIX_MILLISECONDS, feedback, rows_of
from ipg_conformance.states import bring_to
from ipg_conformance.wording import shown

CHECKPOINT_FIELD = 1
RUNNING = [(state.name, state) for state in (State.RAMPING, State.THERAPY)]


def checkpoints(device: Device) -> int:
    return device.capabilities.limit(Capability.CHECKPOINTS)


def configuration(device: Device) -> tuple[Message, ...]:
    """Programs, schedule, feedback, limits and selection, without their revisions."""
    return tuple(_without_revision(part) for part in device.snapshot())


def _without_revision(part: Message) -> Message:
    kept = "revision" not in part.__struct_fields__ or isinstance(part, ProgramSummary)
    return part if kept else msgspec.structs.replace(part, revision=0)


def change_everything(device: Device) -> None:
    """Another program in the slot of the cases, another selection, lower limits, and no schedule."""
    device.write_program(device.smallest())
    limits = device.ask(ReadLimits())
    lower = max(limits.charge_per_phase_nanocoulombs - 1, 0)
    ranges = (limits.amplitude_microamps, limits.pulse_width_us, limits.rate_millihertz)
    device.ask(WriteLimits(NEXT, *ranges, charge_per_phase_nanocoulombs=lower))
    if device.has(WriteSchedule):
        device.ask(WriteSchedule(NEXT, ()))
    if checkpoints(device) and device.program:
        device.ask(SelectProgram(NEXT, device.other_program))


def configure(device: Device) -> None:
    """A typical program, selected, with a row of the schedule and with feedback where there is such."""
    device.write_program(device.typical())
    if device.has(WriteSchedule):
        device.ask(WriteSchedule(NEXT, rows_of(device, 600)))
    if device.has(WriteFeedback):
        device.ask(WriteFeedback(NEXT, feedback(device)))


@case("PRG/RESTORE/BI-01", "REQ-PRG-012", "REQ-CMD-006")
def restoring_what_was_never_kept(device: Device) -> None:
    """A checkpoint under which nothing is kept is refused OUT_OF_RANGE, with the nearest one that holds something."""
    device.ask(SaveCheckpoint(NEXT, checkpoint=0))
    empty = checkpoints(device) - 1
    before = device.snapshot()
    reply = device.request(RestoreCheckpoint(NEXT, empty))
    if reply.status is Status.OK:
        raise NotApplicable("something is kept under every number")
    detail = {"field": CHECKPOINT_FIELD, "minimum": 0, "maximum": checkpoints(device) - 1, "nearest": 0}
    expect_refusal(f"checkpoint {empty}", reply, Status.OUT_OF_RANGE, **detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/SAVE/LT-01", "REQ-PRG-011", "REQ-PRG-012", "REQ-CMD-007")
def checkpoint_beyond_the_last(device: Device) -> None:
    """A number that is not below CHECKPOINTS is refused OUT_OF_RANGE by both commands, which name the last as the nearest."""
    beyond = checkpoints(device)
    device.ask(SaveCheckpoint(NEXT, checkpoint=beyond - 1))
    before = device.snapshot()
    for request in (SaveCheckpoint(NEXT, beyond), SaveCheckpoint(NEXT, 255), RestoreCheckpoint(NEXT, beyond)):
        detail = {"field": CHECKPOINT_FIELD, "minimum": 0, "maximum": beyond - 1, "nearest": beyond - 1}
        expect_refusal(shown(request), device.request(request), Status.OUT_OF_RANGE, **detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/SAVE/BV-01", "REQ-PRG-011", "REQ-CMD-009")
def saving_changes_nothing(device: Device) -> None:
    """SAVE_CHECKPOINT answers the revision that stands, and leaves it and all else as it was."""
    configure(device)
    before, revision = device.snapshot(), device.status().revision
    expect("the revision answered", device.ask(SaveCheckpoint(NEXT, 0)).revision, revision)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/RESTORE/BV-01", "REQ-PRG-011", "REQ-PRG-012", "REQ-CMD-009")
def restoring_brings_everything_back(device: Device) -> None:
    """RESTORE_CHECKPOINT puts programs, limits, selection, schedule and feedback back, in one revision."""
    configure(device)
    device.ask(SaveCheckpoint(NEXT, 0))
    kept, limits = configuration(device), device.ask(ReadLimits())
    change_everything(device)
    revision = device.status().revision
    expect("the revision answered", device.ask(RestoreCheckpoint(NEXT, 0)).revision, revision + 1)
    expect("the revision", device.status().revision, revision + 1)
    expect("programs, limits, selection, schedule and feedback", configuration(device), kept)
    expect("the limits, with the revision that they had", device.ask(ReadLimits()), limits)


@case("PRG/SAVE/BV-02", "REQ-PRG-011", "REQ-PRG-012")
def checkpoints_stand_for_themselves(device: Device) -> None:
    """Each number keeps its own copy, and a later one under the same number takes the place of the earlier."""
    last = checkpoints(device) - 1
    device.write_program(device.typical())
    device.ask(SaveCheckpoint(NEXT, last))
    device.ask(EraseProgram(NEXT, device.program))
    device.ask(SaveCheckpoint(NEXT, 0))
    erased = configuration(device)
    if last:
        device.ask(RestoreCheckpoint(NEXT, last))
        expect("the areas kept under the last number", device.programs()[device.program].area_count, 1)
    device.ask(RestoreCheckpoint(NEXT, 0))
    expect("what is kept under the first number", configuration(device), erased)


@case("PRG/RESTORE/BV-02", "REQ-PRG-012", "REQ-PRG-003")
def restoring_drops_the_shadow_copy(device: Device) -> None:
    """A program that was being written cannot be committed after RESTORE_CHECKPOINT."""
    area = device.typical()
    device.ask(SaveCheckpoint(NEXT, 0))
    device.ask(BeginProgramWrite(device.program, area_count=1, name="conformance"))
    device.ask(WriteProgramBlock(device.program, settings=area))
    revision = device.ask(RestoreCheckpoint(NEXT, 0)).revision
    reply = device.request(CommitProgram(NEXT, device.program, checksum(area)))
    expect_refusal("COMMIT_PROGRAM", reply, Status.CONFLICT, revision=revision)


@case("PRG/RESTORE/BV-03", "REQ-PRG-012", "REQ-RST-004", "REQ-RST-007")
def checkpoint_outlives_resets(device: Device) -> None:
    """What is kept outlives FACTORY_RESET and RESET."""
    configure(device)
    device.ask(SaveCheckpoint(NEXT, 0))
    kept = configuration(device)
    device.ask(FactoryReset(NEXT))
    device.restart()
    device.ask(RestoreCheckpoint(NEXT, 0))
    found = configuration(device)
    expect("programs, limits, selection, schedule and feedback", found[1:], kept[1:])
    if device.has(ReadSchedule):
        expect("the rows of the schedule", device.ask(ReadSchedule()).rows, rows_of(device, 600))


@case("PRG/RESTORE/BO-01", "REQ-PRG-012", "REQ-CMD-005", each=RUNNING)
def restoring_while_therapy_runs(device: Device, state: State) -> None:
    """While therapy runs, the configuration may be kept, but not put back."""
    bring_to(device, state)
    device.ask(SaveCheckpoint(NEXT, 0))
    reply = device.request(RestoreCheckpoint(NEXT, 0))
    expect_refusal("RESTORE_CHECKPOINT", reply, Status.WRONG_STATE, state=device.status().state)


@case("RST/FACTORY/BV-03", "REQ-RST-004", "REQ-TXN-001", "REQ-TXN-002", "REQ-LOG-001", "REQ-TIM-001")
def factory_reset_leaves_what_has_happened(device: Device) -> None:
    """FACTORY_RESET leaves clock, log, counters and transactions: they are no part of the configuration."""
    request = device.numbered(SetTime(NEXT, UNIX_MILLISECONDS))
    first = device.tester.request(request)
    extent, counters = device.ask(LogInfo()), device.ask(ReadCounters())
    entries = entries_from(device, max(extent.oldest, extent.newest - 9))
    device.ask(FactoryReset(NEXT))
    expect("the log's entries", entries_from(device, entries[0].number)[: len(entries)], entries)
    now = msgspec.structs.astuple(device.ask(ReadCounters()))
    expect_that("no counter falls", all(a <= b for a, b in zip(msgspec.structs.astuple(counters), now, strict=True)), now)
    expect("the alert CLOCK_NOT_SET", Alert.CLOCK_NOT_SET in device.status().alerts, False)
    expect_that("the clock goes on", device.ask(GetTime()).unix_milliseconds >= UNIX_MILLISECONDS, device.ask(GetTime()))
    outcome = device.ask(TransactionStatus(request.transaction)).outcome
    expect("the outcome of SET_TIME", outcome, TransactionOutcome.COMMITTED)
    expect("the answer to its repeat", device.tester.request(request).body, first.body)


@case("RST/FACTORY/BV-04", "REQ-RST-004", "REQ-EVT-001", profile=Profile.FULL)
def factory_reset_leaves_the_events(device: Device) -> None:
    """Events that were not acknowledged before FACTORY_RESET come again after the next OPEN_SESSION."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 2)
    device.catch_up(0.1)
    waiting = {*numbers(device)}
    device.ask(FactoryReset(NEXT))
    device.ask(CloseSession())
    device.tester.events.clear()
    device.open_session()
    device.catch_up(0.1)
    expect_that(f"{waiting} come again", len(waiting) == 2 and waiting <= {*numbers(device)}, numbers(device))
