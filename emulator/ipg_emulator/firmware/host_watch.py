"""Stops therapy when the host has gone silent, on a model that wants that: an external stimulator, not an implant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.therapy import StopMode, TherapyCause

from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device


class HostWatch:
    """Waits for silence while therapy runs. A request costs it no more than noting when it came."""

    def __init__(self, device: Device, timers: Timers, now: int) -> None:
        self.heard_at = now
        """When the last request came, in microseconds; the link sets it."""
        self._device = device
        self._timers = timers
        self._silence_us = device.model.timing.host_silence_ms * 1000
        timers.on(Timer.HOST_SILENCE, self._look)

    def begin(self, now: int) -> None:
        """Therapy starts: silence counts from now on."""
        if self._silence_us:
            self._timers.set(Timer.HOST_SILENCE, now + self._silence_us)

    def end(self) -> None:
        """Therapy has ended."""
        self._timers.cancel(Timer.HOST_SILENCE)

    def silent_at(self) -> int | None:
        """When the host will have been silent for too long, unless it is heard of before; None while nothing is delivered."""
        looks_at = self._timers.deadline(Timer.HOST_SILENCE)
        return None if looks_at is None else max(looks_at, self.heard_at + self._silence_us)

    def _look(self, now: int) -> None:
        """Therapy may turn back up out of the stop ramp, so the watch goes on until therapy has ended."""
        silent_since = self.heard_at
        if silent_since + self._silence_us > now:
            self._timers.set(Timer.HOST_SILENCE, silent_since + self._silence_us)
        else:
            self.begin(now)
            self._device.log(LogCode.HOST_SILENT, (now - silent_since) // 1000, now)
            self._device.delivery.stop(StopMode.RAMP, now, TherapyCause.HOST_SILENT)
