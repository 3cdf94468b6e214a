"""A TCP port on loopback for one client at a time; a second is told so and sent away."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, BaseSelector

from ipg_protocol import encode_frame, event_frame
from ipg_protocol.commands.session import ClosingReason, SessionClosing

from ipg_emulator.ports import Immediate, PortError
from ipg_emulator.ports.queue import OutputQueue

LOOPBACK = "127.0.0.1"
READ_BYTES = 4096
_PORT_IN_USE = encode_frame(event_frame(SessionClosing(ClosingReason.PORT_IN_USE), 0))


class Plain:
    """What a connection carries, as it is."""

    scheme = "socket"

    def __init__(self, _write: Callable[[bytes], None]) -> None:
        """A dialect may `_write` bytes of its own; this one has none."""

    def decode(self, data: bytes) -> bytes:
        return data

    def encode(self, data: bytes) -> bytes:
        return data


class TcpPort(Immediate):
    """Reached by pyserial's `socket://` URLs, or by those of another dialect. Port 0 takes any that is free."""

    def __init__(self, port: int, dialect: type[Plain] = Plain) -> None:
        self._wanted = (LOOPBACK, port)
        self._dialect = dialect
        self._client: socket.socket | None = None

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{self._dialect.scheme}://{host}:{port}"

    def open(self, selector: BaseSelector) -> None:
        """Listen.

        Raises:
            PortError: the port is in use or not allowed.
        """
        self._selector = selector
        try:
            self._listener = socket.create_server(self._wanted)
        except OSError as error:
            host, port = self._wanted
            raise PortError(f"cannot listen on {host}:{port}: {error.strerror}; 0 takes any free port") from None
        self._listener.setblocking(False)
        selector.register(self._listener, EVENT_READ, self._listener)

    def receive(self, ready: object, _now: int, /) -> bytes:
        if ready is self._listener:
            self._accept()
            return b""
        client = self._client
        if client is None:
            return b""
        try:
            self._queue.flush()
            data = client.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop_client()
            return b""
        return self._connection.decode(data)

    def send(self, data: bytes, _now: int, /) -> None:
        if self._client is not None:
            self._write(self._connection.encode(data))

    def _write(self, data: bytes) -> None:
        try:
            self._queue.send(data)
        except OSError:
            self._drop_client()

    def close(self) -> None:
        self._drop_client()
        self._selector.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        client.setblocking(False)
        if self._client is not None:
            with suppress(OSError):
                client.send(_PORT_IN_USE)
            client.close()
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._selector.register(client, EVENT_READ, client)
        self._queue = OutputQueue(client.fileno(), self._selector, client)
        self._connection = self._dialect(self._write)

    def _drop_client(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
