"""A valid request of every command: zeros where they are valid, else what the device itself says is valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipg_protocol import Command, Message, Request, Role
from ipg_protocol.commands.link import Ping, SetTime, TransactionStatus
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    ReadLimits,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    WriteLimits,
)
from ipg_protocol.wire import Field, fields

from ipg_conformance.device import HOST_ID, NEXT, PROGRAM, Device, checksum

UNIX_MILLISECONDS = 1_750_000_000_000


def _write_program_block(device: Device) -> WriteProgramBlock:
    device.ask(BeginProgramWrite(PROGRAM, area_count=1, name="conformance"))
    return WriteProgramBlock(PROGRAM, settings=device.typical())


def _commit_program(device: Device) -> CommitProgram:
    block = _write_program_block(device)
    device.ask(block)
    return CommitProgram(NEXT, program=PROGRAM, checksum=checksum(block.settings))


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


SAMPLES: dict[type[Message], Callable[[Device], Request[Any]]] = {
    Ping: lambda _: Ping(token=0x1122_3344),
    SetTime: lambda _: SetTime(NEXT, UNIX_MILLISECONDS),
    TransactionStatus: lambda _: TransactionStatus(transaction=1),
    OpenSession: lambda _: OpenSession(role=Role.SERVICE, host_id=HOST_ID, nonce=0),
    SelectProgram: _adjusted(lambda _: SelectProgram(NEXT, PROGRAM)),
    BeginProgramWrite: lambda _: BeginProgramWrite(PROGRAM, area_count=1, name="conformance"),
    WriteProgramBlock: _write_program_block,
    CommitProgram: _commit_program,
    EraseProgram: _adjusted(lambda _: EraseProgram(NEXT, PROGRAM)),
    StartTherapy: _adjusted(lambda _: StartTherapy(NEXT)),
    SetAmplitude: _adjusted(lambda device: SetAmplitude(NEXT, 0, device.typical().amplitude_microamps)),
    StepAmplitude: _adjusted(lambda device: StepAmplitude(NEXT, 0, -1, device.status().revision)),
    SetPulseWidth: _adjusted(lambda device: SetPulseWidth(NEXT, 0, device.typical().pulse_width_us)),
    SetRate: _adjusted(lambda device: SetRate(NEXT, 0, device.typical().rate_millihertz)),
    WriteLimits: _write_limits,
    MeasureImpedance: lambda device: MeasureImpedance(device.sound_contacts[0], device.return_contact),
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
    """A request that a settled device must accept in IDLE, its transaction filled in; it may prepare the device for it."""
    build = SAMPLES.get(command.request)
    request: Request[Any] = build(device) if build else zeros(command.request)
    return device.numbered(request)
