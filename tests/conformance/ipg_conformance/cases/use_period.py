"""REQ-USE: a device that may be used for so many days. They take the input `time`."""

from __future__ import annotations

from math import ceil

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.log import ClearFault, FaultRecord, Latch, LogCode, LogInfo, ReadFaults
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.vocabulary import FaultCode

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.therapy import delivered_microamps
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal
from ipg_conformance.predicate import is_not_zero

DAY_SECONDS = 86_400.0
LIMITED = is_not_zero(Capability.USE_PERIOD_DAYS)


def latched(device: Device) -> list[FaultRecord]:
    """The record of USE_PERIOD_OVER, if it is latched."""
    return [
        row for row in device.ask(ReadFaults()).rows if (row.fault, row.latch) == (FaultCode.USE_PERIOD_OVER, Latch.LATCHED)
    ]


def use_up(device: Device, *, at_the_end: bool) -> None:
    """Give therapy once, and if wanted to the end, until the days that the device may be used are over, if they are not."""
    if latched(device):
        return
    device.run_therapy()
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.let_pass((device.capabilities.limit(Capability.USE_PERIOD_DAYS) - 1) * DAY_SECONDS)
    device.open_session()
    if at_the_end and not latched(device):
        device.run_therapy()
    silence = device.capabilities.limit(Capability.HOST_SILENCE_MS) / 2000
    stride = min(DAY_SECONDS, silence or DAY_SECONDS)
    for _ in range(ceil(DAY_SECONDS / stride)):
        device.let_pass(stride)
        device.status()
    device.open_session()


@case("USE/PERIOD/LT-01", "REQ-USE-001", "REQ-LOG-002", profile=Profile.FULL, applies=LIMITED, destructive=True)
def period_ends_in_a_fault(device: Device) -> None:
    """When the days of use are over since the first start, therapy ends: USE_PERIOD_OVER is latched, listed, logged: FAULT."""
    newest = device.ask(LogInfo()).newest
    if latched(device):
        raise NotApplicable("the days of use are over already")
    use_up(device, at_the_end=True)
    expect("how many faults USE_PERIOD_OVER are latched", len(latched(device)), 1)
    expect("the state", device.status().state, State.FAULT)
    expect("what is delivered", delivered_microamps(device), 0)
    logged = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.FAULT_RAISED]
    expect("the entries FAULT_RAISED", logged, [FaultCode.USE_PERIOD_OVER])


@case("USE/PERIOD/BO-01", "REQ-USE-001", "REQ-THR-003", profile=Profile.FULL, applies=LIMITED, destructive=True)
def period_cannot_be_cleared(device: Device) -> None:
    """CLEAR_FAULT of USE_PERIOD_OVER is refused FAULT_LATCHED, behind RESET too, and so is START_THERAPY."""
    use_up(device, at_the_end=False)
    for _ in range(2):
        clear = ClearFault(NEXT, fault=FaultCode.USE_PERIOD_OVER)
        expect_refusal("CLEAR_FAULT", device.request(clear), Status.FAULT_LATCHED)
        expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.FAULT_LATCHED)
        expect("what is delivered", delivered_microamps(device), 0)
        device.restart()
    expect("the state", device.status().state, State.FAULT)
