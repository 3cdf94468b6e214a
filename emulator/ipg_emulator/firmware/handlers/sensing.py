"""Recording ECAPs, setting the loop that follows them, and streaming."""

from __future__ import annotations

import msgspec
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.sensing import (
    Ecap,
    Feedback,
    FeedbackStatus,
    FeedbackWritten,
    GetFeedbackStatus,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    StopEcapStream,
    WriteFeedback,
)
from ipg_protocol.refusal import WHOLE_MESSAGE, Done, FieldDetail, SafetyRule
from ipg_protocol.vocabulary import Status

from ipg_emulator.firmware.configuration import Program
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.feedback import FeedbackLoop
from ipg_emulator.firmware.handlers.therapy import area_of
from ipg_emulator.firmware.refusal import Refused, out_of_range, unsafe

_U8_MAXIMUM = 0xFF
_U16_MAXIMUM = 0xFFFF


def _loop(context: Context) -> FeedbackLoop:
    loop = context.device.feedback
    if loop is None:
        raise Refused(Status.NOT_SUPPORTED, FieldDetail(WHOLE_MESSAGE))
    return loop


@handles(RecordEcap)
def record_ecap(request: RecordEcap, context: Context) -> Ecap:
    loop, settings = _loop(context), area_of(context.device, request, request.area)
    output = context.device.delivered_area(request.area) or settings
    return loop.recorder.record(output, context.now).ecap()


@handles(ReadFeedback)
def read_feedback(request: ReadFeedback, context: Context) -> Feedback:
    settings = area_of(context.device, request, request.area)
    return _feedback_of(context.device.require_program(), settings)


def _feedback_of(program: Program, settings: AreaSettings) -> Feedback:
    """What was written for an area; until something is, a loop over the patient's range that moves nothing."""
    untouched = Feedback(
        area=settings.area,
        enabled=0,
        target_microvolts=0,
        gain_permille=0,
        minimum_microamps=settings.patient_minimum_microamps,
        maximum_microamps=settings.patient_maximum_microamps,
        rate_limit_microamps_per_second=0,
        pulses_per_update=1,
        lost_below_microvolts=0,
        lost_updates=1,
    )
    return next((feedback for feedback in program.feedback if feedback.area == settings.area), untouched)


@handles(WriteFeedback)
def write_feedback(request: WriteFeedback, context: Context) -> FeedbackWritten:
    device, written, loop = context.device, request.feedback, _loop(context)
    _check(device, request, area_of(device, request, written.area))
    program = device.require_program()
    others = (f for f in program.feedback if f.area != written.area)
    kept = tuple(msgspec.structs.replace(f, enabled=0) if written.enabled else f for f in others)
    changed = msgspec.structs.replace(program, feedback=(*kept, written))
    revision = device.memory.store_program(device.configuration.active_program, changed)
    loop.settings_changed(context.now)
    return FeedbackWritten(revision)


def _check(device: Device, request: WriteFeedback, settings: AreaSettings) -> None:
    """Refuse what the model, the clinician's limits or the area's patient range do not let the loop do."""
    sensing, feedback = device.model.sensing, request.feedback
    if sensing is None:
        raise Refused(Status.NOT_SUPPORTED, FieldDetail(WHOLE_MESSAGE))
    allowed = device.model.ranges.amplitude_microamps
    highest = min(allowed.maximum, device.configuration.limits.amplitude_microamps, settings.patient_maximum_microamps)
    bounds = {
        "enabled": (0, 1),
        "target_microvolts": (0, sensing.maximum_target_microvolts),
        "gain_permille": (0, sensing.maximum_gain_permille),
        "minimum_microamps": (0, highest),
        "maximum_microamps": (0, highest),
        "pulses_per_update": (1, _U8_MAXIMUM),
        "lost_updates": (1, _U16_MAXIMUM),
    }
    for name, (low, high) in bounds.items():
        value: int = getattr(feedback, name)
        if not low <= value <= high:
            raise out_of_range(request, name, low, high, value=value)
    if feedback.minimum_microamps > feedback.maximum_microamps:
        raise unsafe(
            SafetyRule.FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS,
            area=settings.area,
            value=feedback.minimum_microamps,
            limit=feedback.maximum_microamps,
        )


@handles(GetFeedbackStatus)
def get_feedback_status(_: GetFeedbackStatus, context: Context) -> FeedbackStatus:
    return _loop(context).status(context.now)


@handles(StartEcapStream)
def start_ecap_stream(request: StartEcapStream, context: Context) -> Done:
    settings = area_of(context.device, request, request.area)
    if not request.pulses_per_sample:
        raise out_of_range(request, "pulses_per_sample", 1, _U16_MAXIMUM, value=0)
    _loop(context).stream.start(settings.area, request.pulses_per_sample, context.now)
    return Done()


@handles(StopEcapStream)
def stop_ecap_stream(_: StopEcapStream, context: Context) -> Done:
    _loop(context).stream.stop(context.now)
    return Done()
