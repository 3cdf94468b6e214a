"""REQ-ECP-002 to 004: the loop that holds an ECAP at its target: its settings, its bounds, and what it does without an ECAP."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, Capability, FactoryReset
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.sensing import (
    FeedbackMode,
    FeedbackModeChanged,
    FeedbackStatus,
    GetFeedbackStatus,
    ReadFeedback,
    WriteFeedback,
)
from ipg_protocol.commands.therapy import ReadTherapy
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.wire import field_names

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.sensing import NO_AREA, evoking_area
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import Failure, NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.samples import feedback
from ipg_conformance.states import bring_to

FOLLOWING_SECONDS = 5.0
LOST_UPDATES = 5
FIELDS = field_names(WriteFeedback)


def follow(device: Device, **chosen: int) -> None:
    device.ask(WriteFeedback(NEXT, feedback(device, **chosen)))


def loop(device: Device) -> FeedbackStatus:
    return device.ask(GetFeedbackStatus())


def wait_for_mode(device: Device, mode: FeedbackMode, within: float = FOLLOWING_SECONDS) -> FeedbackStatus:
    """Poll the loop until it is in a mode."""
    deadline = device.tester.clock() + within
    while (found := loop(device)).mode is not mode:
        if device.tester.clock() >= deadline:
            raise Failure(f"the loop's mode within {within:g} s", expected=mode, got=found)
        device.tester.listen(0.05)
    return found


@case("ECP/FEEDBACK/BV-01", "REQ-ECP-002", "REQ-CMD-009", "REQ-RST-001")
def feedback_is_kept(device: Device) -> None:
    """WRITE_FEEDBACK is read back as written, raises the revision, and outlives a RESET; FACTORY_RESET ends it."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    written, revision = feedback(device), device.status().revision
    expect("the revision", device.ask(WriteFeedback(NEXT, written)).revision, revision + 1)
    expect("the feedback", device.ask(ReadFeedback(0)), written)
    device.restart()
    expect("the feedback after RESET", device.ask(ReadFeedback(0)), written)
    device.ask(FactoryReset(NEXT))
    expect("whether it is in use after FACTORY_RESET", device.ask(ReadFeedback(0)).enabled, 0)


@case("ECP/FEEDBACK/BV-02", "REQ-ECP-002")
def feedback_ends_with_its_program(device: Device) -> None:
    """COMMIT_PROGRAM of the program that the feedback belongs to ends it."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    follow(device)
    device.write_program(device.typical())
    expect("whether it is in use", device.ask(ReadFeedback(0)).enabled, 0)


Bad = Callable[[Device], int]
BEYOND: dict[str, Bad] = {
    "area": lambda _: 1,
    "enabled": lambda _: 2,
    "target_microvolts": lambda device: device.capabilities.limit(Capability.FEEDBACK_TARGET_MICROVOLTS) + 1,
    "gain_permille": lambda device: device.capabilities.limit(Capability.FEEDBACK_GAIN_PERMILLE) + 1,
    "maximum_microamps": lambda device: device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum + 1,
    "pulses_per_update": lambda _: 0,
}


@case("ECP/FEEDBACK/BI-01", "REQ-ECP-002", "REQ-CMD-006", "REQ-CMD-007", each=[(n.upper(), n) for n in BEYOND])
def feedback_out_of_range(device: Device, name: str) -> None:
    """A value of the feedback beyond its range is refused OUT_OF_RANGE on its field, and nothing changes."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    before = device.snapshot()
    wrong = feedback(device, **{name: BEYOND[name](device)})
    reply = device.request(WriteFeedback(NEXT, wrong))
    expect_refusal(f"{name} = {getattr(wrong, name)}", reply, Status.OUT_OF_RANGE, field=FIELDS.index(name))
    expect("programs, feedback and revision", device.snapshot(), before)


@case("ECP/FEEDBACK/BI-02", "REQ-ECP-002", "REQ-THR-005", "REQ-CMD-006")
def feedback_beyond_the_patient_range(device: Device) -> None:
    """A maximum above the area's patient maximum is refused OUT_OF_RANGE with that as the maximum."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    most = device.typical().patient_maximum_microamps
    above = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).above(most)
    if above is None:
        raise NotApplicable("the patient may have the highest amplitude there is")
    before = device.snapshot()
    reply = device.request(WriteFeedback(NEXT, feedback(device, maximum_microamps=above)))
    detail = {"field": FIELDS.index("maximum_microamps"), "maximum": most}
    expect_refusal(f"a maximum of {above} uA", reply, Status.OUT_OF_RANGE, **detail)
    expect("programs, feedback and revision", device.snapshot(), before)


@case("ECP/FEEDBACK/BI-03", "REQ-ECP-002", "REQ-CMD-006")
def feedback_upside_down(device: Device) -> None:
    """A minimum above the maximum is refused with both."""
    device.need(WriteFeedback)
    device.write_program(device.typical())
    lowest, typical = device.smallest().amplitude_microamps, device.typical().amplitude_microamps
    before = device.snapshot()
    wrong = feedback(device, minimum_microamps=typical, maximum_microamps=lowest)
    detail = {"rule": SafetyRule.FEEDBACK_MINIMUM_ABOVE_MAXIMUM_MICROAMPS, "value": typical, "limit": lowest}
    expect_refusal("upside down", device.request(WriteFeedback(NEXT, wrong)), Status.UNSAFE_COMBINATION, **detail)
    expect("programs, feedback and revision", device.snapshot(), before)


@case("ECP/STATUS/BV-01", "REQ-ECP-003")
def loop_that_is_not_in_use(device: Device) -> None:
    """Without feedback GET_FEEDBACK_STATUS tells area 255 and OPEN_LOOP, at rest and in THERAPY."""
    device.need(GetFeedbackStatus)
    for state in (State.IDLE, State.THERAPY):
        bring_to(device, state)
        found = loop(device)
        expect(f"area and mode in {state.name}", (found.area, found.mode), (NO_AREA, FeedbackMode.OPEN_LOOP))


@case("ECP/LOOP/BV-01", "REQ-ECP-003", "REQ-ECP-004", profile=Profile.FULL)
def loop_follows(device: Device) -> None:
    """Where an ECAP is evoked, the loop goes FOLLOWING, counts updates, comes down to a lower target, and keeps its bounds."""
    area, evoked = evoking_area(device)
    target = min(evoked // 2, device.capabilities.limit(Capability.FEEDBACK_TARGET_MICROVOLTS))
    lowest = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(area.amplitude_microamps // 4)
    follow(
        device,
        target_microvolts=target,
        minimum_microamps=lowest,
        maximum_microamps=area.amplitude_microamps,
        rate_limit_microamps_per_second=area.amplitude_microamps,
    )
    began = wait_for_mode(device, FeedbackMode.FOLLOWING)
    amplitudes: list[int] = []
    for _ in range(20):
        device.tester.listen(FOLLOWING_SECONDS / 20)
        amplitudes.append(device.ask(ReadTherapy(0)).delivered_microamps)
    after = loop(device)
    expect_that("updates are counted", after.updates > began.updates, (began, after))
    inside = all(lowest <= amplitude <= area.amplitude_microamps for amplitude in amplitudes)
    expect_that(f"amplitudes stay from {lowest} to {area.amplitude_microamps} uA", inside, amplitudes)
    expect_that("the amplitude comes down for half the ECAP", amplitudes[-1] < area.amplitude_microamps, amplitudes)
    expect_that("the alert CLOSED_LOOP is up", bool(device.status().alerts & Alert.CLOSED_LOOP), device.status())
    expect("the stored amplitude", device.stored_amplitude(), area.amplitude_microamps)


@case("ECP/LOOP/LT-01", "REQ-ECP-003", profile=Profile.FULL)
def loop_keeps_its_rate_limit(device: Device) -> None:
    """The amplitude moves no faster than the rate limit, and being held back is counted."""
    area, evoked = evoking_area(device)
    slow = max(area.amplitude_microamps // 20, 1)
    follow(
        device,
        target_microvolts=min(evoked // 3, device.capabilities.limit(Capability.FEEDBACK_TARGET_MICROVOLTS)),
        gain_permille=device.capabilities.limit(Capability.FEEDBACK_GAIN_PERMILLE),
        maximum_microamps=area.amplitude_microamps,
        rate_limit_microamps_per_second=slow,
    )
    started = device.tester.clock()
    before = device.ask(ReadTherapy(0)).delivered_microamps
    device.tester.listen(2.0)
    after = device.ask(ReadTherapy(0)).delivered_microamps
    passed = device.tester.clock() - started
    expect_that(f"{passed:.1f} s move it by {slow} uA/s at most", abs(before - after) <= slow * (passed + 0.5), (before, after))
    expect_that("being held back is counted", loop(device).rate_limited > 0, loop(device))


@case("ECP/LOST/BV-01", "REQ-ECP-004", "REQ-ECP-003", "REQ-LOG-002")
def lost_ecap_is_held_and_then_left(device: Device) -> None:
    """When every ECAP counts as lost, the loop holds the amplitude, and falls back to the programmed one; both are told."""
    device.need(WriteFeedback)
    device.run_therapy()
    newest = device.ask(LogInfo()).newest
    device.forget_events()
    follow(device, lost_below_microvolts=0x7FFF, lost_updates=LOST_UPDATES)
    found = wait_for_mode(device, FeedbackMode.FALLBACK)
    expect_that("holds and the fallback are counted", found.holds > 0 and found.fallbacks == 1, found)
    report = device.ask(ReadTherapy(0))
    expect("the amplitude", report.delivered_microamps, min(report.programmed_microamps, report.deliverable_microamps))
    device.catch_up(0.05)
    modes = [event.mode for event in device.tester.events_of(FeedbackModeChanged)]
    expect("the last mode told", modes[-1:], [FeedbackMode.FALLBACK])
    expect_that("HOLDING was told before", FeedbackMode.HOLDING in modes, modes)
    logged = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.CLOSED_LOOP]
    expect_that("the fallback is logged", FeedbackMode.FALLBACK in logged, logged)
