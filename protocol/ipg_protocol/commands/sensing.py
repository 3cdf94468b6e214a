"""Group 06: sensing. The evoked compound action potential (ECAP) after a pulse, and the loop that holds it at a target."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Change, Request, command, event
from ipg_protocol.commands.therapy import ADJUSTABLE
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import Role, State, Status
from ipg_protocol.wire import I16, U8, U16, U32, U64, Message

OUTPUT_ON = frozenset({State.RAMPING, State.THERAPY})


class Ecap(Message, frozen=True):
    """One ECAP: the height from N1 to P2, the latency of N1, and the pulse that evoked it.

    Microvolts can be negative where noise hides the response. `noise_microvolts` is the recording's own estimate.
    """

    microvolts: I16
    noise_microvolts: U16
    latency_us: U16
    amplitude_microamps: U32


@command(0x0601, role=Role.OBSERVER, states=OUTPUT_ON, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION}, optional=True)
class RecordEcap(Request[Ecap], frozen=True):
    """Record the ECAP of an area's next pulse."""

    area: U8


class Feedback(Message, frozen=True):
    """How an area's amplitude follows the ECAP. `enabled` is 0 or 1.

    Each `pulses_per_update` pulses the amplitude moves by gain / slope of the growth curve times (target - ECAP), at most by
    `rate_limit_microamps_per_second`, and stays from minimum to maximum. An ECAP below `lost_below_microvolts` counts as lost:
    the amplitude is held, and after `lost_updates` such in a row the area falls back to its programmed amplitude.
    """

    area: U8
    enabled: U8
    target_microvolts: U16
    gain_permille: U16
    minimum_microamps: U32
    maximum_microamps: U32
    rate_limit_microamps_per_second: U32
    pulses_per_update: U8
    lost_below_microvolts: U16
    lost_updates: U16


@command(0x0602, role=Role.OBSERVER, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION}, optional=True)
class ReadFeedback(Request[Feedback], frozen=True):
    """Read how an area of the active program follows the ECAP."""

    area: U8


class FeedbackWritten(Message, frozen=True):
    """The configuration revision after the change."""

    revision: U32


@command(
    0x0603, role=Role.CLINICIAN, states=ADJUSTABLE, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION}, optional=True
)
class WriteFeedback(Change[FeedbackWritten], frozen=True):
    """Set how an area of the active program follows the ECAP; at most one area does at a time."""

    feedback: Feedback


@unique
class FeedbackMode(IntEnum):
    """OPEN_LOOP: not in use; HOLDING: the ECAP is lost; FALLBACK: it stayed lost, and the amplitude is the programmed one."""

    OPEN_LOOP = 0
    FOLLOWING = 1
    HOLDING = 2
    FALLBACK = 3


class FeedbackStatus(Message, frozen=True):
    """The loop at this moment, and what it has counted since therapy started.

    `deviation_nanovolts` is the mean of |ECAP - target| over all updates.
    """

    area: U8
    mode: FeedbackMode
    amplitude_microamps: U32
    ecap_microvolts: I16
    deviation_nanovolts: U32
    updates: U64
    holds: U32
    fallbacks: U32
    at_limit: U32
    rate_limited: U32


@command(0x0604, role=Role.OBSERVER, optional=True)
class GetFeedbackStatus(Request[FeedbackStatus], frozen=True):
    """Read what the loop does. Area 255: no area follows the ECAP."""


@command(
    0x0605, role=Role.OBSERVER, states=ADJUSTABLE, refusals={Status.OUT_OF_RANGE, Status.UNSAFE_COMBINATION}, optional=True
)
class StartEcapStream(Request[Done], frozen=True):
    """Send the ECAP of each `pulses_per_sample`-th pulse of an area in ECAP_SAMPLES events, until session or therapy ends."""

    area: U8
    pulses_per_sample: U16


@command(0x0606, role=Role.OBSERVER, optional=True)
class StopEcapStream(Request[Done], frozen=True):
    """End the stream."""


class EcapSample(Message, frozen=True):
    """One sample: when (milliseconds after the batch's first), the ECAP, and the amplitude that evoked it."""

    after_ms: U16
    microvolts: I16
    amplitude_microamps: U32


@event(0x8601)
class EcapSamples(Message, frozen=True):
    """A batch of the stream. Sent once, as event 0, and not kept: `first_sample` shows gaps."""

    area: U8
    first_sample: U32
    uptime_ms: U64
    rows: tuple[EcapSample, ...]


@event(0x8602)
class FeedbackModeChanged(Message, frozen=True):
    """The loop goes on in another mode."""

    area: U8
    mode: FeedbackMode
    amplitude_microamps: U32
