"""A valid request of every command: zeros where they are valid, else what the device itself says is valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from ipg_protocol import Command, Message, Request, Role
from ipg_protocol.commands.link import Abort, Capability, Ping, SetTime, TransactionStatus
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.modes import EnterMriMode
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import Feedback, StartEcapStream, WriteFeedback
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    ReadLimits,
    ScheduleRow,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    WriteLimits,
    WriteSchedule,
)
from ipg_protocol.wire import Field, fields

from ipg_conformance.device import HOST_ID, NEXT, Device, checksum

UNIX_MILLISECONDS = 1_750_000_000_000
TARGET_MICROVOLTS = 30
GAIN_PERMILLE = 100
RATE_LIMIT_MICROAMPS_PER_SECOND = 1_000


def _write_program_block(device: Device) -> WriteProgramBlock:
    device.ask(BeginProgramWrite(device.program, area_count=1, name="conformance"))
    return WriteProgramBlock(device.program, settings=device.typical())


def _commit_program(device: Device) -> CommitProgram:
    block = _write_program_block(device)
    device.ask(block)
    return CommitProgram(NEXT, program=device.program, checksum=checksum(block.settings))


def _adjusted(build: Callable[[Device], Request[Any]]) -> Callable[[Device], Request[Any]]:
    def sample(device: Device) -> Request[Any]:
        device.write_program(device.typical())
        return build(device)

    return sample


def _write_limits(device: Device) -> WriteLimits:
    present = device.ask(ReadLimits())
    return WriteLimits(
        NEXT,
        present.amplitude_microamps,
        present.pulse_width_us,
        present.rate_millihertz,
        present.charge_per_phase_nanocoulombs,
    )


def _restore_checkpoint(device: Device) -> RestoreCheckpoint:
    device.ask(SaveCheckpoint(NEXT, checkpoint=0))
    return RestoreCheckpoint(NEXT, checkpoint=0)


def feedback(device: Device, **chosen: int) -> Feedback:
    """How area 0 of a typical program may follow the ECAP."""
    area = device.typical()
    sample = Feedback(
        area=0,
        enabled=1,
        target_microvolts=min(TARGET_MICROVOLTS, device.capabilities.limit(Capability.FEEDBACK_TARGET_MICROVOLTS)),
        gain_permille=min(GAIN_PERMILLE, device.capabilities.limit(Capability.FEEDBACK_GAIN_PERMILLE)),
        minimum_microamps=device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).minimum,
        maximum_microamps=area.patient_maximum_microamps,
        rate_limit_microamps_per_second=RATE_LIMIT_MICROAMPS_PER_SECOND,
        pulses_per_update=1,
        lost_below_microvolts=0,
        lost_updates=20,
    )
    return msgspec.structs.replace(sample, **chosen)


def rows_of(device: Device, *starts: int) -> tuple[ScheduleRow, ...]:
    """Schedule rows of one minute each, beginning at these minutes of the day."""
    return tuple(ScheduleRow(minute, 1, device.program) for minute in starts)


SAMPLES: dict[type[Message], Callable[[Device], Request[Any]]] = {
    Ping: lambda _: Ping(token=0x1122_3344),
    SetTime: lambda _: SetTime(NEXT, UNIX_MILLISECONDS),
    TransactionStatus: lambda _: TransactionStatus(transaction=1),
    Abort: lambda device: Abort(target=device.tester.take_request_id()),
    OpenSession: lambda _: OpenSession(role=Role.SERVICE, host_id=HOST_ID, nonce=0),
    SelectProgram: _adjusted(lambda device: SelectProgram(NEXT, device.program)),
    BeginProgramWrite: lambda device: BeginProgramWrite(device.program, area_count=1, name="conformance"),
    WriteProgramBlock: _write_program_block,
    CommitProgram: _commit_program,
    RestoreCheckpoint: _restore_checkpoint,
    EraseProgram: _adjusted(lambda device: EraseProgram(NEXT, device.program)),
    StartTherapy: _adjusted(lambda _: StartTherapy(NEXT)),
    SetAmplitude: _adjusted(lambda device: SetAmplitude(NEXT, 0, device.typical().amplitude_microamps)),
    StepAmplitude: _adjusted(lambda device: StepAmplitude(NEXT, 0, -1, device.status().revision)),
    SetPulseWidth: _adjusted(lambda device: SetPulseWidth(NEXT, 0, device.typical().pulse_width_us)),
    SetRate: _adjusted(lambda device: SetRate(NEXT, 0, device.typical().rate_millihertz)),
    WriteLimits: _write_limits,
    WriteSchedule: _adjusted(lambda device: WriteSchedule(NEXT, rows_of(device, 600))),
    MeasureImpedance: lambda device: MeasureImpedance(device.sound_contacts[0], device.return_contact),
    WriteFeedback: _adjusted(lambda device: WriteFeedback(NEXT, feedback(device))),
    StartEcapStream: lambda _: StartEcapStream(area=0, pulses_per_sample=1),
    EnterMriMode: lambda _: EnterMriMode(NEXT, minutes=1),
}
"""Only commands of which a request full of zeros is not valid stand here."""


def _zero(field: Field) -> object:
    if field.nested is not None:
        return zeros(field.nested)
    if field.row is not None:
        return ()
    if field.enum is not None:
        return next(iter(field.enum))
    return field.from_wire(b"") if field.type_name.startswith(("text", "bytes")) else 0


def zeros(message: type[Message]) -> Any:
    """A message full of zeros, empty texts and first members."""
    return message(*(_zero(field) for field in fields(message)))


def valid_request(device: Device, command: Command) -> Request[Any]:
    """A request that a settled device must accept in a state for it, its transaction filled in; may write and select a program.

    Raises:
        NotApplicable: the device lacks the command.
    """
    device.need(command.request)
    build = SAMPLES.get(command.request)
    request: Request[Any] = build(device) if build else zeros(command.request)
    return device.numbered(request)
