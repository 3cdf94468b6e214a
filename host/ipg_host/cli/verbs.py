"""The commands of `ipg-host` as one table: arguments, the conversation held, and how its result is shown."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ipg_protocol import COMMAND_OF, Message, Role
from ipg_protocol.commands.log import ClearFault, ReadCounters, ReadFaults, ReadLog
from ipg_protocol.commands.measurement import ALL_CONTACTS, Impedance, MeasureImpedance
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ReadProgram,
    SelectProgram,
)
from ipg_protocol.commands.therapy import (
    ReadLimits,
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StepAmplitude,
    StopMode,
    WriteLimits,
)
from ipg_protocol.vocabulary import FaultCode

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.progress import measuring
from ipg_host.conversation import Procedure
from ipg_host.errors import InputError
from ipg_host.programs import load_program
from ipg_host.units import Quantity, parse_contact, parse_quantity

Argument = Callable[[ArgumentParser], object]


class Verb(NamedTuple):
    """One command. `sends` are the requests that need a role; the lowest role that may send them all is taken."""

    path: tuple[str, ...]
    help: str
    converse: Callable[[Namespace], Procedure[Any]]
    show: Callable[[Any], None]
    sends: tuple[type[Message], ...] = ()
    arguments: tuple[Argument, ...] = ()
    rows: str = "rows"
    """The key under which a result that is a list stands in JSON."""

    @property
    def role(self) -> Role | None:
        return max((COMMAND_OF[request].role for request in self.sends), default=None, key=lambda role: role or 0)


def _argument(*names: str, **options: Any) -> Argument:
    return lambda parser: parser.add_argument(*names, **options)


def _call(procedure: Callable[..., Procedure[Any]], *options: str) -> Callable[[Namespace], Procedure[Any]]:
    return lambda given: procedure(*(getattr(given, name) for name in options))


def _number(name: str, maximum: int, text: str) -> int:
    if not text.isdecimal() or int(text) > maximum:
        raise InputError(f"{name} must be a number from 0 to {maximum}, got {text!r}")
    return int(text)


def _fault(text: str) -> FaultCode:
    name = text.upper().replace("-", "_")
    if name not in FaultCode.__members__:
        raise InputError(f"{text!r} is not a fault; faults are {', '.join(FaultCode.__members__)}")
    return FaultCode[name]


def _steps(text: str) -> int:
    try:
        steps = int(text)
    except ValueError:
        steps = 0
    if not -128 <= steps <= 127 or steps == 0:
        raise InputError(f"steps must be a whole number from -128 to 127 other than 0, such as +1, got {text!r}")
    return steps


def _quantity(quantity: Quantity) -> Callable[[str], int]:
    return partial(parse_quantity, quantity=quantity)


_PROGRAM = _argument("program", type=partial(_number, "program", 253), help="the slot's number, counted from 0")
_AREA = _argument("--area", type=partial(_number, "area", 3), default=0, help="the area's number (default 0)")


def _impedance(options: Namespace) -> Procedure[tuple[Impedance, ...]]:
    anode: int | None = options.anode
    if anode is None:
        able = yield from procedures.capabilities()
        anode = CASE_CONTACT if able.has_case else able.contacts[0].contact
    with measuring() as progress:
        return (yield from procedures.measure_impedance(options.cathode, anode, progress))


def _start(options: Namespace) -> Procedure[Message]:
    answer = yield from procedures.start()
    return (yield from procedures.ramp_finished()) if options.wait else answer


def _write_limits(options: Namespace) -> Procedure[Message]:
    given = {name: getattr(options, name) for name in _LIMITS if getattr(options, name) is not None}
    if not given:
        raise InputError("limits set: give at least one limit, such as --amplitude 10mA")
    return (yield from procedures.write_limits(**given))


def _write_program(options: Namespace) -> Procedure[Message]:
    program = load_program(options.file)
    return (yield from procedures.write_program(options.program, program))


_LIMITS = {
    "amplitude_microamps": ("--amplitude", Quantity.CURRENT, "10mA"),
    "pulse_width_us": ("--pulse-width", Quantity.WIDTH, "500us"),
    "rate_millihertz": ("--rate", Quantity.RATE, "130Hz"),
    "charge_per_phase_nanocoulombs": ("--charge", Quantity.CHARGE, "4uC"),
}

_LIMIT_ARGUMENTS = tuple(
    _argument(option, dest=name, type=_quantity(quantity), metavar=example, help=f"such as {example}")
    for name, (option, quantity, example) in _LIMITS.items()
)

VERBS = (
    Verb(("status",), "who the device is and how it stands", _call(procedures.overview), show.overview),
    Verb(("capabilities",), "what the device has and can do", _call(procedures.capabilities), show.capabilities),
    Verb(("programs",), "list the program slots", _call(procedures.list_programs), show.programs, (ListPrograms,)),
    Verb(
        ("program", "show"),
        "print a program as the TOML that `program write` takes",
        _call(procedures.read_program, "program"),
        show.program,
        (ReadProgram, ListPrograms),
        (_PROGRAM,),
    ),
    Verb(
        ("program", "select"),
        "make a program the active one",
        _call(procedures.select_program, "program"),
        show.fields,
        (SelectProgram,),
        (_PROGRAM,),
    ),
    Verb(
        ("program", "write"),
        "write a program from a TOML file",
        _write_program,
        show.fields,
        (CommitProgram,),
        (_PROGRAM, _argument("file", type=Path, metavar="FILE.toml", help="name and [[areas]]: see docs/host.md")),
    ),
    Verb(
        ("program", "erase"),
        "empty a slot",
        _call(procedures.erase_program, "program"),
        show.fields,
        (EraseProgram,),
        (_PROGRAM,),
    ),
    Verb(
        ("start",),
        "start the active program with its ramp",
        _start,
        show.fields,
        (StartTherapy,),
        (_argument("--wait", action="store_true", help="wait until the ramp is over"),),
    ),
    Verb(
        ("stop",),
        "stop therapy; needs no session",
        _call(procedures.stop, "mode"),
        show.fields,
        (),
        (
            _argument(
                "--immediate",
                dest="mode",
                action="store_const",
                const=StopMode.IMMEDIATE,
                default=StopMode.RAMP,
                help="at once, without the ramp",
            ),
        ),
    ),
    Verb(
        ("amplitude", "get"),
        "what an area is programmed to, and what it delivers",
        _call(procedures.read_therapy, "area"),
        show.fields,
        (ReadTherapy,),
        (_AREA,),
    ),
    Verb(
        ("amplitude", "set"),
        "set an amplitude, such as 2.5mA",
        _call(procedures.set_amplitude, "area", "amplitude"),
        show.fields,
        (SetAmplitude,),
        (_argument("amplitude", type=_quantity(Quantity.CURRENT), help="with its unit: 2.5mA or 2500uA"), _AREA),
    ),
    Verb(
        ("amplitude", "step"),
        "move an amplitude by steps of its grid, such as +1 or -2",
        _call(procedures.step_amplitude, "area", "steps"),
        show.fields,
        (StepAmplitude,),
        (_argument("steps", type=_steps, help="+1, -2, ..."), _AREA),
    ),
    Verb(
        ("impedance",),
        "measure the impedance of all contacts, or of a pair",
        _impedance,
        show.impedance,
        (MeasureImpedance,),
        (
            _argument("--cathode", type=parse_contact, default=ALL_CONTACTS, help="a contact (default: each in turn)"),
            _argument("--anode", type=parse_contact, help='a contact or "case" (default: the case, else contact 0)'),
        ),
        "pairs",
    ),
    Verb(("battery",), "read the battery", _call(procedures.battery), show.fields),
    Verb(
        ("log",),
        "read the log, oldest entry first",
        _call(procedures.read_log, "last"),
        show.log,
        (ReadLog,),
        (_argument("--last", type=partial(_number, "--last", 2**16), metavar="N", help="only the last N entries"),),
        "entries",
    ),
    Verb(("counters",), "totals over the device's life", _call(procedures.read_counters), show.fields, (ReadCounters,)),
    Verb(("faults",), "faults raised, and whether they stand", _call(procedures.read_faults), show.faults, (ReadFaults,)),
    Verb(
        ("faults", "clear"),
        "clear a latched fault",
        _call(procedures.clear_fault, "fault"),
        show.fields,
        (ClearFault,),
        (_argument("fault", type=_fault, help=", ".join(FaultCode.__members__)),),
    ),
    Verb(("limits",), "read the clinician's limits", _call(procedures.read_limits), show.fields, (ReadLimits,)),
    Verb(("limits", "set"), "set some of the clinician's limits", _write_limits, show.fields, (WriteLimits,), _LIMIT_ARGUMENTS),
)
