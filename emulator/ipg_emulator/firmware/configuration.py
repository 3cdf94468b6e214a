"""The configuration: programs, limits, selection and schedule, all of them immutable and replaced as a whole."""

from __future__ import annotations

import msgspec
from ipg_protocol import crc32c, encode
from ipg_protocol.commands.programs import NO_PROGRAM, AreaSettings
from ipg_protocol.commands.sensing import Feedback
from ipg_protocol.commands.therapy import Limits, ScheduleRow

from ipg_emulator.model import DeviceModel

CHECKPOINTS = 2
"""How many copies of a configuration a device keeps."""


class Program(msgspec.Struct, frozen=True):
    """A stored program; `checksum` is that of its areas, so that damage is seen."""

    name: str
    areas: tuple[AreaSettings, ...]
    revision: int
    checksum: int
    feedback: tuple[Feedback, ...] = ()
    """How areas follow the ECAP, as far as it was ever said; a program written anew follows nothing."""


def areas_checksum(areas: tuple[AreaSettings, ...]) -> int:
    """CRC-32C over the bytes of the areas, area 0 first."""
    return crc32c(b"".join(encode(area) for area in areas))


class Configuration(msgspec.Struct, frozen=True):
    """Everything a change of configuration replaces at once."""

    revision: int
    active_program: int
    limits: Limits
    programs: tuple[Program | None, ...]
    schedule: tuple[ScheduleRow, ...] = ()
    """By time of day; the program of each row is stored."""

    @property
    def active(self) -> Program | None:
        """The active program; None when none is selected."""
        return self.stored(self.active_program)

    def stored(self, number: int) -> Program | None:
        """The program in a slot; None when the slot is empty, or there is none of that number."""
        return self.programs[number] if number < len(self.programs) else None

    def storing(self, number: int, program: Program | None) -> Configuration:
        """The same with one slot replaced. An emptied slot is neither active nor in the schedule after."""
        programs = list(self.programs)
        programs[number] = program and msgspec.structs.replace(program, revision=self.revision + 1)
        active, schedule = self.active_program, self.schedule
        if program is None:
            active = NO_PROGRAM if number == active else active
            schedule = tuple(row for row in schedule if row.program != number)
        return msgspec.structs.replace(self, programs=tuple(programs), active_program=active, schedule=schedule)


def factory_configuration(model: DeviceModel, revision: int) -> Configuration:
    """The configuration that a device of this model leaves the factory with."""
    programs: list[Program | None] = []
    for default in model.programs:
        areas = tuple(area.settings(number) for number, area in enumerate(default.areas))
        programs.append(Program(default.name, areas, revision, areas_checksum(areas)))
    programs += [None] * (model.program_slots - len(programs))
    limits = Limits(
        amplitude_microamps=model.ranges.amplitude_microamps.maximum,
        pulse_width_us=model.ranges.pulse_width_us.maximum,
        rate_millihertz=model.ranges.rate_millihertz.maximum,
        charge_per_phase_nanocoulombs=model.limits.charge_per_phase_nanocoulombs.value,
        revision=revision,
    )
    return Configuration(revision, 0 if model.programs else NO_PROGRAM, limits, tuple(programs))
