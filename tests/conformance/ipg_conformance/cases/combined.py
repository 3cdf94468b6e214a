"""REQ-PRG-007, REQ-THR-008, 009: rules that hold between values, when one of them is set by itself, or a limit after it."""

from __future__ import annotations

from typing import Any

import msgspec
from ipg_protocol import Request, Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings, BeginProgramWrite, CommitProgram, EraseProgram, WriteProgramBlock
from ipg_protocol.commands.therapy import Limits, SetAmplitude, SetPulseWidth, SetRate, StepAmplitude
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.case import case
from ipg_conformance.cases.adjusting import EACH_SETTING, Setting, limits_of, only_program
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.safety import broken_rules, charge_nanocoulombs, overlap
from ipg_conformance.wording import shown

RAISING_CHARGE = [(name, name) for name in ("SET_AMPLITUDE", "STEP_AMPLITUDE", "SET_PULSE_WIDTH")]


def raise_charge(device: Device, area: AreaSettings, limits: Limits, name: str) -> tuple[Request[Any], AreaSettings]:
    """A request for one grid step more of what makes the charge, and the area as it would be.

    Raises:
        NotApplicable: nothing is above, or it breaks another rule too.
    """
    is_width = name == "SET_PULSE_WIDTH"
    field = "pulse_width_us" if is_width else "amplitude_microamps"
    capability = Capability.PULSE_WIDTH_US if is_width else Capability.AMPLITUDE_MICROAMPS
    value = device.capabilities.range(capability).above(getattr(area, field))
    raised = area if value is None else msgspec.structs.replace(area, **{field: value})
    if value is None or broken_rules(raised, device.capabilities, limits) != {SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS}:
        raise NotApplicable("one step more does not break the rule of charge, or not this one alone")
    requests: dict[str, Request[Any]] = {
        "SET_AMPLITUDE": SetAmplitude(NEXT, 0, value),
        "STEP_AMPLITUDE": StepAmplitude(NEXT, 0, 1, device.status().revision),
        "SET_PULSE_WIDTH": SetPulseWidth(NEXT, 0, value),
    }
    return requests[name], raised


@case("THR/LIMITS/BI-02", "REQ-THR-009", "REQ-PRG-007", "REQ-CMD-006", each=RAISING_CHARGE)
def charge_of_a_setting(device: Device, name: str) -> None:
    """What would raise the charge of the stored area above the clinician's limit is refused with both, and changes nothing."""
    area = device.typical()
    only_program(device, area)
    limit = charge_nanocoulombs(area)
    if not limit:
        raise NotApplicable("the rules count no charge of this waveform")
    limits = device.ask(limits_of(device, charge_per_phase_nanocoulombs=limit))
    expect("the limit answered", limits.charge_per_phase_nanocoulombs, limit)
    request, raised = raise_charge(device, area, limits, name)
    before = device.snapshot()
    rule = SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS
    detail = {"rule": rule, "area": 0, "value": charge_nanocoulombs(raised), "limit": limit}
    expect_refusal(name, device.request(request), Status.UNSAFE_COMBINATION, **detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("THR/SET/BI-03", "REQ-THR-008", "REQ-PRG-007", "REQ-CMD-006", each=EACH_SETTING[1:])
def pulse_that_outgrows_its_period(device: Device, setting: Setting) -> None:
    """A width or rate at which the pulse is longer than its period is refused by that rule, and changes nothing."""
    ranges = {name: device.capabilities.range(each.capability) for name, each in EACH_SETTING[1:]}
    beyond = device.smallest(**{name.lower(): allowed.maximum for name, allowed in ranges.items()})
    within = msgspec.structs.replace(beyond, **{setting.field: ranges[setting.field.upper()].minimum})
    rules = broken_rules(beyond, device.capabilities)
    if SafetyRule.PULSE_EXCEEDS_PERIOD_US not in rules or broken_rules(within, device.capabilities):
        raise NotApplicable("the longest pulse fits into the shortest period, or a shorter one is not safe either")
    device.write_program(within)
    before = device.snapshot()
    reply = device.request(setting.request(NEXT, 0, getattr(beyond, setting.field)))
    detail = expect_refusal(f"{setting.field} = {getattr(beyond, setting.field)}", reply, Status.UNSAFE_COMBINATION)
    expect_that(f"the rule is one of {shown(rules)}", getattr(detail, "rule", None) in rules, detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("THR/SET/BI-04", "REQ-THR-008", "REQ-PRG-007", "REQ-CMD-006")
def rate_beyond_the_sum_of_rates(device: Device) -> None:
    """SET_RATE of one area by which the rates of all come to more than their limit is refused with both."""
    limit = device.capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ)
    rates, count = (
        device.capabilities.range(Capability.RATE_MILLIHERTZ),
        device.capabilities.limit(Capability.AREAS_PER_PROGRAM),
    )
    within, beyond = rates.below(limit // max(count, 1)), rates.above(limit // max(count, 1))
    areas = [device.smallest(area=area, rate_millihertz=within) for area in range(count)]
    raised = None if beyond is None else rates.above(within + limit - count * within)
    if raised is None or overlap(areas, device.capabilities) or broken_rules(areas[0], device.capabilities):
        raise NotApplicable("all areas at the highest rate stay within the sum of rates, or do not go together")
    device.write_program(*areas)
    before = device.snapshot()
    detail = {"rule": SafetyRule.SUM_OF_RATES_MILLIHERTZ, "area": WHOLE_PROGRAM, "limit": limit}
    reply = device.request(SetRate(NEXT, count - 1, raised))
    value = (count - 1) * within + raised
    expect_refusal(f"{raised} mHz beside {count - 1} areas", reply, Status.UNSAFE_COMBINATION, value=value, **detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


def unselected_program(device: Device) -> None:
    """The amplitude is used by a program that is stored and not selected."""
    device.write_program(device.typical(), program=device.other_program, select=False)
    device.write_program(device.smallest())


def patient_maximum(device: Device) -> None:
    """The amplitude is used by a patient's maximum alone."""
    device.write_program(device.smallest(patient_maximum_microamps=device.typical().amplitude_microamps))


def second_area(device: Device) -> None:
    """The amplitude is used by an area that is not the first."""
    areas = [device.smallest(), device.smallest(area=1, amplitude_microamps=device.typical().amplitude_microamps)]
    if device.capabilities.limit(Capability.AREAS_PER_PROGRAM) < len(areas) or overlap(areas, device.capabilities):
        raise NotApplicable("the device gives no two areas at once")
    if broken_rules(areas[1], device.capabilities):
        raise NotApplicable("the amplitude is not safe with the smallest area")
    device.write_program(*areas)


HOLDERS = [("UNSELECTED_PROGRAM", unselected_program), ("PATIENT_MAXIMUM", patient_maximum), ("SECOND_AREA", second_area)]


@case("THR/LIMITS/BO-02", "REQ-THR-009", "REQ-CMD-007", "REQ-CMD-006", each=HOLDERS)
def limit_below_what_is_used_elsewhere(device: Device, store: Any) -> None:
    """A limit below what any stored area may be set to is refused with that as the minimum, wherever the area is stored."""
    used = device.typical().amplitude_microamps
    lower = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(used - 1)
    if lower >= used:
        raise NotApplicable(f"nothing is below {used} uA")
    store(device)
    kept = {device.program, device.other_program} if store is unselected_program else {device.program}
    for slot in device.programs():
        if slot.area_count and slot.program not in kept:
            device.ask(EraseProgram(NEXT, slot.program))
    before = device.snapshot()
    reply = device.request(limits_of(device, amplitude_microamps=lower))
    expect_refusal(f"a limit of {lower} uA", reply, Status.OUT_OF_RANGE, field=1, minimum=used)
    expect("programs, limits, therapy and revision", device.snapshot(), before)
    device.ask(limits_of(device, amplitude_microamps=used))


@case("THR/LIMITS/BO-03", "REQ-THR-009", "REQ-PRG-008", "REQ-CMD-006")
def limit_that_comes_before_the_commit(device: Device) -> None:
    """COMMIT_PROGRAM of a block that was within the limits when it was written, and no longer is, is refused OUT_OF_RANGE."""
    area, limit = device.typical(), device.smallest().amplitude_microamps
    if area.amplitude_microamps <= limit:
        raise NotApplicable("no amplitude is safe but the lowest")
    only_program(device, device.smallest())
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    device.ask(WriteProgramBlock(device.program, area))
    device.ask(limits_of(device, amplitude_microamps=limit))
    before = device.snapshot()
    reply = device.request(CommitProgram(NEXT, device.program, checksum(area)))
    expect_refusal("COMMIT_PROGRAM", reply, Status.OUT_OF_RANGE, maximum=limit)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("THR/STEP/LT-02", "REQ-THR-006", "REQ-THR-009", "REQ-CMD-006")
def step_past_the_limit(device: Device) -> None:
    """STEP_AMPLITUDE past the clinician's limit is refused OUT_OF_RANGE, with 0 as the most that may be stepped up."""
    area = device.typical()
    only_program(device, area)
    device.ask(limits_of(device, amplitude_microamps=area.amplitude_microamps))
    before = device.snapshot()
    reply = device.request(StepAmplitude(NEXT, 0, 1, device.status().revision))
    expect_refusal("one step up", reply, Status.OUT_OF_RANGE, field=2, maximum=0, nearest=0)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/SHADOW/BI-01", "REQ-PRG-003", "REQ-CMD-006")
def refusals_leave_the_shadow_copy(device: Device) -> None:
    """Refused BEGINs, blocks and COMMITs leave what was written: the right COMMIT is taken."""
    area = device.typical()
    program, right = device.program, checksum(area)
    device.write_program(device.smallest())
    device.ask(BeginProgramWrite(program, 1, "conformance"))
    device.ask(WriteProgramBlock(program, device.smallest()))
    device.ask(WriteProgramBlock(program, area))
    refused: tuple[Request[Any], ...] = (
        BeginProgramWrite(0xFE, 1, "no such slot"),
        BeginProgramWrite(program, 0, "no areas"),
        WriteProgramBlock(program, msgspec.structs.replace(area, area=1)),
        CommitProgram(NEXT, program, right ^ 1),
        CommitProgram(device.next_transaction(), 0xFE, right),
    )
    for request in refused:
        expect_that(f"{shown(request)} is refused", device.request(request).status is not Status.OK, request)
    device.ask(CommitProgram(NEXT, program, right))
    expect("the stored area, as it was written last", device.stored_amplitude(), area.amplitude_microamps)
