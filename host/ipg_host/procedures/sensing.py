"""Sensing: the evoked compound action potential (ECAP), and the loop that holds it at a target."""

from __future__ import annotations

import msgspec
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
from ipg_protocol.refusal import Done

from ipg_host.conversation import Procedure, ask
from ipg_host.session import UNNUMBERED


def record_ecap(area: int) -> Procedure[Ecap]:
    """Record the ECAP of an area's next pulse; therapy must run."""
    return ask(RecordEcap(area=area))


def start_ecap_stream(area: int, pulses_per_sample: int) -> Procedure[Done]:
    """Have the ECAP of each `pulses_per_sample`-th pulse sent to `on_event` as `EcapSamples`, until session or therapy ends."""
    return ask(StartEcapStream(area=area, pulses_per_sample=pulses_per_sample))


def stop_ecap_stream() -> Procedure[Done]:
    """End the stream."""
    return ask(StopEcapStream())


def read_feedback(area: int) -> Procedure[Feedback]:
    """Read how an area of the active program follows the ECAP."""
    return ask(ReadFeedback(area=area))


def write_feedback(feedback: Feedback) -> Procedure[FeedbackWritten]:
    """Set how an area of the active program follows the ECAP."""
    return ask(WriteFeedback(transaction=UNNUMBERED, feedback=feedback))


def adjust_feedback(area: int, **changes: int) -> Procedure[Feedback]:
    """Change some fields of an area's `Feedback`, such as `enabled=1, target_microvolts=30`; those left out stay.

    Raises:
        TypeError: there is no such field.
    """
    present = yield from ask(ReadFeedback(area=area))
    yield from write_feedback(msgspec.structs.replace(present, **changes))
    return (yield from ask(ReadFeedback(area=area)))


def feedback_status() -> Procedure[FeedbackStatus]:
    """Read what the loop does, and what it has counted since therapy started."""
    return ask(GetFeedbackStatus())
