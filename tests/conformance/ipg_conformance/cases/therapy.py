"""REQ-THR-001 to 003, 010, 011 and REQ-STA: starting, stopping, and what is delivered meanwhile."""

from __future__ import annotations

from ipg_protocol import Role, State, Status
from ipg_protocol.commands.link import Capability, DeviceStatus, GetStatus
from ipg_protocol.commands.measurement import Impedance, MeasureImpedance, MeasurementStarted
from ipg_protocol.commands.programs import EraseProgram
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.commands.therapy import (
    AreaTherapy,
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyFlag,
    TherapyState,
    TherapyStateChanged,
)

from ipg_conformance.areas import bipolar
from ipg_conformance.case import Need, Profile, case
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.leads import finish_measurement, measure
from ipg_conformance.states import bring_to, slowest_ramp_seconds
from ipg_conformance.together import ask_together

MARGIN_SECONDS = 0.5
ROUND_TRIPS = 3
"""As many as it takes to stop twice, and to see that the output is off."""
STOP_MODES = [(mode.name, mode) for mode in StopMode]
STOP_STATES = [
    (state.name, state)
    for state in (
        State.SUSPENDED,
        State.IDLE,
        State.RAMPING,
        State.THERAPY,
        State.MEASURING,
        State.SHELF,
        State.BOOT,
    )
]


def stop_ramp_seconds(device: Device) -> float:
    return device.capabilities.limit(Capability.STOP_RAMP_MS) / 1000


def delivered_microamps(device: Device) -> int:
    return device.ask(ReadTherapy(0)).delivered_microamps


def expect_in_full(device: Device, microamps: int) -> None:
    """What is delivered is the amplitude, or as much of it as compliance lets through."""
    report = device.ask(ReadTherapy(0))
    expect("what is delivered", report.delivered_microamps, min(microamps, report.deliverable_microamps))


def state_changes(device: Device) -> list[tuple[State, State]]:
    """Every TherapyStateChanged since the case began, as (previous, state)."""
    return [(event.previous, event.state) for event in device.tester.events_of(TherapyStateChanged)]


@case("THR/START/BV-01", "REQ-THR-001", "REQ-STA-001", profile=Profile.FULL)
def start_ramps_up(device: Device) -> None:
    """START_THERAPY goes over RAMPING to THERAPY in the area's ramp time, and ends at its amplitude."""
    ramp_seconds = device.capabilities.range(Capability.RAMP_SECONDS).from_(1)
    if not ramp_seconds:
        raise NotApplicable("the device does not ramp")
    area = device.typical(ramp_seconds=ramp_seconds)
    device.write_program(area)
    asked = device.tester.clock()
    started, status = ask_together(device, StartTherapy(NEXT), GetStatus())
    expect("the ramp announced", expect_ok(started, TherapyState).ramp_ms, 1000 * ramp_seconds)
    expect("the state", expect_ok(status, DeviceStatus).state, State.RAMPING)
    device.wait_for_state(lambda state: state is State.THERAPY, ramp_seconds + MARGIN_SECONDS)
    passed = device.tester.clock() - asked
    expect_that(f"the ramp takes {ramp_seconds} s", passed >= ramp_seconds - 0.1, passed)
    expect_in_full(device, area.amplitude_microamps)
    device.catch_up()
    expect("the events", state_changes(device), [(State.IDLE, State.RAMPING), (State.RAMPING, State.THERAPY)])


@case("THR/START/BV-02", "REQ-THR-001", "REQ-THR-010", profile=Profile.FULL)
def ramp_rises(device: Device) -> None:
    """While ramping, what is delivered rises from near zero and never exceeds what is programmed."""
    device.write_program(device.typical(ramp_seconds=slowest_ramp_seconds(device)))
    pause = max(0.06, slowest_ramp_seconds(device) / 150)
    begun, reply = ask_together(device, StartTherapy(NEXT), ReadTherapy(0))
    expect_ok(begun, TherapyState, "START_THERAPY is accepted")
    levels: list[int] = []
    for _ in range(4):
        report = expect_ok(reply, AreaTherapy)
        expect_that("delivered is not above programmed", report.delivered_microamps <= report.programmed_microamps, report)
        flags = TherapyFlag.RUNNING | TherapyFlag.RAMPING
        expect_that(f"the flags hold {flags}", flags in report.flags, report)
        levels.append(report.delivered_microamps)
        device.tester.listen(pause)
        reply = device.request(ReadTherapy(0))
    expect("the levels, sorted", levels, sorted(levels))
    expect_that("the ramp begins near zero and rises", 4 * levels[0] < device.typical().amplitude_microamps, levels)
    expect_that("the ramp rises", levels[-1] > levels[0], levels)


@case("THR/START/BV-03", "REQ-THR-001")
def start_while_running(device: Device) -> None:
    """START_THERAPY in THERAPY is accepted and changes nothing."""
    device.run_therapy()
    before = delivered_microamps(device)
    device.ask(StartTherapy(NEXT))
    expect("state and amplitude", (device.status().state, delivered_microamps(device)), (State.THERAPY, before))


@case("THR/START/BV-04", "REQ-THR-001", profile=Profile.FULL)
def start_during_the_stop_ramp(device: Device) -> None:
    """START_THERAPY during the stop ramp turns it back up to THERAPY."""
    device.run_therapy()
    device.ask(StopTherapy(StopMode.RAMP))
    device.ask(StartTherapy(NEXT))
    ramp_seconds = device.typical().ramp_seconds
    device.wait_for_state(lambda state: state is State.THERAPY, ramp_seconds + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect_in_full(device, device.typical().amplitude_microamps)


@case("THR/START/BV-05", "REQ-THR-001")
def patient_may_start(device: Device) -> None:
    """A PATIENT may start and stop."""
    device.write_program(device.typical())
    device.open_session(Role.PATIENT)
    device.ask(StartTherapy(NEXT))
    expect("the state", device.ask(StopTherapy(StopMode.IMMEDIATE)).state, State.IDLE)


def other_contact(device: Device, found: Impedance) -> int:
    """A sound contact but the one found open."""
    others = [contact for contact in device.sound_contacts if contact != found.cathode]
    if not others:
        raise NotApplicable("the device has no second sound contact")
    return others[0]


@case("THR/START/BI-01", "REQ-THR-003", need=Need.OPEN_CONTACT)
def start_on_an_open_contact(device: Device) -> None:
    """START_THERAPY with a contact last measured OPEN is refused OPEN_CIRCUIT, naming contact and ohms."""
    found = device.open_contacts[0]
    other = other_contact(device, found)
    device.write_program(bipolar(device.typical(), cathode=found.cathode, anode=other))
    measure(device, found.cathode, found.anode)
    reply = device.request(StartTherapy(NEXT))
    expect_refusal("START", reply, Status.OPEN_CIRCUIT, contact=found.cathode)
    expect("the state", device.status().state, State.IDLE)


@case("THR/START/BI-02", "REQ-THR-003")
def start_of_nothing(device: Device) -> None:
    """START_THERAPY without a selected program is refused, and the device stays IDLE."""
    device.write_program(device.typical())
    device.ask(EraseProgram(NEXT, device.program))
    expect_refusal("START", device.request(StartTherapy(NEXT)), Status.UNSAFE_COMBINATION)
    expect("the state", device.status().state, State.IDLE)


@case("THR/STOP/BV-01", "REQ-THR-002", each=STOP_STATES, slow=("SUSPENDED",))
def stop_in_every_state(device: Device, state: State) -> None:
    """STOP_THERAPY is accepted in every state, twice, in either mode; what was delivered ends."""
    bring_to(device, state)
    for mode in (StopMode.RAMP, StopMode.RAMP, StopMode.IMMEDIATE, StopMode.IMMEDIATE):
        device.ask(StopTherapy(mode))
    expect_that("therapy is over", device.status().state not in (State.RAMPING, State.THERAPY), device.status())


@case("THR/STOP/BV-02", "REQ-THR-002", each=STOP_MODES)
def stop_without_session(device: Device, mode: StopMode) -> None:
    """STOP_THERAPY is accepted without a session."""
    device.begin_therapy()
    device.ask(CloseSession())
    answer = expect_ok(device.tester.request(StopTherapy(mode)), TherapyState)
    expect_that("therapy is off, or ramping down", answer.state in (State.IDLE, State.RAMPING), answer)


@case("THR/STOP/BV-03", "REQ-THR-002", each=[(role.name, role) for role in Role])
def stop_with_every_role(device: Device, role: Role) -> None:
    """STOP_THERAPY is accepted from every role."""
    device.begin_therapy()
    device.open_session(role)
    expect("the state", device.ask(StopTherapy(StopMode.IMMEDIATE)).state, State.IDLE)


@case("THR/STOP/LT-01", "REQ-THR-002", "REQ-STA-001", profile=Profile.FULL)
def stop_ramps_down(device: Device) -> None:
    """STOP_THERAPY RAMP goes over RAMPING to IDLE within the stop ramp, and a second one does not lengthen it."""
    device.run_therapy()
    longest = stop_ramp_seconds(device)
    device.forget_events()
    started = device.tester.clock()
    device.ask(StopTherapy(StopMode.RAMP))
    device.tester.listen(longest / 2)
    again = device.ask(StopTherapy(StopMode.RAMP))
    expect_that("the second STOP announces no more than what is left", again.ramp_ms <= 600 * longest, again)
    device.wait_for_state(lambda state: state is State.IDLE, longest + MARGIN_SECONDS)
    passed = device.tester.clock() - started
    expect_that(
        f"the output is off within {longest:g} s", passed <= longest + 0.3 + ROUND_TRIPS * device.tester.line_seconds, passed
    )
    expect("what is delivered", delivered_microamps(device), 0)
    expect("the events", state_changes(device), [(State.THERAPY, State.RAMPING), (State.RAMPING, State.IDLE)])


@case("THR/STOP/LT-02", "REQ-THR-002")
def stop_at_once(device: Device) -> None:
    """STOP_THERAPY IMMEDIATE is IDLE with nothing delivered by the time it is answered."""
    device.begin_therapy()
    answer = device.ask(StopTherapy(StopMode.IMMEDIATE))
    expect("state and ramp", (answer.state, answer.ramp_ms), (State.IDLE, 0))
    expect("what is delivered", delivered_microamps(device), 0)


@case("THR/STOP/BV-04", "REQ-THR-002", "REQ-REQ-001")
def stop_is_never_a_repeat(device: Device) -> None:
    """STOP_THERAPY has no role, so under a request id that was used before it still stops."""
    device.begin_therapy()
    device.tester.request(StopTherapy(StopMode.IMMEDIATE), request_id=1)
    device.ask(StartTherapy(NEXT))
    device.tester.request(StopTherapy(StopMode.IMMEDIATE), request_id=1)
    expect("the state", device.status().state, State.IDLE)


@case("THR/STOP/BV-05", "REQ-THR-002")
def stop_breaks_off_a_measurement(device: Device) -> None:
    """STOP_THERAPY during a measurement that suspended therapy leaves therapy off when the measurement is over."""
    device.begin_therapy()
    device.need(MeasureImpedance)
    measure = MeasureImpedance(device.sound_contacts[0], device.return_contact)
    begun, stopped = ask_together(device, measure, StopTherapy(StopMode.IMMEDIATE))
    expect_ok(begun, MeasurementStarted, "MEASURE_IMPEDANCE is accepted")
    expect_ok(stopped, TherapyState, "STOP_THERAPY is accepted")
    finish_measurement(device)
    expect("the state", device.status().state, State.IDLE)


@case("THR/CHANGE/BV-01", "REQ-THR-004", "REQ-STA-001")
def amplitude_change_ramps(device: Device) -> None:
    """SET_AMPLITUDE in THERAPY reaches the new amplitude by a ramp, and the device is in THERAPY again."""
    area = device.typical()
    device.run_therapy(area)
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(area.amplitude_microamps // 2)
    device.ask(SetAmplitude(NEXT, 0, lower))
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 1)
    expect_in_full(device, lower)
