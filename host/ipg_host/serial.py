"""Opening ports and moving bytes: any pyserial port or URL. The only module that knows pyserial, and the clock."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import serial

from ipg_host.errors import LinkLost, PortError, PortInUse

_serial: Any = serial

_READ_SLICE_SECONDS = 0.05
_READ_SIZE = 4096
_NETWORK_SCHEMES = ("socket", "rfc2217")


class Port(Protocol):
    """What is used of a pyserial port."""

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...
    def read(self, size: int = 1, /) -> bytes: ...
    def write(self, data: bytes, /) -> int | None: ...
    def close(self) -> None: ...


class Link(Protocol):
    """Bytes in, bytes out, and the time that goes with them. `LinkLost` is raised when the port is gone."""

    @property
    def descriptor(self) -> int | None:
        """What an event loop may watch for input; None when the port has no such thing."""
        ...

    @property
    def virtual(self) -> bool:
        """Whether time stands still but for `read`, which then never waits."""
        ...

    def now(self) -> int:
        """The time in microseconds."""
        ...

    def read(self, timeout_us: int) -> bytes:
        """What has arrived, waiting for it up to a time; empty when nothing came, perhaps sooner."""
        ...

    def write(self, data: bytes) -> None:
        """Send; nothing when there is nothing."""
        ...

    def close(self) -> None:
        """Close the port."""
        ...


class DescriptorLink:
    """A port read and written through its descriptor: pyserial's own read costs more than a device's answer takes."""

    virtual = False

    def __init__(self, port: Port) -> None:
        self._port = port
        self._fileno = self.descriptor = cast("int", cast("Any", port).fileno())
        self._poll = select.poll()
        self._poll.register(self._fileno, select.POLLIN)

    def now(self) -> int:
        return time.monotonic_ns() // 1000

    def read(self, timeout_us: int) -> bytes:
        try:
            if not self._poll.poll(timeout_us / 1000):
                return b""
            data = os.read(self._fileno, _READ_SIZE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _lost(error) from error
        if not data:
            raise LinkLost("the device closed the connection")
        return data

    def write(self, data: bytes) -> None:
        if not data:
            return
        try:
            os.write(self._fileno, data)
        except BlockingIOError:
            return  # A line that is full loses the frame, as a bad line would; the session's retry sends it again.
        except OSError as error:
            raise _lost(error) from error

    def close(self) -> None:
        self._port.close()


class PortLink:
    """Any other port, through pyserial's interface; one with a clock of its own (`monotonic`) is run on that clock."""

    descriptor = None

    def __init__(self, port: Port) -> None:
        self._port = port
        self.virtual = bool(getattr(port, "virtual", hasattr(port, "monotonic")))
        self._monotonic = getattr(port, "monotonic", time.monotonic)
        self._port.timeout = _READ_SLICE_SECONDS

    def now(self) -> int:
        return int(self._monotonic() * 1_000_000)

    def read(self, timeout_us: int) -> bytes:
        # Elsewhere the slice stays as it is: to set the timeout of an rfc2217 port is a negotiation over the network.
        if self.virtual:
            self._port.timeout = timeout_us / 1_000_000
        try:
            data = self._port.read(1)
            waiting = self._port.in_waiting if data else 0
            return data + self._port.read(waiting) if waiting else data
        except OSError as error:
            raise _lost(error) from error

    def write(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._port.write(data)
        except OSError as error:
            raise _lost(error) from error

    def close(self) -> None:
        self._port.close()


def _lost(error: OSError) -> LinkLost:
    return LinkLost(f"the port is gone: {os.strerror(error.errno) if error.errno else error}")


def _send_at_once(descriptor: int) -> None:
    """Switch off the wait for more to send (Nagle's), which holds small frames back for 40 ms."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def link_to(port: Port) -> Link:
    """The quickest way to move bytes through an open port."""
    kind = type(port)
    is_socket = kind.__module__ == "serial.urlhandler.protocol_socket"
    reads_plainly = kind is _serial.Serial or is_socket
    if is_socket and os.name == "posix":
        _send_at_once(cast("Any", port).fileno())
    return DescriptorLink(port) if os.name == "posix" and reads_plainly else PortLink(port)


def open_port(name: str) -> Port:
    """Open a device path or a pyserial URL, `ipg://` included where the emulator is installed.

    Raises:
        PortInUse: another program holds the port.
        PortError: it cannot be opened.
    """
    _check_address(name)
    if "ipg_emulator.ports" not in _serial.protocol_handler_packages:
        _serial.protocol_handler_packages.append("ipg_emulator.ports")
    options = {} if "://" in name else {"exclusive": True}
    try:
        return cast("Port", _serial.serial_for_url(name, baudrate=115_200, timeout=_READ_SLICE_SECONDS, **options))
    except (OSError, ValueError) as error:
        raise _not_opened(name, error) from error


def _check_address(name: str) -> None:
    scheme, separator, _ = name.partition("://")
    if not separator or scheme not in _NETWORK_SCHEMES:
        return
    url = urlsplit(name)
    try:
        complete = bool(url.hostname and url.port)
    except ValueError:  # the port is no number, or too great a one
        complete = False
    if not complete:
        raise PortError(f"cannot open {name}: write it as {scheme}://HOST:PORT, such as {scheme}://127.0.0.1:5000")


def _not_opened(name: str, error: OSError | ValueError) -> PortError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY):
        return PortInUse(f"{name} is in use by another program")
    if "://" in name:
        return PortError(f"cannot open {name}: {error}")
    if Path(name).is_dir():
        return PortError(f"cannot open {name}: it is a directory, not a serial port")
    if Path(name).is_file():
        return PortError(f"cannot open {name}: it is a file, not a serial port")
    return PortError(f"cannot open {name}: {os.strerror(number) if number else error}")
