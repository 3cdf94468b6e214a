"""REQ-THR, DOS, HST, ECP, IMP: therapy goes on, or stays off, whatever is refused, comes twice, or comes at a bad moment."""

from __future__ import annotations

from itertools import pairwise

from ipg_protocol import COMMAND_OF, State, Status
from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.measurement import ImpedanceVerdict, MeasureImpedance, MeasurementDone, ReadImpedance
from ipg_protocol.commands.sensing import (
    FeedbackMode,
    FeedbackModeChanged,
    GetFeedbackStatus,
    WriteFeedback,
)
from ipg_protocol.commands.therapy import (
    AreaTherapy,
    ReadTherapy,
    SetAmplitude,
    SetPulseWidth,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyFlag,
)

from ipg_conformance.areas import bipolar
from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.adjusting import EACH_SETTING, Setting, limits_of, stored
from ipg_conformance.cases.delivered import counts
from ipg_conformance.cases.feedback import LOST_UPDATES, follow, loop, wait_for_mode
from ipg_conformance.cases.framing import ping_body
from ipg_conformance.cases.therapy import delivered_microamps, other_contact, stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.leads import finish_measurement, measure
from ipg_conformance.states import bring_to
from ipg_conformance.together import approach, ask_in
from ipg_conformance.wire_bytes import delimited, flip, noise
from ipg_conformance.wording import shown

NO_STOP_MODE = 2
ABSENT_AREA = 200
NOT_FOR_START = [(state.name, state) for state in (State.MEASURING, State.SHELF, State.SUSPENDED)]


@case("THR/START/BO-01", "REQ-THR-001", "REQ-CMD-005", each=NOT_FOR_START, slow=("SUSPENDED", "MEASURING"))
def start_at_the_wrong_moment(device: Device, state: State) -> None:
    """START_THERAPY in a state that is not for it is refused WRONG_STATE, and takes no effect when that state is over."""
    device.write_program(device.typical())
    approach(device, state)
    (refused,) = ask_in(device, state, StartTherapy(NEXT))
    expect_refusal("START", refused, Status.WRONG_STATE, state=state)
    if state is State.MEASURING:
        finish_measurement(device)
        expect("the state after the measurement", device.status().state, State.IDLE)
        expect("what is delivered", delivered_microamps(device), 0)


@case("THR/STOP/BI-01", "REQ-THR-002", "REQ-CMD-002")
def malformed_stop(device: Device) -> None:
    """STOP_THERAPY of a mode that is none, or cut short, is refused MALFORMED, and therapy goes on; the next one stops it."""
    device.run_therapy()
    for payload in (bytes((NO_STOP_MODE,)), b"", b"\1\1"):
        reply = device.tester.request_bytes(COMMAND_OF[StopTherapy].opcode, payload)
        expect_refusal(f"STOP_THERAPY {payload.hex() or 'without a mode'}", reply, Status.MALFORMED)
    expect("the state", device.status().state, State.THERAPY)
    expect("the state at the end", device.ask(StopTherapy(StopMode.IMMEDIATE)).state, State.IDLE)


@case("THR/STOP/RT-01", "REQ-THR-002", "REQ-FRM-006")
def stop_in_noise(device: Device) -> None:
    """STOP_THERAPY in the midst of noise, without a word before it, stops therapy."""
    device.run_therapy()
    device.tester.send_bytes(noise(3000, seed=7))
    expect("the state", device.ask(StopTherapy(StopMode.IMMEDIATE)).state, State.IDLE)
    device.tester.send_bytes(noise(1000, seed=8) + b"\0")
    expect("what is delivered", delivered_microamps(device), 0)


@case("THR/CHANGE/BI-01", "REQ-THR-004", "REQ-THR-012", "REQ-CMD-006", each=EACH_SETTING)
def refused_change_leaves_the_output(device: Device, setting: Setting) -> None:
    """A setting refused in THERAPY leaves the output, the state and the stored area as they were."""
    device.run_therapy()
    before = stored(device), delivered_microamps(device)
    beyond = device.capabilities.range(setting.capability).maximum + 1
    for area, value in ((0, beyond), (0, 0xFFFF), (ABSENT_AREA, getattr(before[0], setting.field))):
        reply = device.request(setting.request(NEXT, area, value))
        expect_that(f"{value} in area {area} is refused", reply.status is not Status.OK or value < beyond, reply)
        if reply.status is Status.OK:
            raise NotApplicable("the range goes beyond 16 bits")
    expect("the stored area and what is delivered", (stored(device), delivered_microamps(device)), before)
    expect("the state", device.status().state, State.THERAPY)


@case("THR/LIMITS/BO-01", "REQ-THR-009", "REQ-CMD-005", "REQ-CMD-006")
def limits_during_a_ramp(device: Device) -> None:
    """WRITE_LIMITS during a ramp is refused WRONG_STATE, and the limits stay; in THERAPY they are taken again."""
    before = limits_of(device)
    bring_to(device, State.RAMPING)
    expect_refusal("WRITE_LIMITS", device.request(before), Status.WRONG_STATE, state=State.RAMPING)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the limits", limits_of(device), before)
    device.run_therapy()
    device.ask(limits_of(device))


@case("THR/READ/BO-01", "REQ-THR-010", each=[(s.name, s) for s in (State.MEASURING, State.SUSPENDED)], slow=("SUSPENDED",))
def report_while_held_off(device: Device, state: State) -> None:
    """While therapy is held off READ_THERAPY tells what is programmed, nothing delivered, and no ramp."""
    device.write_program(device.typical())
    approach(device, state)
    (reply,) = ask_in(device, state, ReadTherapy(0))
    report = expect_ok(reply, AreaTherapy)
    expect("programmed", report.programmed_microamps, device.typical().amplitude_microamps)
    expect("delivered", report.delivered_microamps, 0)
    expect("whether it ramps", TherapyFlag.RAMPING in report.flags, False)


@case("THR/READ/BO-02", "REQ-THR-013", "REQ-THR-001")
def counts_begin_anew_with_a_start_alone(device: Device) -> None:
    """A second START_THERAPY, and requests that are refused, leave charge, on-time, pulses and energy to rise."""
    device.run_therapy()
    seen = [counts(device)]
    acts = (
        StartTherapy(NEXT),
        SetAmplitude(NEXT, ABSENT_AREA, 0),
        SetPulseWidth(NEXT, 0, 0xFFFF),
        StartTherapy(NEXT),
    )
    for act in acts:
        device.request(act)
        device.tester.listen(0.04)
        seen.append(counts(device))
    for before, after in pairwise(seen):
        expect_that("no count falls", all(a <= b for a, b in zip(before, after, strict=True)), (before, after))


@case("THR/COMPLIANCE/BO-01", "REQ-THR-011", "REQ-THR-010", need=Need.OPEN_CONTACT)
def more_is_asked_than_can_be_delivered(device: Device) -> None:
    """While compliance limits the output, a higher amplitude is taken and delivers no more; STOP_THERAPY clears the alert."""
    device.restart()
    found = device.open_contacts[0]
    area = bipolar(device.typical(), cathode=found.cathode, anode=other_contact(device, found))
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(area.amplitude_microamps // 2)
    device.run_therapy(area)
    device.ask(SetAmplitude(NEXT, 0, lower))
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 1)
    device.ask(SetAmplitude(NEXT, 0, area.amplitude_microamps))
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 1)
    report = device.ask(ReadTherapy(0))
    expect("what is delivered", report.delivered_microamps, report.deliverable_microamps)
    expect_that("the flag COMPLIANCE_LIMITED is up", TherapyFlag.COMPLIANCE_LIMITED in report.flags, report)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the alert at rest", bool(device.status().alerts & Alert.COMPLIANCE_LIMITED), False)


@case("HST/SILENT/RT-01", "REQ-HST-001", "REQ-FRM-003", profile=Profile.FULL)
def noise_is_silence(device: Device) -> None:
    """Spoiled frames are no requests: a device that minds silence ends therapy though they come all the time."""
    silence_seconds = device.capabilities.limit(Capability.HOST_SILENCE_MS) / 1000
    if not silence_seconds or 2 * silence_seconds > device.patience_seconds:
        raise NotApplicable("the device does not mind a silent host, or minds it late")
    if device.typical().dose_seconds:
        raise NotApplicable("the device gives nothing without a dose")
    device.run_therapy()
    spoiled = delimited(flip(ping_body(), 8 * 12))
    began = device.tester.clock()
    while device.tester.clock() - began < silence_seconds + 1:
        device.tester.send_bytes(spoiled)
        device.tester.listen(silence_seconds / 8)
    device.wait_for_state(lambda state: state is State.IDLE, stop_ramp_seconds(device) + 1)


@case("IMP/PAIR/BI-01", "REQ-IMP-001", "REQ-CMD-006")
def refused_measurement_leaves_therapy(device: Device) -> None:
    """A measurement that is refused does not hold therapy off, gives no result and no event."""
    cathode, anode = device.sound_contacts[0], device.return_contact
    device.need(MeasureImpedance)
    measure(device, cathode, anode)
    device.run_therapy()
    before = device.ask(ReadImpedance(0))
    device.forget_events()
    for wrong in (MeasureImpedance(cathode, cathode), MeasureImpedance(device.capabilities.contacts[-1] + 1, anode)):
        expect_that(f"{shown(wrong)} is refused", device.request(wrong).status is not Status.OK, wrong)
    expect("the state", device.status().state, State.THERAPY)
    expect("the results", device.ask(ReadImpedance(0)), before)
    device.catch_up(0.1)
    expect("events", device.tester.events_of(MeasurementDone), [])


@case("IMP/VERDICT/RT-01", "REQ-IMP-002")
def verdict_while_therapy_runs(device: Device) -> None:
    """A sound pair measures OK time after time, at rest, in THERAPY, and right after it."""
    cathode, anode = device.sound_contacts[0], device.return_contact
    device.need(MeasureImpedance)
    for runs in (False, True, False):
        if runs:
            device.run_therapy()
        device.ask(MeasureImpedance(cathode, anode))
        finish_measurement(device)
        (row,) = device.ask(ReadImpedance(0)).rows
        expect(f"the verdict {'in THERAPY' if runs else 'at rest'}", row.verdict, ImpedanceVerdict.OK)
        device.ask(StopTherapy(StopMode.IMMEDIATE))


@case("IMP/CONTACT/BV-01", "REQ-IMP-003", profile=Profile.FULL)
def every_sound_contact_is_measured(device: Device) -> None:
    """One pair after the other is taken, each contact as cathode and as anode, and the case where it is an electrode."""
    device.need(MeasureImpedance)
    ring = [*device.sound_contacts, *([device.return_contact] * device.capabilities.has_case)]
    for cathode, anode in zip(ring, [*ring[1:], ring[0]], strict=True):
        row = measure(device, cathode, anode)
        expect("the pair", (row.cathode, row.anode), (cathode, anode))


@case("ECP/LOOP/BO-01", "REQ-ECP-003", "REQ-ECP-002")
def loop_waits_for_therapy(device: Device) -> None:
    """Feedback that is written at rest moves nothing: no updates, OPEN_LOOP, and no alert until therapy runs."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    before = loop(device).updates
    follow(device)
    device.tester.listen(0.2)
    found = loop(device)
    expect("mode and updates", (found.mode, found.updates), (FeedbackMode.OPEN_LOOP, before))
    expect("the alert CLOSED_LOOP", bool(device.status().alerts & Alert.CLOSED_LOOP), False)
    expect("the stored amplitude", device.stored_amplitude(), device.typical().amplitude_microamps)


@case("ECP/LOST/BO-01", "REQ-ECP-004", "REQ-THR-002")
def stop_ends_the_loop(device: Device) -> None:
    """STOP_THERAPY while the ECAP is lost ends the loop: nothing is delivered, and no mode is told any more."""
    device.need(WriteFeedback, GetFeedbackStatus)
    device.run_therapy()
    follow(device, lost_below_microvolts=0x7FFF, lost_updates=LOST_UPDATES)
    wait_for_mode(device, FeedbackMode.FALLBACK)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.forget_events()
    device.tester.listen(0.3)
    expect("the mode", loop(device).mode, FeedbackMode.OPEN_LOOP)
    expect("what is delivered", delivered_microamps(device), 0)
    expect("events", device.tester.events_of(FeedbackModeChanged), [])
