"""Programs: reading and writing them whole, and moving them from one device to another."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec
from ipg_protocol import crc32c, encode
from ipg_protocol.commands.link import Revision
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramSelected,
    ProgramSummary,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import ReadLimits

from ipg_host.conversation import Procedure, ask
from ipg_host.errors import Conflict, DoesNotFit, NotAsWritten
from ipg_host.fit import misfits
from ipg_host.procedures.device import capabilities
from ipg_host.programs import Program
from ipg_host.session import UNNUMBERED

_WRITES = 8
"""How often a program is begun anew when what was written of it is lost."""


class Programs(msgspec.Struct, frozen=True):
    """Every slot, and which is selected (255: none)."""

    active_program: int
    slots: tuple[ProgramSummary, ...]


def list_programs() -> Procedure[Programs]:
    """Read all program slots; an empty one has no areas."""
    slots: list[ProgramSummary] = []
    while True:
        page = yield from ask(ListPrograms(first=len(slots)))
        slots += page.rows
        if len(slots) >= page.total or not page.rows:
            return Programs(page.active_program, tuple(slots))


def read_program(program: int) -> Procedure[Program]:
    """Read a whole program.

    Raises:
        OutOfRange: there is no such slot, or it is empty.
    """
    first = yield from ask(ReadProgram(program=program, area=0))
    areas = [first.settings]
    while len(areas) < first.area_count:
        more = yield from ask(ReadProgram(program=program, area=len(areas)))
        areas.append(more.settings)
    page = yield from ask(ListPrograms(first=program))
    return Program(page.rows[0].name, tuple(areas))


def read_programs() -> Procedure[dict[int, Program]]:
    """Read every program of the device, by its slot."""
    listed = yield from list_programs()
    found: dict[int, Program] = {}
    for slot in listed.slots:
        if slot.area_count:
            found[slot.program] = yield from read_program(slot.program)
    return found


def write_program(number: int, program: Program) -> Procedure[Revision]:
    """Write a whole program into slot `number`; the stored one stays as it is until all of the new one is there.

    A reset of the device in between takes with it what is not committed yet: all of it is then written again.

    Raises:
        Conflict: that happened over and over, or others write programs at the same time.
    """
    for _ in range(_WRITES - 1):
        with suppress(Conflict):
            return (yield from _write_once(number, program))
    return (yield from _write_once(number, program))


def _write_once(number: int, program: Program) -> Procedure[Revision]:
    yield from ask(BeginProgramWrite(program=number, area_count=len(program.areas), name=program.name))
    for settings in program.areas:
        yield from ask(WriteProgramBlock(program=number, settings=settings))
    checksum = crc32c(b"".join(encode(settings) for settings in program.areas))
    return (yield from ask(CommitProgram(transaction=UNNUMBERED, program=number, checksum=checksum)))


class Installed(msgspec.Struct, frozen=True):
    """Slots that now hold a program of another device, and the configuration revision after that."""

    programs: tuple[int, ...]
    revision: int


def install_programs(programs: Mapping[int, Program]) -> Procedure[Installed]:
    """Write programs that were read from another device, by the slot to take here; each is read back and compared.

    Nothing is written unless every value of every program fits this device and its clinician's limits.

    Raises:
        DoesNotFit: some values do not; `misfits` names them all.
        Refused: the device takes the values one by one, but not together; the slot is as it was, those before it are written.
        NotAsWritten: what was read back differs.
    """
    able = yield from capabilities()
    limits = yield from ask(ReadLimits())
    found = tuple(text for slot, program in programs.items() for text in misfits(slot, program, able, limits))
    if found:
        raise DoesNotFit(found)
    revision = 0
    for slot, program in programs.items():
        written = yield from write_program(slot, program)
        revision = written.revision
        if (yield from read_program(slot)) != program:
            raise NotAsWritten(slot)
    return Installed(tuple(programs), revision)


def erase_program(program: int) -> Procedure[Revision]:
    """Empty a slot."""
    return ask(EraseProgram(transaction=UNNUMBERED, program=program))


def select_program(program: int) -> Procedure[ProgramSelected]:
    """Make a program the active one."""
    return ask(SelectProgram(transaction=UNNUMBERED, program=program))


def save_checkpoint(checkpoint: int) -> Procedure[Revision]:
    """Keep a copy of the whole configuration in place `checkpoint`; the one kept there before is replaced.

    Raises:
        OutOfRange: there is no such place.
    """
    return ask(SaveCheckpoint(transaction=UNNUMBERED, checkpoint=checkpoint))


def restore_checkpoint(checkpoint: int) -> Procedure[Revision]:
    """Put the whole configuration back as it was kept.

    Raises:
        OutOfRange: nothing is kept there.
        WrongState: therapy runs.
    """
    return ask(RestoreCheckpoint(transaction=UNNUMBERED, checkpoint=checkpoint))
