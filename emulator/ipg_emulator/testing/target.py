"""A device that is there already, for `--ipg-target`; from outside it is seen over its control channel, where it has one."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ipg_emulator.testing.ipg import Ipg, plan_of
from ipg_emulator.testing.wanted import Wanted

if TYPE_CHECKING:
    from ipg_protocol.commands.link import Identity

    from ipg_emulator.handle import Handle

FRESH = "before-the-tests"
"""The snapshot that each test begins with."""


class Target:
    """Lends the same device to every test; where it has a control channel, each finds it as the first one did."""

    def __init__(self, port: str, control: str | None, token_file: str | None) -> None:
        self._port = port
        self._control = control
        self._token_file = token_file

    def lend(self, wanted: Wanted) -> Ipg:
        """The device, for a test that wants nothing which it is not.

        Raises:
            pytest.skip.Exception: it cannot be what is wanted.
        """
        import pytest

        if reason := self._cannot_be(wanted):
            pytest.skip(f"the device at {self._port} {reason}")
        if self.handle is not None:
            self.handle.restore(FRESH)
            for fault in plan_of(wanted.faults or ()).faults:
                self.handle.inject(fault)
        who = self.identity
        return Ipg(self._port, wanted=wanted, model=who.model, serial_number=who.serial, handle=self.handle, is_ours=False)

    @cached_property
    def handle(self) -> Handle | None:
        """The device seen from outside; None without a control channel.

        Raises:
            ConnectionError: the control channel does not answer.
            OSError: the file of its token cannot be read.
            ValueError: that file holds no token.
        """
        if self._control is None or self._token_file is None:
            return None
        from ipg_emulator.control.client import ControlUnreachable, RemoteControl
        from ipg_emulator.control.token import read_token
        from ipg_emulator.handle import Handle

        handle = Handle(RemoteControl(self._control, read_token(self._token_file)).ask)
        try:
            handle.snapshot(FRESH)
        except ControlUnreachable as error:
            raise ConnectionError(f"--ipg-control: {error}") from None
        return handle

    @cached_property
    def identity(self) -> Identity:
        """Who the device says that it is.

        Raises:
            ConnectionError: it does not say.
        """
        from ipg_host import IpgError, connect, procedures

        try:
            with connect(self._port) as client:
                return client.run(procedures.identify())
        except IpgError as error:
            raise ConnectionError(f"--ipg-target {self._port}: {error}") from None

    def _cannot_be(self, wanted: Wanted) -> str:
        """Why it is not the device that is wanted; empty if it may be."""
        if "model" in wanted.given and wanted.model != self.identity.model:
            return f"is a {self.identity.model}, and the test is for a {wanted.model}"
        if wanted.devices > 1:
            return f"is one, and the test wants {wanted.devices}"
        if wanted.faults is not None and self._control is None:
            return "cannot be given faults without --ipg-control"
        if wanted.defects:
            return "cannot be given the firmware's defects that the test wants"
        if "time" in wanted.given and wanted.time != "real":
            return f"keeps its own time, and the test wants it {wanted.time}"
        return ""
