"""A virtual device that is lent to a test: in this process, in one of its own, or elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import serial

from ipg_emulator.factory import alterations, boot_finished_at, build_device, serial_of
from ipg_emulator.handle import Handle, local, over
from ipg_emulator.model import DeviceModel, load
from ipg_emulator.ports.in_process import InProcess, Passing, offer, withdraw
from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_host import Client

    from ipg_emulator.faults.plan import FaultPlan
    from ipg_emulator.testing.nursery import Nursery
    from ipg_emulator.testing.wanted import FaultsWanted, Wanted

HANDLERS = "ipg_emulator.ports"
TEST = "test"
"""What the names of devices under test begin with."""
TEST_HOST_ID = 0x7E57
"""By which a device knows the client of a test: always the same, as its random numbers are, so that each run is the same."""
PORT_OPTIONS = {"pty": (), "tcp": ("--tcp", "0"), "rfc2217": ("--rfc2217", "0")}
SPEED_OF: dict[str | float, str] = {"real": "1", "paced": "max", "manual": "manual"}
"""What `ipg-emulator run --speed` calls a way for time to pass."""

_numbers = count(1)


class Ipg:
    """A device, its port, and a client of it."""

    def __init__(
        self,
        port: str,
        *,
        wanted: Wanted,
        model: str,
        serial_number: str,
        handle: Handle | None,
        number: int = 0,
        is_ours: bool = True,
        last_words: Callable[[], str] = str,
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self.port = port
        """What any program opens to reach the device: a path, or a pyserial URL."""
        self.wanted = wanted
        self.model = model
        self.serial_number = serial_number
        self.handle = handle
        """The device seen from outside; None where it cannot be."""
        self.number = number
        """Its place in the fleet, from 0."""
        self.is_ours = is_ours
        """Whether it was made for the test, and so can be made again."""
        self.last_words = last_words
        """What its process has printed as errors, at the end."""
        self._ending = ending
        self._client: Client | None = None

    @property
    def device(self) -> Handle:
        """The device seen from outside; where it cannot be, the test that asks is skipped."""
        if self.handle is None:
            import pytest

            pytest.skip(f"only its port is known of the device at {self.port}; --ipg-control and --ipg-token show the rest")
        return self.handle

    @property
    def client(self) -> Client:
        """A client of our host library, connected when first asked for: a program of the test's own can come in its place."""
        if self._client is None:
            from ipg_host import connect

            self._client = connect(self.port, host_id=TEST_HOST_ID, rng=Random(self.wanted.seed + self.number))
        return self._client

    def close(self) -> None:
        """Let go of the device."""
        try:
            if self._client is not None:
                self._client.close()
        finally:
            self._ending()


def in_process(wanted: Wanted, number: int) -> Ipg:
    """A device in this process, which any pyserial program in it reaches.

    Raises:
        ModelError: there is no such model.
        FaultError: there is no such fault or defect, or not for this device.
    """
    model, seed = _model(wanted.model), wanted.seed + number
    ipg = VirtualIpg(build_device(model, seed=seed, altered_by=alterations(wanted.defects)))
    started_at = boot_finished_at(model)
    if wanted.faults is not None:
        from ipg_emulator.faults.injector import Injector

        ipg.faults = Injector(ipg, plan_of(wanted.faults), device_seed=seed, now=started_at)
    device = InProcess(ipg, started_at=started_at, passing=Passing(str(wanted.pace)))
    handle = local(device)
    if HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(HANDLERS)
    name = f"{TEST}-{next(_numbers)}"
    return Ipg(
        offer(name, device),
        wanted=wanted,
        model=model.name,
        serial_number=serial_of(seed),
        handle=handle,
        number=number,
        ending=partial(withdraw, name),
    )


def own_process(wanted: Wanted, number: int, nursery: Nursery) -> Ipg:
    """A device in a process of its own, at a port for programs in any language.

    Raises:
        ModelError: there is no such model.
        FaultError: there is no such fault or defect.
        NurseryError: it did not come up.
    """
    from ipg_emulator.control.channel import Channel

    model, seed, faults = _model(wanted.model), wanted.seed + number, wanted.faults
    speed = SPEED_OF.get(wanted.pace, str(wanted.pace))
    arguments = ["run", "--model", wanted.model, "--seed", str(seed), "--speed", speed, *PORT_OPTIONS[wanted.transport]]
    if isinstance(faults, str | os.PathLike):
        arguments += ["--faults", os.fspath(faults)]
    alterations(wanted.defects)
    arguments += [word for name in wanted.defects for word in ("--defect", name)]
    with ExitStack() as unless_lent:
        process = nursery.start(arguments)
        unless_lent.callback(process.end)
        handle = over(Channel(process.control))
        if faults is not None and not isinstance(faults, str | os.PathLike):
            for fault in plan_of(faults).faults:
                handle.inject(fault)
        unless_lent.pop_all()
    return Ipg(
        process.address,
        wanted=wanted,
        model=model.name,
        serial_number=serial_of(seed),
        handle=handle,
        number=number,
        last_words=process.last_words,
        ending=process.end,
    )


def plan_of(faults: FaultsWanted) -> FaultPlan:
    """The plan that a marker asks for.

    Raises:
        FaultError: it cannot be read, or there is no such fault.
    """
    from ipg_emulator.faults.plan import load_plan, plan_from

    if isinstance(faults, str | os.PathLike):
        return load_plan(faults)
    return plan_from({"faults": list(faults)})


def _model(name_or_path: str) -> DeviceModel:
    """The model; one that is shipped is read once, for reading it takes as long as building the device."""
    return load(name_or_path) if name_or_path.endswith(".toml") else _shipped(name_or_path)


_shipped = cache(load)
