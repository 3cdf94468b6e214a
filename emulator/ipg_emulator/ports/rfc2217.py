"""RFC 2217: a serial port over TCP with its settings, spoken by pyserial's own `PortManager`. The settings change nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, cast

from serial import EIGHTBITS, PARITY_NONE, STOPBITS_ONE, rfc2217

from ipg_emulator.ports.tcp import Plain


class _Line:
    """The serial port that the client believes it sets up: it takes every setting, and its modem lines are up."""

    baudrate = 115_200
    bytesize = EIGHTBITS
    parity = PARITY_NONE
    stopbits = STOPBITS_ONE
    xonxoff = rtscts = dtr = rts = break_condition = False
    cts = dsr = cd = True
    ri = False

    def reset_input_buffer(self) -> None:
        """Nothing is buffered here."""

    def reset_output_buffer(self) -> None:
        """Nothing is buffered here."""


class _Replies:
    """Where the manager writes its side of the negotiation."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write


class Telnet(Plain):
    """One connection's bytes in RFC 2217's clothing."""

    scheme = "rfc2217"

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__(write)
        manager: Any = cast("Any", rfc2217).PortManager(_Line(), _Replies(write))
        self._strip = cast("Callable[[bytes], Iterable[bytes]]", manager.filter)
        self._escape = cast("Callable[[bytes], Iterable[bytes]]", manager.escape)

    def decode(self, data: bytes) -> bytes:
        try:
            return b"".join(self._strip(data))
        except struct.error as error:  # pyserial's manager takes a setting's size on trust
            raise ConnectionError("a malformed RFC 2217 setting") from error

    def encode(self, data: bytes) -> bytes:
        return b"".join(self._escape(data))
