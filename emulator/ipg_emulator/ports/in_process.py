"""A device in this process, and its time: it passes while somebody waits, as real time does, or only when it is told to."""

from __future__ import annotations

import time
from enum import StrEnum, unique
from threading import Condition
from typing import TYPE_CHECKING

from ipg_emulator.clock import advance
from ipg_emulator.surroundings import PresentSurroundings
from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_emulator.snapshot import Snapshot

LONGEST_READ_US = 3_600_000_000


@unique
class Passing(StrEnum):
    """How a device's time passes."""

    PACED = "paced"
    """Only while somebody waits for bytes, from deadline to deadline; the wait costs no real time."""
    REAL = "real"
    """A microsecond for a microsecond."""
    MANUAL = "manual"
    """Only by `advance`. Whoever waits for bytes waits in real time, so that another thread can let time pass."""


class InProcess:
    """A device that any number of threads may talk to, and who keeps its time."""

    def __init__(self, ipg: VirtualIpg, *, started_at: int, passing: Passing = Passing.PACED) -> None:
        """The device's time goes on from `started_at` microseconds."""
        self.ipg = ipg
        self.passing = passing
        self.surroundings = PresentSurroundings(self)
        self._now = started_at
        self._ahead = started_at - _real()
        self._turned_back = 0
        self._received = bytearray()
        self._turn = Condition()

    @property
    def passes_by_itself(self) -> bool:
        """Whether time goes on without anybody's doing, so that to wait is enough."""
        return self.passing is Passing.REAL

    def exclusively(self) -> Condition:
        """Keep all other threads from the device meanwhile."""
        return self._turn

    def monotonic(self) -> float:
        """The clock that those who wait go by, in seconds: the device's, going on over a restore, or the real one."""
        if self.passing is Passing.MANUAL:
            return time.monotonic()
        return (self.present() + self._turned_back) / 1_000_000

    def present(self) -> int:
        """Bring the device up to the present, in microseconds of its time."""
        with self._turn:
            self._live_on()
            return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass at once, deadline by deadline: a year in one step gives what many small steps give."""
        with self._turn:
            self._live_on()
            self._move_to(self._now + round(seconds * 1_000_000))
            self._ahead = self._now - _real()

    def snapshot(self) -> Snapshot:
        """The device as it is at the present."""
        from ipg_emulator.snapshot import take

        with self._turn:
            self._live_on()
            return take(self.ipg, self._now)

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot, at its time. What had not been read yet is lost.

        Raises:
            SnapshotError: it cannot be restored; nothing has changed.
        """
        with self._turn:
            now = self.ipg.restore(snapshot)
            self._turned_back += self._now - now
            self._now = now
            self._ahead = now - _real()
            self._received.clear()
            self._live_on()

    @property
    def waiting(self) -> int:
        """How many bytes are there to be read."""
        with self._turn:
            self._live_on()
            return len(self._received)

    def write(self, data: bytes) -> None:
        """Send bytes to the device, which arrive at the present."""
        with self._turn:
            self._live_on()
            self.ipg.receive(data, self._now)
            self._hear()

    def read(self, size: int, timeout_seconds: float | None) -> bytes:
        """Up to `size` bytes; waits for them so long, in the device's time if that is paced, else in real time.

        Raises:
            TimeoutError: without a timeout, when nothing comes for an hour.
        """
        limit = LONGEST_READ_US if timeout_seconds is None else round(timeout_seconds * 1_000_000)
        with self._turn:
            self._live_on()
            if self.passing is Passing.PACED:
                self._pass_until_heard(size, self._now + limit)
            else:
                self._wait_until_heard(size, _real() + limit)
            if timeout_seconds is None and len(self._received) < size:
                raise TimeoutError("read without a timeout, and nothing came for an hour")
            taken = bytes(self._received[:size])
            del self._received[:size]
            return taken

    def clear(self) -> None:
        """Forget what has not been read yet."""
        with self._turn:
            self._live_on()
            self._received.clear()

    def _pass_until_heard(self, size: int, deadline: int) -> None:
        while len(self._received) < size and self._now < deadline:
            wake_at = self.ipg.wake_at()
            self._move_to(deadline if wake_at is None else min(deadline, max(wake_at, self._now)))

    def _wait_until_heard(self, size: int, deadline: int) -> None:
        """Wait in real time, and let other threads have their turn meanwhile."""
        while len(self._received) < size and (real := _real()) < deadline:
            due_at = self.ipg.wake_at() if self.passing is Passing.REAL else None
            until = deadline if due_at is None else min(deadline, due_at - self._ahead)
            self._turn.wait(max(0, until - real) / 1_000_000)
            self._live_on()

    def _live_on(self) -> None:
        """Bring the device up to the present, and hear what it has to say."""
        if self.passing is Passing.REAL:
            self._move_to(_real() + self._ahead)
        else:
            self._hear()

    def _move_to(self, now: int) -> None:
        for at, said in advance(self.ipg, self._now, now):
            self._now = at
            self._received += said
        self._now = max(self._now, now)
        self.ipg.wake(self._now)
        self._hear()

    def _hear(self) -> None:
        self._received += self.ipg.take_output(self._now)
        if self._received:
            self._turn.notify_all()


_offered: dict[str, InProcess] = {}


def offer(name: str, device: InProcess) -> str:
    """Let `ipg://device/NAME` reach a device of this process, for as many ports as open it; the URL.

    Raises:
        ValueError: another device has the name.
    """
    if name in _offered:
        raise ValueError(f"another device is offered as {name!r}; withdraw that one, or take another name")
    _offered[name] = device
    return f"ipg://device/{name}"


def withdraw(name: str) -> None:
    """Let no new port reach the device of this name; those that are open keep it.

    Raises:
        KeyError: there is none.
    """
    del _offered[name]


def offered(name: str) -> InProcess:
    """The device that was offered under a name.

    Raises:
        KeyError: there is none.
    """
    return _offered[name]


def offered_names() -> list[str]:
    """The names of the devices that are offered."""
    return sorted(_offered)


def _real() -> int:
    return time.monotonic_ns() // 1000
