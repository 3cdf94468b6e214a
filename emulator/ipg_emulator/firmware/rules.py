"""What may be programmed: every check of a value against the model, the clinician's limits and the rules of safety. Pure."""

from __future__ import annotations

from typing import Any

from ipg_protocol.command import Request
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import FieldDetail, SafetyRule
from ipg_protocol.vocabulary import Role, Status

from ipg_emulator.firmware.refusal import Refused, field_number, out_of_range, unsafe
from ipg_emulator.model import DeviceModel, Range

WHOLE_PROGRAM = 0xFF
FULL_SHARE_PERMILLE = 1000


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
    if settings.waveform.name not in model.waveforms:
        raise Refused(Status.NOT_SUPPORTED, FieldDetail(field_number(request, "waveform")))
    ranges = model.ranges
    check_value(request, "ramp_seconds", settings.ramp_seconds, ranges.ramp_seconds)
    check_value(request, "pulse_width_us", settings.pulse_width_us, ranges.pulse_width_us, maximum=limits.pulse_width_us)
    most = limits.amplitude_microamps
    check_value(request, "amplitude_microamps", settings.amplitude_microamps, ranges.amplitude_microamps, maximum=most)
    check_value(request, "rate_millihertz", settings.rate_millihertz, ranges.rate_millihertz, maximum=limits.rate_millihertz)
    if settings.cycle_on_seconds and settings.cycle_off_seconds:
        check_value(request, "cycle_on_seconds", settings.cycle_on_seconds, ranges.cycle_on_seconds)
        check_value(request, "cycle_off_seconds", settings.cycle_off_seconds, ranges.cycle_off_seconds)
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


def pulse_occupies_us(model: DeviceModel, pulse_width_us: int) -> int:
    """How long one pulse takes, its recharge included."""
    return pulse_width_us * (1 + model.output.recharge_phases) + model.output.interphase_us


def charge_per_phase_nanocoulombs(amplitude_microamps: int, pulse_width_us: int) -> int:
    """Charge of the stimulating phase, rounded up: microamperes times microseconds are picocoulombs."""
    return -(-amplitude_microamps * pulse_width_us // 1000)


def check_safety(model: DeviceModel, limits: Limits, settings: AreaSettings) -> None:
    """Refuse a combination that breaks a rule of safety, whatever its single values."""
    area = settings.area
    occupied = pulse_occupies_us(model, settings.pulse_width_us)
    period = 1_000_000_000 // settings.rate_millihertz
    if occupied > period:
        raise unsafe(SafetyRule.PULSE_EXCEEDS_PERIOD_US, area=area, value=occupied, limit=period)
    highest = max(settings.amplitude_microamps, settings.patient_maximum_microamps)
    charge = charge_per_phase_nanocoulombs(highest, settings.pulse_width_us)
    charge_limit = min(limits.charge_per_phase_nanocoulombs, model.limits.charge_per_phase_nanocoulombs.value)
    if charge > charge_limit:
        raise unsafe(SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS, area=area, value=charge, limit=charge_limit)
    largest_share = max((abs(share.permille) for share in settings.contacts), default=0)
    contact_current = -(-highest * largest_share // 1000)
    contact_limit = model.limits.contact_current_microamps.value
    if contact_current > contact_limit:
        raise unsafe(SafetyRule.CONTACT_CURRENT_MICROAMPS, area=area, value=contact_current, limit=contact_limit)
    if settings.patient_minimum_microamps > settings.patient_maximum_microamps:
        raise unsafe(
            SafetyRule.PATIENT_MINIMUM_ABOVE_MAXIMUM_MICROAMPS,
            area=area,
            value=settings.patient_minimum_microamps,
            limit=settings.patient_maximum_microamps,
        )
    if bool(settings.cycle_on_seconds) != bool(settings.cycle_off_seconds):
        raise unsafe(
            SafetyRule.CYCLE_ON_WITHOUT_OFF_SECONDS,
            area=area,
            value=settings.cycle_on_seconds,
            limit=settings.cycle_off_seconds,
        )


def check_rates(model: DeviceModel, areas: tuple[AreaSettings, ...]) -> None:
    """Refuse areas whose rates add up to more than the output stage can interleave."""
    total = sum(area.rate_millihertz for area in areas)
    limit = model.limits.sum_of_rates_millihertz.value
    if total > limit:
        raise unsafe(SafetyRule.SUM_OF_RATES_MILLIHERTZ, area=WHOLE_PROGRAM, value=total, limit=limit)


def amplitude_bounds(model: DeviceModel, limits: Limits, settings: AreaSettings, role: Role) -> tuple[int, int]:
    """The amplitudes that a role may choose from, in microamperes: a patient stays within the area's patient range."""
    allowed = model.ranges.amplitude_microamps
    highest = min(allowed.maximum, limits.amplitude_microamps)
    if role <= Role.PATIENT:
        return settings.patient_minimum_microamps, min(highest, settings.patient_maximum_microamps)
    return allowed.minimum, highest
