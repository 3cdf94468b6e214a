"""The asyncio client: the same conversations, several at a time.

A port with a descriptor is watched by the event loop. Any other is read only while somebody waits for something: in a
thread, or on the loop itself where time is virtual and reading never waits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
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
        """As for `Client`."""
        self._link = link_to(port)
        self._rng = rng or random.Random()
        self._host_id = this_host() if host_id is None else host_id
        self._session = Session(self._rng.random, on_event, first_timeout_us(timeout_seconds))
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._reading = asyncio.Lock()
        if self._link.descriptor is not None:
            self._loop.add_reader(self._link.descriptor, self._readable)

    @property
    def session(self) -> SessionTerms | None:
        """The terms of the open session, None when there is none."""
        return self._session.terms

    async def open_session(self, role: Role) -> SessionTerms:
        """Open a session in `role`; one that is open is closed."""
        return await self.run(open_session(role, self._host_id, self._rng.getrandbits(32)))

    async def run(self, procedure: Procedure[T]) -> T:
        """Hold a conversation to its end and return what it found.

        Raises:
            IpgError: the device refused something, or the link failed.
        """
        outcome: Exchange[Any] | None = None
        try:
            while True:
                outcome = await self._take(resume(procedure, outcome))
        except StopIteration as end:
            return cast("T", end.value)

    async def close(self) -> None:
        """Close the port. Therapy, and the session until it times out, go on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._link.descriptor is not None:
            self._loop.remove_reader(self._link.descriptor)
        async with self._reading:
            self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _take(self, step: Step) -> Exchange[Any] | None:
        if isinstance(step, Pause):
            await self._pause(step.milliseconds)
            return None
        done = asyncio.Event()
        exchange = self._session.request(step, self._link.now(), done.set)
        self._flush()
        if self._link.descriptor is None:
            await self._read_until(done.is_set)
        else:
            await done.wait()
        return exchange

    async def _pause(self, milliseconds: int) -> None:
        if not self._link.virtual:
            await asyncio.sleep(milliseconds / 1000)
            return
        until = self._link.now() + milliseconds * 1000
        await self._read_until(lambda: self._session.lost or self._link.now() >= until, until)

    async def _read_until(self, over: Callable[[], bool], until: int | None = None) -> None:
        """Read until something is over, taking turns with others who wait."""
        while not over():
            async with self._reading:
                if not over():
                    await self._read(until)

    async def _read(self, until: int | None) -> None:
        times = [time for time in (self._session.wake_at(), until) if time is not None]
        timeout_us = max(0, min(times) - self._link.now())
        try:
            if self._link.virtual:
                data = self._link.read(timeout_us)
                await asyncio.sleep(0)
            else:
                data = await self._loop.run_in_executor(None, self._link.read, timeout_us)
        except LinkLost as error:
            self._lose(error)
        else:
            self._receive(data)

    def _readable(self) -> None:
        try:
            data = self._link.read(0)
        except LinkLost as error:
            self._lose(error)
        else:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        now = self._link.now()
        if data:
            self._session.receive(data, now)
        self._session.wake(now)
        self._flush()

    def _flush(self) -> None:
        try:
            self._link.write(self._session.take_output())
        except LinkLost as error:
            self._lose(error)
        if self._link.descriptor is not None:
            self._set_timer()

    def _set_timer(self) -> None:
        """Wake the session when it asks for it; a timer that fires too early finds out by itself."""
        wake_at = self._session.wake_at()
        if wake_at is None:
            return
        when = self._loop.time() + (wake_at - self._link.now()) / 1_000_000
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        self._receive(b"")

    def _lose(self, error: LinkLost) -> None:
        self._session.lose(error)
        if self._link.descriptor is not None:
            self._loop.remove_reader(self._link.descriptor)


async def connect(port: str, **options: Any) -> AsyncClient:
    """A client on a device path or a pyserial URL; `options` are those of `AsyncClient`.

    Raises:
        PortError: the port cannot be opened, or (`PortInUse`) is in use.
    """
    return AsyncClient(open_port(port), **options)
