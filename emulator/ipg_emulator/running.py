"""What `ipg-emulator run` does with its options."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ipg_emulator import terminal

if TYPE_CHECKING:
    from ipg_emulator.console import StatusLine
    from ipg_emulator.control.server import ControlServer
    from ipg_emulator.faults.plan import FaultPlan
    from ipg_emulator.launch import NewDevice, Wanted
    from ipg_emulator.runner import Runner, Station
    from ipg_emulator.snapshot import Snapshot

OF_NEW_DEVICES = ("seed", "lead_fault", "nvm", "defect")
OF_PORTS = ("link", "tcp", "rfc2217", "pace", "speed", "faults", "record", "trace")
"""The options that every device has, whatever it is."""
SETTLED_BY = {"snapshot": OF_NEW_DEVICES, "fleet": (*OF_NEW_DEVICES, *OF_PORTS, "devices")}
"""By the option that names a file, the options that go without it."""
RUN_DEFAULTS: dict[str, object] = {"seed": 0, "lead_fault": [], "defect": [], "devices": 1, "speed": 1.0}


def run(options: argparse.Namespace) -> None:
    """Run what is asked for until a signal or the parent's end stops it."""
    from ipg_emulator.launch import station
    from ipg_emulator.runner import Runner

    devices = _wanted(options)
    if len(devices) > 1:
        from ipg_emulator.fleet import allow_open_files

        allow_open_files(len(devices))
    stations = [station(wanted, number, len(devices), terminal.complain) for number, wanted in enumerate(devices)]
    runner = Runner(stations)
    control = _open_control(options, stations, runner)
    status = None if any(wanted.trace == "-" for wanted in devices) else _show(stations)
    if status:
        runner.watch(status)
    gc.freeze()
    gc.enable()
    kinds = [wanted.kind for wanted in devices]

    def say_ready() -> None:
        lines = [f"READY {kind} {station.port.address}" for kind, station in zip(kinds, stations, strict=True)]
        lines += [control.start()] if control else []
        print("\n".join(lines), flush=True)

    try:
        runner.run(say_ready, outlive_parent=options.outlive_parent)
    finally:
        if control:
            control.close()
        if status:
            status.end()


def _open_control(options: argparse.Namespace, stations: Sequence[Station], runner: Runner) -> ControlServer | None:
    """Let the devices be asked beside their links: over a descriptor that was handed in, and over HTTP by what is returned."""
    if options.control_fd is not None:
        from ipg_emulator.control.channel import ControlChannel

        runner.serve(ControlChannel(stations, options.control_fd))
    if options.control is None:
        return None
    from ipg_emulator.control.server import ControlServer

    control = ControlServer(stations, options.control, options.control_token)
    control.serve(runner)
    return control


def _check_together(options: argparse.Namespace) -> None:
    """Refuse options beside a file that says the same, or without what they belong to."""
    for file, settled in SETTLED_BY.items():
        said_twice = [name for name in settled if getattr(options, name) != RUN_DEFAULTS.get(name)]
        if getattr(options, file) and said_twice:
            option = f"--{said_twice[0].replace('_', '-')}"
            terminal.complain(f"{option}: the file of --{file} says that for its devices; give one of the two")
            raise SystemExit(2)
    if options.control_token and options.control is None:
        terminal.complain("--control-token goes with --control PORT; give both, or none")
        raise SystemExit(2)


def _wanted(options: argparse.Namespace) -> list[Wanted]:
    """The devices that are asked for."""
    _check_together(options)
    if options.fleet:
        from ipg_emulator.fleet_file import read_fleet

        return read_fleet(options.fleet)
    from ipg_emulator.launch import Wanted

    settings: dict[str, Any] = {name: getattr(options, name) for name in OF_PORTS}
    settings["faults"] = _plan(options)
    first = Wanted(device=_device(options), **settings)
    if options.devices == 1:
        return [first]
    from ipg_emulator.fleet import numbered

    return numbered(first, options.devices)


def _device(options: argparse.Namespace) -> NewDevice | Snapshot:
    """What the first device is, or goes on from."""
    if options.snapshot:
        from ipg_emulator.snapshot import read

        return read(options.snapshot)
    from ipg_emulator.launch import NewDevice
    from ipg_emulator.model import load

    return NewDevice(
        model=load(options.model),
        seed=options.seed,
        lead_faults=dict(options.lead_fault),
        nvm=options.nvm,
        defects=tuple(options.defect),
    )


def _plan(options: argparse.Namespace) -> FaultPlan | None:
    if options.faults is None:
        return None
    from ipg_emulator.faults.plan import load_plan

    return load_plan(options.faults)


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
