"""The use period: a temporary stimulator may be used for so many days from its first start of therapy, restarts included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.vocabulary import FaultCode

from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

DAY_US = 86_400_000_000


class UsePeriod:
    """Latches a fault when the period is over. Its cause persists, so nothing clears it."""

    def __init__(self, device: Device, timers: Timers) -> None:
        limit = device.model.limits.use_period_days
        self._days = None if limit is None else limit.value
        self._device = device
        self._timers = timers
        timers.on(Timer.USE_PERIOD, self._over)

    def _ends_at(self) -> int | None:
        first = self._device.memory.condition.first_therapy_at
        return None if first is None or self._days is None else first + self._days * DAY_US

    def is_over(self, now: int) -> bool:
        ends_at = self._ends_at()
        return ends_at is not None and ends_at <= now

    def begin(self, now: int) -> None:
        """At the end of the boot: wait for the end of a period that has begun."""
        ends_at = self._ends_at()
        if ends_at is not None and FaultCode.USE_PERIOD_OVER not in self._device.memory.latched_faults:
            self._timers.set(Timer.USE_PERIOD, max(ends_at, now))

    def end(self) -> None:
        """Watch no more, in shelf mode."""
        self._timers.cancel(Timer.USE_PERIOD)

    def therapy_started(self, now: int) -> None:
        """The first start of therapy ever begins the period."""
        memory = self._device.memory
        if memory.condition.first_therapy_at is None:
            memory.note(first_therapy_at=now)
            self.begin(now)

    def _over(self, now: int) -> None:
        self._device.latch(FaultCode.USE_PERIOD_OVER, WHOLE_MESSAGE, self._days or 0, now)
        self._device.delivery.abandon(TherapyCause.FAULT, now)
