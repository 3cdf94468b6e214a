"""REQ-WAV: what belongs to each waveform: bursts, charge and its density, direct current, interleaved areas."""

from __future__ import annotations

import msgspec
from ipg_protocol import Status
from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import (
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    ReadProgram,
    Waveform,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import SetPulseWidth, SetRate
from ipg_protocol.refusal import SafetyDetail, SafetyRule

from ipg_conformance.areas import bipolar, largest_safe
from ipg_conformance.case import case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.parameters import burst_waveform, expect_block_refused, expect_unsafe
from ipg_conformance.cases.programs import WHOLE_PROGRAM
from ipg_conformance.cases.safe_limits import steps_over
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.safety import (
    ENDLESS_MICROCOULOMBS,
    IN_BURSTS,
    WITHOUT_CHARGE_RULES,
    broken_rules,
    densities,
    dose_microcoulombs,
    occupied_us,
    overlap,
    period_us,
    shannon_permille,
)

BURST_PULSES_FIELD = 7
EVERY_WAVEFORM = [(waveform.name, waveform) for waveform in Waveform]


def need_waveform(device: Device, waveform: Waveform) -> None:
    if waveform not in device.capabilities.waveforms:
        raise NotApplicable(f"the device has no {waveform.name}")


def need_bursts(device: Device) -> Waveform:
    """The waveform in bursts that the device has."""
    waveform = burst_waveform(device)
    if waveform is None:
        raise NotApplicable("the device has no waveform in bursts")
    return waveform


@case("WAV/BURST/BV-01", "REQ-WAV-001", "REQ-PRG-002")
def bursts_are_kept(device: Device) -> None:
    """The smallest burst, and the one with the most pulses that fits its period, are taken and read back."""
    waveform = need_bursts(device)
    smallest = device.smallest(waveform=waveform)
    most = device.capabilities.range(Capability.BURST_PULSES).maximum
    written = [smallest]
    if smallest.burst_pulses > 1:
        written.append(largest_safe(smallest, "burst_pulses", Capability.BURST_PULSES, most, device.capabilities))
    for area in written:
        device.write_program(area)
        expect("the area read back", device.ask(ReadProgram(device.program, 0)).settings, area)


@case("WAV/BURST/BI-01", "REQ-PRG-007", "REQ-WAV-001")
def burst_without_rate(device: Device) -> None:
    """Several pulses without a rate of their own, and one pulse with such a rate, are refused with both numbers."""
    smallest = device.smallest(waveform=need_bursts(device))
    tried = 0
    for area in (
        msgspec.structs.replace(smallest, intra_burst_millihertz=0),
        msgspec.structs.replace(smallest, burst_pulses=1),
    ):
        if broken_rules(area, device.capabilities) != {SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ}:
            continue
        if area.burst_pulses > 1 or device.capabilities.range(Capability.BURST_PULSES).has(1):
            tried += 1
            detail = {"value": area.burst_pulses, "limit": area.intra_burst_millihertz}
            what = f"{area.burst_pulses} pulses at {area.intra_burst_millihertz} mHz"
            expect_unsafe(device, what, area, SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ, **detail)
    if not tried:
        raise NotApplicable("a burst of this device has one pulse")


@case("WAV/BURST/BI-02", "REQ-WAV-001", "REQ-CMD-007", each=[(n, w) for n, w in EVERY_WAVEFORM if w not in IN_BURSTS])
def burst_of_a_waveform_without(device: Device, waveform: Waveform) -> None:
    """More than one pulse, or none, with a waveform that has no bursts is refused OUT_OF_RANGE with 1 to 1."""
    need_waveform(device, waveform)
    for pulses in (0, 2, 0xFF):
        area = device.smallest(waveform=waveform, burst_pulses=pulses)
        detail = {"field": BURST_PULSES_FIELD, "minimum": 1, "maximum": 1}
        expect_block_refused(device, f"{pulses} pulses", area, Status.OUT_OF_RANGE, **detail)


@case("WAV/BURST/BI-03", "REQ-PRG-007", "REQ-WAV-001")
def burst_longer_than_its_period(device: Device) -> None:
    """A burst that is longer than its period is refused with both in microseconds."""
    most = device.capabilities.range(Capability.BURST_PULSES).maximum
    fastest = device.capabilities.range(Capability.RATE_MILLIHERTZ).maximum
    area = device.smallest(waveform=need_bursts(device), burst_pulses=most, rate_millihertz=fastest)
    if broken_rules(area, device.capabilities) != {SafetyRule.PULSE_EXCEEDS_PERIOD_US}:
        raise NotApplicable("the longest burst fits the shortest period, or breaks another rule too")
    detail = {"value": occupied_us(area, device.capabilities), "limit": period_us(fastest)}
    expect_unsafe(device, f"{most} pulses at {fastest} mHz", area, SafetyRule.PULSE_EXCEEDS_PERIOD_US, **detail)


@case("WAV/SINE/BI-01", "REQ-PRG-007", "REQ-WAV-001")
def sine_of_another_width(device: Device) -> None:
    """A half cycle that is not half an intra-burst period is refused BURST_WITHOUT_RATE."""
    need_waveform(device, Waveform.SINE_BURST)
    area = device.smallest(waveform=Waveform.SINE_BURST)
    wider = device.capabilities.range(Capability.PULSE_WIDTH_US).above(area.pulse_width_us)
    if wider is None:
        raise NotApplicable("the device has one pulse width")
    wrong = msgspec.structs.replace(area, pulse_width_us=wider)
    if broken_rules(wrong, device.capabilities) != {SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ}:
        raise NotApplicable("the next width breaks another rule")
    expect_unsafe(device, f"half cycles of {wider} us", wrong, SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ)


def densest(device: Device, rule: SafetyRule) -> tuple[AreaSettings, AreaSettings]:
    """Areas within and beyond a rule of density, all current through one pair, with the longest pulse that shows it."""
    smallest = device.smallest()
    contacts = bipolar(smallest, cathode=smallest.contacts[0].contact, anode=smallest.contacts[-1].contact).contacts
    widths = device.capabilities.range(Capability.PULSE_WIDTH_US)
    reason = NotApplicable(f"no amplitude breaks {rule.name} before another rule")
    for width in sorted({widths.maximum, widths.below(widths.maximum // 4), widths.below(widths.maximum // 16)}, reverse=True):
        try:
            return steps_over(device, rule, pulse_width_us=width, contacts=contacts)
        except NotApplicable as found:
            reason = found
    raise reason


@case("WAV/DENSITY/LT-01", "REQ-PRG-007", "REQ-WAV-003")
def density_at_its_limit(device: Device) -> None:
    """The largest amplitude whose charge density is within the limit is taken; one step more is refused with both."""
    rule = SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE
    within, beyond = densest(device, rule)
    device.write_program(within, select=False)
    value = max(density for density, _ in densities(beyond, device.capabilities))
    limit = device.capabilities.limit(Capability.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE)
    expect_too_dense(device, beyond, rule, value, limit)


@case("WAV/DENSITY/LT-02", "REQ-PRG-007", "REQ-WAV-003")
def shannon_at_its_limit(device: Device) -> None:
    """The largest amplitude whose Shannon k is within the limit is taken; one step more is refused with both."""
    within, beyond = densest(device, SafetyRule.SHANNON_K_PERMILLE)
    device.write_program(within, select=False)
    value = max(shannon_permille(*each) for each in densities(beyond, device.capabilities))
    expect_too_dense(
        device, beyond, SafetyRule.SHANNON_K_PERMILLE, value, device.capabilities.limit(Capability.SHANNON_K_PERMILLE)
    )


def expect_too_dense(device: Device, area: AreaSettings, rule: SafetyRule, value: float, limit: int) -> None:
    """The area is refused by the rule; the areas of contacts, which the value goes by, are known to 0.01 mm2 only."""
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    reply = device.request(WriteProgramBlock(device.program, area))
    what = f"{area.amplitude_microamps} uA for {area.pulse_width_us} us"
    detail = expect_refusal(what, reply, Status.UNSAFE_COMBINATION, rule=rule, area=0, limit=limit)
    assert isinstance(detail, SafetyDetail)
    expect_that(f"the value is about {value:.1f}", abs(detail.value - value) <= 1 + value / 100, detail)


@case("WAV/DENSITY/BV-01", "REQ-WAV-006")
def high_density_is_told(device: Device) -> None:
    """The alert CHARGE_DENSITY_HIGH is up exactly while a program is active whose writing was logged as such."""
    area = device.smallest(pulse_width_us=device.typical().pulse_width_us)
    most = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    highest = largest_safe(area, "amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, most, device.capabilities)
    for written in (highest, device.smallest()):
        newest = device.ask(LogInfo()).newest
        device.write_program(written)
        logged = any(entry.code is LogCode.CHARGE_DENSITY_WARNED for entry in entries_from(device, newest + 1))
        alert = bool(device.status().alerts & Alert.CHARGE_DENSITY_HIGH)
        expect(f"the alert with {written.amplitude_microamps} uA", alert, logged)
    expect("the alert with the smallest area", alert, False)


@case("WAV/CHARGE/BV-01", "REQ-WAV-003", each=[(waveform.name, waveform) for waveform in sorted(WITHOUT_CHARGE_RULES)])
def waveform_without_charge_rules(device: Device, waveform: Waveform) -> None:
    """Whatever the width, the largest amplitude that no other rule forbids is taken."""
    need_waveform(device, waveform)
    widest = device.capabilities.range(Capability.PULSE_WIDTH_US).maximum
    area = device.smallest(waveform=waveform, pulse_width_us=widest)
    most = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    device.write_program(largest_safe(area, "amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, most, device.capabilities))


@case("WAV/DIRECT/BI-01", "REQ-PRG-007", "REQ-WAV-003")
def dose_of_direct_current(device: Device) -> None:
    """Direct current without an end, or of more charge than a dose may have, is refused DOSE_CHARGE with both."""
    need_waveform(device, Waveform.DIRECT_CURRENT)
    limit = device.capabilities.limit(Capability.DOSE_CHARGE_MICROCOULOMBS)
    if not limit:
        raise NotApplicable("the charge of a dose is not limited")
    typical = device.typical(waveform=Waveform.DIRECT_CURRENT)
    endless = msgspec.structs.replace(typical, dose_seconds=0)
    rule = SafetyRule.DOSE_CHARGE_MICROCOULOMBS
    expect_unsafe(device, "without an end", endless, rule, value=ENDLESS_MICROCOULOMBS, limit=limit)
    longest = device.capabilities.range(Capability.DOSE_SECONDS).maximum
    beyond = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).above(limit // longest)
    area = msgspec.structs.replace(typical, dose_seconds=longest, amplitude_microamps=beyond or 0)
    if broken_rules(area, device.capabilities) == {rule}:
        what = f"{beyond} uA for {longest} s"
        expect_unsafe(device, what, area, rule, value=dose_microcoulombs(area), limit=limit)


def crowded(device: Device) -> tuple[AreaSettings, AreaSettings]:
    """Two areas that are safe each by itself, at a rate at which they cannot be interleaved.

    Raises:
        NotApplicable: the device has no such areas.
    """
    capabilities = device.capabilities
    if capabilities.limit(Capability.AREAS_PER_PROGRAM) < 2:
        raise NotApplicable("a program of this device has one area")
    most = capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ) // 2 or 2**31
    rates, widths = capabilities.range(Capability.RATE_MILLIHERTZ), capabilities.range(Capability.PULSE_WIDTH_US)
    for width in (widths.minimum, widths.below(device.typical().pulse_width_us), widths.maximum):
        area = device.smallest(pulse_width_us=width)
        if broken_rules(area, capabilities):
            continue
        fastest = largest_safe(area, "rate_millihertz", Capability.RATE_MILLIHERTZ, min(most, rates.maximum), capabilities)
        both = (fastest, msgspec.structs.replace(fastest, area=1))
        if fastest.rate_millihertz <= most and overlap(both, capabilities) and occupied_us(fastest, capabilities) > 1:
            return both
    raise NotApplicable("two areas of the device always find room beside each other")


def expect_no_room(device: Device, *areas: AreaSettings) -> None:
    """Each block is taken by itself; the program is refused at its commit."""
    device.ask(BeginProgramWrite(device.program, len(areas), "conformance"))
    for area in areas:
        device.ask(WriteProgramBlock(device.program, area))
    before = device.snapshot()
    reply = device.request(CommitProgram(NEXT, device.program, checksum(*areas)))
    expect_refusal("COMMIT", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.AREAS_OVERLAP_US, area=WHOLE_PROGRAM)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("WAV/OVERLAP/BI-01", "REQ-WAV-004", "REQ-CMD-006")
def areas_that_overlap(device: Device) -> None:
    """Two areas whose pulses together are longer than their period are refused AREAS_OVERLAP at COMMIT_PROGRAM."""
    expect_no_room(device, *crowded(device))


@case("WAV/OVERLAP/BI-02", "REQ-WAV-004", "REQ-THR-008", "REQ-CMD-006")
def rate_that_makes_areas_overlap(device: Device) -> None:
    """SET_RATE to a rate at which two areas find no room is refused AREAS_OVERLAP, and nothing changes."""
    first, second = crowded(device)
    slowest = device.capabilities.range(Capability.RATE_MILLIHERTZ).minimum
    slow = [msgspec.structs.replace(area, rate_millihertz=slowest) for area in (first, second)]
    if overlap(slow, device.capabilities):
        raise NotApplicable("the areas overlap at every rate")
    device.write_program(*slow)
    before = device.snapshot()
    reply = device.request(SetRate(NEXT, 0, first.rate_millihertz))
    expect_refusal("SET_RATE", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.AREAS_OVERLAP_US, area=WHOLE_PROGRAM)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("WAV/OVERLAP/BI-04", "REQ-WAV-004", "REQ-THR-008", "REQ-CMD-006")
def width_that_makes_areas_overlap(device: Device) -> None:
    """SET_PULSE_WIDTH to a width at which two areas find no room is refused AREAS_OVERLAP, and nothing changes."""
    capabilities = device.capabilities
    if capabilities.limit(Capability.AREAS_PER_PROGRAM) < 2:
        raise NotApplicable("a program of this device has one area")
    most = capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ) // 2 or 2**31
    widest = capabilities.range(Capability.PULSE_WIDTH_US).maximum
    wide = largest_safe(
        device.smallest(pulse_width_us=widest), "rate_millihertz", Capability.RATE_MILLIHERTZ, most, capabilities
    )
    narrow = device.smallest(rate_millihertz=wide.rate_millihertz)
    narrows = [narrow, msgspec.structs.replace(narrow, area=1)]
    if overlap(narrows, capabilities) or broken_rules(narrow, capabilities) or not overlap([wide, narrows[1]], capabilities):
        raise NotApplicable("two areas of the device overlap at every width, or at none")
    device.write_program(*narrows)
    before = device.snapshot()
    reply = device.request(SetPulseWidth(NEXT, 0, widest))
    expect_refusal("SET_PULSE_WIDTH", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.AREAS_OVERLAP_US, area=WHOLE_PROGRAM)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("WAV/OVERLAP/BI-03", "REQ-WAV-004")
def direct_current_beside_another_area(device: Device) -> None:
    """Direct current leaves no room for another area."""
    need_waveform(device, Waveform.DIRECT_CURRENT)
    if device.capabilities.limit(Capability.AREAS_PER_PROGRAM) < 2:
        raise NotApplicable("a program of this device has one area")
    areas = (
        device.smallest(waveform=Waveform.DIRECT_CURRENT),
        device.smallest(waveform=device.capabilities.waveforms[-1], area=1),
    )
    if sum(area.rate_millihertz for area in areas) > device.capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ):
        raise NotApplicable("the rates of two areas are more than their limit")
    expect_no_room(device, *areas)


@case("WAV/OVERLAP/BV-01", "REQ-WAV-004", each=EVERY_WAVEFORM)
def areas_that_find_room(device: Device, waveform: Waveform) -> None:
    """As many areas of a waveform as a program can hold are taken at the lowest rate, where they find room."""
    need_waveform(device, waveform)
    count = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    areas = [device.smallest(waveform=waveform, area=area) for area in range(count)]
    while overlap(areas, device.capabilities):
        areas.pop()
    device.write_program(*areas, select=False)
