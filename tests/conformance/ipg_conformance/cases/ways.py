"""REQ-STA-001: ways from state to state that no other case takes: measuring while it ramps, and out of FAULT."""

from __future__ import annotations

from itertools import pairwise

from ipg_protocol import State
from ipg_protocol.commands.link import EnterShelfMode
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.therapy import ReadTherapy, TherapyStateChanged

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.changing import slow_area
from ipg_conformance.cases.therapy import MARGIN_SECONDS
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import expect, expect_that
from ipg_conformance.leads import finish_measurement
from ipg_conformance.states import bring_to


def _way(device: Device, *states: State) -> None:
    """The events tell of these states, one after the other."""
    device.catch_up()
    changes = device.tester.events_of(TherapyStateChanged)
    told = [change.state for change in changes]
    expect("the states on the way", told, list(states))
    for before, after in pairwise(changes):
        expect(f"the state before {after.state.name}", after.previous, before.state)


@case("IMP/THERAPY/BV-02", "REQ-IMP-001", "REQ-STA-001", profile=Profile.FULL)
def measuring_while_it_ramps(device: Device) -> None:
    """MEASURE_IMPEDANCE while therapy ramps up goes to MEASURING, and back by a ramp from 0, to the whole amplitude."""
    area = slow_area(device)
    device.begin_therapy(area)
    device.tester.listen(area.ramp_seconds / 4)
    device.forget_events()
    device.ask(MeasureImpedance(ALL_CONTACTS, device.return_contact))
    finish_measurement(device)
    report = device.ask(ReadTherapy(0))
    expect_that("it begins again near zero", 2 * report.delivered_microamps <= area.amplitude_microamps, report)
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    _way(device, State.MEASURING, State.RAMPING, State.THERAPY)


@case("IMP/FAULT/BV-01", "REQ-IMP-001", "REQ-IMP-004", "REQ-STA-001", need=Need.SHORTED_CONTACT)
def measuring_in_a_fault(device: Device) -> None:
    """MEASURE_IMPEDANCE is taken in FAULT: MEASURING, and FAULT again, whatever it finds."""
    bring_to(device, State.FAULT)
    device.forget_events()
    device.ask(MeasureImpedance(device.sound_contacts[0], device.return_contact))
    finish_measurement(device)
    expect("the state behind it", device.status().state, State.FAULT)
    _way(device, State.MEASURING, State.FAULT)


@case("FLT/SHELF/BV-01", "REQ-RST-003", "REQ-STA-001", "REQ-RST-007", need=Need.SHORTED_CONTACT)
def shelf_keeps_a_fault(device: Device) -> None:
    """ENTER_SHELF_MODE is taken in FAULT; RESET leads out of SHELF, and to FAULT again."""
    bring_to(device, State.FAULT)
    device.forget_events()
    device.ask(EnterShelfMode(NEXT))
    _way(device, State.SHELF)
    device.restart()
    expect("the state after RESET", device.status().state, State.FAULT)
