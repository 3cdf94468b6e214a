"""The `ipg-emulator` command."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ipg_emulator import argument_types, terminal

if TYPE_CHECKING:
    from ipg_emulator.console import StatusLine
    from ipg_emulator.model import DeviceModel
    from ipg_emulator.ports import Port
    from ipg_emulator.runner import Station

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
passes towards its end than really passes, so that a host may be as slow as it would be with a real device"""
NVM_HELP = """\
keep the device's flash in this file, made if it is not there, so that the device goes on where it was, however the process
ends; for the same model and seed, and one process at a time"""
DEVICES_HELP = """\
run so many devices in this process, seeds N, N+1, ..., each at its own port (default 1). A READY line for each; PORT, PORT+1,
...; in a path, {} stands for the number of the device from 0, which else comes at the end"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    gc.disable()  # the start makes only what stays
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.print_completion:
        options.action = _print_completion
    if options.action is None:
        parser.error("say what to do: run, plot, campaign or models")
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
    except tuple(codes := _exit_codes()) as error:
        _complain(str(error))
        return codes[type(error)]
    return 0


def _exit_codes() -> dict[type[Exception], int]:
    """What is told in a line, and the code that the command then ends with."""
    from ipg_emulator.faults import LeadFaultError
    from ipg_emulator.firmware.dispatch import CatalogueMismatch
    from ipg_emulator.image import ImageError
    from ipg_emulator.model import ModelError
    from ipg_emulator.plot import PlotError
    from ipg_emulator.ports import PortError

    return {ModelError: 2, LeadFaultError: 2, PlotError: 2, PortError: 3, ImageError: 3, CatalogueMismatch: 4}


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
    run.add_argument(
        "--model", required=True, help="name of a model, or path of a model file; `ipg-emulator models` lists them"
    )
    _add_port(run)
    run.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all randomness (default 0)")
    run.add_argument("--devices", type=argument_types.fleet, default=1, metavar="COUNT", help=DEVICES_HELP)
    run.add_argument("--pace", type=argument_types.baud, metavar="BAUD", help="hold the line to this speed")
    _add_lead_fault(run)
    run.add_argument("--speed", type=argument_types.speed, default=1.0, metavar="N|max", help=SPEED_HELP)
    run.add_argument("--nvm", type=argument_types.path, metavar="FILE", help=NVM_HELP)
    run.add_argument("--record", type=argument_types.path, metavar="FILE", help="write what is delivered, a JSON object a line")
    run.add_argument("--outlive-parent", action="store_true", help="go on when the process that started this ends")
    _add_plot(commands)
    _add_campaign(commands)
    models = commands.add_parser("models", help="list the device models, or show one with its ranges and sources")
    models.set_defaults(action=_models)
    models.add_argument("name", nargs="?", metavar="NAME")
    return parser


def _add_port(run: argparse.ArgumentParser) -> None:
    where = run.add_mutually_exclusive_group()
    where.add_argument("--link", type=argument_types.path, metavar="PATH", help="symlink to make to the PTY")
    where.add_argument(
        "--tcp", type=argument_types.tcp_port, metavar="PORT", help="listen on 127.0.0.1 instead of a PTY; 0: any free port"
    )
    where.add_argument(
        "--rfc2217", type=argument_types.tcp_port, metavar="PORT", help="the same, with a serial port's settings (RFC 2217)"
    )


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


def _campaign(options: argparse.Namespace) -> None:
    from ipg_emulator.campaign.command import run

    gc.enable()
    if code := run(options):
        raise SystemExit(code)


def _plot(options: argparse.Namespace) -> None:
    import ipg_emulator.plot

    os.environ["MPLBACKEND"] = "agg"  # files alone are drawn, and matplotlib may refuse what notebooks set here
    ipg_emulator.plot.check_target(options.output)
    from ipg_emulator.plot import scenes

    scenes.SCENES[options.kind](options)
    print(options.output)


def _port(options: argparse.Namespace, number: int) -> Port:
    """The port asked for, of the device of this number."""
    if options.rfc2217 is not None:
        from ipg_emulator.fleet import tcp_port_of
        from ipg_emulator.ports.rfc2217 import Telnet
        from ipg_emulator.ports.tcp import TcpPort

        return TcpPort(tcp_port_of(options.rfc2217, number), Telnet)
    if options.tcp is not None:
        from ipg_emulator.fleet import tcp_port_of
        from ipg_emulator.ports.tcp import TcpPort

        return TcpPort(tcp_port_of(options.tcp, number))
    from ipg_emulator.ports.pty import PtyPort

    return PtyPort(_path(options, options.link, number))


def _path(options: argparse.Namespace, path: str | None, number: int) -> str | None:
    """What the device of this number gets of a path that was asked for."""
    if path is None or options.devices == 1:
        return path
    from ipg_emulator.fleet import path_of

    return path_of(path, number)


def _station(options: argparse.Namespace, model: DeviceModel, number: int) -> Station:
    """The device of this number, at its port."""
    from ipg_emulator.factory import boot_finished_at, build_device
    from ipg_emulator.image import build_on_image
    from ipg_emulator.recording import SegmentFile
    from ipg_emulator.runner import Station
    from ipg_emulator.virtual import VirtualIpg

    path = _path(options, options.record, number)
    record = SegmentFile(path, model.name) if path else None
    build = partial(build_device, model, seed=options.seed + number, lead_faults=dict(options.lead_fault), record=record)
    nvm = _path(options, options.nvm, number)
    firmware = build_on_image(nvm, build, _complain) if nvm else build()
    port = _port(options, number)
    if options.pace:
        from ipg_emulator.ports.pacing import PacedPort

        port = PacedPort(port, options.pace)
    return Station(VirtualIpg(firmware), port, started_at=boot_finished_at(model), speed=options.speed)


def _complain(words: str) -> None:
    print(f"ipg-emulator: {words}", file=sys.stderr)


def _show(stations: Sequence[Station]) -> StatusLine | None:
    """Begin to say what happens: on a terminal by the status line that is returned, elsewhere by a line for each event."""
    from ipg_emulator.console import EventLines, StatusLine, describe, describe_fleet

    if not sys.stderr.isatty():
        for number, station in enumerate(stations):
            EventLines(station.ipg.firmware, label=f"[{number}] " if len(stations) > 1 else "")
        return None
    if len(stations) > 1:
        return StatusLine(lambda _: describe_fleet([station.ipg.firmware for station in stations]))
    (station,) = stations
    return StatusLine(lambda real: describe(station.ipg.firmware, station.live_on(b"", real)))


def _run(options: argparse.Namespace) -> None:
    from ipg_emulator.model import load
    from ipg_emulator.runner import Runner

    model = load(options.model)
    if options.devices > 1:
        from ipg_emulator.fleet import allow_open_files

        allow_open_files(options.devices)
    stations = [_station(options, model, number) for number in range(options.devices)]
    runner = Runner(stations)
    status = _show(stations)
    if status:
        runner.watch(status)
    gc.freeze()
    gc.enable()
    kind = next((kind for kind in ("tcp", "rfc2217") if getattr(options, kind) is not None), "pty")

    def say_ready() -> None:
        print("\n".join(f"READY {kind} {station.port.address}" for station in stations), flush=True)

    try:
        runner.run(say_ready, outlive_parent=options.outlive_parent)
    finally:
        if status:
            status.end()
