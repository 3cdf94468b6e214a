"""A TCP port on loopback for one client at a time; a second is told so and sent away."""

from __future__ import annotations

import socket
from contextlib import suppress
from selectors import EVENT_READ, BaseSelector

from ipg_protocol import encode_frame, event_frame
from ipg_protocol.commands.session import ClosingReason, SessionClosing

from ipg_emulator.ports import Immediate, PortError
from ipg_emulator.ports.queue import OutputQueue

LOOPBACK = "127.0.0.1"
READ_BYTES = 4096
_PORT_IN_USE = encode_frame(event_frame(SessionClosing(ClosingReason.PORT_IN_USE), 0))


class TcpPort(Immediate):
    """Reached by pyserial's `socket://` URLs. Port 0 takes any that is free."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self._wanted = (host, port)
        self._client: socket.socket | None = None

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"socket://{host}:{port}"

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
            raise PortError(f"--tcp {port}: cannot listen on {host}:{port}: {error.strerror}; 0 takes any free port") from None
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
        return data

    def send(self, data: bytes, _now: int, /) -> None:
        if self._client is None:
            return
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

    def _drop_client(self) -> None:
        if self._client is not None:
            self._selector.unregister(self._client)
            self._client.close()
            self._client = None
