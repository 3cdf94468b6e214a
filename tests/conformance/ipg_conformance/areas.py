"""Areas that probe one thing at a time: the smallest, a typical one, and patterns of contacts, as the capabilities allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, Waveform

from ipg_conformance.capabilities import Capabilities
from ipg_conformance.expect import Failure, NotApplicable
from ipg_conformance.safety import IN_BURSTS, broken_rules, period_us
from ipg_conformance.wording import shown

TYPICAL_AMPLITUDE_MICROAMPS = 2_000
TYPICAL_PULSE_WIDTH_US = 200
TYPICAL_RATE_MILLIHERTZ = 40_000
DOSE_BEYOND_RAMP_SECONDS = 60


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
    usable = [*sound, CASE_CONTACT] if len(sound) == 1 and capabilities.has_case else list(sound)
    if len(usable) < 2:
        raise NotApplicable("the device has fewer than two sound contacts")
    largest = capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    per_contact = capabilities.limit(Capability.CONTACT_CURRENT_MICROAMPS) or largest
    half = len(usable) // 2
    count = next((n for n in range(1, half) if largest * -(-1000 // n) <= 1000 * per_contact), half)
    return shares(usable[:count], -1000) + shares(usable[count : 2 * count], 1000)


def _dose_seconds(capabilities: Capabilities, waveform: Waveform) -> int:
    """No dose, but where the charge of direct current is limited by it: one that outlasts the ramp."""
    if waveform is not Waveform.DIRECT_CURRENT or not capabilities.limit(Capability.DOSE_CHARGE_MICROCOULOMBS):
        return 0
    ramp_seconds = capabilities.range(Capability.RAMP_SECONDS).minimum
    return capabilities.range(Capability.DOSE_SECONDS).from_(ramp_seconds + DOSE_BEYOND_RAMP_SECONDS)


def _fewest_pulses(capabilities: Capabilities, waveform: Waveform) -> int:
    """The fewest pulses that are a burst, of a waveform in bursts; else 1."""
    more = capabilities.range(Capability.BURST_PULSES).above(1)
    return more if more is not None and waveform in IN_BURSTS else 1


def _sines(capabilities: Capabilities) -> Iterator[tuple[int, int]]:
    """Half cycles, from the shortest on, with the intra-burst rates that go with them."""
    intra = capabilities.range(Capability.INTRA_BURST_MILLIHERTZ)
    width: int | None = capabilities.range(Capability.PULSE_WIDTH_US).minimum
    while width is not None:
        rate = min(intra.nearest(1_000_000_000 // (2 * width)))
        if period_us(rate) == 2 * width:
            yield width, rate
        width = capabilities.range(Capability.PULSE_WIDTH_US).above(width)


def _sine(capabilities: Capabilities, width_us: int) -> dict[str, int]:
    """The half cycle nearest to `width_us` that an intra-burst rate goes with, and that rate."""
    found = min(_sines(capabilities), key=lambda pair: abs(pair[0] - width_us), default=None)
    if found is None:
        raise Failure("the ranges have sine bursts", expected="a width that is half an intra-burst period", got="none")
    return {"pulse_width_us": found[0], "intra_burst_millihertz": found[1]}


def _burst(capabilities: Capabilities, waveform: Waveform, width_us: int) -> dict[str, int]:
    """Pulses, their rate and their width for the smallest burst of a waveform; a single pulse for one without bursts."""
    pulses = _fewest_pulses(capabilities, waveform)
    chosen = {"burst_pulses": pulses, "intra_burst_millihertz": 0, "pulse_width_us": width_us}
    if waveform is Waveform.SINE_BURST:
        return chosen | _sine(capabilities, width_us)
    if pulses > 1:
        shape = capabilities.shape(waveform)
        fastest = 1_000_000_000 // max(width_us + shape.interphase_us, 1)
        chosen["intra_burst_millihertz"] = capabilities.range(Capability.INTRA_BURST_MILLIHERTZ).below(fastest)
    return chosen


def smallest_area(capabilities: Capabilities, sound: Sequence[int], **chosen: object) -> AreaSettings:
    """An area with every parameter at its minimum but those chosen, so that only these can be at fault.

    Where the waveform is in bursts they are the smallest; where a dose is required it outlasts the ramp.
    """
    amplitude = capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    waveform = chosen.get("waveform", capabilities.waveforms[0])
    assert isinstance(waveform, Waveform)
    shortest = capabilities.range(Capability.PULSE_WIDTH_US).minimum
    area = AreaSettings(
        area=0,
        waveform=waveform,
        ramp_seconds=capabilities.range(Capability.RAMP_SECONDS).minimum,
        amplitude_microamps=amplitude.minimum,
        rate_millihertz=capabilities.range(Capability.RATE_MILLIHERTZ).minimum,
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=_dose_seconds(capabilities, waveform),
        patient_minimum_microamps=amplitude.minimum,
        patient_maximum_microamps=amplitude.minimum,
        contacts=pattern(capabilities, sound),
        **_burst(capabilities, waveform, shortest),
    )
    return msgspec.structs.replace(area, **chosen)


def typical_area(capabilities: Capabilities, sound: Sequence[int], **chosen: object) -> AreaSettings:
    """An area as in use: about 200 us at about 40 Hz, with the amplitude that one pair can safely carry, up to 2 mA."""
    waveform = chosen.get("waveform", capabilities.waveforms[0])
    assert isinstance(waveform, Waveform)
    width_us = capabilities.range(Capability.PULSE_WIDTH_US).below(TYPICAL_PULSE_WIDTH_US)
    timing = _burst(capabilities, waveform, width_us)
    area = smallest_area(capabilities, sound, waveform=waveform, **timing)
    one_pair = bipolar(area, cathode=area.contacts[0].contact, anode=area.contacts[-1].contact)
    one_pair = largest_safe(one_pair, "rate_millihertz", Capability.RATE_MILLIHERTZ, TYPICAL_RATE_MILLIHERTZ, capabilities)
    most = TYPICAL_AMPLITUDE_MICROAMPS
    safe = largest_safe(one_pair, "amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, most, capabilities)
    typical = msgspec.structs.replace(safe, contacts=area.contacts, patient_maximum_microamps=safe.amplitude_microamps)
    return msgspec.structs.replace(typical, **chosen)


def largest_safe(area: AreaSettings, field: str, capability: Capability, most: int, capabilities: Capabilities) -> AreaSettings:
    """The area with one field as high on its grid as is safe, up to `most`.

    Raises:
        Failure: not even the range's minimum is safe.
    """
    allowed = capabilities.range(capability)
    value = allowed.below(most)
    while True:
        found = msgspec.structs.replace(area, **{field: value})
        rules = broken_rules(found, capabilities)
        if not rules:
            return found
        if value == allowed.minimum:
            raise Failure(f"{field} has a value that is safe", expected="no rule broken", got=f"{shown(rules)}: {shown(found)}")
        value = allowed.below(min(value - 1, value * 9 // 10))
