"""Ports: opens what a device is reached by, whatever pyserial knows or another package adds to it."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import serial

POLL_SECONDS = 0.02
WRITE_SECONDS = 5.0
READ_BYTES = 4096
REOPENING_SECONDS = 0.5


class Unreachable(Exception):
    """The port cannot be opened, is gone, or nothing on it answers."""


class Port(Protocol):
    """What the tester needs of a pyserial port.

    A port may also have `monotonic()`, its own clock in seconds, and `virtual`, whether waiting on it costs no real time.
    """

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


def clock_of(port: Port) -> Callable[[], float]:
    """The seconds that pass on a port: its own, or those of this computer."""
    return cast("Callable[[], float]", getattr(port, "monotonic", time.monotonic))


def reopen_port(url: str, within: float) -> Port:
    """Open a port as soon as it is there again.

    Raises:
        Unreachable: it did not come back in time.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return open_port(url)
        except Unreachable:
            if time.monotonic() >= deadline:
                raise
        time.sleep(REOPENING_SECONDS)


def open_port(url: str) -> Port:
    """Open a device path or any pyserial URL, `ipg://MODEL?seed=1` among them.

    Raises:
        Unreachable: it cannot be opened.
    """
    untyped: Any = serial
    if "ipg_emulator.ports" not in untyped.protocol_handler_packages:
        untyped.protocol_handler_packages.append("ipg_emulator.ports")
    try:
        port = untyped.serial_for_url(url, timeout=POLL_SECONDS, write_timeout=WRITE_SECONDS, **_alone(url))
        if url.startswith("socket://"):
            port = SocketPort(url, port)
    except (OSError, ValueError, ImportError) as error:
        raise Unreachable(f"cannot be opened: {_why(error)}") from error
    return cast("Port", port)


def _alone(url: str) -> dict[str, bool]:
    """Two runs at once on one serial port would each take answers from the other, and blame the device."""
    return {} if "://" in url else {"exclusive": True}


def _why(error: Exception) -> str:
    if "Could not configure port" in str(error):
        return "it is no serial port"
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    return "another program has it open" if error.errno == errno.EWOULDBLOCK else os.strerror(error.errno)


class SocketPort:
    """A `socket://` port of pyserial that sends each write at once, and reads all that is there.

    pyserial leaves Nagle's algorithm on, which holds a second small write back for 40 ms; and it tells of one byte at a time.
    """

    in_waiting = 0

    def __init__(self, url: str, opened: Any) -> None:
        self.port = url
        self.timeout: float | None = None
        self._opened = opened
        with socket.socket(fileno=os.dup(opened.fileno())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, size: int = 1, /) -> bytes:
        """What there is as soon as there is something, however much was asked for; nothing when the time is over."""
        if not select.select([self._opened], [], [], self.timeout)[0]:
            return b""
        if not (data := os.read(self._opened.fileno(), max(size, READ_BYTES))):
            raise ConnectionResetError("the other side has closed the connection")
        return data

    def write(self, data: bytes, /) -> int | None:
        return cast("int | None", self._opened.write(data))

    def close(self) -> None:
        self._opened.close()
