"""The asyncio client: the same conversations, several at a time.

One task reads the port, as long as somebody waits for something: when the event loop says so if the port has a descriptor,
on the loop itself where time is virtual and reading never waits, and else in a thread.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, Self, TypeVar, cast

from ipg_protocol import Message, Role
from ipg_protocol.commands.session import Session as SessionTerms

from ipg_host.client import DEFAULT_TIMEOUT_SECONDS, first_timeout_us, this_host
from ipg_host.conversation import Pause, Procedure, Step, resume
from ipg_host.errors import LinkLost
from ipg_host.exchange import Exchange
from ipg_host.procedures import open_session
from ipg_host.serial import Port, link_to, open_port
from ipg_host.session import Session

T = TypeVar("T")


class AsyncClient:
    """A device on an open port, for use in one running event loop."""

    def __init__(
        self,
        port: Port,
        *,
        on_event: Callable[[Message], None] | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        host_id: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """As for `Client`; what `on_event` raises goes to the event loop's exception handler."""
        self._link = link_to(port)
        self._rng = rng or random.Random()
        self._host_id = this_host() if host_id is None else host_id
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._session = Session(self._rng.random, self._deliver, first_timeout_us(timeout_seconds))
        self._waiting: dict[asyncio.Future[None], int | None] = {}
        """What is awaited, and for a pause until when."""
        self._stirred = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

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

    async def open_session(self, role: Role) -> SessionTerms:
        """Open a session in `role`; one that is open is closed."""
        return await self.run(open_session(role, self._host_id, self._rng.getrandbits(32)))

    async def run(self, procedure: Procedure[T]) -> T:
        """Hold a conversation to its end and return what it found. Cancelled, it sends only an ABORT of what it waits for.

        Raises:
            IpgError: the device refused something, or the link failed.
        """
        outcome: Exchange[Any] | None = None
        with closing(procedure):
            try:
                while True:
                    outcome = await self._take(resume(procedure, outcome))
            except StopIteration as end:
                return cast("T", end.value)

    async def close(self) -> None:
        """Close the port, which ends what is under way. Therapy, and the session until it times out, go on."""
        self._session.lose(LinkLost("the port was closed"))
        self._stirred.set()
        if self._pump is not None:
            await asyncio.wait([self._pump])
        self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _deliver(self, event: Message) -> None:
        if self._on_event is not None:
            self._loop.call_soon(self._on_event, event)

    async def _take(self, step: Step) -> Exchange[Any] | None:
        now = self._link.now()
        over: asyncio.Future[None] = self._loop.create_future()
        if isinstance(step, Pause):
            if not self._session.lost:
                await self._wait(over, now + step.milliseconds * 1000)
            return None
        exchange = self._session.request(step, now, partial(_settle, over))
        self._send()
        try:
            if not exchange.done:
                await self._wait(over, None)
        finally:
            if not exchange.done:
                self._session.forget(exchange, self._link.now())
                self._send()
        return exchange

    async def _wait(self, over: asyncio.Future[None], until: int | None) -> None:
        self._waiting[over] = until
        self._stirred.set()
        if self._pump is None or self._pump.done():
            self._pump = self._loop.create_task(self._read())
        try:
            await over
        finally:
            del self._waiting[over]
            self._stirred.set()

    async def _read(self) -> None:
        """The pump: the only one who reads, as long as anything is awaited."""
        descriptor = self._link.descriptor
        if descriptor is not None:
            self._loop.add_reader(descriptor, self._stirred.set)
        try:
            while self._waiting:
                await self._turn()
                await asyncio.sleep(0)  # Those whose wait is over go on first.
        except Exception as error:
            for over in self._waiting:
                if not over.done():
                    over.set_exception(error)
        finally:
            if descriptor is not None:
                self._loop.remove_reader(descriptor)

    async def _turn(self) -> None:
        """Deal with the bytes that come, the session's next timeout, or the end of a pause."""
        times = [time for time in (self._session.wake_at(), *self._waiting.values()) if time is not None]
        now = self._link.now()
        try:
            data = await self._arrived(max(0, min(times, default=now) - now))
            now = self._link.now()
            if data:
                self._session.receive(data, now)
            self._session.wake(now)
        except LinkLost as error:
            self._session.lose(error)
        self._send()
        for over, until in self._waiting.items():
            if until is not None and (now >= until or self._session.lost):
                _settle(over)

    async def _arrived(self, timeout_us: int) -> bytes:
        if self._link.virtual:
            return self._link.read(timeout_us)
        if self._link.descriptor is None:
            return await self._loop.run_in_executor(None, self._link.read, timeout_us)
        timer = self._loop.call_later(timeout_us / 1_000_000, self._stirred.set)
        await self._stirred.wait()
        timer.cancel()
        self._stirred.clear()
        return self._link.read(0)

    def _send(self) -> None:
        try:
            self._link.write(self._session.take_output())
        except LinkLost as error:
            self._session.lose(error)


def _settle(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def connect(port: str, **options: Any) -> AsyncClient:
    """A client on a device path or a pyserial URL; `options` are those of `AsyncClient`.

    Raises:
        PortError: the port cannot be opened, or (`PortInUse`) is in use.
    """
    return AsyncClient(open_port(port), **options)
