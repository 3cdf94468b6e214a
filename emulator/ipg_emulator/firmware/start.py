"""What must hold for therapy to start, whoever or whatever starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.measurement import ImpedanceVerdict
from ipg_protocol.refusal import BatteryDetail, CircuitDetail, FaultDetail
from ipg_protocol.vocabulary import BatteryTier, State, Status

from ipg_emulator.firmware.configuration import Program
from ipg_emulator.firmware.refusal import Refused

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

STARTABLE = frozenset({State.IDLE, State.RAMPING, State.THERAPY, State.MEASURING})
"""Where the device can start therapy by itself; in MEASURING it starts when the measurement is over."""


def check_start(device: Device, number: int, now: int) -> None:
    """Refuse to start a program: a fault, an empty battery, no such program, an open contact, or too many doses."""
    if device.memory.latched_faults:
        raise Refused(Status.FAULT_LATCHED, FaultDetail(device.memory.latched_faults[0]))
    if device.supply.tier is BatteryTier.EOS:
        millivolts = device.supply.read(now).millivolts
        raise Refused(Status.BATTERY_TOO_LOW, BatteryDetail(BatteryTier.EOS, millivolts, device.model.battery.eos_millivolts))
    program = device.require_program(number)
    _check_circuit(device, program)
    if device.delivery.would_begin(number):
        device.delivery.doses.check(program, now)


def _check_circuit(device: Device, program: Program) -> None:
    for share in (share for area in program.areas for share in area.contacts):
        known = device.delivery.measurements.of_contact.get(share.contact)
        if known is not None and known.verdict is ImpedanceVerdict.OPEN:
            raise Refused(Status.OPEN_CIRCUIT, CircuitDetail(share.contact, known.ohms))


def may_start(device: Device, number: int, now: int) -> bool:
    """Whether the device can and may start a program now, without being asked by a host."""
    try:
        check_start(device, number, now)
    except Refused:
        return False
    return device.state in STARTABLE
