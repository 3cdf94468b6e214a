"""REQ-THR-010, 011, 013: what READ_THERAPY reports of what is programmed, delivered and counted."""

from __future__ import annotations

from itertools import pairwise

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, Capability, DeviceStatus, GetStatus
from ipg_protocol.commands.log import LogCode, LogInfo, ReadCounters
from ipg_protocol.commands.programs import AreaSettings, Waveform
from ipg_protocol.commands.therapy import AreaTherapy, ReadTherapy, SetAmplitude, StopMode, StopTherapy, TherapyFlag

from ipg_conformance.areas import bipolar
from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.therapy import other_contact
from ipg_conformance.device import NEXT, Device
from ipg_conformance.elapsed import timed
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.safety import WITHOUT_CHARGE_RULES, picocoulombs
from ipg_conformance.together import ask_together

COUNTED_SECONDS = 2.5
ON_TIME_TOLERANCE_SECONDS = 1.1
"""It is told in whole seconds."""


@case("THR/READ/BV-01", "REQ-THR-010")
def therapy_report_agrees(device: Device) -> None:
    """READ_THERAPY reports what is programmed, and delivers no more than that or than compliance lets through."""
    area = device.typical()
    device.write_program(area)
    idle = device.ask(ReadTherapy(0))
    programmed = (area.amplitude_microamps, area.pulse_width_us, area.rate_millihertz)
    expect("programmed", (idle.programmed_microamps, idle.pulse_width_us, idle.rate_millihertz), programmed)
    expect("delivered while off", (idle.delivered_microamps, idle.flags), (0, TherapyFlag(0)))
    device.run_therapy(area)
    report = device.ask(ReadTherapy(0))
    most = min(area.amplitude_microamps, report.deliverable_microamps)
    expect("delivered in THERAPY", report.delivered_microamps, most)


@case("THR/READ/BV-02", "REQ-THR-010", profile=Profile.FULL)
def charge_is_counted(device: Device) -> None:
    """Charge and on-time count from the start; the charge is that of the pulses delivered, within 5 percent."""
    area = device.typical()
    device.run_therapy(area)
    before = timed(device, ReadTherapy(0))
    device.tester.listen(1.0)
    after = timed(device, ReadTherapy(0))
    each_second = microcoulombs_per_second(area, after.answer.delivered_microamps)
    least, most = (each_second * seconds for seconds in after.since(before))
    counted = after.answer.charge_microcoulombs - before.answer.charge_microcoulombs
    inside = 0.95 * least - 2 <= counted <= 1.05 * most + 2
    expect_that(f"{least:.0f} to {most:.0f} uC were delivered meanwhile", inside, counted)


def microcoulombs_per_second(area: AreaSettings, microamps: int) -> float:
    """The charge of stimulating phases: of every pulse of a burst, of direct current all of it, of a coil none."""
    if area.waveform in WITHOUT_CHARGE_RULES:
        return microamps if area.waveform is Waveform.DIRECT_CURRENT else 0
    sines = area.burst_pulses if area.waveform is Waveform.SINE_BURST else 1
    return area.rate_millihertz / 1000 * picocoulombs(area, microamps) * sines / 1e6


@case("THR/READ/BV-03", "REQ-THR-013", profile=Profile.FULL)
def counts_never_fall(device: Device) -> None:
    """Charge, on-time, pulses and energy rise or stay from the start over changes and the stop, and pulses are counted."""
    area = device.typical()
    device.begin_therapy(area)
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(area.amplitude_microamps // 2)
    acts = (lambda: None, lambda: device.ask(SetAmplitude(NEXT, 0, lower)), lambda: device.ask(StopTherapy(StopMode.RAMP)))
    seen = [counts(device)]
    for act in acts:
        act()
        for _ in range(2):
            device.tester.listen(0.04)
            seen.append(counts(device))
    for before, after in pairwise(seen):
        expect_that("no count falls", all(a <= b for a, b in zip(before, after, strict=True)), (before, after))
    if area.waveform is not Waveform.DIRECT_CURRENT:
        expect_that("pulses were counted", seen[-1][2] > 0, seen)


def counts(device: Device) -> tuple[int, int, int, int]:
    report = device.ask(ReadTherapy(0))
    return (report.charge_microcoulombs, report.on_time_seconds, report.pulses, report.energy_microjoules)


@case("THR/READ/BV-04", "REQ-THR-013", "REQ-THR-010", profile=Profile.FULL)
def pulses_follow_the_rate(device: Device) -> None:
    """In some seconds as many pulses are counted as the rate says, or bursts of them, and the on-time goes along."""
    area = device.typical()
    if area.waveform is Waveform.DIRECT_CURRENT:
        raise NotApplicable("direct current has no pulses")
    device.rest(COUNTED_SECONDS)  # so that the uptime is more than the on-time can be
    began = device.tester.clock()
    device.run_therapy(area)
    before = timed(device, ReadTherapy(0))
    most_seconds = device.tester.clock() - began + ON_TIME_TOLERANCE_SECONDS
    on_time_seconds = before.answer.on_time_seconds
    expect_that(
        f"the on-time since the start is at most {most_seconds:.1f} s", on_time_seconds <= most_seconds, on_time_seconds
    )
    device.tester.listen(COUNTED_SECONDS)
    after = timed(device, ReadTherapy(0))
    passed = after.since(before)
    least = 0.95 * area.rate_millihertz / 1000 * passed.least - 2
    counted = after.answer.pulses - before.answer.pulses
    expect_that(f"{least:.0f} pulses or more are counted", counted >= least, counted)
    on = after.answer.on_time_seconds - before.answer.on_time_seconds
    passed.expect("what the on-time rises by", on, ON_TIME_TOLERANCE_SECONDS)
    counted_before = device.ask(ReadCounters()).therapy_seconds
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    counted_seconds = device.ask(ReadCounters()).therapy_seconds - counted_before
    expect_that(f"{on} s or more of therapy are counted when it is over", counted_seconds >= on, counted_seconds)
    energy = after.answer.energy_microjoules - before.answer.energy_microjoules
    expect_that("the energy rises with the charge", energy > 0 or not after.answer.charge_microcoulombs, after.answer)


@case("THR/READ/BI-01", "REQ-THR-007", "REQ-CMD-007")
def therapy_of_an_area_that_is_not_there(device: Device) -> None:
    """READ_THERAPY beyond the active program's areas is refused with the range of those there are."""
    device.write_program(device.typical())
    for area in (1, 0xFF):
        reply = device.request(ReadTherapy(area))
        expect_refusal(f"area {area}", reply, Status.OUT_OF_RANGE, field=0, minimum=0, maximum=0)


@case("THR/CYCLE/BV-01", "REQ-THR-010", profile=Profile.FULL)
def cycling_pauses(device: Device) -> None:
    """A cycling area delivers, then pauses with the flag CYCLE_OFF, and delivers again; the state stays THERAPY."""
    on = device.capabilities.range(Capability.CYCLE_ON_SECONDS).from_(1)
    off = device.capabilities.range(Capability.CYCLE_OFF_SECONDS).from_(1)
    if not on or not off:
        raise NotApplicable("the device does not cycle")
    if on + off > device.patience_seconds / 10:
        raise NotApplicable(f"the shortest cycle takes {on + off} s")
    device.run_therapy(device.typical(cycle_on_seconds=on, cycle_off_seconds=off))
    seen: list[bool] = []
    for _ in range(42):
        first, status, last = ask_together(device, ReadTherapy(0), GetStatus(), ReadTherapy(0))
        report, again = (expect_ok(reply, AreaTherapy) for reply in (first, last))
        is_off = report.delivered_microamps == 0
        expect("CYCLE_OFF when nothing is delivered", TherapyFlag.CYCLE_OFF in report.flags, is_off)
        if report.flags == again.flags:
            expect("the alert CYCLE_OFF", Alert.CYCLE_OFF in expect_ok(status, DeviceStatus).alerts, is_off)
        seen.append(report.delivered_microamps > 0)
        device.rest((on + off) / 40)
    expect("on and off were both seen", {*seen}, {True, False})
    expect("the state", device.status().state, State.THERAPY)


@case("THR/COMPLIANCE/BV-01", "REQ-THR-010", "REQ-THR-011", "REQ-LOG-002", need=Need.OPEN_CONTACT)
def output_is_limited_by_compliance(device: Device) -> None:
    """Through an open contact that was not measured, next to nothing is delivered, and the flag says so."""
    device.restart()
    found = device.open_contacts[0]
    other = other_contact(device, found)
    newest, counted = device.ask(LogInfo()).newest, device.ask(ReadCounters()).compliance_reached
    device.run_therapy(bipolar(device.typical(), cathode=found.cathode, anode=other))
    report = device.ask(ReadTherapy(0))
    expect_that("the flag COMPLIANCE_LIMITED is up", TherapyFlag.COMPLIANCE_LIMITED in report.flags, report)
    expect_that("delivered is within deliverable", report.delivered_microamps <= report.deliverable_microamps, report)
    expect_that("delivered is below programmed", report.delivered_microamps < report.programmed_microamps, report)
    expect_that("the alert COMPLIANCE_LIMITED is up", bool(device.status().alerts & Alert.COMPLIANCE_LIMITED), device.status())
    expect("the counter of that", device.ask(ReadCounters()).compliance_reached, counted + 1)
    reached = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.COMPLIANCE_REACHED]
    expect("the areas that are logged", reached, [0])
