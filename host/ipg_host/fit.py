"""Whether a program made for one device fits another: each value against what the other says of itself."""

from __future__ import annotations

from collections.abc import Iterator

from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import Limits

from ipg_host.capabilities import Capabilities, Segment
from ipg_host.programs import Program, amplitude_unit
from ipg_host.units import contact_name, in_words, label, named_in

_CAPABILITY_OF = {
    "ramp_seconds": "ramp_seconds",
    "pulse_width_us": "pulse_width_us",
    "amplitude_microamps": "amplitude_microamps",
    "rate_millihertz": "rate_millihertz",
    "burst_pulses": "burst_pulses",
    "intra_burst_millihertz": "intra_burst_millihertz",
    "cycle_on_seconds": "cycle_on_seconds",
    "cycle_off_seconds": "cycle_off_seconds",
    "dose_seconds": "dose_seconds",
    "patient_minimum_microamps": "amplitude_microamps",
    "patient_maximum_microamps": "amplitude_microamps",
}

_NOT_IN_USE = {
    "burst_pulses": 1,
    "intra_burst_millihertz": 0,
    "cycle_on_seconds": 0,
    "cycle_off_seconds": 0,
    "dose_seconds": 0,
}
"""Values that every device takes."""

_LIMITED = frozenset({"pulse_width_us", "amplitude_microamps", "rate_millihertz"})


def misfits(slot: int, program: Program, able: Capabilities, limits: Limits) -> tuple[str, ...]:
    """One line for each value that the device would not take in `slot`; a combination of values is the device's to judge."""
    return tuple(f"program {slot}: {text}" for text in _misfits(slot, program, able, limits))


def _misfits(slot: int, program: Program, able: Capabilities, limits: Limits) -> Iterator[str]:
    if slot >= able.program_slots:
        yield f"the device has slots 0 to {able.program_slots - 1}"
    if len(program.areas) > able.areas_per_program:
        yield f"{len(program.areas)} areas; the device takes {able.areas_per_program}"
    for settings in program.areas:
        for text in (*_waveform(settings, able), *_numbers(settings, able, limits), *_contacts(settings, able)):
            yield f"area {settings.area}: {text}"


def _waveform(settings: AreaSettings, able: Capabilities) -> Iterator[str]:
    has = [timing.waveform for timing in able.waveforms]
    if settings.waveform not in has:
        yield f"waveform {settings.waveform.name}; the device has {', '.join(waveform.name for waveform in has)}"


def _numbers(settings: AreaSettings, able: Capabilities, limits: Limits) -> Iterator[str]:
    unit = amplitude_unit(settings.waveform)
    for field, capability in _CAPABILITY_OF.items():
        value = getattr(settings, field)
        if value == _NOT_IN_USE.get(field) or (capability == "amplitude_microamps" and unit is not able.amplitude_unit):
            continue
        name = named_in(unit, field)
        segments: tuple[Segment, ...] = getattr(able, capability)
        if not any(_holds(segment, value) for segment in segments):
            yield f"{label(name)} {in_words(name, value)}; the device takes {ranges_in_words(name, segments) or 'none'}"
        elif capability in _LIMITED and value > getattr(limits, capability):
            most = in_words(name, getattr(limits, capability))
            yield f"{label(name)} {in_words(name, value)}; the clinician's limit on the device is {most}"


def _holds(segment: Segment, value: int) -> bool:
    return segment.minimum <= value <= segment.maximum and (value - segment.minimum) % max(1, segment.step) == 0


def _contacts(settings: AreaSettings, able: Capabilities) -> Iterator[str]:
    has = {contact.contact for contact in able.contacts}
    for share in settings.contacts:
        if share.contact not in has:
            yield f"contact {contact_name(share.contact)}; the device has none of that number"


def ranges_in_words(name: str, segments: tuple[Segment, ...]) -> str:
    """A range as people read it: `0 mA to 25.5 mA in steps of 0.1 mA`."""
    return "; ".join(_segment_in_words(name, segment) for segment in segments)


def _segment_in_words(name: str, segment: Segment) -> str:
    least, most, step = (in_words(name, value) for value in (segment.minimum, segment.maximum, segment.step))
    return least if segment.minimum == segment.maximum else f"{least} to {most} in steps of {step}"
