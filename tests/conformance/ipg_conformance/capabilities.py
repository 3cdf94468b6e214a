"""What the device says it has and can do: the suite has no catalogue of devices of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ipg_protocol import COMMAND_OF, Message
from ipg_protocol.commands.link import Capability, CapabilityRow
from ipg_protocol.commands.programs import CASE_CONTACT, Waveform

RANGES = (Capability.AMPLITUDE_MICROAMPS, Capability.PULSE_WIDTH_US, Capability.RATE_MILLIHERTZ, Capability.RAMP_SECONDS)
"""Without these no area can be made up."""


class Segment(NamedTuple):
    """A stretch of a range with one step."""

    minimum: int
    maximum: int
    step: int

    def below(self, value: int) -> int:
        """The highest grid point not above `value`, which may lie outside; at least the minimum."""
        inside = min(max(value, self.minimum), self.maximum)
        return inside - (inside - self.minimum) % self.step


class Range(NamedTuple):
    """The values that a parameter may take, in segments of rising value."""

    segments: tuple[Segment, ...]

    @property
    def minimum(self) -> int:
        return self.segments[0].minimum

    @property
    def maximum(self) -> int:
        return self.segments[-1].maximum

    def has(self, value: int) -> bool:
        return any(s.minimum <= value <= s.maximum and (value - s.minimum) % s.step == 0 for s in self.segments)

    def below(self, value: int) -> int:
        """The highest grid point not above `value`, or the minimum."""
        return max((s.below(value) for s in self.segments if s.minimum <= value), default=self.minimum)

    def above(self, value: int) -> int | None:
        """The lowest grid point above `value`, if there is one."""
        points = (point for s in self.segments for point in (s.minimum, s.below(value) + s.step))
        return min((point for point in points if point > value and self.has(point)), default=None)

    def from_(self, value: int) -> int:
        """The lowest grid point not below `value`, or the maximum."""
        above = self.above(value - 1)
        return self.maximum if above is None else above

    def nearest(self, value: int) -> set[int]:
        """The grid points nearest to `value`: two when it is half way."""
        points = {point for s in self.segments for point in (s.below(value), min(s.below(value) + s.step, s.maximum))}
        least = min(abs(point - value) for point in points)
        return {point for point in points if abs(point - value) == least}

    def boundaries(self) -> list[int]:
        """Round each segment: min - step, min, between two grid points, max, max + step; none below zero."""
        found: set[int] = set()
        for s in self.segments:
            found |= {s.minimum - min(s.step, max(s.minimum, 1)), s.minimum, s.minimum + 1, s.maximum, s.maximum + s.step}
        return sorted(value for value in found if value >= 0)


class Shape(NamedTuple):
    """How the device makes a waveform."""

    recharge_phases: int
    interphase_us: int
    recharge_us: int


class Capabilities:
    """The rows of GET_CAPABILITIES, sorted by what they speak of."""

    def __init__(self, rows: Iterable[CapabilityRow]) -> None:
        self.rows = tuple(rows)
        self.contacts = sorted(row.index for row in self.of(Capability.CONTACT) if row.index != CASE_CONTACT)
        self.has_case = any(row.index == CASE_CONTACT for row in self.of(Capability.CONTACT))
        self.waveforms = [Waveform(row.index) for row in self.of(Capability.WAVEFORM)]
        self.commands = {row.index for row in self.of(Capability.COMMAND)}
        self.areas_square_millimetres = {row.index: row.step / 100 for row in self.of(Capability.CONTACT)}

    def of(self, capability: Capability) -> list[CapabilityRow]:
        """The rows of one capability, in their order."""
        return [row for row in self.rows if row.capability is capability]

    def limit(self, capability: Capability) -> int:
        """The maximum of a capability that stands in one row."""
        return self.of(capability)[0].maximum

    def range(self, capability: Capability) -> Range:
        """The range of a parameter, its segments in rising order."""
        return Range(tuple(sorted(Segment(row.minimum, row.maximum, row.step) for row in self.of(capability))))

    def shape(self, waveform: Waveform) -> Shape:
        """How a waveform recovers its charge; of one that the device lacks, without any recharge."""
        rows = [row for row in self.of(Capability.WAVEFORM) if row.index == waveform]
        return Shape(rows[0].minimum, rows[0].maximum, rows[0].step) if rows else Shape(0, 0, 0)

    def make_sense(self) -> bool:
        """Whether contacts and waveforms are there, and every range rises by a step from its minimum to its maximum."""
        ranges = [self.of(capability) for capability in RANGES]
        rise = all(row.minimum <= row.maximum and row.step > 0 for rows in ranges for row in rows)
        return rise and all(ranges) and bool(self.contacts) and bool(self.waveforms)

    def supports(self, *requests: type[Message]) -> bool:
        """Whether the device names all these commands."""
        return all(COMMAND_OF[request].opcode in self.commands for request in requests)
