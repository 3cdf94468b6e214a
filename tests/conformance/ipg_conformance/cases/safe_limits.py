"""REQ-PRG-007: each safety rule that one area can break by itself, at its limit where it has one."""

from __future__ import annotations

import msgspec
from ipg_protocol import Status
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings, BeginProgramWrite, ContactShare, Waveform, WriteProgramBlock
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.areas import largest_safe
from ipg_conformance.case import case
from ipg_conformance.cases.parameters import contacts_of, expect_unsafe
from ipg_conformance.device import Device
from ipg_conformance.expect import NotApplicable, expect_refusal, expect_that
from ipg_conformance.safety import WITHOUT_CHARGE_RULES, broken_rules, charge_nanocoulombs, occupied_us, period_us
from ipg_conformance.wording import shown


@case("PRG/SAFETY/BI-01", "REQ-PRG-007")
def pulse_longer_than_its_period(device: Device) -> None:
    """A pulse that, with its recharge, is longer than its period is refused with both in microseconds."""
    capabilities = device.capabilities
    longest = capabilities.range(Capability.PULSE_WIDTH_US).maximum
    fastest = capabilities.range(Capability.RATE_MILLIHERTZ).maximum
    area = device.smallest(pulse_width_us=longest, rate_millihertz=fastest)
    if broken_rules(area, capabilities) != {SafetyRule.PULSE_EXCEEDS_PERIOD_US}:
        raise NotApplicable("the longest pulse at the shortest period does not break this rule, or not this one alone")
    detail = {"value": occupied_us(area, capabilities), "limit": period_us(fastest)}
    expect_unsafe(device, f"{longest} us at {fastest} mHz", area, SafetyRule.PULSE_EXCEEDS_PERIOD_US, **detail)


def steps_over(
    device: Device, rule: SafetyRule, limits: Limits | None = None, **chosen: object
) -> tuple[AreaSettings, AreaSettings]:
    """The area with the largest amplitude that breaks no rule, and with one step more, which breaks `rule` alone.

    Raises:
        NotApplicable: no amplitude breaks the rule, or another rule is broken first.
    """
    within, beyond = last_and_first(device, limits, **chosen)
    if broken_rules(beyond, device.capabilities, limits) != {rule}:
        raise NotApplicable(f"no amplitude breaks {rule.name} before another rule")
    return within, beyond


def last_and_first(device: Device, limits: Limits | None = None, **chosen: object) -> tuple[AreaSettings, AreaSettings]:
    """The area with the largest amplitude that breaks no rule, and the area with one step more.

    Raises:
        NotApplicable: no amplitude breaks a rule, or every one does.
    """
    amplitude = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    within = device.smallest(**chosen)
    if broken_rules(within, device.capabilities, limits):
        raise NotApplicable("the smallest amplitude is not safe here")
    low, high = amplitude.minimum, amplitude.maximum
    if not _breaks(device, within, high, limits):
        raise NotApplicable("every amplitude is safe")
    while (above := amplitude.above(low)) is not None and above < high:
        middle = max(amplitude.below((low + high) // 2), above)
        low, high = (low, middle) if _breaks(device, within, middle, limits) else (middle, high)
    replace = msgspec.structs.replace
    return replace(within, amplitude_microamps=low), replace(within, amplitude_microamps=high)


def _breaks(device: Device, area: AreaSettings, microamps: int, limits: Limits | None) -> bool:
    probe = msgspec.structs.replace(area, amplitude_microamps=microamps)
    return bool(broken_rules(probe, device.capabilities, limits))


@case(
    "PRG/SAFETY/LT-02",
    "REQ-PRG-007",
    "REQ-WAV-003",
    each=[(waveform.name, waveform) for waveform in Waveform if waveform not in WITHOUT_CHARGE_RULES],
)
def amplitude_at_the_edge_of_safety(device: Device, waveform: Waveform) -> None:
    """With the widest pulse, the largest amplitude that breaks no rule is taken; one step more is refused."""
    if waveform not in device.capabilities.waveforms:
        raise NotApplicable(f"the device has no {waveform.name}")
    area, widths = device.smallest(waveform=waveform), device.capabilities.range(Capability.PULSE_WIDTH_US)
    if waveform is not Waveform.SINE_BURST:
        area = largest_safe(area, "pulse_width_us", Capability.PULSE_WIDTH_US, widths.maximum, device.capabilities)
    width = area.pulse_width_us
    within, beyond = last_and_first(device, waveform=waveform, pulse_width_us=width)
    device.write_program(within, select=False)
    rules = broken_rules(beyond, device.capabilities)
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    what = f"{beyond.amplitude_microamps} uA for {width} us"
    detail = expect_refusal(what, device.request(WriteProgramBlock(device.program, beyond)), Status.UNSAFE_COMBINATION)
    expect_that(f"the rule is one of {[rule.name for rule in rules]}", getattr(detail, "rule", None) in rules, detail)


@case("PRG/SAFETY/LT-01", "REQ-PRG-007", "REQ-WAV-003")
def charge_at_its_limit(device: Device) -> None:
    """The largest amplitude whose charge per phase is within the limit is taken; one step more is refused."""
    longest = device.capabilities.range(Capability.PULSE_WIDTH_US).maximum
    within, beyond = steps_over(device, SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, pulse_width_us=longest)
    device.write_program(within, select=False)
    detail = {
        "value": charge_nanocoulombs(beyond),
        "limit": device.capabilities.limit(Capability.CHARGE_PER_PHASE_NANOCOULOMBS),
    }
    what = f"{beyond.amplitude_microamps} uA at {longest} us"
    expect_unsafe(device, what, beyond, SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, **detail)


@case("PRG/SAFETY/BI-02", "REQ-PRG-007")
def current_of_one_contact(device: Device) -> None:
    """More current through one contact than it may carry is refused with both in microamperes."""
    limit = device.capabilities.limit(Capability.CONTACT_CURRENT_MICROAMPS)
    first, second = contacts_of(device, 2)
    contacts = (ContactShare(first, -1000), ContactShare(second, 1000))
    highest = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    area = device.smallest(contacts=contacts, amplitude_microamps=highest)
    if broken_rules(area, device.capabilities) != {SafetyRule.CONTACT_CURRENT_MICROAMPS}:
        raise NotApplicable("one contact may carry the largest amplitude, or another rule forbids it")
    detail = {"value": area.amplitude_microamps, "limit": limit}
    expect_unsafe(device, "all through one contact", area, SafetyRule.CONTACT_CURRENT_MICROAMPS, **detail)


@case("PRG/SAFETY/BI-03", "REQ-PRG-007")
def patient_range_upside_down(device: Device) -> None:
    """A patient's minimum above the maximum is refused with both."""
    lowest, typical = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).minimum, device.typical().amplitude_microamps
    if typical == lowest:
        raise NotApplicable("no amplitude is safe but the lowest")
    area = device.smallest(patient_minimum_microamps=typical, patient_maximum_microamps=lowest)
    detail = {"value": typical, "limit": lowest}
    expect_unsafe(device, "minimum above maximum", area, SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS, **detail)


@case("PRG/SAFETY/BI-04", "REQ-PRG-007")
def half_a_cycle(device: Device) -> None:
    """Time on without time off, and the other way round, is refused."""
    on = device.capabilities.range(Capability.CYCLE_ON_SECONDS).minimum
    off = device.capabilities.range(Capability.CYCLE_OFF_SECONDS).minimum
    if not on or not off:
        raise NotApplicable("the device does not cycle")
    for half in ({"cycle_on_seconds": on}, {"cycle_off_seconds": off}):
        expect_unsafe(device, f"only {shown(half)}", device.smallest(**half), SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS)


@case("PRG/SAFETY/LT-04", "REQ-PRG-007")
def pulse_that_fills_its_period(device: Device) -> None:
    """A pulse that, with its recharge, takes exactly its period is taken: it is no longer than that."""
    capabilities = device.capabilities
    widths, rates = capabilities.range(Capability.PULSE_WIDTH_US), capabilities.range(Capability.RATE_MILLIHERTZ)
    width: int | None = widths.minimum
    while width is not None:
        occupied = occupied_us(device.smallest(pulse_width_us=width), capabilities)
        rate = 1_000_000_000 // occupied if occupied else 0
        area = device.smallest(pulse_width_us=width, rate_millihertz=rate)
        if rates.has(rate) and period_us(rate) == occupied and not broken_rules(area, capabilities):
            device.write_program(area, select=False)
            return
        width = widths.above(width)
    raise NotApplicable("no pulse takes exactly a period")
