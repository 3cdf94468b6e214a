"""The suite's own account of which areas are safe, from the requirements alone, and areas that probe one thing at a time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings, ContactShare
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.capabilities import Capabilities

TYPICAL_AMPLITUDE_MICROAMPS = 2_000
TYPICAL_PULSE_WIDTH_US = 200
TYPICAL_RATE_MILLIHERTZ = 40_000


def period_us(rate_millihertz: int) -> float:
    """The time from one pulse to the next."""
    return 1e9 / rate_millihertz if rate_millihertz else float("inf")


def charge_nanocoulombs(area: AreaSettings) -> int:
    """Charge of one stimulating phase, rounded up."""
    return -(-area.amplitude_microamps * area.pulse_width_us // 1000)


def pulse_us(area: AreaSettings, capabilities: Capabilities) -> int:
    """How long one pulse occupies the output, recharge and interphase gap included."""
    phases, interphase_us = capabilities.recharge(area.waveform)
    return area.pulse_width_us * (1 + phases) + interphase_us


def broken_rules(area: AreaSettings, capabilities: Capabilities, limits: Limits | None = None) -> set[SafetyRule]:
    """The safety rules that one area breaks by itself (REQ-PRG-005, REQ-PRG-007)."""
    charge_limit = capabilities.limit(Capability.CHARGE_PER_PHASE_NANOCOULOMBS)
    if limits is not None:
        charge_limit = min(charge_limit, limits.charge_per_phase_nanocoulombs)
    largest_share = max((abs(share.permille) for share in area.contacts), default=0)
    numbers = [share.contact for share in area.contacts]
    broken = {
        SafetyRule.CATHODES_PERMILLE: sum(s.permille for s in area.contacts if s.permille < 0) != -1000,
        SafetyRule.ANODES_PERMILLE: sum(s.permille for s in area.contacts if s.permille > 0) != 1000,
        SafetyRule.CONTACT_REPEATED: len(set(numbers)) != len(numbers),
        SafetyRule.PULSE_EXCEEDS_PERIOD_US: pulse_us(area, capabilities) > period_us(area.rate_millihertz),
        SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS: charge_nanocoulombs(area) > charge_limit,
        SafetyRule.CONTACT_CURRENT_MICROAMPS: area.amplitude_microamps * largest_share
        > 1000 * capabilities.limit(Capability.CONTACT_CURRENT_MICROAMPS),
        SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS: area.patient_minimum_microamps > area.patient_maximum_microamps,
        SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS: (area.cycle_on_seconds == 0) != (area.cycle_off_seconds == 0),
    }
    return {rule for rule, is_broken in broken.items() if is_broken}


def shares(contacts: Sequence[int], total_permille: int) -> tuple[ContactShare, ...]:
    """`total_permille` split over contacts as evenly as whole permille allow."""
    sign = 1 if total_permille > 0 else -1
    whole, rest = divmod(abs(total_permille), len(contacts))
    return tuple(ContactShare(contact, sign * (whole + (index < rest))) for index, contact in enumerate(contacts))


def bipolar(area: AreaSettings, *, cathode: int, anode: int) -> AreaSettings:
    """The same area with all its current from one contact to another."""
    return msgspec.structs.replace(area, contacts=(*shares((cathode,), -1000), *shares((anode,), 1000)))


def pattern(capabilities: Capabilities, sound: Sequence[int]) -> tuple[ContactShare, ...]:
    """As few cathodes and anodes as let the largest amplitude stay within the current of one contact."""
    largest = capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    per_contact = capabilities.limit(Capability.CONTACT_CURRENT_MICROAMPS)
    half = len(sound) // 2
    count = next((n for n in range(1, half) if largest * -(-1000 // n) <= 1000 * per_contact), half)
    return shares(sound[:count], -1000) + shares(sound[count : 2 * count], 1000)


def smallest_area(capabilities: Capabilities, sound: Sequence[int], **chosen: object) -> AreaSettings:
    """An area with every parameter at its minimum but those chosen, so that only these can be at fault."""
    amplitude = capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    area = AreaSettings(
        area=0,
        waveform=capabilities.waveforms[0],
        ramp_seconds=capabilities.range(Capability.RAMP_SECONDS).minimum,
        pulse_width_us=capabilities.range(Capability.PULSE_WIDTH_US).minimum,
        amplitude_microamps=amplitude.minimum,
        rate_millihertz=capabilities.range(Capability.RATE_MILLIHERTZ).minimum,
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        patient_minimum_microamps=amplitude.minimum,
        patient_maximum_microamps=amplitude.minimum,
        contacts=pattern(capabilities, sound),
    )
    return msgspec.structs.replace(area, **chosen)


def typical_area(capabilities: Capabilities, sound: Sequence[int], **chosen: object) -> AreaSettings:
    """An area as in use: pulses of about 200 us at about 40 Hz, with the amplitude that is safe, up to 2 mA."""
    width_us = capabilities.range(Capability.PULSE_WIDTH_US).below(TYPICAL_PULSE_WIDTH_US)
    safe_microamps = min(
        TYPICAL_AMPLITUDE_MICROAMPS,
        capabilities.limit(Capability.CHARGE_PER_PHASE_NANOCOULOMBS) * 1000 // width_us,
        capabilities.limit(Capability.CONTACT_CURRENT_MICROAMPS),
    )
    amplitude_microamps = capabilities.range(Capability.AMPLITUDE_MICROAMPS).below(safe_microamps)
    area = smallest_area(
        capabilities,
        sound,
        pulse_width_us=width_us,
        amplitude_microamps=amplitude_microamps,
        patient_maximum_microamps=amplitude_microamps,
        rate_millihertz=capabilities.range(Capability.RATE_MILLIHERTZ).below(TYPICAL_RATE_MILLIHERTZ),
    )
    return msgspec.structs.replace(area, **chosen)
