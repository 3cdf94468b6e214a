"""Commands about what has happened: the log, totals, faults."""

from __future__ import annotations

from functools import partial

from ipg_protocol.commands.log import ClearFault, ReadCounters, ReadFaults, ReadLog
from ipg_protocol.vocabulary import FaultCode

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.verb import Verb, argument, call, number
from ipg_host.errors import InputError


def _fault(text: str) -> FaultCode:
    name = text.upper().replace("-", "_")
    if name not in FaultCode.__members__:
        raise InputError(f"{text!r} is not a fault; faults are {', '.join(FaultCode.__members__)}")
    return FaultCode[name]


VERBS = (
    Verb(
        ("log",),
        "read the log, oldest entry first",
        call(procedures.read_log, "last"),
        show.log,
        (ReadLog,),
        (argument("--last", type=partial(number, "--last", 2**16), metavar="N", help="only the last N entries"),),
        "entries",
    ),
    Verb(("counters",), "totals over the device's life", call(procedures.read_counters), show.fields, (ReadCounters,)),
    Verb(("faults",), "faults raised, and whether they stand", call(procedures.read_faults), show.faults, (ReadFaults,)),
    Verb(
        ("faults", "clear"),
        "clear a latched fault",
        call(procedures.clear_fault, "fault"),
        show.fields,
        (ClearFault,),
        (argument("fault", type=_fault, help=", ".join(FaultCode.__members__)),),
    ),
)
