"""A second client of the port through which the suite talks to the device; not pyserial's, which flushes what it was told."""

from __future__ import annotations

import socket
from contextlib import suppress
from urllib.parse import urlsplit

from ipg_conformance.expect import Failure, OutOfReach
from ipg_conformance.port import Unreachable

SCHEME = "socket"
TOLD_SECONDS = 2.0
READ_BYTES = 4096


class SecondClient:
    """A connection beside the one that is there."""

    def __init__(self, url: str) -> None:
        """Connect.

        Raises:
            OutOfReach: a port of this kind is not opened twice.
            Unreachable: it cannot be.
        """
        place = urlsplit(url)
        if place.scheme != SCHEME:
            raise OutOfReach(f"a second client takes a port that can be opened twice: a {SCHEME}:// URL")
        try:
            self._connection = socket.create_connection((place.hostname, place.port), timeout=TOLD_SECONDS)
        except OSError as error:
            raise Unreachable(f"cannot be opened a second time: {error}") from error

    def __enter__(self) -> SecondClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def send(self, data: bytes) -> None:
        """Send bytes, unless the device has hung up already."""
        with suppress(OSError):
            self._connection.sendall(data)

    def heard_to_the_end(self) -> bytes:
        """All that it is told before it is disconnected.

        Raises:
            Failure: it is not disconnected.
        """
        heard = b""
        try:
            while data := self._connection.recv(READ_BYTES):
                heard += data
        except TimeoutError:
            expected = f"the end of the connection within {TOLD_SECONDS:g} s"
            raise Failure(
                "a second client is disconnected", expected=expected, got=f"{len(heard)} bytes, and silence"
            ) from None
        except OSError:
            pass  # a connection that is reset has ended too
        return heard
