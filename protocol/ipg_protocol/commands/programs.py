"""Group 02: stored programs. A program holds 1 to 4 areas; it is written block by block and swapped in at once."""

from __future__ import annotations

from enum import IntEnum, unique

from ipg_protocol.command import Change, Request, command
from ipg_protocol.commands.link import Revision
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import Role, State, Status
from ipg_protocol.wire import I16, U8, U16, U32, Message, Text16

CASE_CONTACT = 0xFF
"""The contact number of the case (the enclosure, as return electrode)."""

NO_PROGRAM = 0xFF
"""The program number when none is selected."""


@unique
class Waveform(IntEnum):
    """The kind of pulse, and how the charge of its stimulating phase is recovered: see the table in SPEC.md."""

    TONIC_ACTIVE_RECHARGE = 0
    TONIC_PASSIVE_RECHARGE = 1
    TONIC_ASYMMETRIC_RECHARGE = 2
    BURST_PASSIVE_RECHARGE = 3
    DIRECT_CURRENT = 4
    SINE_BURST = 5
    MAGNETIC_BIPHASIC = 6


class ContactShare(Message, frozen=True):
    """The part of an area's current that one contact carries, in permille: negative for a cathode, positive for an anode."""

    contact: U8
    permille: I16


class AreaSettings(Message, frozen=True):
    """One area: waveform, current and its split over contacts, timing, and the range that the patient may choose from.

    Shares of cathodes and of anodes each sum to 1000 permille. `cycle_on_seconds` and `cycle_off_seconds` both 0 means
    continuous. Amplitude is the current of the stimulating phase, summed over the cathodes; on a device whose capability
    AMPLITUDE_UNIT says so, permille of its maximum output. `rate_millihertz` counts pulses or, of a waveform in bursts, bursts,
    each of `burst_pulses` pulses at `intra_burst_millihertz` (1 and 0 for single pulses). After `dose_seconds` the area stops
    (0: never).
    """

    area: U8
    waveform: Waveform
    ramp_seconds: U8
    pulse_width_us: U16
    amplitude_microamps: U32
    rate_millihertz: U32
    burst_pulses: U8
    intra_burst_millihertz: U32
    cycle_on_seconds: U32
    cycle_off_seconds: U32
    dose_seconds: U32
    patient_minimum_microamps: U32
    patient_maximum_microamps: U32
    contacts: tuple[ContactShare, ...]


class ProgramSummary(Message, frozen=True):
    """One slot; `area_count` 0 means that it is empty. `revision` is the one that last changed it."""

    program: U8
    area_count: U8
    revision: U32
    name: Text16


class ProgramPage(Message, frozen=True):
    """Slots from the one asked for on, and how many there are in all."""

    total: U8
    active_program: U8
    rows: tuple[ProgramSummary, ...]


@command(0x0201, role=Role.OBSERVER)
class ListPrograms(Request[ProgramPage], frozen=True):
    """List the program slots from slot `first` on."""

    first: U8


class ProgramArea(Message, frozen=True):
    """One area of a stored program."""

    program: U8
    area_count: U8
    revision: U32
    settings: AreaSettings


@command(0x0202, role=Role.OBSERVER, refusals={Status.OUT_OF_RANGE})
class ReadProgram(Request[ProgramArea], frozen=True):
    """Read one area of a program."""

    program: U8
    area: U8


class ProgramSelected(Message, frozen=True):
    """The program now selected, and the state that the device is in."""

    program: U8
    state: State


@command(
    0x0203,
    role=Role.PATIENT,
    states=frozenset({State.IDLE, State.RAMPING, State.THERAPY}),
    refusals={Status.OUT_OF_RANGE},
)
class SelectProgram(Change[ProgramSelected], frozen=True):
    """Make a program the active one. If therapy runs, it ramps down, switches, and ramps up."""

    program: U8


@command(0x0204, role=Role.CLINICIAN, refusals={Status.OUT_OF_RANGE})
class BeginProgramWrite(Request[Done], frozen=True):
    """Open a shadow copy of a program. One that was open before is dropped; the stored program stays as it is."""

    program: U8
    area_count: U8
    name: Text16


@command(
    0x0205,
    role=Role.CLINICIAN,
    refusals={
        Status.OUT_OF_RANGE,
        Status.OFF_GRID,
        Status.UNSAFE_COMBINATION,
        Status.NOT_SUPPORTED,
        Status.CONFLICT,
    },
)
class WriteProgramBlock(Request[Done], frozen=True):
    """Write one area into the shadow copy. CONFLICT when no shadow copy of this program is open."""

    program: U8
    settings: AreaSettings


@command(
    0x0206,
    role=Role.CLINICIAN,
    refusals={Status.UNSAFE_COMBINATION, Status.CONFLICT, Status.WRONG_STATE},
)
class CommitProgram(Change[Revision], frozen=True):
    """Swap the shadow copy in, whole. `checksum` is the CRC-32C of the payloads' settings, area 0 first.

    WRONG_STATE while therapy runs with this program; CONFLICT when no shadow copy of it is open.
    """

    program: U8
    checksum: U32


@command(0x0207, role=Role.CLINICIAN, refusals={Status.OUT_OF_RANGE, Status.WRONG_STATE})
class EraseProgram(Change[Revision], frozen=True):
    """Empty a slot. WRONG_STATE while therapy runs with this program; if it is selected, none is selected after."""

    program: U8


_AT_REST = frozenset({State.IDLE, State.FAULT, State.EOS})


@command(0x0208, role=Role.CLINICIAN, refusals={Status.OUT_OF_RANGE})
class SaveCheckpoint(Change[Revision], frozen=True):
    """Keep a copy of the whole configuration: programs, limits, selection and schedule. What was kept there is replaced."""

    checkpoint: U8


@command(0x0209, role=Role.CLINICIAN, states=_AT_REST, refusals={Status.OUT_OF_RANGE})
class RestoreCheckpoint(Change[Revision], frozen=True):
    """Put the configuration back as it was kept, all of it at once. OUT_OF_RANGE when nothing is kept there."""

    checkpoint: U8
