"""The blocking client: a port, a session, and a loop that runs conversations to their end."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import random
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from ipg_protocol import Message, Role
from ipg_protocol.commands.session import Session as SessionTerms

from ipg_host.conversation import Pause, Procedure, Step, resume
from ipg_host.errors import LinkLost
from ipg_host.exchange import Exchange
from ipg_host.procedures import open_session
from ipg_host.serial import Port, link_to, open_port
from ipg_host.session import Session
from ipg_host.timing import MAXIMUM_SENDS, TOTAL_TIMEOUT_US

T = TypeVar("T")

DEFAULT_TIMEOUT_SECONDS = TOTAL_TIMEOUT_US / 1_000_000


def this_host() -> int:
    """The number by which devices know this user on this machine: transactions are counted for it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        user = str(os.getuid())
    name = f"{user}@{platform.node()}"
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def first_timeout_us(timeout_seconds: float) -> int:
    """How long the first send of a request waits, so that all its sends together wait `timeout_seconds`."""
    return int(timeout_seconds * 1_000_000 / (2**MAXIMUM_SENDS - 1))


class Client:
    """A device on an open port. Requests that need a role come after `open_session`."""

    def __init__(
        self,
        port: Port,
        *,
        on_event: Callable[[Message], None] | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        host_id: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """`on_event` is called with each event; `host_id` and `rng` are for those who want the same bytes each time."""
        self._link = link_to(port)
        self._rng = rng or random.Random()
        self._host_id = this_host() if host_id is None else host_id
        self._session = Session(self._rng.random, on_event, first_timeout_us(timeout_seconds))

    @property
    def session(self) -> SessionTerms | None:
        """The terms of the open session, None when there is none."""
        return self._session.terms

    @property
    def lost(self) -> bool:
        """Whether the link is gone for good."""
        return self._session.lost

    @property
    def events_missed(self) -> int:
        """How many events went by unseen since the first session was opened here; each gap is logged as a warning."""
        return self._session.events_missed

    def open_session(self, role: Role) -> SessionTerms:
        """Open a session in `role`; one that is open is closed."""
        return self.run(open_session(role, self._host_id, self._rng.getrandbits(32)))

    def run(self, procedure: Procedure[T]) -> T:
        """Hold a conversation to its end and return what it found.

        Raises:
            IpgError: the device refused something, or the link failed.
        """
        outcome: Exchange[Any] | None = None
        with closing(procedure):
            try:
                while True:
                    outcome = self._take(resume(procedure, outcome))
            except StopIteration as end:
                return cast("T", end.value)

    def close(self) -> None:
        """Close the port. Therapy, and the session until it times out, go on."""
        self._session.lose(LinkLost("the port was closed"))
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _take(self, step: Step) -> Exchange[Any] | None:
        now = self._link.now()
        if isinstance(step, Pause):
            until = now + step.milliseconds * 1000
            while now < until and not self._session.lost:
                now = self._turn(now, until)
            return None
        exchange = self._session.request(step, now)
        try:
            while not exchange.done:
                now = self._turn(now, None)
        finally:
            if not exchange.done:
                self._session.forget(exchange, self._link.now())
                self._send()
        return exchange

    def _turn(self, now: int, until: int | None) -> int:
        """Send what is to be sent, wait for bytes, the session's next timeout, or `until`, and return the time then."""
        session, link = self._session, self._link
        wake_at = session.wake_at()
        if wake_at is None or (until is not None and until < wake_at):
            wake_at = until or now
        try:
            link.write(session.take_output())
            data = link.read(max(0, wake_at - now))
            now = link.now()
            if data:
                session.receive(data, now)
                link.write(session.take_output())
            if now >= wake_at:
                session.wake(now)
        except LinkLost as error:
            session.lose(error)
        return now

    def _send(self) -> None:
        try:
            self._link.write(self._session.take_output())
        except LinkLost as error:
            self._session.lose(error)


def connect(port: str, **options: Any) -> Client:
    """A client on a device path or a pyserial URL; `options` are those of `Client`.

    Raises:
        PortError: the port cannot be opened, or (`PortInUse`) is in use.
    """
    return Client(open_port(port), **options)
