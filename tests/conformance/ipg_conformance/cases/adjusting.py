"""REQ-THR-004 to 009, 012: amplitude, pulse width and rate of the active program, and the clinician's limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from ipg_protocol import Request, Role, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings, BeginProgramWrite, ReadProgram, WriteProgramBlock
from ipg_protocol.commands.therapy import (
    Amplitude,
    AmplitudeChanged,
    ReadLimits,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StepAmplitude,
    WriteLimits,
)
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.capabilities import Range
from ipg_conformance.case import case
from ipg_conformance.cases.parameters import expect_in_range, expect_unsafe
from ipg_conformance.cases.safe_limits import steps_over
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.safety import broken_rules, charge_nanocoulombs
from ipg_conformance.wording import shown


class Setting(NamedTuple):
    """A command that sets one field of an area of the active program."""

    field: str
    capability: Capability
    request: Callable[[int, int, int], Request[Any]]


SETTINGS = (
    Setting("amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, SetAmplitude),
    Setting("pulse_width_us", Capability.PULSE_WIDTH_US, SetPulseWidth),
    Setting("rate_millihertz", Capability.RATE_MILLIHERTZ, SetRate),
)
EACH_SETTING = [(setting.field.upper(), setting) for setting in SETTINGS]


def stored(device: Device) -> AreaSettings:
    return device.ask(ReadProgram(device.program, 0)).settings


def allowed_range(device: Device, setting: Setting) -> Range:
    return device.capabilities.range(setting.capability)


@case("THR/SET/LT-01", "REQ-THR-004", "REQ-THR-008", "REQ-CMD-007", "REQ-CMD-006", each=EACH_SETTING)
def setting_at_its_boundaries(device: Device, setting: Setting) -> None:
    """min - step, min, off the grid, max, max + step of each stretch: taken, OFF_GRID or OUT_OF_RANGE, as reported."""
    allowed = allowed_range(device, setting)
    for value in allowed.boundaries():
        device.write_program(device.smallest())
        before = device.snapshot()
        area = msgspec.structs.replace(device.smallest(), **{setting.field: value})
        rules = broken_rules(area, device.capabilities)
        request = device.numbered(setting.request(NEXT, 0, value))
        reply = device.request(request)
        expect_in_range(request, setting.field, value, allowed, reply)
        if allowed.has(value):
            expected = Status.UNSAFE_COMBINATION if rules else Status.OK
            expect(f"{setting.field} = {value}, which breaks {shown(rules) if rules else 'no rule'}", reply.status, expected)
        if reply.status is not Status.OK:
            expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("THR/SET/BV-01", "REQ-THR-012", "REQ-CMD-009", each=EACH_SETTING)
def setting_is_stored(device: Device, setting: Setting) -> None:
    """What is set stands in the active program and in the answer, with the new revision; nothing else of the area changes."""
    device.write_program(device.typical())
    before, revision = stored(device), device.status().revision
    value = allowed_range(device, setting).below(getattr(before, setting.field) - 1)
    answer = device.ask(setting.request(NEXT, 0, value))
    expect("the answer", (getattr(answer, setting.field), getattr(answer, "revision", 0)), (value, revision + 1))
    expect("the stored area", stored(device), msgspec.structs.replace(before, **{setting.field: value}))


@case("THR/SET/BI-01", "REQ-THR-007", "REQ-CMD-007", each=EACH_SETTING)
def setting_of_an_area_that_is_not_there(device: Device, setting: Setting) -> None:
    """An area that the active program does not have is refused OUT_OF_RANGE on the area's field."""
    device.write_program(device.smallest())
    for area in (1, 0xFF):
        reply = device.request(setting.request(NEXT, area, getattr(device.smallest(), setting.field)))
        expect_refusal(f"area {area}", reply, Status.OUT_OF_RANGE, field=1, minimum=0, maximum=0)


@case("THR/SET/BV-02", "REQ-THR-004", "REQ-EVT-001")
def amplitude_is_an_event(device: Device) -> None:
    """SET_AMPLITUDE is told as AMPLITUDE_CHANGED."""
    device.write_program(device.typical())
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).minimum
    answer = device.ask(SetAmplitude(NEXT, 0, lower))
    event = device.tester.wait_for_event(AmplitudeChanged)
    expect("the event", event, AmplitudeChanged(0, lower, answer.revision))


class PatientRange(NamedTuple):
    """A patient's range of four grid points, with the points below and above it."""

    below: int
    minimum: int
    maximum: int
    above: int


def patient_program(device: Device) -> PatientRange:
    """Select a program with such a range, its amplitude at the range's minimum."""
    allowed = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    grid = [allowed.below(device.typical().amplitude_microamps)]
    while len(grid) < 6 and grid[0] > allowed.minimum:
        grid.insert(0, allowed.below(grid[0] - 1))
    if len(grid) < 6:
        raise NotApplicable("the safe amplitudes are fewer than six")
    device.write_program(
        device.typical(amplitude_microamps=grid[1], patient_minimum_microamps=grid[1], patient_maximum_microamps=grid[4])
    )
    return PatientRange(grid[0], grid[1], grid[4], grid[5])


@case("THR/PATIENT/LT-01", "REQ-THR-005", "REQ-CMD-007")
def patient_stays_in_range(device: Device) -> None:
    """A PATIENT may set the range's minimum and maximum; beside them it is refused with that range."""
    patient = patient_program(device)
    device.open_session(Role.PATIENT)
    for value in (patient.minimum, patient.maximum):
        device.ask(SetAmplitude(NEXT, 0, value))
    for value, nearest in ((patient.below, patient.minimum), (patient.above, patient.maximum)):
        reply = device.request(SetAmplitude(NEXT, 0, value))
        detail = {"field": 2, "minimum": patient.minimum, "maximum": patient.maximum, "nearest": nearest}
        expect_refusal(f"{value} uA as PATIENT", reply, Status.OUT_OF_RANGE, **detail)


@case("THR/PATIENT/LT-02", "REQ-THR-005", "REQ-THR-006")
def patient_steps_in_range(device: Device) -> None:
    """A PATIENT may step to the ends of the range, and not past them."""
    patient = patient_program(device)
    device.open_session(Role.PATIENT)
    expect_refusal("one step below the range", step(device, -1), Status.OUT_OF_RANGE, field=2)
    expect("three steps up", getattr(step(device, 3).body, "amplitude_microamps", None), patient.maximum)
    expect_refusal("one step above the range", step(device, 1), Status.OUT_OF_RANGE, field=2)


@case("THR/PATIENT/BV-01", "REQ-THR-005", each=[(role.name, role) for role in (Role.CLINICIAN, Role.SERVICE)])
def others_are_not_bound(device: Device, role: Role) -> None:
    """The patient's range does not bind CLINICIAN and SERVICE."""
    patient = patient_program(device)
    device.open_session(role)
    for value in (patient.below, patient.above):
        device.ask(SetAmplitude(NEXT, 0, value))


def step(device: Device, steps: int) -> Any:
    """STEP_AMPLITUDE at the revision that stands."""
    return device.request(StepAmplitude(NEXT, area=0, steps=steps, expected_revision=device.status().revision))


@case("THR/STEP/BV-01", "REQ-THR-006")
def steps_move_on_the_grid(device: Device) -> None:
    """STEP_AMPLITUDE moves by grid steps down and up, and by 0 stays."""
    area = device.typical()
    device.write_program(area)
    allowed = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    middle = allowed.below(area.amplitude_microamps - 1)
    lower = allowed.below(middle - 1)
    if not lower < middle < area.amplitude_microamps:
        raise NotApplicable("the safe amplitudes are fewer than three")
    for steps, expected in ((-2, lower), (2, area.amplitude_microamps), (0, area.amplitude_microamps)):
        reply = step(device, steps)
        expect(f"{steps} steps", reply.body, Amplitude(0, expected, device.status().revision))


@case("THR/STEP/LT-01", "REQ-THR-006", "REQ-CMD-007")
def steps_end_with_the_range(device: Device) -> None:
    """A step below the lowest amplitude or past the clinician's limit is refused OUT_OF_RANGE, and nothing changes."""
    device.write_program(device.smallest())
    before = device.snapshot()
    expect_refusal("one step below the lowest", step(device, -1), Status.OUT_OF_RANGE, field=2)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("THR/STEP/BO-01", "REQ-THR-006", "REQ-CMD-006")
def step_at_another_revision(device: Device) -> None:
    """STEP_AMPLITUDE at another revision is refused CONFLICT with the one that stands, and nothing changes."""
    device.write_program(device.typical())
    before, revision = device.snapshot(), device.status().revision
    for other in (revision - 1, revision + 1, 0):
        reply = device.request(StepAmplitude(NEXT, area=0, steps=-1, expected_revision=other))
        expect_refusal(f"at revision {other}", reply, Status.CONFLICT, revision=revision)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


LIMITS = {
    "amplitude_microamps": Capability.AMPLITUDE_MICROAMPS,
    "pulse_width_us": Capability.PULSE_WIDTH_US,
    "rate_millihertz": Capability.RATE_MILLIHERTZ,
}


def limits_of(device: Device, **chosen: int) -> WriteLimits:
    """The present limits with some of them changed."""
    present = msgspec.structs.asdict(device.ask(ReadLimits()))
    del present["revision"]
    return WriteLimits(NEXT, **(present | chosen))


def only_program(device: Device, area: AreaSettings) -> None:
    """Make `area` the only one that is stored, so that no other holds the limits up."""
    device.write_program(area)
    device.erase_others()


@case("THR/LIMITS/LT-01", "REQ-THR-009", "REQ-CMD-007", each=[(name.upper(), name) for name in LIMITS])
def limits_within_the_model(device: Device, name: str) -> None:
    """A limit may be the model's maximum and no more."""
    maximum = device.capabilities.range(LIMITS[name]).maximum
    device.ask(limits_of(device, **{name: maximum}))
    above = maximum + device.capabilities.range(LIMITS[name]).segments[-1].step
    number = list(LIMITS).index(name) + 1
    reply = device.request(limits_of(device, **{name: above}))
    expect_refusal(f"{name} = {above}", reply, Status.OUT_OF_RANGE, field=number, maximum=maximum)


@case("THR/LIMITS/LT-02", "REQ-THR-009", "REQ-CMD-007")
def charge_limit_within_the_model(device: Device) -> None:
    """The limit of charge may be the model's and no more."""
    maximum = charge_limit(device)
    device.ask(limits_of(device, charge_per_phase_nanocoulombs=maximum))
    reply = device.request(limits_of(device, charge_per_phase_nanocoulombs=maximum + 1))
    expect_refusal("1 nC more", reply, Status.OUT_OF_RANGE, field=4, maximum=maximum)


def charge_limit(device: Device) -> int:
    """The model's limit of charge per phase, in nanocoulombs."""
    limit = device.capabilities.limit(Capability.CHARGE_PER_PHASE_NANOCOULOMBS)
    if not limit:
        raise NotApplicable("the device has no limit of charge per phase")
    return limit


@case("THR/LIMITS/LT-03", "REQ-THR-009", "REQ-CMD-007", each=[(name.upper(), name) for name in LIMITS])
def limits_above_what_is_stored(device: Device, name: str) -> None:
    """A limit may be as low as a stored program needs, and no lower."""
    area = device.typical()
    used = getattr(area, name)
    lower = device.capabilities.range(LIMITS[name]).below(used - 1)
    if lower >= used:
        raise NotApplicable(f"nothing is below a {name} of {used}")
    only_program(device, area)
    number = list(LIMITS).index(name) + 1
    reply = device.request(limits_of(device, **{name: lower}))
    expect_refusal(f"{name} = {lower}", reply, Status.OUT_OF_RANGE, field=number, minimum=used)
    device.ask(limits_of(device, **{name: used}))


@case("THR/LIMITS/LT-04", "REQ-THR-009", "REQ-PRG-007", "REQ-WAV-003")
def charge_at_the_clinician_s_limit(device: Device) -> None:
    """The clinician's limit of charge holds for blocks: the largest amplitude within it is taken, one step more refused."""
    highest = device.typical()
    only_program(device, device.smallest())
    limit = max(charge_nanocoulombs(highest) // 2, charge_nanocoulombs(device.smallest()))
    if not limit:
        raise NotApplicable("the rules count no charge of this waveform")
    limits = device.ask(limits_of(device, charge_per_phase_nanocoulombs=limit))
    rule = SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS
    timing = {"pulse_width_us": highest.pulse_width_us, "intra_burst_millihertz": highest.intra_burst_millihertz}
    within, beyond = steps_over(device, rule, limits, **timing)
    device.write_program(within, select=False)
    detail = {"value": charge_nanocoulombs(beyond), "limit": limit}
    expect_unsafe(device, f"{beyond.amplitude_microamps} uA", beyond, rule, **detail)


@case("THR/LIMITS/BV-01", "REQ-THR-009", "REQ-PRG-008", each=EACH_SETTING)
def limits_hold_for_every_role(device: Device, setting: Setting) -> None:
    """A limit binds CLINICIAN and SERVICE, in program blocks too: the refusal names it as the maximum."""
    area = device.typical()
    only_program(device, area)
    limit = getattr(area, setting.field)
    written = device.ask(limits_of(device, **{setting.field: limit}))
    expect("the limits read back", device.ask(ReadLimits()), written)
    above = allowed_range(device, setting).above(limit) or limit + 1
    for role in (Role.CLINICIAN, Role.SERVICE):
        device.open_session(role)
        reply = device.request(setting.request(NEXT, 0, above))
        expect_refusal(f"{above} as {role.name}", reply, Status.OUT_OF_RANGE, field=2, maximum=limit)
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    reply = device.request(WriteProgramBlock(device.program, msgspec.structs.replace(area, **{setting.field: above})))
    expect_refusal(f"{above} in a block", reply, Status.OUT_OF_RANGE, maximum=limit)


@case("THR/LIMITS/BV-02", "REQ-THR-009", "REQ-CMD-006")
def refused_limits_change_nothing(device: Device) -> None:
    """Limits of which one is refused are not taken at all."""
    before = device.snapshot()
    maximum = charge_limit(device)
    reply = device.request(limits_of(device, charge_per_phase_nanocoulombs=maximum + 1))
    expect_that("the limits are refused", reply.status is Status.OUT_OF_RANGE, reply)
    expect("programs, limits, therapy and revision", device.snapshot(), before)
