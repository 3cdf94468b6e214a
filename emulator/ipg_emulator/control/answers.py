"""What operations answer. Times are seconds of the device's time, exact to the microsecond; currents are microamperes."""

from __future__ import annotations

from typing import Any

import msgspec

MICROSECONDS = 1_000_000


def seconds(microseconds: int) -> float:
    """Exact: a double holds every microsecond of 285 years."""
    return microseconds / MICROSECONDS


def microseconds(seconds: float) -> int:
    """The other way."""
    return round(seconds * MICROSECONDS)


class Answer(msgspec.Struct, frozen=True):
    """What every answer is."""


class Description(Answer, frozen=True):
    """Who the device is. The seed is as much of it as the serial number tells: its lower 32 bits."""

    model: str
    title: str
    serial: str
    seed: int
    firmware_version: str
    contacts: int
    program_slots: int
    has_charger: bool
    has_magnet_sensor: bool
    supply: str


class Whereabouts(Answer, frozen=True):
    """A device, and the port that its host opens."""

    device: int
    """Its number in the paths."""
    model: str
    serial: str
    port: str


class Moment(Answer, frozen=True):
    """When something was done."""

    at_seconds: float


class TimeReport(Answer, frozen=True):
    """The device's time; `passes_by_itself` is False where it passes only by `advance`, or while somebody reads."""

    at_seconds: float
    uptime_seconds: float
    unix_seconds: float | None
    """What the clock says; None while it is not set."""
    next_deadline_seconds: float | None
    """When something is due next; None while only the host can change anything."""
    passes_by_itself: bool


class AreaState(Answer, frozen=True):
    """One area of the active program: what it is programmed to, and what it delivers at this moment."""

    area: int
    waveform: str
    programmed_microamps: int
    delivered_microamps: int
    deliverable_microamps: int
    pulse_width_us: int
    rate_millihertz: int
    flags: list[str]


class BatteryState(Answer, frozen=True):
    """The cell under its present load."""

    tier: str
    millivolts: int
    charge_permille: int
    drain_microamps: int


class SessionState(Answer, frozen=True):
    """Who has a session open."""

    role: str
    host_id: int


class SurroundingsState(Answer, frozen=True):
    """What is round the device, and how the patient is."""

    posture: str
    lead_shift_contacts: float
    lead_faults: dict[int, str]
    magnet_present: bool
    charger_coupling_permille: int | None
    """None where the device has no charger."""
    case_millicelsius: int


class StateReport(Answer, frozen=True):
    """The device at this moment, without asking it over its link."""

    at_seconds: float
    has_power: bool
    state: str
    boot_counter: int
    uptime_seconds: float
    active_program: int | None
    program_name: str | None
    revision: int
    areas: list[AreaState]
    """Of the active program."""
    battery: BatteryState
    latched_faults: list[str]
    session: SessionState | None
    unacknowledged_events: int
    surroundings: SurroundingsState


class LogLine(Answer, frozen=True):
    """An entry of the device's log."""

    number: int
    boot_counter: int
    uptime_seconds: float
    code: str
    argument: int


class SeenEvent(Answer, frozen=True):
    """An event that the device has raised; numbers count from 1 since somebody has watched, and on over a restore."""

    number: int
    at_seconds: float
    name: str
    fields: dict[str, Any]


class SeenRefusal(Answer, frozen=True):
    """A request that the device has refused, and why."""

    at_seconds: float
    request_id: int
    command: str
    status: str
    detail: dict[str, Any]
    words: str
    lost: str = ""
    """Why the host has not been told; empty when it was."""


class Silence(Answer, frozen=True):
    """Bytes that were dropped, ignored or altered: how often for this reason, and which they were last."""

    why: str
    count: int
    last_at_seconds: float
    last_to: str
    last_hex: str


class TraceLine(Answer, frozen=True):
    """Bytes of the link, and what they say; with `why`, what became of them instead of passing."""

    at_seconds: float
    to: str
    hex: str
    text: list[str]
    """Each frame that ends in these bytes, whose beginning may stand in earlier ones."""
    why: str


class SnapshotReport(Answer, frozen=True):
    """A snapshot that is kept, and the time that it was taken at."""

    name: str
    at_seconds: float


class SnapshotContent(Answer, frozen=True):
    """A snapshot as a file holds it, which `ipg-emulator run --snapshot FILE` goes on from."""

    name: str
    at_seconds: float
    content: bytes
