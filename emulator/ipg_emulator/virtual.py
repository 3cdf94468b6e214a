"""A whole virtual device: firmware, surroundings, the line to its host, and what goes wrong with any of them.

Bytes in, bytes out, and a time to be woken, like the firmware alone; `now` is microseconds and does not go backwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ipg_protocol.trace import Record, Towards

from ipg_emulator.firmware import Firmware

if TYPE_CHECKING:
    from ipg_emulator.snapshot import Snapshot
    from ipg_emulator.surroundings import Surroundings

Watcher = Callable[[Record], None]


class Faults(Protocol):
    """What goes wrong with a device, its board and the line to its host; all of the host's and the device's bytes pass it."""

    def put(self, to: Towards, data: bytes, now: int) -> None:
        """Take bytes that were sent at `now`."""
        ...

    def take(self, to: Towards, now: int) -> bytes:
        """Bytes that have arrived by `now`. Of those for the device, some at a time: none are left once there are none."""
        ...

    def wake_at(self) -> int | None:
        """When the next bytes arrive, or something else goes wrong or is well again; None while nothing is due."""
        ...

    def wake(self, now: int) -> None:
        """Let go wrong, or be well again, what is due by `now`."""
        ...


class VirtualIpg:
    """A device in its world. Without faults it is the firmware and no more."""

    def __init__(self, firmware: Firmware) -> None:
        self.firmware: Firmware = firmware
        self.faults: Faults | None = None
        self.watchers: list[Watcher] = []
        """Called with every record of the trace, as it happens."""
        self.turned_back: list[Callable[[VirtualIpg, int], None]] = []
        """Called when the device goes on from a snapshot, at its time: what has happened since has not."""
        self.silences: Counter[str] = Counter()
        """How often bytes were dropped, ignored or altered, by why."""
        firmware.ignored.append(self._ignored)

    @property
    def surroundings(self) -> Surroundings:
        """The patient and what is held near; see there."""
        from ipg_emulator.surroundings import Surroundings

        return Surroundings(self.firmware)

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that the host has sent at `now`."""
        self.tell(Towards.DEVICE, data, now)
        if self.faults is None:
            self.firmware.receive(data, now)
        else:
            self.wake(now)
            self.faults.put(Towards.DEVICE, data, now)
            self.wake(now)

    def wake_at(self) -> int | None:
        """When `wake` is next needed; None if only bytes can change anything."""
        at = self.firmware.wake_at()
        if self.faults is None:
            return at
        fault_at = self.faults.wake_at()
        return fault_at if at is None else at if fault_at is None else min(at, fault_at)

    def wake(self, now: int) -> None:
        """Let happen what is due by `now`, each thing at its own time and in order."""
        if self.faults is None:
            self.firmware.wake(now)
            return
        while (at := self.wake_at()) is not None and at < now:
            self._wake_all(self.faults, at)
        self._wake_all(self.faults, now)

    def _wake_all(self, faults: Faults, now: int) -> None:
        faults.wake(now)
        self.firmware.wake(now)
        while arrived := faults.take(Towards.DEVICE, now):
            self.firmware.receive(arrived, now)
            faults.put(Towards.HOST, self.firmware.take_output(now), now)
        faults.put(Towards.HOST, self.firmware.take_output(now), now)

    def take_output(self, now: int) -> bytes:
        """The bytes to put before the host."""
        output = self.firmware.take_output(now)
        if self.faults is not None:
            self.faults.put(Towards.HOST, output, now)
            output = self.faults.take(Towards.HOST, now)
        self.tell(Towards.HOST, output, now)
        return output

    def output_lost(self, output: bytes, now: int) -> None:
        """Take note that the port had no room for what was to go before the host."""
        self.firmware.link.output_lost(output)
        self.tell(Towards.HOST, output, now, "port: the host does not read, and the queue to it is full")

    def tell(self, to: Towards, data: bytes, now: int, why: str = "") -> None:
        """Put bytes on record; with `why`, what became of them instead of passing."""
        if why and data:
            self.silences[why] += 1
        if self.watchers and data:
            record = Record(now, to, data, why)
            for watcher in self.watchers:
                watcher(record)

    def _ignored(self, to: Towards, data: bytes, why: str, now: int) -> None:
        self.tell(to, data, now, f"device: {why}")

    @property
    def is_at_end(self) -> bool:
        """Whether the battery has reached its end of service."""
        return self.firmware.is_at_end

    def host_awaited_until(self) -> int | None:
        """When the silence of the host in its session will have consequences; None without a session."""
        return self.firmware.host_awaited_until()

    def power_off(self, now: int) -> None:
        """Take the power away: what is being delivered ends."""
        self.firmware.power_off(now)

    def restore(self, snapshot: Snapshot) -> int:
        """Go on from a snapshot of this device, at the time that is returned. Whoever looks on stays.

        Raises:
            SnapshotError: it is of another device, or no snapshot; nothing has changed.
        """
        from ipg_emulator.snapshot import put_back

        now = put_back(snapshot, self)
        for forget in self.turned_back:
            forget(self, now)
        return now


class Subject(Protocol):
    """A virtual device and whoever keeps its time: a station at its port, or an `ipg://` port in this process."""

    @property
    def ipg(self) -> VirtualIpg: ...

    @property
    def passes_by_itself(self) -> bool:
        """Whether time goes on without anybody's doing, so that to wait is enough."""
        ...

    def exclusively(self) -> AbstractContextManager[object]:
        """Keep all other threads from the device meanwhile."""
        ...

    def present(self) -> int:
        """Bring the device up to the present, and say when that is; what it has to say goes out.

        Call it before something is done to the device, and once more after.
        """
        ...

    def advance(self, seconds: float) -> None:
        """Let so much of the device's time pass at once, deadline by deadline."""
        ...

    def snapshot(self) -> Snapshot:
        """The device as it is at the present.

        Raises:
            SnapshotError: something in it cannot be kept.
        """
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of this device, at its time.

        Raises:
            SnapshotError: it is of another device, or no snapshot; nothing has changed.
        """
        ...
