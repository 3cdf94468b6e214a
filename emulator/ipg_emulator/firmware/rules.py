"""What may be programmed: every check of a value against the model, the clinician's limits and the rules of safety. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import ceil, log10
from typing import Any

from ipg_protocol.command import Request
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, Waveform
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import FieldDetail, SafetyRule
from ipg_protocol.vocabulary import Role, Status

from ipg_emulator.board.waveform import BURSTS, PERIOD_MILLIHERTZ_US, intra_burst_us, pulse_of
from ipg_emulator.firmware.interleave import common_us, needed_us, offsets_us, trains_of
from ipg_emulator.firmware.refusal import Refused, field_number, out_of_range, unsafe
from ipg_emulator.model import Confidence, DeviceModel, Range, Segment

WHOLE_PROGRAM = 0xFF
FULL_SHARE_PERMILLE = 1000
ENDLESS_MICROCOULOMBS = 2**32 - 1
SINGLE_PULSES = Range((Segment(1, 1, 1),), "a waveform without bursts", Confidence.DESIGN)

_ZERO_IS_NONE = ("intra_burst_millihertz", "cycle_on_seconds", "cycle_off_seconds", "dose_seconds")
"""Fields that may be 0 whatever their range."""

_SHANNON_UNITS = 10 * 1000
"""1 nC/mm2 is 0.1 uC/cm2, and 1 nC is 0.001 uC."""


def check_value(request: Request[Any], name: str, value: int, allowed: Range, *, maximum: int | None = None) -> None:
    """Refuse a value outside the range, above `maximum`, or between grid points."""
    highest = allowed.maximum if maximum is None else min(allowed.maximum, maximum)
    nearest = allowed.nearest(min(value, highest))
    if not allowed.minimum <= value <= highest:
        raise out_of_range(
            request, name, allowed.minimum, highest, value=value, step=allowed.step_at(value), nearest=min(nearest, highest)
        )
    if allowed.nearest(value) != value:
        raise out_of_range(
            request,
            name,
            allowed.minimum,
            highest,
            value=value,
            step=allowed.step_at(value),
            status=Status.OFF_GRID,
            nearest=nearest,
        )


def check_block(model: DeviceModel, limits: Limits, request: Request[Any], settings: AreaSettings) -> None:
    """Refuse an area that this device cannot or may not deliver. Fields are checked in their order, safety last."""
    if all(settings.waveform.name != shape.name for shape in model.waveforms):
        raise Refused(Status.NOT_SUPPORTED, FieldDetail(field_number(request, "waveform")))
    ranges = model.ranges
    check_value(request, "ramp_seconds", settings.ramp_seconds, ranges.ramp_seconds)
    check_value(request, "pulse_width_us", settings.pulse_width_us, ranges.pulse_width_us, maximum=limits.pulse_width_us)
    most = limits.amplitude_microamps
    check_value(request, "amplitude_microamps", settings.amplitude_microamps, ranges.amplitude_microamps, maximum=most)
    check_value(request, "rate_millihertz", settings.rate_millihertz, ranges.rate_millihertz, maximum=limits.rate_millihertz)
    burst = ranges.burst_pulses if settings.waveform in BURSTS else SINGLE_PULSES
    check_value(request, "burst_pulses", settings.burst_pulses, burst)
    for name in _ZERO_IS_NONE:
        value: int = getattr(settings, name)
        if value:
            check_value(request, name, value, getattr(ranges, name))
    for name in ("patient_minimum_microamps", "patient_maximum_microamps"):
        check_value(request, name, getattr(settings, name), ranges.amplitude_microamps, maximum=most)
    _check_contacts(model, request, settings)
    check_safety(model, limits, settings)


def _check_contacts(model: DeviceModel, request: Request[Any], settings: AreaSettings) -> None:
    seen: set[int] = set()
    for share in settings.contacts:
        check_contact(model, request, "contacts", share.contact)
        if share.contact in seen:
            raise unsafe(SafetyRule.CONTACT_REPEATED, area=settings.area, value=share.contact, limit=1)
        seen.add(share.contact)
        if not 0 < abs(share.permille) <= FULL_SHARE_PERMILLE:
            raise out_of_range(request, "contacts", -FULL_SHARE_PERMILLE, FULL_SHARE_PERMILLE, value=share.permille)
    sums = {
        SafetyRule.CATHODES_PERMILLE: -sum(s.permille for s in settings.contacts if s.permille < 0),
        SafetyRule.ANODES_PERMILLE: sum(s.permille for s in settings.contacts if s.permille > 0),
    }
    for rule, total in sums.items():
        if total != FULL_SHARE_PERMILLE:
            raise unsafe(rule, area=settings.area, value=total, limit=FULL_SHARE_PERMILLE)


def check_contact(model: DeviceModel, request: Request[Any], name: str, contact: int) -> None:
    """Refuse a contact that the model does not have."""
    if contact == CASE_CONTACT:
        if not model.has_case:
            raise Refused(Status.NOT_SUPPORTED, FieldDetail(field_number(request, name)))
    elif contact >= len(model.contacts):
        raise out_of_range(request, name, 0, len(model.contacts) - 1, value=contact)


def highest_microamps(settings: AreaSettings) -> int:
    """The most that anybody may set an area to without writing it anew: what it is judged by."""
    return max(settings.amplitude_microamps, settings.patient_maximum_microamps)


def charge_per_phase_nanocoulombs(model: DeviceModel, settings: AreaSettings, microamps: int) -> int:
    """The charge that the rules count of a pulse of this amplitude, rounded up; 0 of direct current and of a coil."""
    return ceil(_charge(model, settings, microamps))


def _charge(model: DeviceModel, settings: AreaSettings, microamps: int) -> float:
    return microamps * pulse_of(settings, model.shape(settings.waveform)).accumulated_us / 1000


def check_safety(model: DeviceModel, limits: Limits, settings: AreaSettings) -> None:
    """Refuse an area that breaks a rule of safety by itself, whatever its single values."""
    rules = (_pairs(settings), _times(model, settings), _charges(model, limits, settings))
    for rule, value, limit in chain(*rules):
        raise unsafe(rule, area=settings.area, value=value, limit=limit)


Broken = Iterator[tuple[SafetyRule, int, int]]
"""Rules that are broken: the value found, and the limit."""


def _pairs(settings: AreaSettings) -> Broken:
    """Values of which each is right, but not beside the other."""
    pulses, intra = settings.burst_pulses, settings.intra_burst_millihertz
    is_sine = settings.waveform is Waveform.SINE_BURST
    if (pulses > 1) != (intra > 0) or (is_sine and intra_burst_us(settings) != 2 * settings.pulse_width_us):
        yield SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ, pulses, intra
    low, high = settings.patient_minimum_microamps, settings.patient_maximum_microamps
    if low > high:
        yield SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS, low, high
    on, off = settings.cycle_on_seconds, settings.cycle_off_seconds
    if bool(on) != bool(off):
        yield SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS, on, off


def _times(model: DeviceModel, settings: AreaSettings) -> Broken:
    """A pulse or burst must be over before the next begins, and so must each pulse of a burst."""
    occupied = pulse_of(settings, model.shape(settings.waveform)).occupied_us
    times = [(occupied, PERIOD_MILLIHERTZ_US // settings.rate_millihertz)]
    if settings.burst_pulses > 1:
        times.append((settings.pulse_width_us, intra_burst_us(settings)))
    yield from ((SafetyRule.PULSE_EXCEEDS_PERIOD_US, value, limit) for value, limit in times if value > limit)


def _charges(model: DeviceModel, limits: Limits, settings: AreaSettings) -> Broken:
    """Charge and current at the highest amplitude that the area may be set to."""
    highest, figures = highest_microamps(settings), model.limits
    largest_share = max(abs(share.permille) for share in settings.contacts)
    density, shannon = _densest(model, settings)
    found = [
        (
            SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS,
            charge_per_phase_nanocoulombs(model, settings, highest),
            min(limits.charge_per_phase_nanocoulombs, figures.charge_per_phase_nanocoulombs.value),
        ),
        (
            SafetyRule.CONTACT_CURRENT_MICROAMPS,
            -(-highest * largest_share // FULL_SHARE_PERMILLE),
            figures.contact_current_microamps.value,
        ),
        (
            SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE,
            ceil(density),
            figures.charge_density_nanocoulombs_per_square_millimetre.value,
        ),
        (SafetyRule.SHANNON_K_PERMILLE, shannon, figures.shannon_block_permille.value),
    ]
    if settings.waveform is Waveform.DIRECT_CURRENT and figures.dose_charge_microcoulombs is not None:
        dose = highest * settings.dose_seconds if settings.dose_seconds else ENDLESS_MICROCOULOMBS
        found.append((SafetyRule.DOSE_CHARGE_MICROCOULOMBS, dose, figures.dose_charge_microcoulombs.value))
    yield from ((rule, value, limit) for rule, value, limit in found if value > limit)


def _densest(model: DeviceModel, settings: AreaSettings) -> tuple[float, int]:
    """Of the contacts but the case, the highest charge density (nC/mm2) and the highest Shannon k (permille, rounded up).

    k = log10(D Q) with the density D in uC/cm2 and the contact's own charge Q in uC (Shannon 1992). Without charge it is 0.
    """
    charge = _charge(model, settings, highest_microamps(settings))
    density, product = 0.0, 0.0
    for share in settings.contacts:
        if share.contact != CASE_CONTACT:
            own = charge * abs(share.permille) / FULL_SHARE_PERMILLE
            own_density = own / model.contacts[share.contact].area_square_millimetres
            density, product = max(density, own_density), max(product, own_density * own)
    shannon = ceil(1000 * log10(product / _SHANNON_UNITS)) if product else 0
    return density, shannon


def is_charge_density_high(model: DeviceModel, settings: AreaSettings) -> bool:
    """Whether an area is above the model's warning level of Shannon's k."""
    return _densest(model, settings)[1] > model.limits.shannon_warn_permille.value


def check_areas(model: DeviceModel, areas: Sequence[AreaSettings]) -> None:
    """Refuse areas that cannot be delivered together: too many pulses, or no place for them on the one current source."""
    total = sum(area.rate_millihertz for area in areas)
    limit = model.limits.sum_of_rates_millihertz.value
    if total > limit:
        raise unsafe(SafetyRule.SUM_OF_RATES_MILLIHERTZ, area=WHOLE_PROGRAM, value=total, limit=limit)
    trains = trains_of(model, areas)
    if offsets_us(trains) is None:
        needed, common = needed_us(trains), common_us(trains)
        raise unsafe(SafetyRule.AREAS_OVERLAP_US, area=WHOLE_PROGRAM, value=needed, limit=common)


def amplitude_bounds(model: DeviceModel, limits: Limits, settings: AreaSettings, role: Role) -> tuple[int, int]:
    """The amplitudes that a role may choose from, in microamperes: a patient stays within the area's patient range."""
    allowed = model.ranges.amplitude_microamps
    highest = min(allowed.maximum, limits.amplitude_microamps)
    if role <= Role.PATIENT:
        return settings.patient_minimum_microamps, min(highest, settings.patient_maximum_microamps)
    return allowed.minimum, highest
