"""The connection that a command is carried out over, with the session that it needs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from ipg_protocol import Message

from ipg_host.client import Client, connect
from ipg_host.errors import IpgError, LinkError
from ipg_host.procedures import close_session


@contextmanager
def connection(port: str, timeout_seconds: float, on_event: Callable[[Message], None] | None = None) -> Generator[Client]:
    """A client; its session is closed at the end, however that comes, but for a link that failed: nobody would answer."""
    with connect(port, timeout_seconds=timeout_seconds, on_event=on_event) as client:
        answering = True
        try:
            yield client
        except LinkError:
            answering = False
            raise
        finally:
            if answering and client.session is not None:
                with suppress(IpgError):
                    client.run(close_session())
