"""Commands about what is measured: impedances, ECAPs, and the loop that follows the ECAP."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from functools import partial

from ipg_protocol import Message
from ipg_protocol.commands.link import ResetHappened
from ipg_protocol.commands.measurement import ALL_CONTACTS, Impedance, MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.sensing import (
    OUTPUT_ON,
    EcapSamples,
    Feedback,
    GetFeedbackStatus,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    WriteFeedback,
)
from ipg_protocol.commands.session import SessionClosing
from ipg_protocol.commands.therapy import TherapyStateChanged

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.progress import measuring
from ipg_host.cli.verb import AREA, Verb, argument, call, number, quantity
from ipg_host.conversation import Pause, Procedure
from ipg_host.units import Quantity, parse_contact

_LOOK_MS = 100
_LOOKS_PER_KEEP_ALIVE = 50

_COUNT = 2**16 - 1

_FEEDBACK = {
    "target_microvolts": ("--target", quantity(Quantity.VOLTAGE), "30uV", "the ECAP to hold"),
    "gain_permille": ("--gain", quantity(Quantity.PROPORTION), "50%", "how much of a deviation one update mends"),
    "minimum_microamps": ("--minimum", quantity(Quantity.CURRENT), "0mA", "the lowest amplitude"),
    "maximum_microamps": ("--maximum", quantity(Quantity.CURRENT), "8mA", "the highest amplitude"),
    "rate_limit_microamps_per_second": ("--rate-limit", quantity(Quantity.SLEW), "1mA/s", "how fast the amplitude may move"),
    "pulses_per_update": ("--every", partial(number, "--every", 255, minimum=1), "N", "update at each N-th pulse"),
    "lost_below_microvolts": ("--lost-below", quantity(Quantity.VOLTAGE), "5uV", "an ECAP below this counts as lost"),
    "lost_updates": (
        "--lost-updates",
        partial(number, "--lost-updates", _COUNT, minimum=1),
        "N",
        "fall back to the programmed amplitude after N lost in a row",
    ),
}


def _impedance(options: Namespace) -> Procedure[tuple[Impedance, ...]]:
    anode: int | None = options.anode
    if anode is None:
        able = yield from procedures.capabilities()
        anode = CASE_CONTACT if able.has_case else able.contacts[0].contact
    with measuring() as progress:
        return (yield from procedures.measure_impedance(options.cathode, anode, progress))


def _set_feedback(options: Namespace) -> Procedure[Feedback]:
    given = {name: getattr(options, name) for name in _FEEDBACK if getattr(options, name) is not None}
    return procedures.adjust_feedback(options.area, enabled=1, **given)


def _end_feedback(options: Namespace) -> Procedure[Feedback]:
    return procedures.adjust_feedback(options.area, enabled=0)


def _stream(options: Namespace) -> Procedure[None]:
    """Print samples as they come, until the time is over or therapy or the session ends."""
    heard: deque[Message] = options.heard
    heard.clear()
    present = yield from procedures.status()
    yield from procedures.start_ecap_stream(options.area, options.every)
    looks = 0
    while options.seconds is None or looks * _LOOK_MS < options.seconds * 1000:
        yield Pause(_LOOK_MS)
        looks += 1
        if not _print_samples(heard, present.boot_counter, as_json=options.json):
            return
        if looks % _LOOKS_PER_KEEP_ALIVE == 0:
            yield from procedures.keep_alive()
    yield from procedures.stop_ecap_stream()
    _print_samples(heard, present.boot_counter, as_json=options.json)


def _print_samples(heard: deque[Message], boot_counter: int, *, as_json: bool) -> bool:
    """Print what was heard; whether more may come. A stream does not outlive the boot it began in."""
    going_on = True
    for event in _taken(heard):
        match event:
            case EcapSamples():
                show.ecap_samples(event, as_json=as_json)
            case SessionClosing():
                going_on = False
            case ResetHappened():
                going_on = event.boot_counter == boot_counter
            case TherapyStateChanged():
                going_on = event.state in OUTPUT_ON
            case _:
                pass
    return going_on


def _taken(heard: deque[Message]) -> Iterator[Message]:
    while heard:
        yield heard.popleft()


_FEEDBACK_ARGUMENTS = tuple(
    argument(option, dest=name, type=kind, metavar=example, help=text)
    for name, (option, kind, example, text) in _FEEDBACK.items()
)

VERBS = (
    Verb(
        ("impedance",),
        "measure the impedance of all contacts, or of a pair",
        _impedance,
        show.impedance,
        (MeasureImpedance,),
        (
            argument("--cathode", type=parse_contact, default=ALL_CONTACTS, help="a contact (default: each in turn)"),
            argument("--anode", type=parse_contact, help='a contact or "case" (default: the case, else contact 0)'),
        ),
        "pairs",
    ),
    Verb(
        ("ecap", "record"),
        "record the ECAP of the next pulse",
        call(procedures.record_ecap, "area"),
        show.fields,
        (RecordEcap,),
        (AREA,),
    ),
    Verb(
        ("ecap", "stream"),
        "print the ECAP of every pulse, until Ctrl-C or the end of therapy; --json prints a line for each",
        _stream,
        None,
        (StartEcapStream,),
        (
            argument("--seconds", type=partial(number, "--seconds", 2**31), metavar="N", help="end after N seconds"),
            argument(
                "--every",
                type=partial(number, "--every", _COUNT, minimum=1),
                default=1,
                metavar="N",
                help="only each N-th pulse",
            ),
            AREA,
        ),
    ),
    Verb(
        ("feedback", "show"),
        "how an area's amplitude follows the ECAP",
        call(procedures.read_feedback, "area"),
        show.fields,
        (ReadFeedback,),
        (AREA,),
    ),
    Verb(
        ("feedback", "set"),
        "let an area's amplitude follow the ECAP; what is left out stays as it is",
        _set_feedback,
        show.fields,
        (WriteFeedback, ReadFeedback),
        (*_FEEDBACK_ARGUMENTS, AREA),
    ),
    Verb(
        ("feedback", "off"),
        "let an area's amplitude be the programmed one",
        _end_feedback,
        show.fields,
        (WriteFeedback, ReadFeedback),
        (AREA,),
    ),
    Verb(
        ("feedback", "status"),
        "what the loop does, and what it has counted",
        call(procedures.feedback_status),
        show.fields,
        (GetFeedbackStatus,),
    ),
)
