"""The `ipg-emulator` command."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from ipg_emulator import argument_types, terminal

EXIT_CODES = """\
exit codes: 0 stopped by TERM or by the end of its parent, 1 a file could not be written, 2 wrong usage, unknown model, bad
model file or a picture that cannot be drawn, 3 the port or the image could not be had, 4 a command of the protocol has no
handler, 130 stopped by Ctrl-C"""


PLOTS = {
    "waveform": "the current of each contact, over a session and over a pulse",
    "battery": "a discharge to its end; of drg-primary, against the lives that its manual publishes",
    "ecap": "growth curves by posture, and a closed loop beside an open one",
    "impedance": "the leads, with what is measured at each contact",
}
STANDARD_OUTPUT = 1
SPEED_HELP = """\
how fast the device's time goes, against real time: a factor such as 60 or 0.5, or max, which goes from deadline to deadline
whenever nobody has talked for 50 ms, once somebody has, until the battery is at its end. While a session is open, no more time
passes towards its end than really passes, so that a host may be as slow as it would be with a real device. Or manual: time
stands still but for what it is told to pass over the control channel"""
SNAPSHOT_HELP = """\
go on from a snapshot of a device, in place of a new one"""
FLEET_HELP = """\
run the devices of a TOML file, a table [[devices]] for each, or for a count of them: model or snapshot, and if wanted seed,
count, link, tcp or rfc2217, pace, speed, lead_faults, defects, faults, nvm, record, trace. A READY line for each in order"""
DEFECT_HELP = """\
let the device have a defect of its firmware from its first boot on, such as duplicate-executed; may be given again.
`ipg-emulator defects` lists them"""
NVM_HELP = """\
keep the device's flash in this file, made if it is not there, so that the device goes on where it was, however the process
ends; for the same model and seed, and one process at a time"""
TRACE_HELP = """\
write each frame that passes, decoded, and whatever the device drops or ignores, with the reason: to standard error, or into
FILE, as pcapng for Wireshark if it is named so and as JSON lines else"""
CONTROL_HELP = """\
let the devices be asked beside their links, over HTTP on this port of 127.0.0.1 (0: any free), by `ipg-emulator ctl` and by
whoever shows the token. A CONTROL line behind READY says where. Needs the extra `control`"""
CONTROL_TOKEN_HELP = """\
where to put the token, readable by its owner alone, and gone when the devices end (default: LINK.token, or a temporary file)"""
DEVICES_HELP = """\
run so many devices in this process, seeds N, N+1, ..., each at its own port (default 1). A READY line for each; PORT, PORT+1,
...; in a path, {} stands for the number of the device from 0, which else comes at the end, or before .pcapng"""


_UNREAD: Any = {"add_help": False, "prefix_chars": "\0"}
"""What a command reads by itself: no word of it is an option here."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    gc.disable()  # the start makes only what stays
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.print_completion:
        options.action = _print_completion
    if options.action is None:
        parser.error("say what to do: run, replay, ctl, plot, campaign, models, faults or defects")
    try:
        options.action(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"ipg-emulator: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        return 1
    except Exception as error:
        code = _exit_codes().get(type(error))
        if code is None:
            raise
        terminal.complain(str(error))
        return code
    return 0


def _exit_codes() -> dict[type[Exception], int]:
    """What is told in a line, and the code that the command then ends with; the rest are bugs of ours."""
    from ipg_protocol.trace import TraceError

    from ipg_emulator.faults import FaultError, LeadFaultError
    from ipg_emulator.firmware.dispatch import CatalogueMismatch
    from ipg_emulator.fleet_file import FleetError
    from ipg_emulator.image import ImageError
    from ipg_emulator.model import ModelError
    from ipg_emulator.plot import PlotError
    from ipg_emulator.ports import PortError
    from ipg_emulator.snapshot import SnapshotError

    codes: dict[type[Exception], int] = {PortError: 3, ImageError: 3, CatalogueMismatch: 4}
    wrong_usage = (TraceError, ModelError, LeadFaultError, FaultError, SnapshotError, FleetError, PlotError)
    return codes | dict.fromkeys(wrong_usage, 2)


class _Formatter(argparse.HelpFormatter):
    """Finds the terminal's width without `shutil`, which argparse would import for it in every run."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _Parser(argparse.ArgumentParser):
    """Its subparsers are of this class too."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Formatter, **settings)


def _columns() -> int:
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else terminal.columns(STANDARD_OUTPUT)


def build_parser() -> argparse.ArgumentParser:
    """The command line, which shell completion is made from."""
    parser = _Parser(
        prog="ipg-emulator", description="A virtual implantable pulse generator on a serial port.", epilog=EXIT_CODES
    )
    parser.set_defaults(action=None)
    version = "version, and which CRC and COBS are in use"
    parser.add_argument("--version", dest="action", action="store_const", const=_version, help=version)
    parser.add_argument("--print-completion", choices=("bash", "zsh", "tcsh"), help="print a completion script")
    commands = parser.add_subparsers(metavar="COMMAND")
    run = commands.add_parser("run", help="run a device until stopped", epilog=EXIT_CODES)
    run.set_defaults(action=_run)
    what = run.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help="name of a model, or path of a model file; `ipg-emulator models` lists them")
    what.add_argument("--snapshot", type=argument_types.path, metavar="FILE", help=SNAPSHOT_HELP)
    what.add_argument("--fleet", type=argument_types.path, metavar="FILE", help=FLEET_HELP)
    _add_port(run)
    run.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all randomness (default 0)")
    run.add_argument("--devices", type=argument_types.fleet, default=1, metavar="COUNT", help=DEVICES_HELP)
    run.add_argument("--pace", type=argument_types.baud, metavar="BAUD", help="hold the line to this speed")
    _add_lead_fault(run)
    _add_faults(run)
    run.add_argument("--speed", type=argument_types.speed, default=1.0, metavar="N|max|manual", help=SPEED_HELP)
    run.add_argument("--nvm", type=argument_types.path, metavar="FILE", help=NVM_HELP)
    run.add_argument("--record", type=argument_types.path, metavar="FILE", help="write what is delivered, a JSON object a line")
    run.add_argument("--trace", type=argument_types.path, nargs="?", const="-", metavar="FILE", help=TRACE_HELP)
    run.add_argument("--control-fd", type=int, help=argparse.SUPPRESS)
    run.add_argument("--control", type=argument_types.tcp_port, metavar="PORT", help=CONTROL_HELP)
    run.add_argument("--control-token", type=argument_types.path, metavar="FILE", help=CONTROL_TOKEN_HELP)
    run.add_argument("--outlive-parent", action="store_true", help="go on when the process that started this ends")
    _add_replay(commands)
    _add_plot(commands)
    _add_campaign(commands)
    _add_lists(commands)
    return parser


def _add_lists(commands: Any) -> None:
    models = commands.add_parser("models", help="list the device models, or show one with its ranges and sources")
    models.set_defaults(action=_models)
    models.add_argument("name", nargs="?", metavar="NAME")
    ctl = commands.add_parser("ctl", help="have a running device do something, over its control channel", **_UNREAD)
    ctl.set_defaults(action=_ctl)
    ctl.add_argument("words", nargs=argparse.REMAINDER)
    faults = commands.add_parser("faults", help="list the faults that a plan can name, or show one, with their parameters")
    faults.set_defaults(action=_faults)
    faults.add_argument("name", nargs="?", metavar="NAME")
    defects = commands.add_parser("defects", help="list the defects that a device can be given, or show one")
    defects.set_defaults(action=_defects)
    defects.add_argument("name", nargs="?", metavar="NAME")


def _add_port(run: argparse.ArgumentParser) -> None:
    where = run.add_mutually_exclusive_group()
    where.add_argument("--link", type=argument_types.path, metavar="PATH", help="symlink to make to the PTY")
    where.add_argument(
        "--tcp", type=argument_types.tcp_port, metavar="PORT", help="listen on 127.0.0.1 instead of a PTY; 0: any free port"
    )
    where.add_argument(
        "--rfc2217", type=argument_types.tcp_port, metavar="PORT", help="the same, with a serial port's settings (RFC 2217)"
    )


def _add_replay(commands: Any) -> None:
    epilog = """\
exit codes: 0 the host has sent what it sent then, to the end of the trace, 1 it has not, or has sent less, 2 wrong usage or no
trace, 3 the port could not be had"""
    words = "answer as a trace says, and tell where the host departs from it"
    replay = commands.add_parser("replay", help=words, epilog=epilog)
    replay.set_defaults(action=_replay)
    replay.add_argument("trace", metavar="TRACE", help="what `run --trace FILE` has written")
    _add_port(replay)
    ignored = "field of a request that may differ, beside host_id and nonce; may be given again"
    replay.add_argument(
        "--ignore", type=argument_types.request_field, action="append", default=[], metavar="FIELD", help=ignored
    )
    replay.add_argument("--outlive-parent", action="store_true", help="go on when the process that started this ends")


def _add_plot(commands: Any) -> None:
    plot = commands.add_parser("plot", help="draw a device's output, battery, nerve or leads", epilog=EXIT_CODES)
    kinds = plot.add_subparsers(metavar="KIND", required=True)
    for kind, words in PLOTS.items():
        parser = kinds.add_parser(kind, help=words)
        parser.set_defaults(action=_plot, kind=kind)
        parser.add_argument("--model", required=True, help="name of a model, or path of a model file")
        parser.add_argument("-o", "--output", required=True, metavar="FILE", help="picture to write: .png, .svg or .pdf")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all randomness (default 0)")
        if kind in ("waveform", "battery"):
            parser.add_argument("--program", type=int, metavar="N", help="slot of the program that runs (default 0)")
        if kind == "waveform":
            parser.add_argument(
                "--seconds", type=argument_types.seconds, metavar="N", help="how long therapy runs, at most a week"
            )
            parser.add_argument("--record", metavar="FILE", help="draw what `ipg-emulator run --record FILE` wrote instead")
        if kind == "ecap":
            parser.add_argument("--loop-only", action="store_true", help="leave the growth curves out")
        if kind == "impedance":
            _add_lead_fault(parser)


def _add_campaign(commands: Any) -> None:
    epilog = """\
exit codes: 0 no violation, 1 violations, 2 wrong usage or a failure file that cannot be read, 3 the scheduler could not be
reached, 130 Ctrl-C"""
    campaign = commands.add_parser("campaign", help="put devices and hosts through seeded worlds of trouble", epilog=epilog)
    campaign.set_defaults(action=_campaign)
    campaign.add_argument("--seeds", type=argument_types.count, default=100, metavar="N", help="how many worlds (default 100)")
    campaign.add_argument("--seed", type=int, default=0, metavar="FIRST", help="seed of the first (default 0)")
    campaign.add_argument(
        "--hours", type=argument_types.hours, default=1.0, metavar="H", help="how long each lasts (default 1)"
    )
    workers = campaign.add_mutually_exclusive_group()
    workers.add_argument(
        "--jobs", type=argument_types.count, metavar="N", help="processes at a time (default: one for each core)"
    )
    cluster = "run on the Dask cluster whose scheduler is there"
    workers.add_argument("--scheduler", type=argument_types.scheduler, metavar="tcp://HOST:PORT", help=cluster)
    folder = "where failure files go (default failures)"
    campaign.add_argument("--failures", type=argument_types.path, default="failures", metavar="DIR", help=folder)
    campaign.add_argument(
        "--replay", type=argument_types.path, metavar="FILE", help="run the short history of a failure file instead"
    )
    campaign.add_argument("--json", action="store_true", help="print the summary as a JSON object")


def _add_faults(run: argparse.ArgumentParser) -> None:
    run.add_argument("--defect", action="append", default=[], metavar="NAME", help=DEFECT_HELP)
    run.add_argument("--faults", type=argument_types.path, metavar="FILE", help="plan of what goes wrong, in TOML")


def _add_lead_fault(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lead-fault",
        type=argument_types.lead_fault,
        action="append",
        default=[],
        metavar="CONTACT=WORD",
        help="break a contact: open, short, breach or intermittent (by posture)",
    )


def _print_completion(options: argparse.Namespace) -> None:
    import shtab

    print(shtab.complete(build_parser(), shell=options.print_completion))


def _version(_: argparse.Namespace) -> None:
    from importlib.metadata import version

    from ipg_protocol import backends

    print(f"ipg-emulator {version('virtual-ipg')}")
    for name, kind in backends().items():
        print(f"{name}: {kind}")


def _models(options: argparse.Namespace) -> None:
    from ipg_emulator.catalogue import describe, summary
    from ipg_emulator.model import load

    print(describe(load(options.name)) if options.name else summary())


def _faults(options: argparse.Namespace) -> None:
    from ipg_emulator.faults.describe import listing

    print(listing(options.name))


def _defects(options: argparse.Namespace) -> None:
    from ipg_emulator.faults.defects import listing

    print(listing(options.name))


def _campaign(options: argparse.Namespace) -> None:
    from ipg_emulator.campaign.command import run

    gc.enable()
    if code := run(options):
        raise SystemExit(code)


def _replay(options: argparse.Namespace) -> None:
    from ipg_emulator.replay_command import run

    if code := run(options):
        raise SystemExit(code)


def _ctl(options: argparse.Namespace) -> None:
    from ipg_emulator.control.ctl import main

    if code := main(options.words):
        raise SystemExit(code)


def _plot(options: argparse.Namespace) -> None:
    import ipg_emulator.plot

    os.environ["MPLBACKEND"] = "agg"  # files alone are drawn, and matplotlib may refuse what notebooks set here
    ipg_emulator.plot.check_target(options.output)
    from ipg_emulator.plot import scenes

    scenes.SCENES[options.kind](options)
    print(options.output)


def _run(options: argparse.Namespace) -> None:
    from ipg_emulator.running import run

    run(options)
