"""The conversations a host holds with a device, written once and run by either client: `client.run(battery())`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from ipg_protocol import Role, State, crc32c, encode
from ipg_protocol.commands.link import (
    CapabilityRow,
    DeviceStatus,
    GetCapabilities,
    GetStatus,
    Identify,
    Identity,
    Revision,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import (
    ClearFault,
    Counters,
    FaultRecord,
    LogEntry,
    LogInfo,
    ReadCounters,
    ReadFaults,
    ReadLog,
)
from ipg_protocol.commands.measurement import ALL_CONTACTS, Impedance, MeasureImpedance, ReadImpedance
from ipg_protocol.commands.power import Battery, GetBattery
from ipg_protocol.commands.programs import (
    CASE_CONTACT,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramSelected,
    ProgramSummary,
    ReadProgram,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import CloseSession, OpenSession, Session
from ipg_protocol.commands.therapy import (
    Amplitude,
    AreaTherapy,
    Limits,
    ReadLimits,
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StepAmplitude,
    StopMode,
    StopTherapy,
    TherapyState,
    WriteLimits,
)
from ipg_protocol.refusal import Done, StateDetail
from ipg_protocol.vocabulary import FaultCode

from ipg_host.capabilities import Capabilities, capabilities_from
from ipg_host.conversation import Pause, Procedure, ask
from ipg_host.errors import MeasurementInterrupted
from ipg_host.programs import Program
from ipg_host.session import UNNUMBERED

_POLL_MS = 250


def open_session(role: Role, host_id: int, nonce: int) -> Procedure[Session]:
    """Open a session; one that is open is closed. `nonce` differs from one session to the next."""
    return ask(OpenSession(role=role, host_id=host_id, nonce=nonce))


def close_session() -> Procedure[Done]:
    """Close the session; therapy goes on."""
    return ask(CloseSession())


def transaction_status(transaction: int) -> Procedure[TransactionReport]:
    """Ask what became of a change of this host, such as one whose `OutcomeUnknown` carries its `transaction`."""
    return ask(TransactionStatus(transaction=transaction))


def identify() -> Procedure[Identity]:
    """Read who the device is."""
    return ask(Identify())


def status() -> Procedure[DeviceStatus]:
    """Read the device at a glance."""
    return ask(GetStatus())


class Overview(msgspec.Struct, frozen=True):
    """Who the device is, and how it stands."""

    model: str
    serial: str
    firmware_version: str
    protocol_version: str
    status: DeviceStatus


def overview() -> Procedure[Overview]:
    """Read identity and status."""
    identity = yield from ask(Identify())
    present = yield from ask(GetStatus())
    version = f"{identity.protocol_major}.{identity.protocol_minor}"
    return Overview(identity.model, identity.serial, identity.firmware_version, version, present)


def battery() -> Procedure[Battery]:
    """Read the battery."""
    return ask(GetBattery())


def capabilities() -> Procedure[Capabilities]:
    """Read all pages of what the device has and can do."""
    rows: list[CapabilityRow] = []
    while True:
        page = yield from ask(GetCapabilities(first=len(rows)))
        rows += page.rows
        if len(rows) >= page.total or not page.rows:
            return capabilities_from(rows)


class Programs(msgspec.Struct, frozen=True):
    """Every slot, and which is selected (255: none)."""

    active_program: int
    slots: tuple[ProgramSummary, ...]


def list_programs() -> Procedure[Programs]:
    """Read all program slots; an empty one has no areas."""
    slots: list[ProgramSummary] = []
    while True:
        page = yield from ask(ListPrograms(first=len(slots)))
        slots += page.rows
        if len(slots) >= page.total or not page.rows:
            return Programs(page.active_program, tuple(slots))


def read_program(program: int) -> Procedure[Program]:
    """Read a whole program.

    Raises:
        OutOfRange: there is no such slot, or it is empty.
    """
    first = yield from ask(ReadProgram(program=program, area=0))
    areas = [first.settings]
    while len(areas) < first.area_count:
        more = yield from ask(ReadProgram(program=program, area=len(areas)))
        areas.append(more.settings)
    page = yield from ask(ListPrograms(first=program))
    return Program(page.rows[0].name, tuple(areas))


def write_program(number: int, program: Program) -> Procedure[Revision]:
    """Write a whole program into slot `number`; the stored one stays as it is until all of the new one is there."""
    yield from ask(BeginProgramWrite(program=number, area_count=len(program.areas), name=program.name))
    for settings in program.areas:
        yield from ask(WriteProgramBlock(program=number, settings=settings))
    checksum = crc32c(b"".join(encode(settings) for settings in program.areas))
    return (yield from ask(CommitProgram(transaction=UNNUMBERED, program=number, checksum=checksum)))


def erase_program(program: int) -> Procedure[Revision]:
    """Empty a slot."""
    return ask(EraseProgram(transaction=UNNUMBERED, program=program))


def select_program(program: int) -> Procedure[ProgramSelected]:
    """Make a program the active one."""
    return ask(SelectProgram(transaction=UNNUMBERED, program=program))


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


def measure_impedance(
    cathode: int = ALL_CONTACTS,
    anode: int = CASE_CONTACT,
    progress: Callable[[int, int], None] = lambda _measured, _planned: None,
) -> Procedure[tuple[Impedance, ...]]:
    """Measure one pair of contacts or all, and wait for the results; `progress` is told pairs measured and planned.

    Raises:
        MeasurementInterrupted: it was stopped before all pairs were measured.
    """
    started = yield from ask(MeasureImpedance(cathode=cathode, anode=anode))
    rows: list[Impedance] = []
    progress(0, started.pairs)
    while len(rows) < started.pairs:
        yield Pause(max(1, min(_POLL_MS, started.duration_ms // started.pairs)))
        present = yield from ask(GetStatus())
        page = yield from ask(ReadImpedance(first=len(rows)))
        if page.measurement != started.measurement or (not page.rows and present.state is not State.MEASURING):
            raise MeasurementInterrupted(len(rows), started.pairs)
        rows += page.rows
        progress(len(rows), started.pairs)
    return tuple(rows)


def read_log(last: int | None = None) -> Procedure[tuple[LogEntry, ...]]:
    """Read the whole log, oldest entry first, or only its `last` entries.

    Raises:
        ValueError: `last` is negative.
    """
    cursor = 0
    if last is not None:
        if last < 0:
            raise ValueError(f"last is a number of entries, 0 or more, got {last}")
        extent = yield from ask(LogInfo())
        cursor = max(extent.oldest, extent.newest - last + 1)
    entries: list[LogEntry] = []
    while True:
        page = yield from ask(ReadLog(cursor=cursor))
        entries += page.rows
        if not page.rows:
            return tuple(entries)
        cursor = page.next_cursor


def read_counters() -> Procedure[Counters]:
    """Read the totals over the device's life."""
    return ask(ReadCounters())


def read_faults() -> Procedure[tuple[FaultRecord, ...]]:
    """Read every kind of fault ever raised, and whether it still stands."""
    answer = yield from ask(ReadFaults())
    return answer.rows


def clear_fault(fault: FaultCode) -> Procedure[StateDetail]:
    """Clear a latched fault; the answer says the state then."""
    return ask(ClearFault(transaction=UNNUMBERED, fault=fault))


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
