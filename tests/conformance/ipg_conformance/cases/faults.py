"""REQ-FLT: latched faults and clearing them."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert
from ipg_protocol.commands.log import ClearFault, FaultCleared, Latch, LogCode, LogInfo, ReadFaults
from ipg_protocol.vocabulary import FaultCode

from ipg_conformance.case import Need, case, expect, expect_refusal, expect_that
from ipg_conformance.cases.log import entries_from
from ipg_conformance.device import NEXT, Device
from ipg_conformance.states import bring_to


@case("FLT/NONE/BV-01", "REQ-FLT-001")
def nothing_to_clear(device: Device) -> None:
    """CLEAR_FAULT of what is not latched is accepted, tells the state and changes nothing."""
    for fault in FaultCode:
        expect(f"the state after {fault.name}", device.ask(ClearFault(NEXT, fault)).state, State.IDLE)
    expect("latched faults", [r for r in device.ask(ReadFaults()).rows if r.latch is Latch.LATCHED], [])


@case("FLT/CLEAR/BO-01", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def short_that_is_still_there(device: Device) -> None:
    """CLEAR_FAULT while the contact last measured short is refused SHORT_CIRCUIT, and FAULT stays."""
    bring_to(device, State.FAULT)
    contact = device.shorted_contacts[0].cathode
    reply = device.request(ClearFault(NEXT, FaultCode.SHORT_CIRCUIT))
    expect_refusal("CLEAR_FAULT", reply, Status.SHORT_CIRCUIT, contact=contact)
    expect("the state", device.status().state, State.FAULT)
    expect_that("the alert FAULT_LATCHED is up", bool(device.status().alerts & Alert.FAULT_LATCHED), device.status())


@case("FLT/LATCH/BV-01", "REQ-FLT-001", "REQ-RST-001", need=Need.SHORTED_CONTACT)
def fault_outlives_a_reset(device: Device) -> None:
    """A latched fault outlives RESET; with no measurement that finds it short, it can be cleared, and IDLE follows."""
    bring_to(device, State.FAULT)
    device.restart()
    expect("the state after RESET", device.status().state, State.FAULT)
    expect("the state after CLEAR_FAULT", device.ask(ClearFault(NEXT, FaultCode.SHORT_CIRCUIT)).state, State.IDLE)
    expect("the event", device.tester.wait_for_event(FaultCleared), FaultCleared(FaultCode.SHORT_CIRCUIT))


@case("FLT/LOG/BV-01", "REQ-LOG-002", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def fault_is_logged(device: Device) -> None:
    """Raising and clearing a fault are logged."""
    newest = device.ask(LogInfo()).newest
    bring_to(device, State.FAULT)
    device.settle()
    codes = {entry.code for entry in entries_from(device, newest + 1)}
    expect_that("both are logged", {LogCode.FAULT_RAISED, LogCode.FAULT_CLEARED} <= codes, codes)
