"""The reference model: what a device must keep after each change. Written from SPEC.md, it shares no code with the firmware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from ipg_protocol.command import Request
from ipg_protocol.commands.link import FactoryReset
from ipg_protocol.commands.programs import (
    NO_PROGRAM,
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import (
    ScheduleRow,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StepAmplitude,
    WriteLimits,
    WriteSchedule,
)
from ipg_protocol.frame import crc32c
from ipg_protocol.wire import encode

from ipg_emulator.model import Range

MINUTE_US = 60_000_000
DAY_MINUTES = 1440

LimitValues = tuple[int, int, int, int]
"""Amplitude, pulse width, rate, charge per phase."""


class StoredProgram(msgspec.Struct, frozen=True):
    """A program as READ_PROGRAM and LIST_PROGRAMS tell it, and the revision that last changed it."""

    name: str
    areas: tuple[AreaSettings, ...]
    revision: int


class Kept(msgspec.Struct, frozen=True):
    """The configuration: what is kept over everything."""

    revision: int
    active: int
    limits: LimitValues
    programs: tuple[StoredProgram | None, ...]
    schedule: tuple[ScheduleRow, ...]

    def program(self, number: int) -> StoredProgram | None:
        """The program in a slot, if there is one."""
        return self.programs[number] if number < len(self.programs) else None

    def with_program(self, number: int, name: str, areas: tuple[AreaSettings, ...]) -> Kept:
        stored = StoredProgram(name, areas, self.revision + 1)
        return msgspec.structs.replace(self, programs=(*self.programs[:number], stored, *self.programs[number + 1 :]))


class NotPossible(Exception):
    """A change took effect that a device must refuse."""


class Reference:
    """What one device must keep. It is told what took effect, and answers what the configuration is then."""

    def __init__(self, kept: Kept, amplitudes: Range) -> None:
        """`kept` is what the device left the factory with, `amplitudes` the grid that STEP_AMPLITUDE moves on."""
        self.kept = kept
        self._factory = kept
        self._grid = tuple(amplitudes.values())
        self._shadow: tuple[BeginProgramWrite, dict[int, AreaSettings]] | None = None
        self._checkpoints: dict[int, list[Kept]] = {}
        """What each holds: one configuration, or after a power cut while it was saved one of several."""

    # What takes effect without a revision

    def booted(self) -> None:
        """A boot drops the shadow copy."""
        self._shadow = None

    def executed(self, request: Request[Any]) -> None:
        """A request was answered OK for the first time."""
        if isinstance(request, BeginProgramWrite):
            self._shadow = (request, {})
        elif isinstance(request, WriteProgramBlock) and self._shadow is not None:
            self._shadow[1][request.settings.area] = request.settings
        elif isinstance(request, SaveCheckpoint):
            self._checkpoints[request.checkpoint] = [self.kept]

    def perhaps_executed(self, request: Request[Any]) -> None:
        """A request was cut short: it took effect wholly or not at all."""
        if isinstance(request, SaveCheckpoint):
            self._checkpoints.setdefault(request.checkpoint, []).append(self.kept)

    # What raises the revision

    def after(self, request: Request[Any]) -> list[Kept]:
        """The configuration after a change of it; several where it may be one or the other.

        Raises:
            NotPossible: this changes no configuration, or cannot take effect now.
        """
        if isinstance(request, RestoreCheckpoint):
            found = self._checkpoints.get(request.checkpoint, [])
        elif isinstance(request, StepAmplitude):
            found = self._step(request)
        elif changes_configuration(request):
            found = [_EFFECTS[type(request)](self, request)]
        else:
            raise NotPossible(f"{type(request).__name__} changes no configuration")
        if not found:
            raise NotPossible("nothing is kept in that checkpoint, or the steps lead off the grid")
        return [msgspec.structs.replace(kept, revision=self.kept.revision + 1) for kept in found]

    def changed(self, request: Request[Any] | None, kept: Kept) -> None:
        """Take over a configuration that a request, or the schedule, has led to."""
        self.kept = kept
        if isinstance(request, CommitProgram | FactoryReset | RestoreCheckpoint):
            self._shadow = None

    def after_schedule(self, program: int) -> Kept:
        """The configuration after a row of the schedule has selected its program."""
        return msgspec.structs.replace(self.kept, revision=self.kept.revision + 1, active=program)

    def scheduled_at(self, unix_us: int) -> frozenset[int]:
        """The programs of the rows that begin at this very moment of the clock."""
        minute, rest = divmod(unix_us, MINUTE_US)
        rows = self.kept.schedule if rest == 0 else ()
        return frozenset(row.program for row in rows if row.minute_of_day == minute % DAY_MINUTES)

    # The effects

    def _adjust(self, area: int, **values: int) -> Kept:
        program = self.kept.program(self.kept.active)
        if program is None or area >= len(program.areas):
            raise NotPossible(f"there is no area {area} of an active program")
        adjusted = msgspec.structs.replace(program.areas[area], **values)
        areas = (*program.areas[:area], adjusted, *program.areas[area + 1 :])
        return self.kept.with_program(self.kept.active, program.name, areas)

    def _step(self, request: StepAmplitude) -> list[Kept]:
        """For a patient, only the patient's range has steps; who asks is not looked at here."""
        program = self.kept.program(self.kept.active)
        if program is None or request.area >= len(program.areas):
            raise NotPossible(f"there is no area {request.area} of an active program")
        if request.expected_revision != self.kept.revision:
            raise NotPossible(f"revision {request.expected_revision} was expected and {self.kept.revision} stands")
        area = program.areas[request.area]
        low, high = area.patient_minimum_microamps, area.patient_maximum_microamps
        grids = (self._grid, tuple(value for value in self._grid if low <= value <= high))
        targets = [_stepped(grid, area.amplitude_microamps, request.steps) for grid in grids]
        return [self._adjust(request.area, amplitude_microamps=target) for target in targets if target is not None]

    def commit(self, request: CommitProgram) -> Kept:
        if self._shadow is None or self._shadow[0].program != request.program:
            raise NotPossible(f"no shadow copy of program {request.program} is open")
        begun, blocks = self._shadow
        areas = tuple(blocks[area] for area in sorted(blocks))
        if len(areas) != begun.area_count:
            raise NotPossible(f"{len(areas)} of {begun.area_count} blocks are there")
        if crc32c(b"".join(encode(area) for area in areas)) != request.checksum:
            raise NotPossible("the checksum is not that of the blocks")
        return self.kept.with_program(request.program, begun.name, areas)

    def erase(self, request: EraseProgram) -> Kept:
        number, kept = request.program, self.kept
        return msgspec.structs.replace(
            kept,
            active=NO_PROGRAM if kept.active == number else kept.active,
            programs=(*kept.programs[:number], None, *kept.programs[number + 1 :]),
            schedule=tuple(row for row in kept.schedule if row.program != number),
        )

    def select(self, request: SelectProgram) -> Kept:
        if self.kept.program(request.program) is None:
            raise NotPossible(f"slot {request.program} is empty")
        return msgspec.structs.replace(self.kept, active=request.program)

    def factory_reset(self, _: FactoryReset) -> Kept:
        renewed = [
            program and msgspec.structs.replace(program, revision=self.kept.revision + 1) for program in self._factory.programs
        ]
        return msgspec.structs.replace(self._factory, programs=tuple(renewed))

    def set_amplitude(self, request: SetAmplitude) -> Kept:
        return self._adjust(request.area, amplitude_microamps=request.amplitude_microamps)

    def set_pulse_width(self, request: SetPulseWidth) -> Kept:
        return self._adjust(request.area, pulse_width_us=request.pulse_width_us)

    def set_rate(self, request: SetRate) -> Kept:
        return self._adjust(request.area, rate_millihertz=request.rate_millihertz)

    def write_limits(self, request: WriteLimits) -> Kept:
        values = (request.amplitude_microamps, request.pulse_width_us, request.rate_millihertz)
        return msgspec.structs.replace(self.kept, limits=(*values, request.charge_per_phase_nanocoulombs))

    def write_schedule(self, request: WriteSchedule) -> Kept:
        return msgspec.structs.replace(self.kept, schedule=tuple(sorted(request.rows, key=lambda row: row.minute_of_day)))


_EFFECTS = cast(
    "dict[type[Request[Any]], Callable[[Reference, Request[Any]], Kept]]",
    {
        SetAmplitude: Reference.set_amplitude,
        SetPulseWidth: Reference.set_pulse_width,
        SetRate: Reference.set_rate,
        WriteLimits: Reference.write_limits,
        WriteSchedule: Reference.write_schedule,
        SelectProgram: Reference.select,
        CommitProgram: Reference.commit,
        EraseProgram: Reference.erase,
        FactoryReset: Reference.factory_reset,
    },
)
"""What each change of configuration does, by its request; RESTORE_CHECKPOINT and STEP_AMPLITUDE may lead to one of several."""


def changes_configuration(request: Request[Any]) -> bool:
    """Whether a request, once it is answered OK, has raised the revision."""
    return type(request) in _EFFECTS or isinstance(request, RestoreCheckpoint | StepAmplitude)


def _stepped(grid: tuple[int, ...], present: int, steps: int) -> int | None:
    """The value of the grid so many steps from the present one; None if there is none."""
    if not steps:
        return present
    ahead = (
        [value for value in grid if value > present] if steps > 0 else [value for value in reversed(grid) if value < present]
    )
    return ahead[abs(steps) - 1] if abs(steps) <= len(ahead) else None
