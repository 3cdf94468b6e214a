"""Commands about stored programs, copies of the whole configuration, and about moving them to another device."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ipg_protocol import Role
from ipg_protocol.commands.link import Revision
from ipg_protocol.commands.programs import (
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
)

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.connection import connection
from ipg_host.cli.verb import CHECKPOINT, PROGRAM, Verb, argument, call, number
from ipg_host.conversation import Procedure
from ipg_host.errors import InputError, IpgError
from ipg_host.procedures import Installed
from ipg_host.programs import Program, load_program

_slot_number = partial(number, "--slot", 253)


def _write(options: Namespace) -> Procedure[Revision]:
    program = load_program(options.file)
    return (yield from procedures.write_program(options.program, program))


def _transfer(options: Namespace) -> Procedure[Installed]:
    if (options.program is None) is not options.all:
        raise InputError("program transfer: give the number of a program, or --all")
    if options.all and options.slot is not None:
        raise InputError("program transfer: --slot goes with one program; --all takes the slots that the programs have")
    if options.all:
        programs = yield from procedures.read_programs()
    else:
        program = yield from procedures.read_program(options.program)
        programs = {options.program if options.slot is None else options.slot: program}
    return _install(options, programs)


def _install(options: Namespace, programs: Mapping[int, Program]) -> Installed:
    try:
        with connection(options.to, options.timeout) as target:
            target.open_session(Role.CLINICIAN)
            return target.run(procedures.install_programs(programs))
    except IpgError as error:
        error.add_note(f"on {options.to}")
        raise


VERBS = (
    Verb(("programs",), "list the program slots", call(procedures.list_programs), show.programs, (ListPrograms,)),
    Verb(
        ("program", "show"),
        "print a program as the TOML that `program write` takes",
        call(procedures.read_program, "program"),
        show.program,
        (ReadProgram, ListPrograms),
        (PROGRAM,),
    ),
    Verb(
        ("program", "select"),
        "make a program the active one",
        call(procedures.select_program, "program"),
        show.fields,
        (SelectProgram,),
        (PROGRAM,),
    ),
    Verb(
        ("program", "write"),
        "write a program from a TOML file",
        _write,
        show.fields,
        (CommitProgram,),
        (PROGRAM, argument("file", type=Path, metavar="FILE.toml", help="name and [[areas]]: see docs/host.md")),
    ),
    Verb(
        ("program", "transfer"),
        "write a program, or all, into another device, if it fits there",
        _transfer,
        show.installed,
        (ReadProgram, ListPrograms),
        (
            argument("program", type=partial(number, "program", 253), nargs="?", help="the slot to read, counted from 0"),
            argument("--all", action="store_true", help="every program, each into the slot of the same number"),
            argument("--to", required=True, metavar="PORT", help="the other device's path or pyserial URL"),
            argument("--slot", type=_slot_number, metavar="M", help="the other device's slot (default: the same number)"),
        ),
    ),
    Verb(
        ("checkpoint", "save"),
        "keep a copy of the whole configuration",
        call(procedures.save_checkpoint, "checkpoint"),
        show.fields,
        (SaveCheckpoint,),
        (CHECKPOINT,),
    ),
    Verb(
        ("checkpoint", "restore"),
        "put the whole configuration back as it was kept",
        call(procedures.restore_checkpoint, "checkpoint"),
        show.fields,
        (RestoreCheckpoint,),
        (CHECKPOINT,),
    ),
    Verb(
        ("program", "erase"),
        "empty a slot",
        call(procedures.erase_program, "program"),
        show.fields,
        (EraseProgram,),
        (PROGRAM,),
    ),
)
