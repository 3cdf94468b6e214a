"""Stored programs: reading, selecting, and writing through a shadow copy."""

from __future__ import annotations

from typing import Any

from ipg_protocol.command import Request
from ipg_protocol.commands.link import Revision
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.programs import (
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramArea,
    ProgramPage,
    ProgramSelected,
    ProgramSummary,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.refusal import Done, RevisionDetail, SafetyRule, StateDetail
from ipg_protocol.vocabulary import Status

from ipg_emulator.firmware.configuration import CHECKPOINTS, Program, areas_checksum
from ipg_emulator.firmware.device import Device, Shadow
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import Refused, out_of_range, unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM, check_areas, check_block, is_charge_density_high

SUMMARIES_PER_PAGE = 10


@handles(ListPrograms)
def list_programs(request: ListPrograms, context: Context) -> ProgramPage:
    configuration = context.device.configuration
    rows = tuple(_summary(number, program) for number, program in enumerate(configuration.programs))
    page = rows[request.first : request.first + SUMMARIES_PER_PAGE]
    return ProgramPage(len(rows), configuration.active_program, page)


def _summary(number: int, program: Program | None) -> ProgramSummary:
    if program is None:
        return ProgramSummary(number, 0, 0, "")
    return ProgramSummary(number, len(program.areas), program.revision, program.name)


def _stored_program(device: Device, request: Request[Any], number: int) -> Program:
    """The program in a slot, or the refusal that names the nearest slot that holds one."""
    programs = device.configuration.programs
    program = programs[number] if number < len(programs) else None
    if program is not None:
        return program
    filled = [slot for slot, stored in enumerate(programs) if stored is not None]
    nearest = min(filled, key=lambda slot: abs(slot - number), default=0)
    raise out_of_range(request, "program", 0, len(programs) - 1, value=number, nearest=nearest)


def _check_slot(device: Device, request: Request[Any], number: int) -> None:
    slots = device.model.program_slots
    if number >= slots:
        raise out_of_range(request, "program", 0, slots - 1, value=number)


def _check_not_in_use(device: Device, number: int) -> None:
    if device.delivery.is_using(number):
        raise Refused(Status.WRONG_STATE, StateDetail(device.state))


@handles(ReadProgram)
def read_program(request: ReadProgram, context: Context) -> ProgramArea:
    program = _stored_program(context.device, request, request.program)
    if request.area >= len(program.areas):
        raise out_of_range(request, "area", 0, len(program.areas) - 1, value=request.area)
    return ProgramArea(request.program, len(program.areas), program.revision, program.areas[request.area])


@handles(SelectProgram)
def select_program(request: SelectProgram, context: Context) -> ProgramSelected:
    device, now = context.device, context.now
    _stored_program(device, request, request.program)
    device.select(request.program, TherapyCause.COMMAND, now)
    return ProgramSelected(request.program, device.state)


@handles(BeginProgramWrite)
def begin_program_write(request: BeginProgramWrite, context: Context) -> Done:
    device = context.device
    _check_slot(device, request, request.program)
    most = device.model.areas_per_program
    if not 1 <= request.area_count <= most:
        raise out_of_range(request, "area_count", 1, most, value=request.area_count)
    device.shadow = Shadow(request.program, request.name, [None] * request.area_count)
    return Done()


def _open_shadow(device: Device, program: int) -> Shadow:
    if device.shadow is None or device.shadow.program != program:
        raise Refused(Status.CONFLICT, RevisionDetail(device.configuration.revision))
    return device.shadow


@handles(WriteProgramBlock)
def write_program_block(request: WriteProgramBlock, context: Context) -> Done:
    device = context.device
    _check_slot(device, request, request.program)
    shadow = _open_shadow(device, request.program)
    settings = request.settings
    if settings.area >= len(shadow.blocks):
        raise out_of_range(request, "area", 0, len(shadow.blocks) - 1, value=settings.area)
    check_block(device.model, device.configuration.limits, request, settings)
    shadow.blocks[settings.area] = settings
    return Done()


@handles(CommitProgram)
def commit_program(request: CommitProgram, context: Context) -> Revision:
    device = context.device
    shadow = _open_shadow(device, request.program)
    _check_not_in_use(device, request.program)
    areas = _complete_blocks(shadow)
    checksum = areas_checksum(areas)
    if checksum != request.checksum:
        raise unsafe(SafetyRule.BLOCKS_CHECKSUM, area=WHOLE_PROGRAM, value=checksum, limit=request.checksum)
    for area in areas:
        check_block(device.model, device.configuration.limits, WriteProgramBlock(request.program, area), area)
    check_areas(device.model, areas)
    revision = device.memory.store_program(request.program, Program(shadow.name, areas, 0, checksum))
    device.shadow = None
    device.log(LogCode.PROGRAM_WRITTEN, request.program, context.now)
    for area in areas:
        if is_charge_density_high(device.model, area):
            device.log(LogCode.CHARGE_DENSITY_WARNED, area.area, context.now)
    return Revision(revision)


def _complete_blocks(shadow: Shadow) -> tuple[AreaSettings, ...]:
    areas = tuple(block for block in shadow.blocks if block is not None)
    if len(areas) < len(shadow.blocks):
        raise unsafe(SafetyRule.BLOCKS_MISSING, area=WHOLE_PROGRAM, value=len(areas), limit=len(shadow.blocks))
    return areas


@handles(EraseProgram)
def erase_program(request: EraseProgram, context: Context) -> Revision:
    device = context.device
    _check_slot(device, request, request.program)
    _check_not_in_use(device, request.program)
    revision = device.memory.store_program(request.program, None)
    device.log(LogCode.PROGRAM_ERASED, request.program, context.now)
    return Revision(revision)


@handles(SaveCheckpoint)
def save_checkpoint(request: SaveCheckpoint, context: Context) -> Revision:
    memory, number = context.device.memory, request.checkpoint
    if number >= CHECKPOINTS:
        raise out_of_range(request, "checkpoint", 0, CHECKPOINTS - 1, value=number)
    memory.checkpoints = (*memory.checkpoints[:number], memory.configuration, *memory.checkpoints[number + 1 :])
    context.device.log(LogCode.CHECKPOINT_SAVED, number, context.now)
    return Revision(memory.configuration.revision)


@handles(RestoreCheckpoint)
def restore_checkpoint(request: RestoreCheckpoint, context: Context) -> Revision:
    device, number = context.device, request.checkpoint
    checkpoints = device.memory.checkpoints
    kept = checkpoints[number] if number < CHECKPOINTS else None
    if kept is None:
        filled = [at for at, configuration in enumerate(checkpoints) if configuration is not None]
        nearest = min(filled, key=lambda at: abs(at - number), default=0)
        raise out_of_range(request, "checkpoint", 0, CHECKPOINTS - 1, value=number, nearest=nearest)
    device.shadow = None
    revision = device.memory.commit(kept)
    device.log(LogCode.CHECKPOINT_RESTORED, number, context.now)
    device.schedule.plan(context.now)
    return Revision(revision)
