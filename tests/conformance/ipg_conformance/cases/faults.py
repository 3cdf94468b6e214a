"""REQ-FLT: latched faults and clearing them."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, FactoryReset
from ipg_protocol.commands.log import ClearFault, FaultCleared, Latch, LogCode, LogInfo, ReadCounters, ReadFaults
from ipg_protocol.vocabulary import FaultCode

from ipg_conformance.case import Need, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import expect, expect_refusal, expect_that
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


@case("FLT/LATCH/BV-03", "REQ-FLT-001", "REQ-RST-004", need=Need.SHORTED_CONTACT)
def fault_stays_listed(device: Device) -> None:
    """A fault that was raised and cleared stays listed after FACTORY_RESET, as cleared."""
    bring_to(device, State.FAULT)
    device.restart()
    device.ask(ClearFault(NEXT, FaultCode.SHORT_CIRCUIT))
    before = device.ask(ReadFaults()).rows
    expect("the latch", [row.latch for row in before if row.fault is FaultCode.SHORT_CIRCUIT], [Latch.CLEARED])
    device.ask(FactoryReset(NEXT))
    expect("the faults listed", device.ask(ReadFaults()).rows, before)


@case("FLT/LATCH/BV-04", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def faults_are_counted(device: Device) -> None:
    """A fault that is raised, cleared and raised again is listed once, as latched, and as raised once more."""
    times: list[int] = []
    counted = device.ask(ReadCounters()).faults
    for _ in range(2):
        bring_to(device, State.FAULT)
        (row,) = (row for row in device.ask(ReadFaults()).rows if row.fault is FaultCode.SHORT_CIRCUIT)
        expect("the latch", row.latch, Latch.LATCHED)
        times.append(row.times)
        device.restart()
        device.ask(ClearFault(NEXT, FaultCode.SHORT_CIRCUIT))
    expect("how often it was raised", times[1], times[0] + 1)
    expect("the counter of faults", device.ask(ReadCounters()).faults, counted + 2)


@case("FLT/CLEAR/BI-01", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def other_faults_stay(device: Device) -> None:
    """CLEAR_FAULT of a fault that is not latched leaves the one that is, and the state FAULT."""
    bring_to(device, State.FAULT)
    device.restart()
    for fault in (fault for fault in FaultCode if fault is not FaultCode.SHORT_CIRCUIT):
        expect(f"the state after {fault.name}", device.ask(ClearFault(NEXT, fault)).state, State.FAULT)
    latched = [row.fault for row in device.ask(ReadFaults()).rows if row.latch is Latch.LATCHED]
    expect("latched faults", latched, [FaultCode.SHORT_CIRCUIT])


@case("FLT/LOG/BV-01", "REQ-LOG-002", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def fault_is_logged(device: Device) -> None:
    """Raising and clearing a fault are logged, with the fault."""
    newest = device.ask(LogInfo()).newest
    bring_to(device, State.FAULT)
    device.settle()
    entries = [(entry.code, entry.argument) for entry in entries_from(device, newest + 1)]
    for code in (LogCode.FAULT_RAISED, LogCode.FAULT_CLEARED):
        expect_that(f"{code.name} is logged with the fault", (code, FaultCode.SHORT_CIRCUIT) in entries, entries)
