"""REQ-DOS and REQ-HST: therapy that ends by itself: after its dose, and when the host falls silent."""

from __future__ import annotations

from math import ceil

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability, FactoryReset
from ipg_protocol.commands.log import LogCode, LogInfo, ReadCounters
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyFlag,
    TherapyStateChanged,
)
from ipg_protocol.refusal import SafetyDetail, SafetyRule

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.cases.therapy import stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import Failure, NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.safety import broken_rules, overlap

MARGIN_SECONDS = 1.5
ROUND_TRIPS = 3
"""As many as there are, at most, between a wait and what is asked after it."""


def dosed(device: Device, **chosen: object) -> AreaSettings:
    """A typical area with the shortest dose that outlasts its ramp.

    Raises:
        NotApplicable: the device has no doses, or none that is safe.
    """
    typical = device.typical(**chosen)
    doses = device.capabilities.range(Capability.DOSE_SECONDS)
    if not doses.maximum:
        raise NotApplicable("the device has no doses")
    shortest = doses.from_(typical.ramp_seconds + 2 + ceil(early_seconds(device)))
    area = device.typical(**chosen, dose_seconds=shortest)
    if broken_rules(area, device.capabilities):
        raise NotApplicable("no dose is safe with a typical area")
    return area


def early_seconds(device: Device) -> float:
    """So long before an end a host still finds it to come."""
    return 1 + ROUND_TRIPS * device.tester.line_seconds


def causes(device: Device, state: State) -> list[TherapyCause]:
    """What has brought the device to a state, time after time since the case began."""
    return [event.cause for event in device.tester.events_of(TherapyStateChanged) if event.state is state]


@case("DOS/END/LT-01", "REQ-DOS-001", "REQ-LOG-002", profile=Profile.FULL)
def dose_ends_by_itself(device: Device) -> None:
    """An area with a dose goes on for so long and no longer; then therapy ends with the cause DOSE_OVER, logged."""
    area = dosed(device)
    newest = device.ask(LogInfo()).newest
    device.begin_therapy(area)
    early = early_seconds(device)
    device.rest(area.dose_seconds - early)
    expect(f"the state {early:.0f} s before the end of the dose", device.status().state, State.THERAPY)
    device.wait_for_state(lambda state: state is State.IDLE, early + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("what is delivered", device.ask(ReadTherapy(0)).delivered_microamps, 0)
    device.catch_up(0.05)
    expect_that("the dose is what ended therapy", TherapyCause.DOSE_OVER in ending_causes(device), ending_causes(device))
    entries = [(entry.code, entry.argument) for entry in entries_from(device, newest + 1)]
    expect_that("the end of area 0's dose is logged", (LogCode.DOSE_OVER, 0) in entries, entries)


def ending_causes(device: Device) -> list[TherapyCause]:
    """What led towards the end of therapy: to the stop ramp, or to IDLE."""
    return [*causes(device, State.RAMPING), *causes(device, State.IDLE)]


@case("DOS/END/BV-01", "REQ-DOS-001", profile=Profile.FULL)
def other_area_goes_on(device: Device) -> None:
    """When one area's dose is over the other goes on: DOSE_OVER is flagged on the first alone, and the state stays THERAPY."""
    if device.capabilities.limit(Capability.AREAS_PER_PROGRAM) < 2:
        raise NotApplicable("a program of this device has one area")
    areas = (dosed(device), device.typical(area=1, dose_seconds=0))
    if overlap(areas, device.capabilities) or broken_rules(areas[1], device.capabilities):
        raise NotApplicable("a second area finds no room, or needs a dose of its own")
    device.write_program(*areas)
    device.ask(StartTherapy(NEXT))
    device.rest(areas[0].dose_seconds + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("the state", device.status().state, State.THERAPY)
    first, second = device.ask(ReadTherapy(0)), device.ask(ReadTherapy(1))
    expect("delivered by the first", first.delivered_microamps, 0)
    expect_that("the second delivers", second.delivered_microamps > 0, second)
    over = [TherapyFlag.DOSE_OVER in report.flags for report in (first, second)]
    expect("DOSE_OVER of the first and the second", over, [True, False])


@case("DOS/END/BV-02", "REQ-DOS-001", "REQ-THR-001", profile=Profile.FULL)
def dose_can_be_started_again(device: Device) -> None:
    """After its dose was stopped half way, START_THERAPY gives the whole dose again."""
    area = dosed(device)
    device.begin_therapy(area)
    device.rest(area.dose_seconds / 2)
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    device.ask(StartTherapy(NEXT))
    device.rest(area.dose_seconds - early_seconds(device))
    expect_that("the dose is not over", device.status().state in (State.RAMPING, State.THERAPY), device.status())


@case("DOS/COUNT/BV-01", "REQ-DOS-001", profile=Profile.FULL)
def doses_are_counted(device: Device) -> None:
    """Starts of a program with a dose are counted one by one; those of one without are not."""
    before = device.ask(ReadCounters()).doses
    device.begin_therapy(dosed(device))
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("the doses counted", device.ask(ReadCounters()).doses, before + 1)
    if not device.typical().dose_seconds:
        device.begin_therapy()
        expect("the doses counted after a start without one", device.ask(ReadCounters()).doses, before + 1)


@case("DOS/END/BO-01", "REQ-DOS-001", "REQ-THR-001", profile=Profile.FULL)
def second_start_adds_nothing(device: Device) -> None:
    """START_THERAPY half way through a dose is accepted and does not make it longer."""
    area = dosed(device)
    device.begin_therapy(area)
    device.rest(area.dose_seconds / 2)
    device.ask(StartTherapy(NEXT))
    within = area.dose_seconds / 2 + stop_ramp_seconds(device) + MARGIN_SECONDS
    device.rest(within)
    expect("the state when the dose is over", device.status().state, State.IDLE)


@case("DOS/DAY/LT-01", "REQ-DOS-002", "REQ-CMD-006", profile=Profile.FULL)
def doses_of_a_day(device: Device) -> None:
    """No more doses begin within 24 h than the device says; the next is refused DOSES_PER_DAY, and others still start."""
    most = device.capabilities.limit(Capability.DOSES_PER_DAY)
    if not most:
        raise NotApplicable("the doses of a day are not limited")
    device.write_program(dosed(device))
    given = 0
    while (reply := device.request(StartTherapy(NEXT))).status is Status.OK:
        given += 1
        if given > most:
            raise Failure("doses within 24 h", expected=f"at most {most}", got=given)
        device.ask(StopTherapy(StopMode.IMMEDIATE))
    detail = {"rule": SafetyRule.DOSES_PER_DAY, "area": WHOLE_PROGRAM, "limit": most}
    refusal = expect_refusal("one dose more", reply, Status.UNSAFE_COMBINATION, **detail)
    assert isinstance(refusal, SafetyDetail)
    expect_that(f"the doses told are at least {most}, and those given now", refusal.value >= max(most, given), refusal)
    expect("the state", device.status().state, State.IDLE)
    if not device.typical().dose_seconds:
        device.begin_therapy()


@case("DOS/DAY/BO-01", "REQ-DOS-002", "REQ-RST-007", profile=Profile.FULL)
def doses_outlive_a_reset(device: Device) -> None:
    """When the doses of a day are given, neither RESET, FACTORY_RESET nor writing the program anew gives one more."""
    if not device.capabilities.limit(Capability.DOSES_PER_DAY):
        raise NotApplicable("the doses of a day are not limited")
    area = dosed(device)
    device.write_program(area)
    while (reply := device.request(StartTherapy(NEXT))).status is Status.OK:
        device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect_refusal("one dose more", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.DOSES_PER_DAY)
    device.restart()
    device.ask(FactoryReset(NEXT))
    device.write_program(area)
    reply = device.request(StartTherapy(NEXT))
    expect_refusal("after RESET", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.DOSES_PER_DAY)
    expect("the state", device.status().state, State.IDLE)


def lasting(device: Device, seconds: float) -> AreaSettings:
    """A typical area whose dose, if it needs one, lasts so long.

    Raises:
        NotApplicable: no such dose is safe.
    """
    area = device.typical()
    if area.dose_seconds:
        longer = device.capabilities.range(Capability.DOSE_SECONDS).from_(area.dose_seconds + int(seconds) + 1)
        area = device.typical(dose_seconds=longer)
    if broken_rules(area, device.capabilities):
        raise NotApplicable("a dose that outlasts the silence is not safe")
    return area


@case("HST/SILENT/LT-01", "REQ-HST-001", "REQ-LOG-002", profile=Profile.FULL)
def silent_host_ends_therapy(device: Device) -> None:
    """Where the device minds a silent host, therapy goes on while requests come, and stops so long after the last."""
    silence_seconds = device.capabilities.limit(Capability.HOST_SILENCE_MS) / 1000
    if not silence_seconds:
        raise NotApplicable("the device does not mind a silent host")
    if 3 * silence_seconds > device.patience_seconds:
        raise NotApplicable(f"the silence it minds takes {silence_seconds:g} s")
    device.run_therapy(lasting(device, 3 * silence_seconds))
    device.rest(1.5 * silence_seconds)
    expect("the state while requests come", device.status().state, State.THERAPY)
    newest = device.ask(LogInfo()).newest
    device.tester.listen(silence_seconds + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("the state after the silence", device.status().state, State.IDLE)
    device.open_session()
    device.catch_up(0.05)
    expect_that("silence is what ended therapy", TherapyCause.HOST_SILENT in ending_causes(device), ending_causes(device))
    codes = [entry.code for entry in entries_from(device, newest + 1)]
    expect_that("HOST_SILENT is logged", LogCode.HOST_SILENT in codes, codes)


@case("HST/SILENT/BV-01", "REQ-HST-001", profile=Profile.FULL)
def implant_bears_silence(device: Device) -> None:
    """Where the device does not mind a silent host, therapy goes on without a request."""
    if device.capabilities.limit(Capability.HOST_SILENCE_MS):
        raise NotApplicable("the device minds a silent host")
    device.run_therapy()
    device.tester.listen(10)
    expect("the state after 10 s of silence", device.status().state, State.THERAPY)
