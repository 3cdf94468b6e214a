"""Closed loop: integral feedback that holds an area's ECAP at its target by the amplitude, one step each few pulses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.sensing import Feedback, FeedbackMode, FeedbackModeChanged, FeedbackStatus
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.vocabulary import State

from ipg_emulator.board import Amplifier
from ipg_emulator.firmware.ecap import EcapStream, Recorder, Recording, i16, next_pulse
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.model import Sensing

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

NO_AREA = WHOLE_MESSAGE
_U32_MAXIMUM = 2**32 - 1
_PASSING = frozenset({FeedbackMode.FOLLOWING, FeedbackMode.HOLDING})
"""A change between these comes and goes with a cough, so it is told once and not kept."""


class Counts(msgspec.Struct):
    """What the loop has done since therapy started; `deviation` is the sum of |ECAP - target| in microvolts."""

    updates: int = 0
    deviation: float = 0.0
    holds: int = 0
    fallbacks: int = 0
    at_limit: int = 0
    rate_limited: int = 0


class Law(msgspec.Struct, frozen=True):
    """The law of one area's loop: how far the amplitude moves for an ECAP, and within what."""

    settings: AreaSettings
    feedback: Feedback
    microamps_per_microvolt: float
    most_per_update: float
    lowest: int
    highest: int
    pauses: bool
    """Whether the area can be without pulses while therapy runs: in the off-part of a cycle, or after a dose."""

    @classmethod
    def of(cls, settings: AreaSettings, feedback: Feedback, sensing: Sensing) -> Law:
        """Gain over slope is the charge for a microvolt; over the pulse width, the amplitude. The limits on the loop's grid."""
        step = sensing.amplitude_step_microamps
        nanocoulombs_per_microvolt = feedback.gain_permille / sensing.assumed_slope_nanovolts_per_nanocoulomb
        updates_per_second = settings.rate_millihertz / 1000 / feedback.pulses_per_update
        return cls(
            settings,
            feedback,
            nanocoulombs_per_microvolt * 1000 / settings.pulse_width_us,
            feedback.rate_limit_microamps_per_second / updates_per_second,
            -(-feedback.minimum_microamps // step) * step,
            feedback.maximum_microamps // step * step,
            bool(settings.cycle_on_seconds or settings.dose_seconds),
        )


class FeedbackLoop:
    """Follows the ECAP of the one area that is told to, while therapy is at its amplitude. Ramps run in open loop."""

    def __init__(self, device: Device, amplifier: Amplifier, sensing: Sensing, timers: Timers) -> None:
        self.recorder = Recorder(amplifier, device.board.output)
        self.stream = EcapStream(device, self.recorder, timers)
        self.mode = FeedbackMode.OPEN_LOOP
        self._device = device
        self._sensing = sensing
        self._timers = timers
        self._law: Law | None = None
        self._counts = Counts()
        self._microamps = 0.0
        self._sent = 0
        self._microvolts = 0.0
        self._is_lost = False
        self._is_limited = False
        self._streak = 0
        """How many updates in a row the signal has been lost, or there."""
        timers.on(Timer.FEEDBACK, self._update)

    @property
    def is_closed(self) -> bool:
        """Whether an area follows the ECAP, or waits for it."""
        return self.mode in _PASSING

    def status(self, now: int) -> FeedbackStatus:
        """The loop at this moment."""
        feedback, counts = self._enabled(), self._counts
        amplitude = 0 if feedback is None else self._device.board.output.delivered_microamps(feedback.area, now)
        deviation = counts.deviation / counts.updates if counts.updates else 0.0
        return FeedbackStatus(
            area=NO_AREA if feedback is None else feedback.area,
            mode=self.mode,
            amplitude_microamps=amplitude,
            ecap_microvolts=i16(self._microvolts),
            deviation_nanovolts=min(round(deviation * 1000), _U32_MAXIMUM),
            updates=counts.updates,
            holds=counts.holds,
            fallbacks=counts.fallbacks,
            at_limit=counts.at_limit,
            rate_limited=counts.rate_limited,
        )

    # When

    def state_changed(self, previous: State, now: int) -> None:
        """Begin when therapy has reached its amplitude, and end when it leaves it."""
        if previous is State.IDLE:
            self._counts = Counts()
        if self._device.state is State.THERAPY:
            self._begin(now)
        else:
            self._end(now)
        self.stream.state_changed(now)

    def settings_changed(self, now: int) -> None:
        """Take up other settings of the active program: back to what is programmed, and on from there."""
        device = self._device
        if device.delivery.program_number != device.configuration.active_program:
            return
        if self._law is not None:
            self._end(now)
            device.delivery.change(device.require_program().areas, now)
        if device.state is State.THERAPY:
            self._begin(now)

    def _enabled(self) -> Feedback | None:
        program = self._device.delivered_program
        return next((feedback for feedback in program.feedback if feedback.enabled), None) if program else None

    def _begin(self, now: int) -> None:
        feedback = self._enabled()
        settings = None if feedback is None else self._device.delivered_area(feedback.area)
        if feedback is None or settings is None:
            return
        self._law = Law.of(settings, feedback, self._sensing)
        self._microamps = float(settings.amplitude_microamps)
        self._sent = settings.amplitude_microamps
        self._streak = 0
        self._is_limited = False
        self._enter(FeedbackMode.FOLLOWING, self._law, now)
        self._await_pulse(self._law, now)

    def _end(self, now: int) -> None:
        if self._law is not None:
            self._timers.cancel(Timer.FEEDBACK)
            self._enter(FeedbackMode.OPEN_LOOP, self._law, now)
            self._law = None

    def _await_pulse(self, law: Law, now: int) -> None:
        self._timers.set(Timer.FEEDBACK, next_pulse(law.settings, law.feedback.pulses_per_update, now))

    # What

    def _update(self, now: int) -> None:
        law = self._law
        if law is None:
            return
        recording = self.recorder.at_tick(law.settings, now)
        if recording.microamps or not law.pauses:
            self._take(recording, law, now)
        self._await_pulse(law, now)

    def _take(self, recording: Recording, law: Law, now: int) -> None:
        counts = self._counts
        self._microvolts = recording.reading.microvolts
        error = law.feedback.target_microvolts - self._microvolts
        counts.updates += 1
        counts.deviation += abs(error)
        is_lost = self._microvolts < law.feedback.lost_below_microvolts
        counts.holds += is_lost
        self._streak = self._streak + 1 if is_lost is self._is_lost else 1
        self._is_lost = is_lost
        mode = self._next_mode(law.feedback.lost_updates)
        if mode is not self.mode:
            self._enter(mode, law, now)
        if mode is FeedbackMode.FOLLOWING:
            self._move_to(self._reached(recording, now) + error * law.microamps_per_microvolt, law, now)
        elif mode is FeedbackMode.FALLBACK:
            self._step_to(law.settings.amplitude_microamps, law, now)

    def _next_mode(self, lost_updates: int) -> FeedbackMode:
        """Fall back when the signal has been lost for so long; come back when it has been there for as long."""
        settled = self._streak >= lost_updates
        if self.mode is FeedbackMode.FALLBACK:
            return FeedbackMode.FOLLOWING if settled and not self._is_lost else FeedbackMode.FALLBACK
        if self._is_lost:
            return FeedbackMode.FALLBACK if settled else FeedbackMode.HOLDING
        return FeedbackMode.FOLLOWING

    def _reached(self, recording: Recording, now: int) -> float:
        """The amplitude to move on from: what is delivered, where compliance lets less through, so that nothing winds up."""
        was_limited, self._is_limited = self._is_limited, recording.microamps < self._sent
        if not self._is_limited:
            return self._microamps
        if not was_limited:
            self._device.delivery.load_changed(now)
        return float(recording.microamps)

    def _move_to(self, wanted: float, law: Law, now: int) -> None:
        held = min(max(wanted, law.lowest), law.highest)
        self._counts.at_limit += held != wanted
        self._step_to(held, law, now)

    def _step_to(self, wanted: float, law: Law, now: int) -> None:
        """Towards an amplitude as far as the rate limit lets it; the output gets it on the loop's grid."""
        most = law.most_per_update
        change = min(max(wanted - self._microamps, -most), most)
        self._counts.rate_limited += change != wanted - self._microamps
        self._microamps += change
        step = self._sensing.amplitude_step_microamps
        level = round(self._microamps / step) * step
        if level != self._sent:
            self._sent = level
            self._device.delivery.therapy.adjust(law.settings.area, level, now)

    def _enter(self, mode: FeedbackMode, law: Law, now: int) -> None:
        passes = {self.mode, mode} <= _PASSING
        self.mode = mode
        event = FeedbackModeChanged(law.settings.area, mode, self._sent)
        if passes:
            self._device.stream(event, now)
            return
        self._device.notify(event, now)
        self._device.log(LogCode.CLOSED_LOOP, mode, now)
        if mode is FeedbackMode.FALLBACK:
            self._counts.fallbacks += 1
            self._device.memory.count("feedback_fallbacks")


def feedback_of(device: Device, timers: Timers) -> FeedbackLoop | None:
    """The loop of a device that senses."""
    amplifier, sensing = device.board.amplifier, device.model.sensing
    return None if amplifier is None or sensing is None else FeedbackLoop(device, amplifier, sensing, timers)
