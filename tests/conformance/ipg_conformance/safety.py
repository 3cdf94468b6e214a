"""The suite's own account of which areas are safe, from the requirements alone (REQ-PRG-005, REQ-PRG-007, REQ-WAV)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, log10, pi

from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, Waveform
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.capabilities import Capabilities

IN_BURSTS = frozenset({Waveform.BURST_PASSIVE_RECHARGE, Waveform.SINE_BURST, Waveform.MAGNETIC_BIPHASIC})
WITHOUT_CHARGE_RULES = frozenset({Waveform.DIRECT_CURRENT, Waveform.MAGNETIC_BIPHASIC})
ENDLESS_MICROCOULOMBS = 2**32 - 1
NO_LIMIT = 2**63


def period_us(rate_millihertz: int) -> int:
    """The time from one pulse to the next, in whole microseconds; 0 without a rate."""
    return 1_000_000_000 // rate_millihertz if rate_millihertz else 0


def occupied_us(area: AreaSettings, capabilities: Capabilities) -> int:
    """How long one pulse or burst occupies the output; 0 for direct current, which has none."""
    shape, width = capabilities.shape(area.waveform), area.pulse_width_us
    before_last = (area.burst_pulses - 1) * period_us(area.intra_burst_millihertz)
    match area.waveform:
        case Waveform.DIRECT_CURRENT:
            return 0
        case Waveform.SINE_BURST:
            return area.burst_pulses * 2 * width
        case Waveform.MAGNETIC_BIPHASIC:
            return before_last + width
        case _:
            return before_last + width * (1 + shape.recharge_phases) + shape.interphase_us + shape.recharge_us


def highest_microamps(area: AreaSettings) -> int:
    """The amplitude that the rules of charge and current go by."""
    return max(area.amplitude_microamps, area.patient_maximum_microamps)


def picocoulombs(area: AreaSettings, microamps: int) -> float:
    """The charge of one pulse that the rules count, by waveform."""
    counted = {Waveform.BURST_PASSIVE_RECHARGE: float(area.burst_pulses), Waveform.SINE_BURST: 2 / pi}
    if area.waveform in WITHOUT_CHARGE_RULES:
        return 0.0
    return microamps * area.pulse_width_us * counted.get(area.waveform, 1.0)


def charge_nanocoulombs(area: AreaSettings) -> int:
    """Charge per phase as the rules count it, rounded up."""
    return ceil(picocoulombs(area, highest_microamps(area)) / 1000)


def densities(area: AreaSettings, capabilities: Capabilities) -> list[tuple[float, float]]:
    """Of each contact but the case: charge density in nC/mm2, and the charge through it in nC."""
    charge = picocoulombs(area, highest_microamps(area)) / 1000
    own = [(share.contact, charge * abs(share.permille) / 1000) for share in area.contacts if share.contact != CASE_CONTACT]
    areas = capabilities.areas_square_millimetres
    return [(part / areas[contact], part) for contact, part in own if part and areas.get(contact)]


def shannon_permille(density: float, charge: float) -> float:
    """1000 log10 of density (1 nC/mm2 is 0.1 uC/cm2) times charge (nC to uC)."""
    return 1000 * log10(density / 10 * charge / 1000)


def dose_microcoulombs(area: AreaSettings) -> int:
    """The charge of a dose of direct current: microamperes times seconds; of other waveforms, none."""
    if area.waveform is not Waveform.DIRECT_CURRENT:
        return 0
    return highest_microamps(area) * area.dose_seconds if area.dose_seconds else ENDLESS_MICROCOULOMBS


def _limit(capabilities: Capabilities, capability: Capability) -> int:
    """A limit, where 0 says that there is none."""
    return capabilities.limit(capability) or NO_LIMIT


def _is_odd_burst(area: AreaSettings) -> bool:
    if area.waveform is Waveform.SINE_BURST and period_us(area.intra_burst_millihertz) != 2 * area.pulse_width_us:
        return True
    return (area.burst_pulses > 1) != (area.intra_burst_millihertz > 0)


def _is_crowded(area: AreaSettings, capabilities: Capabilities) -> bool:
    """Whether a pulse or burst is longer than its period, or a pulse of a burst longer than the time to the next."""
    within_burst = area.burst_pulses > 1 and area.pulse_width_us > period_us(area.intra_burst_millihertz)
    return within_burst or occupied_us(area, capabilities) > period_us(area.rate_millihertz)


def _charge_rules(area: AreaSettings, capabilities: Capabilities, limits: Limits | None) -> dict[SafetyRule, bool]:
    charge_limit = _limit(capabilities, Capability.CHARGE_PER_PHASE_NANOCOULOMBS)
    if limits is not None:
        charge_limit = min(charge_limit, limits.charge_per_phase_nanocoulombs)
    found = densities(area, capabilities)
    density = max((density for density, _ in found), default=0.0)
    shannon = max((shannon_permille(*each) for each in found), default=-inf)
    density_limit = _limit(capabilities, Capability.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE)
    dose_limit = _limit(capabilities, Capability.DOSE_CHARGE_MICROCOULOMBS)
    return {
        SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS: charge_nanocoulombs(area) > charge_limit,
        SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE: density > density_limit,
        SafetyRule.SHANNON_K_PERMILLE: shannon > _limit(capabilities, Capability.SHANNON_K_PERMILLE),
        SafetyRule.DOSE_CHARGE_MICROCOULOMBS: area.waveform is Waveform.DIRECT_CURRENT
        and dose_microcoulombs(area) > dose_limit,
    }


def broken_rules(area: AreaSettings, capabilities: Capabilities, limits: Limits | None = None) -> set[SafetyRule]:
    """The safety rules that one area breaks by itself."""
    largest_share = max((abs(share.permille) for share in area.contacts), default=0)
    contact_limit = _limit(capabilities, Capability.CONTACT_CURRENT_MICROAMPS)
    numbers = [share.contact for share in area.contacts]
    broken = _charge_rules(area, capabilities, limits) | {
        SafetyRule.CATHODES_PERMILLE: sum(s.permille for s in area.contacts if s.permille < 0) != -1000,
        SafetyRule.ANODES_PERMILLE: sum(s.permille for s in area.contacts if s.permille > 0) != 1000,
        SafetyRule.CONTACT_REPEATED: len(set(numbers)) != len(numbers),
        SafetyRule.PULSE_EXCEEDS_PERIOD_US: _is_crowded(area, capabilities),
        SafetyRule.CONTACT_CURRENT_MICROAMPS: highest_microamps(area) * largest_share > 1000 * contact_limit,
        SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS: area.patient_minimum_microamps > area.patient_maximum_microamps,
        SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS: (area.cycle_on_seconds == 0) != (area.cycle_off_seconds == 0),
        SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ: _is_odd_burst(area),
    }
    return {rule for rule, is_broken in broken.items() if is_broken}


def overlap(areas: Sequence[AreaSettings], capabilities: Capabilities) -> bool:
    """Whether areas of one and the same rate cannot be placed without overlapping (REQ-WAV-004), 1 us kept between two."""
    if len(areas) > 1 and any(area.waveform is Waveform.DIRECT_CURRENT for area in areas):
        return True
    together = sum(occupied_us(area, capabilities) + 1 for area in areas)
    return len(areas) > 1 and together > period_us(areas[0].rate_millihertz)
