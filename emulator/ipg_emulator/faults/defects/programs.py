"""Programs: what is stored of them, when it takes effect, and what is held against the rules of safety."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.link import Revision
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramArea,
    ProgramPage,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.refusal import Done, SafetyRule
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, forgiving, keeping, part, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import CHECKPOINTS, Configuration, Program, areas_checksum
from ipg_emulator.firmware.delivery import Delivery
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.refusal import Refused


@answering(ListPrograms)
def empty_slots_unlisted(page: ProgramPage, _: Context) -> ProgramPage:
    """LIST_PROGRAMS leaves out the slots that are empty."""
    return replace(page, rows=tuple(row for row in page.rows if row.area_count))


@answering(ListPrograms)
def names_cut_short(page: ProgramPage, _: Context) -> ProgramPage:
    """LIST_PROGRAMS tells the first 8 letters of a name."""
    return replace(page, rows=tuple(replace(row, name=row.name[:8]) for row in page.rows))


@answering(ReadProgram)
def wrong_contact_order(read: ProgramArea, _: Context) -> ProgramArea:
    """READ_PROGRAM tells an area's contacts by their numbers, and not in the order in which they were written."""
    contacts = tuple(sorted(read.settings.contacts, key=lambda share: -share.contact))
    return replace(read, settings=replace(read.settings, contacts=contacts))


@answering(ReadProgram)
def polarity_turned(read: ProgramArea, _: Context) -> ProgramArea:
    """READ_PROGRAM tells cathodes as anodes, and anodes as cathodes."""
    contacts = tuple(replace(share, permille=-share.permille) for share in read.settings.contacts)
    return replace(read, settings=replace(read.settings, contacts=contacts))


@serving(WriteProgramBlock)
def block_written_through(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """A block that is written changes the stored program at once, before it is committed."""
    answer = usual(request, context)
    memory, number = context.device.memory, request.program
    stored = memory.configuration.stored(number)
    if stored is not None and request.settings.area < len(stored.areas):
        areas = tuple(request.settings if area.area == request.settings.area else area for area in stored.areas)
        programs = list(memory.configuration.programs)
        programs[number] = replace(stored, areas=areas, checksum=areas_checksum(areas))
        memory.configuration = replace(memory.configuration, programs=tuple(programs))
    return answer


@serving(BeginProgramWrite)
def shadow_copy_kept(usual: Usual[Message], request: BeginProgramWrite, context: Context) -> Message:
    """A second BEGIN_PROGRAM_WRITE goes on with the blocks of the first."""
    before = context.device.shadow
    answer = usual(request, context)
    if before is not None and context.device.shadow is not None and before.program == request.program:
        context.device.shadow.blocks[: len(before.blocks)] = before.blocks[: request.area_count]
    return answer


@serving(WriteProgramBlock, CommitProgram)
def shadow_copy_of_any_program(usual: Usual[Message], request: Any, context: Context) -> Message:
    """A block is written to the shadow copy that is open, whichever program it is of."""
    shadow = context.device.shadow
    return usual(request if shadow is None else replace(request, program=shadow.program), context)


def _take_block(rule: SafetyRule, usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    answer = forgiving(rule, usual, request, context)
    shadow = context.device.shadow
    if answer is None and shadow is not None:
        shadow.blocks[request.settings.area] = request.settings
    return answer or Done()


def _take_program(rule: SafetyRule, usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    answer = forgiving(rule, usual, request, context)
    shadow, memory = context.device.shadow, context.device.memory
    if answer is not None or shadow is None:
        return answer or Done()
    areas = tuple(block for block in shadow.blocks if block is not None)
    context.device.shadow = None
    return Revision(memory.store_program(request.program, Program(shadow.name, areas, 0, areas_checksum(areas))))


@serving(CommitProgram)
def checksum_not_checked(usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    """COMMIT_PROGRAM takes a program whatever its checksum says."""
    return _take_program(SafetyRule.BLOCKS_CHECKSUM, usual, request, context)


@serving(CommitProgram)
def missing_blocks_left_out(usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    """COMMIT_PROGRAM with blocks missing stores the blocks that are there."""
    return _take_program(SafetyRule.BLOCKS_MISSING, usual, request, context)


@serving(CommitProgram)
def overlap_not_checked(usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    """COMMIT_PROGRAM takes areas whose pulses fall together."""
    return _take_program(SafetyRule.AREAS_OVERLAP_US, usual, request, context)


@serving(CommitProgram)
def sum_of_rates_not_checked(usual: Usual[Message], request: CommitProgram, context: Context) -> Message:
    """COMMIT_PROGRAM takes more pulses a second than the output stage can make."""
    return _take_program(SafetyRule.SUM_OF_RATES_MILLIHERTZ, usual, request, context)


@serving(WriteProgramBlock)
def anode_shares_not_summed(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK looks at the sum of the cathodes alone."""
    return _take_block(SafetyRule.ANODES_PERMILLE, usual, request, context)


@serving(WriteProgramBlock)
def contact_may_stand_twice(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK takes a contact that stands in an area twice."""
    return _take_block(SafetyRule.CONTACT_REPEATED, usual, request, context)


@serving(WriteProgramBlock)
def charge_density_not_checked(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK does not know the limit of charge density."""
    return _take_block(SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE, usual, request, context)


@serving(WriteProgramBlock)
def shannon_limit_not_checked(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK does not know Shannon's limit."""
    return _take_block(SafetyRule.SHANNON_K_PERMILLE, usual, request, context)


@serving(WriteProgramBlock)
def contact_current_not_checked(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK does not know the limit of the current of one contact."""
    return _take_block(SafetyRule.CONTACT_CURRENT_MICROAMPS, usual, request, context)


@serving(WriteProgramBlock)
def pulse_longer_than_period_taken(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK takes pulses that are not over when the next one begins."""
    return _take_block(SafetyRule.PULSE_EXCEEDS_PERIOD_US, usual, request, context)


@serving(WriteProgramBlock)
def patient_range_upside_down_taken(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK takes a patient minimum above the patient maximum."""
    return _take_block(SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS, usual, request, context)


@serving(WriteProgramBlock)
def cycle_without_pause_taken(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """WRITE_PROGRAM_BLOCK takes the on-part of a cycle without an off-part."""
    return _take_block(SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS, usual, request, context)


@serving(WriteProgramBlock)
def limit_checked_before_scaling(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """The charge of a pulse is held against its limit at the amplitude, and not at the patient's maximum above it."""
    rule, settings = SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, request.settings
    answer = forgiving(rule, usual, request, context)
    if answer is None:
        lower = min(settings.amplitude_microamps, settings.patient_maximum_microamps)
        judged = replace(settings, patient_minimum_microamps=lower, patient_maximum_microamps=lower)
        usual(replace(request, settings=judged), context)
        return _take_block(rule, usual, request, context)
    return answer


@serving(SelectProgram)
def empty_slot_selected(usual: Usual[Message], request: SelectProgram, context: Context) -> Message:
    """SELECT_PROGRAM of an empty slot is answered OK, and selects the nearest one that is not."""
    try:
        answer = usual(request, context)
    except Refused as refused:
        nearest = getattr(refused.detail, "nearest", None)
        if refused.status is not Status.OUT_OF_RANGE or nearest is None:
            raise
        answer = usual(replace(request, program=nearest), context)
    return answer


@part("device.delivery", "is_using")
def running_program_replaced(_: Usual[bool], __: object, ___: int) -> bool:
    """COMMIT_PROGRAM and ERASE_PROGRAM take the program that is being delivered."""
    return False


@serving(EraseProgram)
def erased_program_stays_selected(usual: Usual[Message], request: EraseProgram, context: Context) -> Message:
    """ERASE_PROGRAM leaves the program that it has erased selected."""
    return keeping("active_program", usual, request, context)


@serving(EraseProgram)
def erased_program_stays_scheduled(usual: Usual[Message], request: EraseProgram, context: Context) -> Message:
    """ERASE_PROGRAM leaves the rows of the schedule that start the program."""
    return keeping("schedule", usual, request, context)


@serving(RestoreCheckpoint)
def checkpoint_without_limits(usual: Usual[Message], request: RestoreCheckpoint, context: Context) -> Message:
    """RESTORE_CHECKPOINT leaves the limits as they are."""
    return keeping("limits", usual, request, context)


@serving(RestoreCheckpoint)
def checkpoint_restored_once(usual: Usual[Message], request: RestoreCheckpoint, context: Context) -> Message:
    """RESTORE_CHECKPOINT empties the place that it restores from."""
    answer = usual(request, context)
    memory, number = context.device.memory, request.checkpoint
    memory.checkpoints = (*memory.checkpoints[:number], None, *memory.checkpoints[number + 1 :])
    return answer


@serving(SaveCheckpoint)
def one_checkpoint_too_many(usual: Usual[Message], request: SaveCheckpoint, context: Context) -> Message:
    """SAVE_CHECKPOINT takes the number just behind the last, and keeps nothing under it."""
    if request.checkpoint == CHECKPOINTS:
        return Revision(context.device.configuration.revision)
    return usual(request, context)


@booting
def checkpoints_lost_in_reset(firmware: Firmware) -> None:
    """Checkpoints do not outlive a reset."""
    firmware.memory.checkpoints = (None,) * CHECKPOINTS


@serving(CommitProgram, EraseProgram)
def response_before_commit(usual: Usual[Message], request: Message, context: Context) -> Message:
    """A program change is answered before it is committed, with the revision of before."""
    revision = context.device.configuration.revision
    answer = usual(request, context)
    return replace(answer, revision=revision)


@part("memory", "commit")
def active_program_not_committed(usual: Usual[int], memory: Any, configuration: Configuration) -> int:
    """A change of the selection is answered OK and not made."""
    return usual(replace(configuration, active_program=memory.configuration.active_program))


@answering(ReadProgram)
def program_bears_the_latest_revision(read: ProgramArea, context: Context) -> ProgramArea:
    """READ_PROGRAM tells the revision of the configuration, and not the one at which the program was written."""
    return replace(read, revision=context.device.configuration.revision)


@part("device.delivery", "is_using")
def suspended_program_replaced(usual: Usual[bool], delivery: Delivery, number: int) -> bool:
    """COMMIT_PROGRAM and ERASE_PROGRAM take the program that will run on when therapy is held off no more."""
    is_used = usual(number)
    return is_used and delivery.therapy.is_on


@serving(BeginProgramWrite, WriteProgramBlock, CommitProgram)
def refusal_drops_the_shadow_copy(usual: Usual[Message], request: Message, context: Context) -> Message:
    """A refusal in the middle of writing a program drops what was written of it."""
    try:
        return usual(request, context)
    except Refused:
        context.device.shadow = None
        raise


@serving(WriteProgramBlock)
def first_block_stays(usual: Usual[Message], request: WriteProgramBlock, context: Context) -> Message:
    """A block that is written again is answered OK, and stays as it was first."""
    shadow = context.device.shadow
    blocks = list(shadow.blocks) if shadow else []
    answer = usual(request, context)
    if shadow is not None and blocks[request.settings.area] is not None:
        shadow.blocks[:] = blocks
    return answer


@serving(RestoreCheckpoint)
def restored_limits_are_new(usual: Usual[Revision], request: RestoreCheckpoint, context: Context) -> Revision:
    """RESTORE_CHECKPOINT brings the limits back under the new revision, and not under the one that they had."""
    answer = usual(request, context)
    memory = context.device.memory
    limits = replace(memory.configuration.limits, revision=answer.revision)
    memory.configuration = replace(memory.configuration, limits=limits)
    return answer
