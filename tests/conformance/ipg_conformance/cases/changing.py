"""REQ-THR-001, 004, 008, REQ-IMP-001: how the output gets from one level to another while therapy runs, and in what time."""

from __future__ import annotations

from math import ceil

import msgspec
from ipg_protocol import COMMAND_OF, State
from ipg_protocol.commands.link import Capability, DeviceStatus, GetStatus
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import (
    Amplitude,
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyState,
)

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.adjusting import SETTINGS
from ipg_conformance.cases.therapy import delivered_microamps, expect_in_full, stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_that
from ipg_conformance.leads import finish_measurement
from ipg_conformance.safety import broken_rules
from ipg_conformance.together import ask_together, send

LONG_RAMP_SECONDS = 4
TOLERANCE_SECONDS = 0.3
SAMPLES = 5
ROUND_TRIPS = 8
"""As many fit into a quarter of a long ramp, twice over."""


def slow_area(device: Device) -> AreaSettings:
    """A typical area with a ramp of some seconds.

    Raises:
        NotApplicable: the device does not ramp.
    """
    long_seconds = LONG_RAMP_SECONDS + ceil(ROUND_TRIPS * device.tester.line_seconds)
    ramp_seconds = device.capabilities.range(Capability.RAMP_SECONDS).from_(long_seconds)
    if not ramp_seconds or device.typical().dose_seconds:
        raise NotApplicable("the device does not ramp, or gives nothing without a dose")
    return device.typical(ramp_seconds=ramp_seconds)


@case("THR/CHANGE/LT-01", "REQ-THR-004", profile=Profile.FULL)
def change_takes_its_share_of_the_ramp(device: Device) -> None:
    """SET_AMPLITUDE to about half takes about half the ramp, in which what is delivered falls step by step."""
    area = slow_area(device)
    device.run_therapy(area)
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(area.amplitude_microamps // 2)
    seconds = area.ramp_seconds * (area.amplitude_microamps - lower) / area.amplitude_microamps
    began = device.tester.clock()
    changed, status = ask_together(device, SetAmplitude(NEXT, 0, lower), GetStatus())
    expect_ok(changed, Amplitude, "SET_AMPLITUDE is accepted")
    expect("the state at once", expect_ok(status, DeviceStatus).state, State.RAMPING)
    device.tester.listen(seconds / 2 - (device.tester.clock() - began))
    half_way = delivered_microamps(device)
    expect_that(f"half way it is between {lower} and {area.amplitude_microamps} uA", half_way > lower, half_way)
    expect_that("half way it has fallen", half_way < area.amplitude_microamps, half_way)
    device.wait_for_state(lambda state: state is State.THERAPY, seconds + 2 * TOLERANCE_SECONDS)
    passed, tolerance = device.tester.clock() - began, TOLERANCE_SECONDS + 0.1 * seconds
    inside = seconds - tolerance <= passed <= seconds + tolerance + 2 * device.tester.line_seconds
    expect_that(f"the change takes {seconds:.1f} s", inside, passed)
    expect_in_full(device, lower)


@case("THR/START/LT-01", "REQ-THR-001", profile=Profile.FULL)
def start_goes_on_from_the_present_level(device: Device) -> None:
    """START_THERAPY in the stop ramp turns it round where it is: from then on what is delivered does not fall."""
    stop_seconds = stop_ramp_seconds(device)
    if stop_seconds < TOLERANCE_SECONDS:
        raise NotApplicable("the stop ramp is too short to be turned round")
    device.run_therapy(slow_area(device))
    stop = send(device, StopTherapy(StopMode.RAMP))
    device.tester.listen(stop_seconds / 4)
    begin = send(device, StartTherapy(NEXT))
    levels: list[int] = []
    for _ in range(SAMPLES):
        levels.append(delivered_microamps(device))
        device.tester.listen(0.1)
    for command, number in ((COMMAND_OF[StopTherapy], stop), (COMMAND_OF[StartTherapy], begin)):
        expect_ok(device.tester.answer_to(command.opcode, number), TherapyState, f"{command.name} is accepted")
    expect_that("there is something left to begin from", levels[0] > slow_area(device).amplitude_microamps // 4, levels)
    expect("the levels, sorted", levels, sorted(levels))


@case("THR/CHANGE/BV-02", "REQ-THR-008", "REQ-THR-010")
def width_and_rate_change_at_once(device: Device) -> None:
    """SET_PULSE_WIDTH and SET_RATE in THERAPY are told by READ_THERAPY at once, and the state stays THERAPY."""
    area = device.typical()
    device.run_therapy(area)
    for setting in SETTINGS:
        value = device.capabilities.range(setting.capability).below(getattr(area, setting.field) - 1)
        changed = msgspec.structs.replace(area, **{setting.field: value})
        if setting.field != "amplitude_microamps" and not broken_rules(changed, device.capabilities):
            device.ask(setting.request(NEXT, 0, value))
            area = changed
            report = device.ask(ReadTherapy(0))
            told = report.pulse_width_us, report.rate_millihertz
            expect(f"width and rate after {setting.field} = {value}", told, (area.pulse_width_us, area.rate_millihertz))
            expect("the state", device.status().state, State.THERAPY)


@case("IMP/THERAPY/LT-01", "REQ-IMP-001", "REQ-STA-001", profile=Profile.FULL)
def measurement_is_followed_by_the_ramp(device: Device) -> None:
    """Therapy that a measurement has suspended comes back from 0 by its ramp, and takes as long for it as for a start."""
    device.need(MeasureImpedance)
    area = slow_area(device)
    device.run_therapy(area)
    device.ask(MeasureImpedance(device.sound_contacts[0], device.return_contact))
    resumed = device.tester.clock()
    finish_measurement(device)
    expect("the state after the measurement", device.status().state, State.RAMPING)
    level = delivered_microamps(device)
    expect_that("the ramp begins at 0", level <= area.amplitude_microamps // 4, level)
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 2 * TOLERANCE_SECONDS)
    passed = device.tester.clock() - resumed
    expect_that(f"the ramp takes {area.ramp_seconds} s", passed >= area.ramp_seconds - TOLERANCE_SECONDS, passed)
    expect_in_full(device, area.amplitude_microamps)
