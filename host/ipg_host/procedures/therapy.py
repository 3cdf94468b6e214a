"""Therapy: start, stop, amplitudes, the clinician's limits, the daily schedule."""

from __future__ import annotations

from ipg_protocol import State
from ipg_protocol.commands.link import DeviceStatus, GetStatus
from ipg_protocol.commands.therapy import (
    Amplitude,
    AreaTherapy,
    Limits,
    ReadLimits,
    ReadSchedule,
    ReadTherapy,
    Schedule,
    ScheduleRow,
    SetAmplitude,
    StartTherapy,
    StepAmplitude,
    StopMode,
    StopTherapy,
    TherapyState,
    WriteLimits,
    WriteSchedule,
)

from ipg_host.conversation import Pause, Procedure, ask
from ipg_host.session import UNNUMBERED

_POLL_MS = 250


def start() -> Procedure[TherapyState]:
    """Start the active program; the answer says how long its ramp takes."""
    return ask(StartTherapy(transaction=UNNUMBERED))


def stop(mode: StopMode = StopMode.RAMP) -> Procedure[TherapyState]:
    """Stop therapy; needs no session."""
    return ask(StopTherapy(mode=mode))


def ramp_finished() -> Procedure[DeviceStatus]:
    """Wait until no ramp is under way, and return the status then."""
    while True:
        present = yield from ask(GetStatus())
        if present.state is not State.RAMPING:
            return present
        yield Pause(_POLL_MS)


def read_therapy(area: int) -> Procedure[AreaTherapy]:
    """Read what an area of the active program is programmed to and what it delivers."""
    return ask(ReadTherapy(area=area))


def set_amplitude(area: int, amplitude_microamps: int) -> Procedure[Amplitude]:
    """Set the amplitude of an area of the active program."""
    return ask(SetAmplitude(transaction=UNNUMBERED, area=area, amplitude_microamps=amplitude_microamps))


def step_amplitude(area: int, steps: int) -> Procedure[Amplitude]:
    """Move the amplitude of an area by steps of its grid, up or down.

    Raises:
        Conflict: the configuration was changed by someone else in between.
    """
    present = yield from ask(GetStatus())
    change = StepAmplitude(transaction=UNNUMBERED, area=area, steps=steps, expected_revision=present.revision)
    return (yield from ask(change))


def read_limits() -> Procedure[Limits]:
    """Read the clinician's limits."""
    return ask(ReadLimits())


def write_limits(
    *,
    amplitude_microamps: int | None = None,
    pulse_width_us: int | None = None,
    rate_millihertz: int | None = None,
    charge_per_phase_nanocoulombs: int | None = None,
) -> Procedure[Limits]:
    """Set the clinician's limits; those left out stay as they are."""
    present = yield from ask(ReadLimits())
    change = WriteLimits(
        transaction=UNNUMBERED,
        amplitude_microamps=present.amplitude_microamps if amplitude_microamps is None else amplitude_microamps,
        pulse_width_us=present.pulse_width_us if pulse_width_us is None else pulse_width_us,
        rate_millihertz=present.rate_millihertz if rate_millihertz is None else rate_millihertz,
        charge_per_phase_nanocoulombs=(
            present.charge_per_phase_nanocoulombs if charge_per_phase_nanocoulombs is None else charge_per_phase_nanocoulombs
        ),
    )
    return (yield from ask(change))


def read_schedule() -> Procedure[Schedule]:
    """Read the daily schedule."""
    return ask(ReadSchedule())


def write_schedule(rows: tuple[ScheduleRow, ...]) -> Procedure[Schedule]:
    """Replace the daily schedule; without rows there is none after."""
    return ask(WriteSchedule(transaction=UNNUMBERED, rows=rows))
