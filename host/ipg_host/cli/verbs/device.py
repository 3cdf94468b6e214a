"""Commands about the device itself: its status, power, modes and self-test, and what became of changes."""

from __future__ import annotations

from functools import partial

from ipg_protocol.commands.link import SelfTest, TransactionStatus
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, ReadModes
from ipg_protocol.commands.power import GetLongevity

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.verb import Verb, argument, call, number

_MINUTES = argument(
    "--minutes",
    type=partial(number, "--minutes", 2**16 - 1, minimum=1),
    required=True,
    metavar="N",
    help="the mode ends by itself after N minutes",
)

VERBS = (
    Verb(("status",), "who the device is and how it stands", call(procedures.overview), show.overview),
    Verb(("capabilities",), "what the device has and can do", call(procedures.capabilities), show.capabilities),
    Verb(("battery",), "read the battery", call(procedures.battery), show.fields),
    Verb(("charging",), "what the charger does", call(procedures.charging), show.fields),
    Verb(("longevity",), "how long the battery will last", call(procedures.longevity), show.fields, (GetLongevity,)),
    Verb(("temperature",), "read the case's temperature", call(procedures.temperature), show.fields, (ReadTemperature,)),
    Verb(("self-test",), "let the device test itself", call(procedures.self_test), show.fields, (SelfTest,)),
    Verb(
        ("transaction",),
        "what became of a change of this user on this machine, such as one whose outcome was not known",
        call(procedures.fate, "transaction"),
        show.fate,
        (TransactionStatus,),
        (
            argument(
                "transaction", type=partial(number, "transaction", 2**32 - 1, minimum=1), help="the number it was sent with"
            ),
        ),
    ),
    Verb(("modes",), "what holds therapy off: magnet or MRI mode", call(procedures.read_modes), show.fields, (ReadModes,)),
    Verb(
        ("mri", "enter"),
        "hold therapy off for an examination; all contacts must have been measured",
        call(procedures.enter_mri_mode, "minutes"),
        show.fields,
        (EnterMriMode,),
        (_MINUTES,),
    ),
    Verb(
        ("mri", "leave"),
        "end MRI mode; therapy that ran is restored",
        call(procedures.leave_mri_mode),
        show.fields,
        (LeaveMriMode,),
    ),
)
