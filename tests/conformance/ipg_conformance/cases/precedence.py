"""REQ-THR-003, REQ-MRI-001: which of several reasons for a refusal comes first, and what counts as measured."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.modes import EnterMriMode
from ipg_protocol.commands.programs import CASE_CONTACT, EraseProgram
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal
from ipg_conformance.leads import finish_measurement, measure
from ipg_conformance.states import bring_to


def _without_a_program(device: Device) -> None:
    """Erase the program that is selected, so that none is."""
    device.write_program(device.typical())
    device.ask(EraseProgram(NEXT, device.program))


@case("THR/START/BI-03", "REQ-THR-003", need=Need.OPEN_CONTACT)
def missing_program_comes_before_an_open_contact(device: Device) -> None:
    """With a contact last measured open and no program, START_THERAPY is refused for the program, and not for the contact."""
    found = device.open_contacts[0]
    _without_a_program(device)
    device.ask(MeasureImpedance(found.cathode, found.anode))
    finish_measurement(device)
    detail = {"rule": SafetyRule.BLOCKS_MISSING, "area": WHOLE_PROGRAM}
    expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.UNSAFE_COMBINATION, **detail)
    expect("the state", device.status().state, State.IDLE)


@case("THR/START/BI-04", "REQ-THR-003", need=Need.SHORTED_CONTACT)
def latched_fault_comes_before_a_missing_program(device: Device) -> None:
    """With a latched fault and no program, START_THERAPY is refused FAULT_LATCHED."""
    _without_a_program(device)
    bring_to(device, State.FAULT)
    expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.FAULT_LATCHED)


@case("MRI/ENTER/BI-02", "REQ-MRI-001", profile=Profile.FULL)
def anode_does_not_count_as_measured(device: Device) -> None:
    """A contact that was but the anode is not measured: ENTER_MRI_MODE names it, and is taken once it was the cathode."""
    device.need(EnterMriMode, MeasureImpedance)
    contacts = device.capabilities.contacts
    if device.open_contacts or device.shorted_contacts or len(contacts) < 2:
        raise NotApplicable("it takes two sound contacts")
    device.restart()
    anode, *cathodes = contacts
    for cathode in cathodes:
        measure(device, cathode, anode)
    expect_refusal(
        "with one not measured",
        device.request(EnterMriMode(NEXT, 1)),
        Status.UNSAFE_COMBINATION,
        rule=SafetyRule.IMPEDANCE_NOT_MEASURED,
        area=WHOLE_PROGRAM,
        value=anode,
    )
    measure(device, anode, CASE_CONTACT if device.capabilities.has_case else cathodes[0])
    device.ask(EnterMriMode(NEXT, 1))
    expect("the state", device.status().state, State.SUSPENDED)
