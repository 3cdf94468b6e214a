"""Recording ECAPs: one reading for each pulse, whoever asks for it, and a stream of them in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.sensing import OUTPUT_ON, Ecap, EcapSample, EcapSamples
from ipg_protocol.vocabulary import State

from ipg_emulator.board import Amplifier, EcapReading, Output
from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

ROWS_PER_BATCH = 25
BATCH_US = 1_000_000
"""A batch is sent no later than this after its first sample."""

_PERIOD_US_MILLIHERTZ = 1_000_000_000
_I16 = 2**15
_U16_MAXIMUM = 2**16 - 1
_INTERRUPTED = frozenset({State.MEASURING, State.SUSPENDED})
"""Therapy goes on after these."""


class Recording(NamedTuple):
    """What was recorded after one pulse, and the delivered amplitude that evoked it."""

    area: int
    at: int
    microamps: int
    reading: EcapReading

    def ecap(self) -> Ecap:
        """The same as the protocol's message."""
        noise = min(round(self.reading.noise_microvolts), _U16_MAXIMUM)
        return Ecap(i16(self.reading.microvolts), noise, min(self.reading.latency_us, _U16_MAXIMUM), self.microamps)


class Recorder:
    """The amplifier, asked by loop and stream once for each pulse."""

    def __init__(self, amplifier: Amplifier, output: Output) -> None:
        self._amplifier = amplifier
        self._output = output
        self._last: Recording | None = None

    def record(self, settings: AreaSettings, now: int) -> Recording:
        """The response to a pulse as it is delivered at this moment."""
        microamps = self._output.delivered_microamps(settings.area, now)
        return Recording(settings.area, now, microamps, self._amplifier.record(settings, microamps, now))

    def at_tick(self, settings: AreaSettings, now: int) -> Recording:
        """The response to the pulse of this tick, though the amplitude has been moved on since it was recorded."""
        last = self._last
        if last is None or last.at != now or last.area != settings.area:
            last = self._last = self.record(settings, now)
        return last


def next_pulse(settings: AreaSettings, every: int, now: int) -> int:
    """When the next `every`-th pulse after `now` has come. Counted from time 0, so that multiples of it fall together."""
    span = every * _PERIOD_US_MILLIHERTZ
    passed = now * settings.rate_millihertz // span
    return -(-(passed + 1) * span // settings.rate_millihertz)


def i16(microvolts: float) -> int:
    """Whole microvolts, as far as 16 bits reach."""
    return min(max(round(microvolts), -_I16), _I16 - 1)


class EcapStream:
    """Sends the ECAPs of one area in batches. Started while therapy is off, it waits for therapy; it ends with it."""

    def __init__(self, device: Device, recorder: Recorder, timers: Timers) -> None:
        self._device = device
        self._recorder = recorder
        self._timers = timers
        self._area: int | None = None
        self._pulses_per_sample = 1
        self._has_begun = False
        self._sent = 0
        self._began_at = 0
        self._rows: list[EcapSample] = []
        timers.on(Timer.ECAP_STREAM, self._sample)

    def start(self, area: int, pulses_per_sample: int, now: int) -> None:
        """Stream this area, in place of what is streamed now."""
        self.stop(now)
        self._area = area
        self._pulses_per_sample = pulses_per_sample
        self._has_begun = False
        self._sent = 0
        self.state_changed(now)

    def stop(self, now: int) -> None:
        """End the stream; samples not yet sent are sent."""
        self._pause(now)
        self._area = None

    def state_changed(self, now: int) -> None:
        """Go on, wait or end with therapy."""
        if self._area is None:
            return
        if self._device.state in OUTPUT_ON:
            self._has_begun = True
            self._schedule(now)
        elif self._has_begun and self._device.state not in _INTERRUPTED:
            self.stop(now)
        else:
            self._pause(now)

    def _pause(self, now: int) -> None:
        self._timers.cancel(Timer.ECAP_STREAM)
        self._send(now)

    def _settings(self) -> AreaSettings | None:
        return None if self._area is None else self._device.delivered_area(self._area)

    def _schedule(self, now: int) -> None:
        settings = self._settings()
        if settings is None:
            self.stop(now)
        else:
            self._timers.set(Timer.ECAP_STREAM, next_pulse(settings, self._pulses_per_sample, now))

    def _sample(self, now: int) -> None:
        settings = self._settings()
        if settings is not None:
            self._keep(self._recorder.at_tick(settings, now), now)
        self._schedule(now)
        following = self._timers.deadline(Timer.ECAP_STREAM)
        if len(self._rows) == ROWS_PER_BATCH or following is None or following - self._began_at > BATCH_US:
            self._send(now)

    def _keep(self, recording: Recording, now: int) -> None:
        if not self._rows:
            self._began_at = now
        after_ms = (now - self._began_at) // 1000
        self._rows.append(EcapSample(after_ms, i16(recording.reading.microvolts), recording.microamps))

    def _send(self, now: int) -> None:
        if not self._rows or self._area is None:
            return
        uptime_ms = self._device.uptime_us(self._began_at) // 1000
        self._device.stream(EcapSamples(self._area, self._sent, uptime_ms, tuple(self._rows)), now)
        self._sent += len(self._rows)
        self._rows = []
