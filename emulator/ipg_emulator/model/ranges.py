"""The pieces a model file is built from: tables with known keys, grids of values, and figures that say where they come from."""

from collections.abc import Iterator
from enum import StrEnum, unique
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0, lt=1e12)]
Source = Annotated[str, msgspec.Meta(pattern=r"\S")]
Permille = Annotated[int, msgspec.Meta(ge=0, le=1000)]


@unique
class Confidence(StrEnum):
    """Where a figure comes from: read in the named source, computed from such figures, our own design, or unverified."""

    READ = "read"
    COMPUTED = "computed"
    DESIGN = "design"
    UNVERIFIED = "unverified"


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A TOML table whose keys are all known."""


class Provenance(Table, frozen=True):
    """The source of a figure, and how far it can be trusted."""

    source: Source
    confidence: Confidence


class Figures(Table, frozen=True, kw_only=True):
    """A table of figures from one source; those from another are named in `provenance`."""

    source: Source
    confidence: Confidence
    provenance: dict[str, Provenance] = {}

    def __post_init__(self) -> None:
        figures = [name for name in self.__struct_fields__ if name not in Figures.__struct_fields__]
        for name in self.provenance:
            if name not in figures:
                raise ValueError(f"provenance of {name}, which is none of {', '.join(figures)}")

    def origin(self, figure: str) -> Provenance:
        """Where the figure of that name comes from."""
        return self.provenance.get(figure) or Provenance(self.source, self.confidence)


class Segment(Table, frozen=True):
    """A stretch of a range with one step."""

    minimum: Count
    maximum: Count
    step: Positive

    def __post_init__(self) -> None:
        if self.maximum < self.minimum or (self.maximum - self.minimum) % self.step:
            raise ValueError(f"maximum {self.maximum} is not minimum {self.minimum} plus whole steps of {self.step}")


class Range(Table, frozen=True):
    """The values a parameter may take, in segments of rising value, and where the figures come from."""

    segments: Annotated[tuple[Segment, ...], msgspec.Meta(min_length=1)]
    source: Source
    confidence: Confidence

    def __post_init__(self) -> None:
        for below, above in zip(self.segments, self.segments[1:], strict=False):
            if above.minimum <= below.maximum:
                raise ValueError(f"segment from {above.minimum} must start above {below.maximum}, where the one before ends")

    @property
    def minimum(self) -> int:
        return self.segments[0].minimum

    @property
    def maximum(self) -> int:
        return self.segments[-1].maximum

    def values(self) -> Iterator[int]:
        """Every value of the grid, rising."""
        for segment in self.segments:
            yield from range(segment.minimum, segment.maximum + 1, segment.step)

    def step_at(self, value: int) -> int:
        """The step of the segment that `value` is in or, between segments, of the one above."""
        return next((s.step for s in self.segments if value <= s.maximum), self.segments[-1].step)

    def nearest(self, value: int) -> int:
        """The value of the grid nearest to `value`; the lower one of two equally near."""
        candidates: list[int] = []
        for s in self.segments:
            inside = min(max(value, s.minimum), s.maximum)
            below = inside - (inside - s.minimum) % s.step
            candidates += [below, min(below + s.step, s.maximum)]
        return min(candidates, key=lambda candidate: (abs(candidate - value), candidate))


class Figure(Table, frozen=True):
    """One figure and where it comes from."""

    value: Count
    source: Source
    confidence: Confidence
