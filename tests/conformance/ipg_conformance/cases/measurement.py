"""REQ-IMP: measuring impedance, its verdicts, and what it does to therapy."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.log import FaultRaised, Latch, ReadFaults
from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    ImpedancePage,
    ImpedanceVerdict,
    MeasureImpedance,
    MeasurementDone,
    MeasurementStarted,
    ReadImpedance,
)
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.therapy import StartTherapy, TherapyCause, TherapyStateChanged
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import FaultCode

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.leads import finish_measurement, measure, read_impedance
from ipg_conformance.together import ask_in, ask_together


@case("IMP/PAIR/BV-01", "REQ-IMP-001", "REQ-IMP-002")
def pair_is_measured(device: Device) -> None:
    """Measuring one pair gives one row, a plausible OK, and the event with the counts."""
    cathode, anode = device.sound_contacts[0], device.return_contact
    started = device.ask(MeasureImpedance(cathode, anode))
    expect("the pairs", started.pairs, 1)
    done = device.tester.wait_for_event(MeasurementDone, started.duration_ms / 1000 + 1)
    expect("the event", done, MeasurementDone(started.measurement, 1, 0, 0))
    (row,) = device.ask(ReadImpedance(0)).rows
    expect("the row", (row.cathode, row.anode, row.verdict), (cathode, anode, ImpedanceVerdict.OK))
    low, high = thresholds(device)
    expect_that(f"an OK reads between {low} and {high} ohms", low <= row.ohms <= high, row)


def thresholds(device: Device) -> tuple[int, int]:
    """Below the one is SHORT, above the other is OPEN, in ohms."""
    capabilities = device.capabilities
    return capabilities.limit(Capability.SHORT_BELOW_OHMS), capabilities.limit(Capability.OPEN_ABOVE_OHMS)


@case("IMP/ALL/BV-01", "REQ-IMP-001", profile=Profile.FULL)
def all_contacts_are_measured(device: Device) -> None:
    """Measuring all gives a row for every contact but the anode, in their order, with the numbers announced."""
    anode = device.return_contact
    started = device.ask(MeasureImpedance(ALL_CONTACTS, anode))
    finish_measurement(device)
    rows = read_impedance(device)
    expect("the cathodes", [row.cathode for row in rows], [c for c in device.capabilities.contacts if c != anode])
    page = device.ask(ReadImpedance(0))
    counts = (page.measurement, page.planned, page.measured)
    expect("number, planned and measured", counts, (started.measurement, len(rows), len(rows)))
    expect("a page beyond the end", device.ask(ReadImpedance(len(rows))).rows, ())


@case("IMP/ALL/BV-02", "REQ-IMP-001", "REQ-STA-001", profile=Profile.FULL)
def results_grow(device: Device) -> None:
    """While MEASURING, READ_IMPEDANCE grows from nothing to all, and rows once read do not change."""
    (first,) = ask_in(device, State.MEASURING, ReadImpedance(0))
    seen = expect_ok(first, ImpedancePage)
    expect_that("the measurement has only begun", seen.measured < seen.planned, seen)
    while device.status().state is State.MEASURING:
        page = device.ask(ReadImpedance(0))
        expect("the rows seen before", page.rows[: len(seen.rows)], seen.rows)
        seen = page
        device.tester.listen(0.02)
    expect("measured", device.ask(ReadImpedance(0)).measured, seen.planned)


@case("IMP/THERAPY/BV-01", "REQ-IMP-001", "REQ-STA-001")
def therapy_is_suspended_and_resumed(device: Device) -> None:
    """Measuring in THERAPY goes to MEASURING, and by the ramp back to THERAPY."""
    area = device.typical()
    device.run_therapy(area)
    device.forget_events()
    started = device.ask(MeasureImpedance(device.sound_contacts[0], device.return_contact))
    finish_measurement(device, started.duration_ms / 1000 + 1)
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 1)
    device.catch_up()
    changes = device.tester.events_of(TherapyStateChanged)
    expect("the first state and the last", (changes[0].state, changes[-1].state), (State.MEASURING, State.THERAPY))
    ends = [event.cause for event in changes if event.previous is State.MEASURING]
    expect("the cause of what follows the measurement", ends, [TherapyCause.MEASUREMENT])


@case("IMP/BUSY/BO-01", "REQ-IMP-003")
def second_measurement_is_busy(device: Device) -> None:
    """A second measurement while one is under way is refused BUSY with the time left."""
    device.need(MeasureImpedance)
    everything, pair = (
        MeasureImpedance(cathode, device.return_contact) for cathode in (ALL_CONTACTS, device.sound_contacts[0])
    )
    begun, refused = ask_together(device, everything, pair)
    started = expect_ok(begun, MeasurementStarted)
    left = getattr(expect_refusal("a second measurement", refused, Status.BUSY), "retry_after_ms", 0)
    expect_that(f"the time left is above 0 and not above {started.duration_ms} ms", 0 < left <= started.duration_ms + 1, left)
    least_ms = started.duration_ms / 2 - 1000 * device.tester.line_seconds
    expect_that(f"it is {least_ms:.0f} ms or more, as the measurement has just begun", left >= least_ms, left)
    expect("the first measurement", device.ask(ReadImpedance(0)).measurement, started.measurement)


@case("IMP/CONTACT/BI-01", "REQ-IMP-003", "REQ-CMD-007")
def contact_that_is_not_there(device: Device) -> None:
    """A contact that is not there is refused OUT_OF_RANGE on its field."""
    device.need(MeasureImpedance)
    beyond, sound = device.capabilities.contacts[-1] + 1, device.sound_contacts[0]
    for field, request in enumerate((MeasureImpedance(beyond, sound), MeasureImpedance(sound, beyond))):
        expect_refusal(f"contact {beyond}", device.request(request), Status.OUT_OF_RANGE, field=field)
    expect("the state", device.status().state, State.IDLE)


@case("IMP/CONTACT/BI-02", "REQ-IMP-003")
def contact_against_itself(device: Device) -> None:
    """A contact against itself is refused CONTACT_REPEATED."""
    device.need(MeasureImpedance)
    sound = device.sound_contacts[0]
    reply = device.request(MeasureImpedance(sound, sound))
    expect_refusal("a contact against itself", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.CONTACT_REPEATED)


@case("IMP/CONTACT/BI-03", "REQ-IMP-003")
def case_that_is_no_electrode(device: Device) -> None:
    """On a device whose case is no electrode, measuring against it is refused NOT_SUPPORTED."""
    if device.capabilities.has_case:
        raise NotApplicable("the case of this device is an electrode")
    device.need(MeasureImpedance)
    reply = device.request(MeasureImpedance(device.sound_contacts[0], CASE_CONTACT))
    expect_refusal("the case as anode", reply, Status.NOT_SUPPORTED, field=1)


@case("IMP/VERDICT/BV-01", "REQ-IMP-002", need=Need.OPEN_CONTACT)
def open_contact_measures_open(device: Device) -> None:
    """A contact that reads above the threshold is OPEN, each time it is measured, and counted as such."""
    found = device.open_contacts[0]
    _, high = thresholds(device)
    for _ in range(3):
        row = measure(device, found.cathode, found.anode)
        expect("the verdict", row.verdict, ImpedanceVerdict.OPEN)
        expect_that(f"an OPEN reads above {high} ohms", row.ohms > high, row)
    expect("open pairs", device.tester.wait_for_event(MeasurementDone).open_pairs, 1)


@case("IMP/SHORT/BV-01", "REQ-IMP-002", "REQ-IMP-004", need=Need.SHORTED_CONTACT)
def short_latches_a_fault(device: Device) -> None:
    """A SHORT latches SHORT_CIRCUIT: state FAULT, event and record with the contact and its ohms."""
    found = device.shorted_contacts[0]
    row = measure(device, found.cathode, found.anode)
    low, _ = thresholds(device)
    expect("the verdict", row.verdict, ImpedanceVerdict.SHORT)
    expect_that(f"a SHORT reads below {low} ohms", row.ohms < low, row)
    expect("the state", device.status().state, State.FAULT)
    raised = device.tester.wait_for_event(FaultRaised)
    expect("the event", raised, FaultRaised(FaultCode.SHORT_CIRCUIT, found.cathode, row.ohms))
    records = {record.fault: record for record in device.ask(ReadFaults()).rows}
    record = records[FaultCode.SHORT_CIRCUIT]
    expect("the record", (record.latch, record.contact, record.value), (Latch.LATCHED, found.cathode, row.ohms))


@case("IMP/SHORT/BV-02", "REQ-IMP-004", "REQ-THR-003", need=Need.SHORTED_CONTACT)
def short_ends_therapy(device: Device) -> None:
    """A SHORT found while therapy was suspended leaves it off; START_THERAPY is refused FAULT_LATCHED."""
    found = device.shorted_contacts[0]
    device.run_therapy()
    measure(device, found.cathode, found.anode)
    expect("the state", device.status().state, State.FAULT)
    reply = device.request(StartTherapy(NEXT))
    expect_refusal("START", reply, Status.FAULT_LATCHED, fault=FaultCode.SHORT_CIRCUIT)
