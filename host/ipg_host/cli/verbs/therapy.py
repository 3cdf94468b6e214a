"""Commands about therapy: start and stop, amplitudes, the clinician's limits, the daily schedule."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ipg_protocol import Message
from ipg_protocol.commands.therapy import (
    ReadLimits,
    ReadSchedule,
    ReadTherapy,
    Schedule,
    SetAmplitude,
    StartTherapy,
    StepAmplitude,
    StopMode,
    WriteLimits,
    WriteSchedule,
)

from ipg_host import procedures
from ipg_host.cli import show
from ipg_host.cli.show import InUnit
from ipg_host.cli.verb import AREA, Verb, argument, call, quantity
from ipg_host.conversation import Procedure
from ipg_host.errors import InputError
from ipg_host.schedules import load_schedule
from ipg_host.units import Quantity, amplitude_in, parse_amplitude

_OTHER_LIMITS = {
    "pulse_width_us": ("--pulse-width", Quantity.WIDTH, "500us"),
    "rate_millihertz": ("--rate", Quantity.RATE, "130Hz"),
    "charge_per_phase_nanocoulombs": ("--charge", Quantity.CHARGE, "4uC"),
}


def _steps(text: str) -> int:
    try:
        steps = int(text)
    except ValueError:
        steps = 0
    if not -128 <= steps <= 127 or steps == 0:
        raise InputError(f"steps must be a whole number from -128 to 127 other than 0, such as +1, got {text!r}")
    return steps


def _start(options: Namespace) -> Procedure[Message]:
    answer = yield from procedures.start()
    return (yield from procedures.ramp_finished()) if options.wait else answer


def _read_therapy(options: Namespace) -> Procedure[InUnit]:
    able = yield from procedures.capabilities()
    return InUnit(able.amplitude_unit, (yield from procedures.read_therapy(options.area)))


def _set_amplitude(options: Namespace) -> Procedure[InUnit]:
    able = yield from procedures.capabilities()
    amplitude = amplitude_in(able.amplitude_unit, options.amplitude)
    return InUnit(able.amplitude_unit, (yield from procedures.set_amplitude(options.area, amplitude)))


def _step_amplitude(options: Namespace) -> Procedure[InUnit]:
    able = yield from procedures.capabilities()
    return InUnit(able.amplitude_unit, (yield from procedures.step_amplitude(options.area, options.steps)))


def _read_limits(_: Namespace) -> Procedure[InUnit]:
    able = yield from procedures.capabilities()
    return InUnit(able.amplitude_unit, (yield from procedures.read_limits()))


def _write_limits(options: Namespace) -> Procedure[InUnit]:
    given = {name: getattr(options, name) for name in _OTHER_LIMITS if getattr(options, name) is not None}
    if not given and options.amplitude is None:
        raise InputError("limits set: give at least one limit, such as --amplitude 10mA")
    able = yield from procedures.capabilities()
    if options.amplitude is not None:
        given["amplitude_microamps"] = amplitude_in(able.amplitude_unit, options.amplitude)
    return InUnit(able.amplitude_unit, (yield from procedures.write_limits(**given)))


def _write_schedule(options: Namespace) -> Procedure[Schedule]:
    rows = load_schedule(options.file)
    return (yield from procedures.write_schedule(rows))


def _clear_schedule(_: Namespace) -> Procedure[Schedule]:
    return procedures.write_schedule(())


_LIMIT_ARGUMENTS = (
    argument("--amplitude", type=parse_amplitude, metavar="10mA", help="such as 10mA, or 80%% on a magnetic device"),
    *(
        argument(option, dest=name, type=quantity(kind), metavar=example, help=f"such as {example}")
        for name, (option, kind, example) in _OTHER_LIMITS.items()
    ),
)

_AMPLITUDE = argument("amplitude", type=parse_amplitude, help="with its unit: 2.5mA, 2500uA, or 45%% on a magnetic device")

_IMMEDIATE = argument(
    "--immediate",
    dest="mode",
    action="store_const",
    const=StopMode.IMMEDIATE,
    default=StopMode.RAMP,
    help="at once, without the ramp",
)

VERBS = (
    Verb(
        ("start",),
        "start the active program with its ramp",
        _start,
        show.fields,
        (StartTherapy,),
        (argument("--wait", action="store_true", help="wait until the ramp is over"),),
    ),
    Verb(("stop",), "stop therapy; needs no session", call(procedures.stop, "mode"), show.fields, (), (_IMMEDIATE,)),
    Verb(
        ("amplitude", "get"),
        "what an area is programmed to, and what it delivers",
        _read_therapy,
        show.fields,
        (ReadTherapy,),
        (AREA,),
    ),
    Verb(
        ("amplitude", "set"),
        "set an amplitude, such as 2.5mA",
        _set_amplitude,
        show.fields,
        (SetAmplitude,),
        (_AMPLITUDE, AREA),
    ),
    Verb(
        ("amplitude", "step"),
        "move an amplitude by steps of its grid, such as +1 or -2",
        _step_amplitude,
        show.fields,
        (StepAmplitude,),
        (argument("steps", type=_steps, help="+1, -2, ..."), AREA),
    ),
    Verb(("limits",), "read the clinician's limits", _read_limits, show.fields, (ReadLimits,)),
    Verb(("limits", "set"), "set some of the clinician's limits", _write_limits, show.fields, (WriteLimits,), _LIMIT_ARGUMENTS),
    Verb(
        ("schedule", "show"),
        "print the daily schedule as the TOML that `schedule write` takes",
        call(procedures.read_schedule),
        show.schedule,
        (ReadSchedule,),
    ),
    Verb(
        ("schedule", "write"),
        "replace the daily schedule from a TOML file",
        _write_schedule,
        show.schedule,
        (WriteSchedule,),
        (argument("file", type=Path, metavar="FILE.toml", help="[[rows]]: see docs/host.md"),),
    ),
    Verb(("schedule", "clear"), "end the daily schedule", _clear_schedule, show.schedule, (WriteSchedule,)),
)
