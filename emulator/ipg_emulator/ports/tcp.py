"""A TCP port on loopback for one client at a time; a second is told so and sent away."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from selectors import EVENT_READ, BaseSelector

from ipg_protocol import encode_frame, event_frame
from ipg_protocol.commands.session import ClosingReason, SessionClosing

from ipg_emulator.ports import READ_BYTES, Immediate, PortError
from ipg_emulator.ports.queue import OutputQueue

LOOPBACK = "127.0.0.1"
_PORT_IN_USE = encode_frame(event_frame(SessionClosing(ClosingReason.PORT_IN_USE), 0))


class Plain:
    """What a connection carries, as it is."""

    scheme = "socket"

    def __init__(self, _write: Callable[[bytes], object]) -> None:
        """A dialect may `_write` bytes of its own; this one has none."""

    def decode(self, data: bytes) -> bytes:
        return data

    def encode(self, data: bytes) -> bytes:
        return data


class TcpPort(Immediate):
    """Reached by pyserial's `socket://` URLs, or by those of another dialect. Port 0 takes any that is free."""

    def __init__(self, port: int, dialect: type[Plain] = Plain) -> None:
        """Listen.

        Raises:
            PortError: the port is in use or not allowed.
        """
        self._dialect = dialect
        try:
            self._listener = socket.create_server((LOOPBACK, port))
        except OSError as error:
            raise PortError(f"cannot listen on {LOOPBACK}:{port}: {error.strerror}; 0 takes any free port") from None
        self._listener.setblocking(False)
        self._client: socket.socket | None = None

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{self._dialect.scheme}://{host}:{port}"

    def open(self, selector: BaseSelector, owner: object) -> None:
        self._selector = selector
        self._owner = owner
        selector.register(self._listener, EVENT_READ, (owner, self._listener))

    def receive(self, ready: object, _now: int, /) -> bytes:
        if self._client is None:
            self._accept()
            return b""
        data = self._read(self._client)
        if data is None and ready is self._listener:
            self._send_away()
        return data or b""

    def _read(self, client: socket.socket) -> bytes | None:
        """What the client has sent; None when it has sent nothing. One that has left is dropped."""
        try:
            self._queue.flush()
            data = client.recv(READ_BYTES)
            if data:
                return self._connection.decode(data)
        except BlockingIOError:
            return None
        except OSError:
            pass
        self._drop_client()
        return b""

    def send(self, data: bytes, _now: int, /) -> bool:
        return self._client is None or self._write(self._connection.encode(data))

    def _write(self, data: bytes) -> bool:
        try:
            return self._queue.send(data)
        except OSError:
            self._drop_client()
            return True

    def close(self) -> None:
        self._drop_client()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._client = client
            key = (self._owner, client)
            self._selector.register(client, EVENT_READ, key)
            self._queue = OutputQueue(client.fileno(), self._selector, key)
            self._connection = self._dialect(self._write)

    def _send_away(self) -> None:
        """Tell a second client why it gets nothing."""
        with suppress(OSError):
            client, _ = self._listener.accept()
            with client:
                client.send(_PORT_IN_USE)

    def _drop_client(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
