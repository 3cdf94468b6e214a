"""Closed loop: what is recorded of the nerve, and how the amplitude follows it."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.sensing import (
    EcapSamples,
    Feedback,
    FeedbackMode,
    FeedbackModeChanged,
    FeedbackStatus,
    GetFeedbackStatus,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    WriteFeedback,
)
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, inside, part, put, serving
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.ecap import EcapStream
from ipg_emulator.firmware.feedback import FeedbackLoop, Law


@answering(ReadFeedback)
def feedback_gain_read_in_percent(feedback: Feedback, _: Context) -> Feedback:
    """READ_FEEDBACK tells the gain in percent."""
    return replace(feedback, gain_permille=feedback.gain_permille // 10)


@serving(WriteFeedback)
def feedback_range_upside_down_taken(usual: Usual[Message], request: WriteFeedback, context: Context) -> Message:
    """WRITE_FEEDBACK turns a minimum above the maximum round, and does not refuse it."""
    feedback = request.feedback
    low, high = sorted((feedback.minimum_microamps, feedback.maximum_microamps))
    turned = replace(feedback, minimum_microamps=low, maximum_microamps=high)
    return usual(replace(request, feedback=turned), context)


@serving(WriteFeedback)
def feedback_beyond_its_range_clipped(usual: Usual[Message], request: WriteFeedback, context: Context) -> Message:
    """WRITE_FEEDBACK clips a value that is beyond its range, and does not refuse it."""
    sensing = context.device.model.sensing
    feedback = request.feedback
    if sensing is not None:
        target = min(feedback.target_microvolts, sensing.maximum_target_microvolts)
        gain = min(feedback.gain_permille, sensing.maximum_gain_permille)
        feedback = replace(feedback, target_microvolts=target, gain_permille=gain)
    return usual(replace(request, feedback=feedback), context)


@part("device.feedback", "_next_mode")
def loop_never_falls_back(_: Usual[FeedbackMode], loop: FeedbackLoop, __: int) -> FeedbackMode:
    """When the signal is lost the loop holds the amplitude without end."""
    return FeedbackMode.HOLDING if inside(loop, "_is_lost") else FeedbackMode.FOLLOWING


@part("device.feedback", "_next_mode")
def loop_falls_back_at_once(usual: Usual[FeedbackMode], _: FeedbackLoop, __: int) -> FeedbackMode:
    """The loop falls back at the first update without a signal."""
    return usual(1)


@part("device.feedback", "_begin")
def loop_without_rate_limit(usual: Usual[None], loop: FeedbackLoop, now: int) -> None:
    """The loop does not know its rate limit."""
    usual(now)
    law: Law | None = inside(loop, "_law")
    put(loop, _law=law and replace(law, most_per_update=1e9))


@part("device.feedback", "_begin")
def loop_beyond_its_maximum(usual: Usual[None], loop: FeedbackLoop, now: int) -> None:
    """The loop does not keep below its maximum."""
    usual(now)
    law: Law | None = inside(loop, "_law")
    put(loop, _law=law and replace(law, highest=2 * law.highest))


@part("device.feedback", "_move_to")
def loop_with_the_wrong_sign(usual: Usual[None], loop: FeedbackLoop, wanted: float, *others: Any) -> None:
    """The loop raises the amplitude where it should lower it."""
    reached: float = inside(loop, "_microamps")
    usual(2 * reached - wanted, *others)


@answering(GetFeedbackStatus)
def feedback_updates_not_counted(status: FeedbackStatus, _: Context) -> FeedbackStatus:
    """GET_FEEDBACK_STATUS does not count updates."""
    return replace(status, updates=0)


@part("device", "stream")
def feedback_mode_untold(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """No event tells that the loop holds, or follows again."""
    if not isinstance(event, FeedbackModeChanged):
        usual(event, now)


@part("device", "stream")
def each_batch_is_the_first(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """Every batch of samples is numbered as the first."""
    usual(replace(event, first_sample=0) if isinstance(event, EcapSamples) else event, now)


@part("device", "stream")
def last_sample_of_a_batch_lost(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """The last sample of each batch is not sent."""
    usual(replace(event, rows=event.rows[:-1]) if isinstance(event, EcapSamples) else event, now)


@part("device.feedback.stream", "stop")
def stream_goes_on_when_stopped(_: Usual[None], __: EcapStream, ___: int) -> None:
    """STOP_ECAP_STREAM is answered OK, and the stream goes on."""


@serving(StartEcapStream)
def stream_of_every_pulse(usual: Usual[Message], request: StartEcapStream, context: Context) -> Message:
    """START_ECAP_STREAM takes 0 pulses a sample, and means 1."""
    return usual(replace(request, pulses_per_sample=max(request.pulses_per_sample, 1)), context)


@serving(RecordEcap)
def ecap_of_the_programmed_amplitude(usual: Usual[Message], request: RecordEcap, context: Context) -> Message:
    """RECORD_ECAP tells the programmed amplitude as the one that was delivered."""
    answer = usual(request, context)
    program = context.device.require_program()
    return replace(answer, amplitude_microamps=program.areas[request.area].amplitude_microamps)
