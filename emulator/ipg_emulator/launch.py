"""Puts a device at its port, as the command line or a fleet's file asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec

from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_emulator.board.assembly import VirtualBoard
    from ipg_emulator.faults.plan import FaultPlan
    from ipg_emulator.model import DeviceModel
    from ipg_emulator.ports import Port
    from ipg_emulator.runner import Station
    from ipg_emulator.snapshot import Snapshot

NETWORK_KINDS = ("tcp", "rfc2217")
CAPTURE_SUFFIX = ".pcapng"
LIVE_TRACE = "-"
"""In place of a path: as lines of text on standard error."""


class NewDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device as from the factory, or on what is stored in the file of its flash."""

    model: DeviceModel
    seed: int = 0
    lead_faults: Mapping[int, str] = {}
    nvm: str | None = None
    defects: Sequence[str] = ()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A device that is asked for: what it is or goes on from, where it is reached, and what is kept of it."""

    device: NewDevice | Snapshot
    link: str | None = None
    tcp: int | None = None
    rfc2217: int | None = None
    pace: int | None = None
    """The baud rate that the line is held to."""
    speed: float = 1.0
    faults: FaultPlan | None = None
    record: str | None = None
    trace: str | None = None

    @property
    def kind(self) -> str:
        """The kind of its port, as the READY line says it."""
        return next((kind for kind in NETWORK_KINDS if getattr(self, kind) is not None), "pty")

    @property
    def seed(self) -> int:
        """What all its randomness comes from, as far as it is known."""
        if isinstance(self.device, NewDevice):
            return self.device.seed
        from ipg_emulator.factory import seed_of

        return seed_of(self.device.serial)


def station(wanted: Wanted, number: int, devices: int, tell: Callable[[str], None]) -> Station:
    """A device that is asked for, at its port, the `number`th of so many; `tell` is told what it had to recover from.

    Raises:
        ModelError, LeadFaultError, FaultError, SnapshotError, ImageError, PortError: it cannot be had so; says why.
        OSError: a file cannot be written.
    """
    from ipg_emulator.runner import Station

    ipg, started_at = _made(wanted.device, tell) if isinstance(wanted.device, NewDevice) else _gone_on(wanted.device)
    if wanted.faults:
        _plan(ipg, wanted.faults, wanted.seed, started_at, label_of(number, devices))
    if wanted.record:
        from ipg_emulator.recording import SegmentFile

        board = cast("VirtualBoard", ipg.firmware.board)
        board.output.listeners.append(SegmentFile(wanted.record, ipg.firmware.model.name))
    if wanted.trace:
        from ipg_emulator.tracing import trace_to

        trace_to(ipg, wanted.trace, seed=wanted.seed, label=label_of(number, devices))
    return Station(ipg, _port(wanted), started_at=started_at, speed=wanted.speed)


def label_of(number: int, devices: int) -> str:
    """What the lines about a device begin with, among those about others."""
    return f"[{number}] " if devices > 1 else ""


def _plan(ipg: VirtualIpg, faults: FaultPlan, seed: int, now: int, label: str) -> None:
    """Put the faults of a plan on a device, beside those that it has from a snapshot."""
    from ipg_emulator.faults.fault import FaultError
    from ipg_emulator.faults.injector import injector_of

    try:
        injector_of(ipg, now).plan(faults, seed, now)
    except FaultError as error:
        raise FaultError(f"{label}{error}") from None


def _made(device: NewDevice, tell: Callable[[str], None]) -> tuple[VirtualIpg, int]:
    from ipg_emulator.factory import alterations, boot_finished_at, build_device

    altered_by = alterations(device.defects)
    build = partial(build_device, device.model, seed=device.seed, lead_faults=device.lead_faults, altered_by=altered_by)
    if device.nvm is None:
        return VirtualIpg(build()), boot_finished_at(device.model)
    from ipg_emulator.image import build_on_image

    return VirtualIpg(build_on_image(device.nvm, build, tell)), boot_finished_at(device.model)


def _gone_on(snapshot: Snapshot) -> tuple[VirtualIpg, int]:
    from ipg_emulator.snapshot import fork

    return fork(snapshot)


def _port(wanted: Wanted) -> Port:
    port = port_at(wanted.link, wanted.tcp, wanted.rfc2217)
    if wanted.pace is None:
        return port
    from ipg_emulator.ports.pacing import PacedPort

    return PacedPort(port, wanted.pace)


def port_at(link: str | None, tcp: int | None, rfc2217: int | None) -> Port:
    """The port asked for: on a TCP port of one of two kinds, or else a PTY, with a link to it if a path is given."""
    if rfc2217 is not None:
        from ipg_emulator.ports.rfc2217 import Telnet
        from ipg_emulator.ports.tcp import TcpPort

        return TcpPort(rfc2217, Telnet)
    if tcp is not None:
        from ipg_emulator.ports.tcp import TcpPort

        return TcpPort(tcp)
    from ipg_emulator.ports.pty import PtyPort

    return PtyPort(link)
