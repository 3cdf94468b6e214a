"""The device in this process, for any pyserial program: `serial.serial_for_url("ipg://MODEL?seed=1")`.

pyserial finds this module once a program has put `ipg_emulator.ports` on `serial.protocol_handler_packages`. Time is the
device's own: it moves on only while `read` waits, and a wait costs no real time.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from serial import PortNotOpenError, SerialBase, SerialException

from ipg_emulator.clock import advance
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.lead import LEAD_FAULTS, LeadFaultError
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import ModelError, load
from ipg_emulator.surroundings import PresentSurroundings
from ipg_emulator.virtual import VirtualIpg

LONGEST_READ_US = 3_600_000_000
_OPTIONS = ("seed", *LEAD_FAULTS, "time")


class Serial(SerialBase):  # type: ignore[misc] # pyserial is untyped
    """A virtual device behind pyserial's interface.

    `ipg` is the device, `firmware` what runs on it, `monotonic` its clock, `surroundings` what happens round it, at the port's
    present time.
    """

    _port: str | None
    _timeout: float | None

    def open(self) -> None:
        """Power the device on.

        Raises:
            SerialException: the URL names no model, or an option that does not exist.
        """
        if self._port is None:
            raise SerialException("no URL was given; expected ipg://MODEL?seed=1")
        url = urlsplit(self._port)
        options = dict(parse_qsl(url.query))
        unknown = sorted(set(options) - set(_OPTIONS))
        if unknown:
            raise SerialException(f"{self._port}: unknown option {', '.join(unknown)}; known: {', '.join(_OPTIONS)}")
        if options.get("time", "virtual") not in ("virtual", "real"):
            raise SerialException(f"{self._port}: time is virtual or real, not {options['time']}")
        try:
            model = load(url.netloc + url.path)
            faults = {int(c): kind for kind in LEAD_FAULTS for c in options.get(kind, "").split(",") if c}
            firmware = build_device(model, seed=int(options.get("seed", "0")), lead_faults=faults)
        except (ModelError, LeadFaultError, ValueError) as error:
            raise SerialException(f"{self._port}: {error}") from error
        self._now = boot_finished_at(model)
        self._real_origin = time.monotonic_ns() // 1000 - self._now if options.get("time") == "real" else None
        self._received = bytearray()
        self.ipg = VirtualIpg(firmware)
        self.surroundings = PresentSurroundings(self.ipg, self.present)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    @property
    def firmware(self) -> Firmware:
        return self.ipg.firmware

    @property
    def virtual(self) -> bool:
        """Whether time stands still but for `read`."""
        return self._real_origin is None

    def monotonic(self) -> float:
        """The device's time in seconds."""
        self._follow_real_time()
        return self._now / 1_000_000

    def present(self) -> int:
        """Bring the device up to the present, in microseconds of its time."""
        self._follow_real_time()
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass, deadline by deadline: a year in one step gives what many small steps give."""
        self._move_to(self._now + round(seconds * 1_000_000))

    @property
    def in_waiting(self) -> int:
        self._check_open()
        self._follow_real_time()
        return len(self._received)

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes; waits for them as long as the port's timeout, in the device's time.

        Raises:
            SerialException: without a timeout, when nothing comes for an hour of the device's time.
        """
        self._check_open()
        self._follow_real_time()
        limit = LONGEST_READ_US if self._timeout is None else round(self._timeout * 1_000_000)
        deadline = self._now + limit
        while len(self._received) < size and self._now < deadline:
            wake_at = self.ipg.wake_at()
            self._move_to(deadline if wake_at is None else min(deadline, max(wake_at, self._now)))
        if self._timeout is None and len(self._received) < size:
            raise SerialException("read without a timeout, and nothing came for an hour of the device's time")
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def write(self, b: Any, /) -> int:
        self._check_open()
        self._follow_real_time()
        self.ipg.receive(bytes(b), self._now)
        self._received += self.ipg.take_output(self._now)
        return len(b)

    def reset_input_buffer(self) -> None:
        self._check_open()
        self._received.clear()

    def reset_output_buffer(self) -> None:
        self._check_open()

    def flush(self) -> None:
        self._check_open()

    def _reconfigure_port(self) -> None:
        """Baud rate and the like change nothing."""

    def _check_open(self) -> None:
        if not self.is_open:
            raise PortNotOpenError

    def _follow_real_time(self) -> None:
        if self._real_origin is not None:
            self._move_to(time.monotonic_ns() // 1000 - self._real_origin)
        self._received += self.ipg.take_output(self._now)

    def _move_to(self, now: int) -> None:
        if self._real_origin is not None:
            time.sleep(max(0, now + self._real_origin - time.monotonic_ns() // 1000) / 1_000_000)
        for at, said in advance(self.ipg, self._now, now):
            self._now = at
            self._received += said
        self._now = max(self._now, now)
        self.ipg.wake(self._now)
        self._received += self.ipg.take_output(self._now)
