"""Brings a device to where cases begin: at rest, without a fault, as the factory made it, in a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, DeviceStatus, FactoryReset, GetStatus
from ipg_protocol.commands.log import ClearFault, Latch, ReadFaults
from ipg_protocol.commands.modes import LeaveMriMode
from ipg_protocol.commands.session import Session
from ipg_protocol.commands.therapy import StopMode, StopTherapy

from ipg_conformance.expect import expect_ok
from ipg_conformance.permission import Permission

if TYPE_CHECKING:
    from ipg_conformance.device import Device

PASSING = (State.BOOT, State.MEASURING)
"""States that end by themselves."""
LONGEST_PASSING_SECONDS = 10.0
LONGEST_STOP_SECONDS = 10.0
LOOKS = 3
"""How often a device is asked whether its events are acknowledged: at the second time they are."""


def settle(device: Device) -> None:
    """Bring the device to IDLE, with no fault latched, the factory's configuration and a SERVICE session."""
    status = _stop_and_open(device)
    if status.state in (State.RAMPING, State.THERAPY):
        device.ask(StopTherapy(mode=StopMode.IMMEDIATE))  # refused above, or late: both have cases of their own to say so
        device.wait_for_state(lambda state: state not in (State.RAMPING, State.THERAPY), LONGEST_STOP_SECONDS)
    if status.state is State.SUSPENDED:
        device.ask(LeaveMriMode(device.next_transaction()))
    if status.state is State.SHELF:
        device.restart()
    if status.state is not State.IDLE:
        status = device.status()
    if status.alerts & Alert.FAULT_LATCHED:
        _clear_faults(device)
    if status.revision != device.clean_revision and Permission.DESTRUCTIVE in device.tester.allowed:
        device.clean_revision = device.ask(FactoryReset(device.next_transaction())).revision
    if status.unacknowledged_events:
        _take_events(device)


def _take_events(device: Device) -> None:
    """Take in, and so acknowledge, what was told again to the new session: over a slow line a case would find it else."""
    for _ in range(LOOKS):
        if not device.status().unacknowledged_events:
            return


def _stop_and_open(device: Device) -> DeviceStatus:
    """Stop therapy and open a session, in one go unless a state has to end first; how the device is then.

    GET_STATUS comes last: the events that a new session is told are there before its answer.
    """
    _, opened, looked = device.request_all([StopTherapy(StopMode.IMMEDIATE), device.opening(), GetStatus()])
    status = expect_ok(looked, DeviceStatus, "GET_STATUS is accepted")
    if isinstance(opened.body, Session) and status.state not in PASSING:
        device.begin(opened.body)
        return status
    device.wait_for_state(lambda state: state not in PASSING, LONGEST_PASSING_SECONDS)
    device.open_session()
    return device.status()


def _clear_faults(device: Device) -> None:
    """Clear what is latched; where a measurement found a short, RESET forgets the measurement first."""
    for record in device.ask(ReadFaults()).rows:
        clear = ClearFault(device.next_transaction(), fault=record.fault)
        if record.latch is Latch.LATCHED and device.request(clear).status is Status.SHORT_CIRCUIT:
            device.restart()
            device.ask(ClearFault(device.next_transaction(), fault=record.fault))
