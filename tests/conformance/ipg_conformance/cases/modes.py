"""REQ-SUS and REQ-MRI: modes that hold therapy off, and what comes after them."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Mode, ModeChanged, Modes, ReadModes
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
)
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.cases.therapy import expect_in_full
from ipg_conformance.device import NEXT, Device
from ipg_conformance.elapsed import timed
from ipg_conformance.expect import expect, expect_refusal, expect_that
from ipg_conformance.leads import measure, measure_all
from ipg_conformance.states import bring_to, find_leads_sound

MINUTES_FIELD = 1
MARGIN_SECONDS = 1.5
TIME_LEFT_TOLERANCE_SECONDS = 1.1
"""It is told in whole seconds."""
ROUND_TRIPS = 3
"""As many as there are, at most, between a wait and what is asked after it."""


def longest_minutes(device: Device) -> int:
    return device.capabilities.limit(Capability.MRI_MINUTES)


def suspend_therapy(device: Device, minutes: int = 1) -> Modes:
    """Run a typical program, and hold it off by MRI mode."""
    find_leads_sound(device)
    device.run_therapy()
    device.forget_events()
    return device.ask(EnterMriMode(NEXT, minutes))


def expect_restored(device: Device) -> None:
    """Therapy comes back by its ramp, in full."""
    area = device.typical()
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    expect_in_full(device, area.amplitude_microamps)


@case("MRI/READ/BV-01", "REQ-MRI-003")
def nothing_holds_therapy_off(device: Device) -> None:
    """READ_MODES of a settled device tells that no mode holds therapy off, and nothing is to be restored."""
    modes = device.ask(ReadModes())
    expect(
        "mode, time left, and restoring", (modes.mode, modes.mri_seconds_left, modes.therapy_restored_after), (Mode.NONE, 0, 0)
    )


@case("MRI/ENTER/LT-01", "REQ-MRI-001", "REQ-CMD-007")
def minutes_at_their_boundaries(device: Device) -> None:
    """1 minute and the most that there are, are taken; 0 and one more are refused with both."""
    find_leads_sound(device)
    most = longest_minutes(device)
    for minutes in (0, most + 1, 0xFFFF):
        expect_minutes_refused(device, minutes)
    for minutes in (1, most):
        left = device.ask(EnterMriMode(NEXT, minutes)).mri_seconds_left
        expect_that(f"about {60 * minutes} s are left", 60 * minutes - 1 <= left <= 60 * minutes, left)
        device.ask(LeaveMriMode(NEXT))


def expect_minutes_refused(device: Device, minutes: int) -> None:
    reply = device.request(EnterMriMode(NEXT, minutes))
    detail = {"field": MINUTES_FIELD, "minimum": 1, "maximum": longest_minutes(device)}
    expect_refusal(f"{minutes} minutes", reply, Status.OUT_OF_RANGE, **detail)


@case("MRI/ENTER/BI-01", "REQ-MRI-001", need=Need.OPEN_CONTACT)
def open_contact_forbids(device: Device) -> None:
    """With a contact measured open, ENTER_MRI_MODE is refused OPEN_CIRCUIT, naming it."""
    device.need(EnterMriMode)
    measure_all(device)
    found = device.open_contacts[0]
    reply = device.request(EnterMriMode(NEXT, 1))
    expect_refusal("ENTER_MRI_MODE", reply, Status.OPEN_CIRCUIT, contact=found.cathode)
    expect("the state", device.status().state, State.IDLE)


@case("MRI/SUSPEND/BV-01", "REQ-MRI-002", "REQ-MRI-003", "REQ-SUS-001", "REQ-STA-001")
def therapy_is_held_off_and_restored(device: Device) -> None:
    """ENTER_MRI_MODE holds therapy off at once and tells so; LEAVE_MRI_MODE brings it back by its ramp."""
    modes = suspend_therapy(device)
    expect("mode and restoring", (modes.mode, modes.therapy_restored_after), (Mode.MRI, 1))
    expect("what READ_MODES tells", device.ask(ReadModes()).mode, Mode.MRI)
    expect("the state", device.status().state, State.SUSPENDED)
    expect("what is delivered", device.ask(ReadTherapy(0)).delivered_microamps, 0)
    expect_that("the alert MRI_MODE is up", bool(device.status().alerts & Alert.MRI_MODE), device.status())
    expect("the event", device.tester.wait_for_event(ModeChanged), ModeChanged(Mode.MRI))
    change = TherapyStateChanged(State.THERAPY, State.SUSPENDED, TherapyCause.MRI_MODE)
    expect("the change of state", device.tester.wait_for_event(TherapyStateChanged), change)
    device.ask(LeaveMriMode(NEXT))
    expect_restored(device)
    expect("the modes", [event.mode for event in device.tester.events_of(ModeChanged)], [Mode.MRI, Mode.NONE])
    expect("the alert MRI_MODE", bool(device.status().alerts & Alert.MRI_MODE), False)


@case("MRI/SUSPEND/BV-02", "REQ-MRI-002")
def rest_is_restored_as_rest(device: Device) -> None:
    """MRI mode entered from IDLE ends in IDLE, and nothing is started."""
    bring_to(device, State.SUSPENDED)
    expect("restoring", device.ask(ReadModes()).therapy_restored_after, 0)
    device.ask(LeaveMriMode(NEXT))
    device.tester.listen(0.05)
    expect("the state", device.status().state, State.IDLE)


@case("MRI/LOG/BV-01", "REQ-LOG-002", "REQ-MRI-002")
def mri_mode_is_logged(device: Device) -> None:
    """Entering is logged as 1, leaving as 0."""
    newest = device.ask(LogInfo()).newest
    bring_to(device, State.SUSPENDED)
    device.ask(LeaveMriMode(NEXT))
    found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.MRI_MODE]
    expect("the entries MRI_MODE", found, [1, 0])


@case("MRI/RESET/BV-01", "REQ-MRI-002", "REQ-RST-006", "REQ-SUS-001")
def mri_mode_outlasts_a_reset(device: Device) -> None:
    """RESET does not end MRI mode; what it held off is restored after it where therapy is resumed after a reset."""
    resumes = device.capabilities.limit(Capability.THERAPY_AFTER_RESET)
    suspend_therapy(device, 2)
    device.restart()
    modes = device.ask(ReadModes())
    expect(
        "state, mode and restoring",
        (device.status().state, modes.mode, modes.therapy_restored_after),
        (State.SUSPENDED, Mode.MRI, resumes),
    )
    device.ask(LeaveMriMode(NEXT))
    if resumes:
        expect_restored(device)
    else:
        device.tester.listen(0.05)
        expect("the state at the end", device.status().state, State.IDLE)


@case("MRI/TIME/LT-01", "REQ-MRI-002", "REQ-MRI-003", profile=Profile.FULL)
def mri_mode_ends_by_itself(device: Device) -> None:
    """The time left falls; when it is over, therapy comes back by itself."""
    suspend_therapy(device, 1)
    before = timed(device, ReadModes())
    device.rest(10)
    after = timed(device, ReadModes())
    gone = before.answer.mri_seconds_left - after.answer.mri_seconds_left
    after.since(before).expect("what has gone of the time left", gone, TIME_LEFT_TOLERANCE_SECONDS)
    early = 2 + ROUND_TRIPS * device.tester.line_seconds
    device.rest(after.answer.mri_seconds_left - early)
    expect(f"the state {early:.0f} s before the end", device.status().state, State.SUSPENDED)
    device.rest(early + MARGIN_SECONDS)
    expect_restored(device)


@case("SUS/START/BO-01", "REQ-SUS-001", "REQ-CMD-005", profile=Profile.FULL)
def start_while_suspended(device: Device) -> None:
    """START_THERAPY while therapy is held off is refused WRONG_STATE, and nothing is delivered."""
    suspend_therapy(device)
    expect_refusal("START", device.request(StartTherapy(NEXT)), Status.WRONG_STATE, state=State.SUSPENDED)
    expect("what is delivered", device.ask(ReadTherapy(0)).delivered_microamps, 0)


@case("SUS/STOP/BV-01", "REQ-SUS-001", "REQ-THR-002", each=[(mode.name, mode) for mode in StopMode], slow=("RAMP",))
def stop_cancels_restoring(device: Device, mode: StopMode) -> None:
    """STOP_THERAPY while therapy is held off is taken; the mode stays, and nothing is restored after it."""
    suspend_therapy(device)
    device.ask(StopTherapy(mode))
    modes = device.ask(ReadModes())
    expect("mode and restoring", (modes.mode, modes.therapy_restored_after), (Mode.MRI, 0))
    device.ask(LeaveMriMode(NEXT))
    device.tester.listen(0.05)
    expect("the state", device.status().state, State.IDLE)
    expect("what is delivered", device.ask(ReadTherapy(0)).delivered_microamps, 0)


@case("MRI/ENTER/BO-01", "REQ-MRI-001", "REQ-CMD-006")
def leads_not_measured(device: Device) -> None:
    """ENTER_MRI_MODE is refused IMPEDANCE_NOT_MEASURED unless all were measured; wrong minutes come first."""
    device.need(EnterMriMode)
    device.restart()
    detail = {"rule": SafetyRule.IMPEDANCE_NOT_MEASURED, "area": WHOLE_PROGRAM}
    expect_minutes_refused(device, 0)
    expect_refusal("unmeasured", device.request(EnterMriMode(NEXT, 1)), Status.UNSAFE_COMBINATION, **detail)
    measure(device, device.sound_contacts[0], device.return_contact)
    if len(device.capabilities.contacts) > 2:
        expect_refusal("one measured", device.request(EnterMriMode(NEXT, 1)), Status.UNSAFE_COMBINATION, **detail)
    expect("the state", device.status().state, State.IDLE)
