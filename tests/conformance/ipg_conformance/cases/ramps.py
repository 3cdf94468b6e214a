"""REQ-THR-001, 002, 004, 008, 010: each area's way from one level to another, also when it is cut short or turned round."""

from __future__ import annotations

import msgspec
from ipg_protocol import State
from ipg_protocol.commands.link import Capability, DeviceStatus, GetStatus
from ipg_protocol.commands.measurement import MeasureImpedance, MeasurementStarted
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import (
    AmplitudeChanged,
    AreaTherapy,
    ReadTherapy,
    SetAmplitude,
    SetPulseWidth,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyFlag,
    TherapyState,
    TherapyStateChanged,
)

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.changing import slow_area
from ipg_conformance.cases.contradicted import sum_of_rates
from ipg_conformance.cases.delivered import COUNTED_SECONDS, counts
from ipg_conformance.cases.therapy import MARGIN_SECONDS, delivered_microamps, expect_in_full, stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_that
from ipg_conformance.leads import finish_measurement
from ipg_conformance.safety import broken_rules, overlap
from ipg_conformance.together import ask_together

PART_OF_RAMP = 0.4
SAMPLES = 4


def two_areas(device: Device) -> tuple[AreaSettings, AreaSettings]:
    """Typical areas that go together, the first with a slow ramp, the second with a ramp no more than half as long.

    Raises:
        NotApplicable: the device has no two areas at once, or they do not ramp so.
    """
    slow = slow_area(device)
    quick_seconds = device.capabilities.range(Capability.RAMP_SECONDS).below(slow.ramp_seconds // 2)
    areas = slow, msgspec.structs.replace(slow, area=1, ramp_seconds=quick_seconds)
    at_once = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    if at_once < len(areas) or overlap(areas, device.capabilities) or 2 * slow.rate_millihertz > sum_of_rates(device):
        raise NotApplicable("the device gives no two such areas at once")
    return areas


def reports(device: Device) -> list[AreaTherapy]:
    """What is said of both areas at one moment."""
    found = [expect_ok(reply, AreaTherapy) for reply in ask_together(device, ReadTherapy(0), ReadTherapy(1))]
    expect("the areas told", [report.area for report in found], [0, 1])
    return found


def part_of_ramp(area: AreaSettings) -> float:
    return area.ramp_seconds * PART_OF_RAMP


@case("THR/START/LT-02", "REQ-THR-001", "REQ-THR-010", profile=Profile.FULL)
def each_area_ramps_by_itself(device: Device) -> None:
    """Of two areas each takes its own ramp from 0; the state is RAMPING until the slower one is at its amplitude."""
    slow, quick = two_areas(device)
    device.write_program(slow, quick)
    begun, *replies = ask_together(device, StartTherapy(NEXT), ReadTherapy(0), ReadTherapy(1))
    expect("the ramp announced", expect_ok(begun, TherapyState).ramp_ms, 1000 * slow.ramp_seconds)
    for reply, area in zip(replies, (slow, quick), strict=True):
        report = expect_ok(reply, AreaTherapy)
        begins_low = 4 * report.delivered_microamps < area.amplitude_microamps or not area.ramp_seconds
        expect_that(f"the ramp of area {area.area} begins near zero", begins_low, report)
    device.rest(quick.ramp_seconds + part_of_ramp(slow) / 2)
    first, second = reports(device)
    expect_that("the slower one still ramps", TherapyFlag.RAMPING in first.flags, first)
    expect_that("and has not reached its amplitude", first.delivered_microamps < slow.amplitude_microamps, first)
    expect_that("the quicker one ramps no more", TherapyFlag.RAMPING not in second.flags, second)
    in_full = min(quick.amplitude_microamps, second.deliverable_microamps)
    expect("what it delivers", second.delivered_microamps, in_full)
    expect("the state", device.status().state, State.RAMPING)


@case("THR/START/LT-03", "REQ-THR-001", profile=Profile.FULL)
def start_again_begins_nothing_anew(device: Device) -> None:
    """START_THERAPY half way up the ramp, and when it is over, does not go back: the level does not fall, no event comes."""
    area = slow_area(device)
    device.begin_therapy(area)
    device.tester.listen(part_of_ramp(area))
    before = delivered_microamps(device)
    again, report = ask_together(device, StartTherapy(NEXT), ReadTherapy(0))
    expect_that("less is left of the ramp", expect_ok(again, TherapyState).ramp_ms < 1000 * area.ramp_seconds, again)
    level = expect_ok(report, AreaTherapy).delivered_microamps
    expect_that(f"what is delivered stays at {before} uA or above", level >= before, level)
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    device.forget_events()
    expect("the state answered", device.ask(StartTherapy(NEXT)).state, State.THERAPY)
    expect_in_full(device, area.amplitude_microamps)
    device.catch_up()
    expect("the changes of state", device.tester.events_of(TherapyStateChanged), [])


@case("THR/STOP/LT-03", "REQ-THR-002", "REQ-THR-010", profile=Profile.FULL)
def stop_on_the_way_up(device: Device) -> None:
    """STOP_THERAPY RAMP in the middle of the ramp goes down from where it is: what is delivered never rises after it."""
    area = slow_area(device)
    device.begin_therapy(area)
    device.tester.listen(part_of_ramp(area))
    before = delivered_microamps(device)
    stopped, *replies = ask_together(device, StopTherapy(StopMode.RAMP), ReadTherapy(0))
    expect_ok(stopped, TherapyState, "STOP_THERAPY is accepted")
    levels = [expect_ok(reply, AreaTherapy).delivered_microamps for reply in replies]
    for _ in range(SAMPLES):
        device.tester.listen(stop_ramp_seconds(device) / (2 * SAMPLES))
        levels.append(delivered_microamps(device))
    expect_that("there was something to stop", before > 0, before)
    expect("the levels, sorted from the highest", levels, sorted(levels, reverse=True))
    most = area.amplitude_microamps * 3 // 4
    expect_that(f"none of them is above {most} uA", levels[0] <= most, levels)
    device.wait_for_state(lambda state: state is State.IDLE, stop_ramp_seconds(device) + MARGIN_SECONDS)


@case("THR/CHANGE/BV-03", "REQ-THR-004", "REQ-THR-007", "REQ-EVT-001", profile=Profile.FULL)
def change_of_one_area_is_of_that_one(device: Device) -> None:
    """SET_AMPLITUDE of the second area while both are delivered changes that one, tells it by its number, leaving the other."""
    slow, quick = two_areas(device)
    areas = [msgspec.structs.replace(area, ramp_seconds=quick.ramp_seconds) for area in (slow, quick)]
    device.write_program(*areas)
    device.ask(StartTherapy(NEXT))
    device.wait_for_state(lambda state: state is State.THERAPY, quick.ramp_seconds + MARGIN_SECONDS)
    before = reports(device)[0].delivered_microamps
    device.forget_events()
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(quick.amplitude_microamps // 2)
    changed = device.ask(SetAmplitude(NEXT, 1, lower))
    expect("the event", device.tester.wait_for_event(AmplitudeChanged), AmplitudeChanged(1, lower, changed.revision))
    device.wait_for_state(lambda state: state is State.THERAPY, quick.ramp_seconds + MARGIN_SECONDS)
    first, second = reports(device)
    expect("what the first area delivers", first.delivered_microamps, before)
    expect("what the second delivers", second.delivered_microamps, min(lower, second.deliverable_microamps))


@case("THR/CHANGE/LT-02", "REQ-THR-008", profile=Profile.FULL)
def wider_pulse_on_the_way_down(device: Device) -> None:
    """SET_PULSE_WIDTH to more, while the output comes down to a lower amplitude, takes it there at once."""
    area = slow_area(device)
    amplitudes, widths = (
        device.capabilities.range(capability) for capability in (Capability.AMPLITUDE_MICROAMPS, Capability.PULSE_WIDTH_US)
    )
    lower, wider = amplitudes.below(area.amplitude_microamps // 2), widths.above(area.pulse_width_us)
    changed = msgspec.structs.replace(area, amplitude_microamps=lower, patient_maximum_microamps=lower)
    if wider is None or broken_rules(msgspec.structs.replace(changed, pulse_width_us=wider), device.capabilities):
        raise NotApplicable("no wider pulse is safe at half the amplitude")
    device.run_therapy(msgspec.structs.replace(area, patient_maximum_microamps=lower))
    falling = ask_together(device, SetAmplitude(NEXT, 0, lower), ReadTherapy(0))[1]
    expect_that("it comes down by a ramp", expect_ok(falling, AreaTherapy).delivered_microamps > lower, falling)
    _, report = ask_together(device, SetPulseWidth(NEXT, 0, wider), ReadTherapy(0))
    told = expect_ok(report, AreaTherapy)
    expect("the pulse width", told.pulse_width_us, wider)
    expect_that(f"no more than {lower} uA is delivered", told.delivered_microamps <= lower, told)


@case("IMP/THERAPY/BO-01", "REQ-IMP-001", "REQ-THR-002", profile=Profile.FULL)
def measurement_in_the_stop_ramp(device: Device) -> None:
    """Therapy that was ramping down when a measurement cut it off is not resumed after it."""
    device.need(MeasureImpedance)
    device.run_therapy(slow_area(device))
    pair = MeasureImpedance(device.sound_contacts[0], device.return_contact)
    stopped, status, measured = ask_together(device, StopTherapy(StopMode.RAMP), GetStatus(), pair)
    expect_ok(stopped, TherapyState, "STOP_THERAPY is accepted")
    if expect_ok(status, DeviceStatus).state is not State.RAMPING:
        raise NotApplicable("the device has no stop ramp, or one that is over too soon")
    expect_ok(measured, MeasurementStarted, "MEASURE_IMPEDANCE is accepted")
    finish_measurement(device)
    device.tester.listen(MARGIN_SECONDS)
    expect("the state", device.status().state, State.IDLE)
    expect("what is delivered", delivered_microamps(device), 0)


@case("IMP/THERAPY/BV-05", "REQ-THR-013", "REQ-IMP-001", profile=Profile.FULL)
def measurement_leaves_the_counts(device: Device) -> None:
    """Charge, on-time, pulses and energy go on after a measurement from where they were."""
    device.need(MeasureImpedance)
    device.run_therapy()
    device.rest(COUNTED_SECONDS)
    before = counts(device)
    device.ask(MeasureImpedance(device.sound_contacts[0], device.return_contact))
    finish_measurement(device)
    device.wait_for_state(lambda state: state is State.THERAPY, device.typical().ramp_seconds + MARGIN_SECONDS)
    after = counts(device)
    expect_that("no count has fallen", all(a <= b for a, b in zip(before, after, strict=True)), (before, after))
