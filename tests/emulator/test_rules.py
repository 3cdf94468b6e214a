"""The rules of safety, each at its limit and just beyond; figures by hand from the definitions."""

from __future__ import annotations

from math import ceil, log10, pi

import msgspec
import pytest
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.rules import (
    charge_per_phase_nanocoulombs,
    check_areas,
    check_block,
    is_charge_density_high,
)
from ipg_emulator.model import Confidence, Figure, Range, Segment, load
from ipg_protocol import Status
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, ContactShare, Waveform, WriteProgramBlock
from ipg_protocol.commands.therapy import Limits
from ipg_protocol.refusal import SafetyDetail, SafetyRule

replace = msgspec.structs.replace
ANYTHING = Limits(10**9, 65_535, 10**9, 10**9, 0)
SCS, BURST, TDCS, TMS, VNS = (load(name) for name in ("scs-rechargeable", "scs-burst", "tdcs", "tms", "vns-external"))


def area_of(model, waveform: Waveform | None = None) -> AreaSettings:
    """An area that the model leaves the factory with."""
    areas = [area.settings(0) for program in model.programs for area in program.areas]
    return next(area for area in areas if waveform in (None, area.waveform))


def refusal(model, area: AreaSettings) -> tuple[Status, msgspec.Struct]:
    with pytest.raises(Refused) as caught:
        check(model, area)
    return caught.value.status, caught.value.detail


def check(model, area: AreaSettings) -> None:
    check_block(model, ANYTHING, WriteProgramBlock(0, area), area)


def at_most(model, area: AreaSettings, amplitude: int) -> AreaSettings:
    grid = model.ranges.amplitude_microamps
    assert grid.nearest(amplitude) == amplitude
    return replace(area, amplitude_microamps=amplitude, patient_minimum_microamps=0, patient_maximum_microamps=amplitude)


def with_limit(model, **values: int):
    figures = {name: Figure(value, "a test", Confidence.DESIGN) for name, value in values.items()}
    return replace(model, limits=replace(model.limits, **figures))


def with_range(model, name: str, minimum: int, maximum: int):
    allowed = Range((Segment(minimum, maximum, 1),), "a test", Confidence.DESIGN)
    return replace(model, ranges=replace(model.ranges, **{name: allowed}))


# Fields


def test_a_waveform_without_bursts_takes_one_pulse_only() -> None:
    status, detail = refusal(BURST, replace(area_of(BURST, Waveform.TONIC_ACTIVE_RECHARGE), burst_pulses=2))
    assert (status, detail.field, detail.minimum, detail.maximum) == (Status.OUT_OF_RANGE, 7, 1, 1)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"pulse_width_us": 0, "burst_pulses": 0}, 4),
        ({"burst_pulses": 255, "intra_burst_millihertz": 2**31}, 7),
        ({"intra_burst_millihertz": 2**31, "cycle_on_seconds": 2**31}, 8),
        ({"cycle_on_seconds": 2**31, "dose_seconds": 2**31}, 9),
        ({"dose_seconds": 2**31, "patient_maximum_microamps": 2**31}, 11),
        ({"patient_maximum_microamps": 2**31, "contacts": (ContactShare(200, -1000),)}, 13),
    ],
)
def test_fields_are_checked_in_their_order(changed, field) -> None:
    status, detail = refusal(BURST, replace(area_of(BURST, Waveform.BURST_PASSIVE_RECHARGE), **changed))
    assert (status, detail.field) == (Status.OUT_OF_RANGE, field)


def test_no_cycle_no_dose_and_no_burst_are_always_allowed() -> None:
    for model in (SCS, BURST):
        tonic = area_of(model, Waveform.TONIC_ACTIVE_RECHARGE)
        check(model, replace(tonic, cycle_on_seconds=0, cycle_off_seconds=0, dose_seconds=0, intra_burst_millihertz=0))


# Bursts and time


@pytest.mark.parametrize("changed", [{"intra_burst_millihertz": 0}, {"burst_pulses": 1}])
def test_a_burst_has_more_than_one_pulse_and_a_rate_within(changed) -> None:
    area = replace(area_of(BURST, Waveform.BURST_PASSIVE_RECHARGE), **changed)
    model = with_range(BURST, "burst_pulses", 1, 10)
    expected = SafetyDetail(SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ, 0, area.burst_pulses, area.intra_burst_millihertz)
    assert refusal(model, area) == (Status.UNSAFE_COMBINATION, expected)


def test_a_sine_s_rate_within_the_burst_is_that_of_its_own_period() -> None:
    area = area_of(VNS)
    check(VNS, area)
    model = with_range(VNS, "intra_burst_millihertz", 1_000_000, 9_000_000)
    off_by_a_microsecond = 1_000_000_000 // (2 * area.pulse_width_us + 1)
    _, detail = refusal(model, replace(area, intra_burst_millihertz=off_by_a_microsecond))
    assert detail.rule is SafetyRule.BURST_WITHOUT_RATE_MILLIHERTZ


def test_a_pulse_of_a_burst_is_over_before_the_next() -> None:
    area = area_of(BURST, Waveform.BURST_PASSIVE_RECHARGE)
    model = with_range(BURST, "intra_burst_millihertz", 0, 2_000_000)
    area = replace(at_most(model, area, 100), pulse_width_us=500)
    check(model, replace(area, intra_burst_millihertz=2_000_000))
    expected = SafetyDetail(SafetyRule.PULSE_EXCEEDS_PERIOD_US, 0, 550, 500)
    assert refusal(model, replace(area, intra_burst_millihertz=2_000_000, pulse_width_us=550)) == (
        Status.UNSAFE_COMBINATION,
        expected,
    )


def test_a_burst_and_its_recharge_fit_into_its_period() -> None:
    area = area_of(BURST, Waveform.BURST_PASSIVE_RECHARGE)
    shape = BURST.shape(Waveform.BURST_PASSIVE_RECHARGE)
    before_last = (area.burst_pulses - 1) * (1_000_000_000 // area.intra_burst_millihertz)
    occupied = before_last + area.pulse_width_us + shape.interphase_us + shape.recharge_us
    fastest = max(v for v in BURST.ranges.rate_millihertz.values() if 1_000_000_000 // v >= occupied)
    check(BURST, replace(area, rate_millihertz=fastest))
    too_fast = min((v for v in BURST.ranges.rate_millihertz.values() if v > fastest), default=None)
    assert too_fast is not None
    _, detail = refusal(BURST, replace(area, rate_millihertz=too_fast))
    assert (detail.rule, detail.value) == (SafetyRule.PULSE_EXCEEDS_PERIOD_US, occupied)


# Charge


def test_a_burst_counts_the_charge_of_all_its_pulses() -> None:
    area = replace(area_of(BURST, Waveform.BURST_PASSIVE_RECHARGE), pulse_width_us=1000, burst_pulses=5)
    assert charge_per_phase_nanocoulombs(BURST, area, 600) == 3000


def test_a_sine_counts_its_half_cycle() -> None:
    area = area_of(VNS)
    assert charge_per_phase_nanocoulombs(VNS, area, 30_000) == ceil(30_000 * area.pulse_width_us * 2 / pi / 1000)


def test_direct_current_and_coils_have_no_charge_per_phase() -> None:
    assert charge_per_phase_nanocoulombs(TDCS, area_of(TDCS), 2000) == 0
    assert charge_per_phase_nanocoulombs(TMS, area_of(TMS), 1000) == 0


def test_charge_density_is_refused_above_the_limit_and_the_case_does_not_count() -> None:
    area = at_most(SCS, replace(area_of(SCS), contacts=(ContactShare(0, -1000), ContactShare(CASE_CONTACT, 1000))), 4_900)
    density = 4_900 * area.pulse_width_us / 1000 / SCS.contacts[0].area_square_millimetres
    rule = SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE
    limit = "charge_density_nanocoulombs_per_square_millimetre"
    check(with_limit(SCS, **{limit: ceil(density)}), area)
    expected = SafetyDetail(rule, 0, ceil(density), ceil(density) - 1)
    assert refusal(with_limit(SCS, **{limit: ceil(density) - 1}), area) == (Status.UNSAFE_COMBINATION, expected)


def shannon(area: AreaSettings) -> int:
    """k = log10 (D Q), with D in uC/cm2 and Q in uC."""
    microcoulombs = area.amplitude_microamps * area.pulse_width_us / 1e6
    return ceil(1000 * log10(microcoulombs / (SCS.contacts[0].area_square_millimetres / 100) * microcoulombs))


def test_shannon_s_k_is_refused_above_the_block_level() -> None:
    area = at_most(SCS, replace(area_of(SCS), contacts=(ContactShare(0, -1000), ContactShare(1, 1000))), 10_000)
    k = shannon(area)
    assert k == 1867  # D = 24.5 uC/cm2, Q = 3 uC; the reference tables 1.87 for 10 mA and 300 us
    check(with_limit(SCS, shannon_block_permille=k), area)
    expected = SafetyDetail(SafetyRule.SHANNON_K_PERMILLE, 0, k, k - 1)
    assert refusal(with_limit(SCS, shannon_block_permille=k - 1), area) == (Status.UNSAFE_COMBINATION, expected)


def test_a_warning_level_refuses_nothing() -> None:
    area = at_most(SCS, replace(area_of(SCS), contacts=(ContactShare(0, -1000), ContactShare(1, 1000))), 10_000)
    check(SCS, area)
    assert is_charge_density_high(SCS, area)
    assert not is_charge_density_high(SCS, at_most(SCS, area, 9_500))
    assert is_charge_density_high(SCS, replace(area, amplitude_microamps=0)), "judged by what the patient may choose"


def test_a_split_over_contacts_halves_each_one_s_charge_and_density() -> None:
    halves = (ContactShare(0, -500), ContactShare(1, -500), ContactShare(2, 500), ContactShare(3, 500))
    area = at_most(SCS, replace(area_of(SCS), contacts=halves), 10_000)
    assert not is_charge_density_high(SCS, area)


def test_the_charge_of_a_dose_of_direct_current_is_limited() -> None:
    limit = TDCS.limits.dose_charge_microcoulombs
    assert limit is not None
    area = area_of(TDCS)
    dose = TDCS.ranges.dose_seconds.maximum
    over = with_limit(TDCS, dose_charge_microcoulombs=area.patient_maximum_microamps * dose - 1)
    expected = SafetyDetail(
        SafetyRule.DOSE_CHARGE_MICROCOULOMBS,
        0,
        area.patient_maximum_microamps * dose,
        area.patient_maximum_microamps * dose - 1,
    )
    assert refusal(over, replace(area, dose_seconds=dose)) == (Status.UNSAFE_COMBINATION, expected)
    status, detail = refusal(TDCS, replace(area, dose_seconds=0))
    assert (status, detail.rule, detail.value) == (
        Status.UNSAFE_COMBINATION,
        SafetyRule.DOSE_CHARGE_MICROCOULOMBS,
        2**32 - 1,
    )


# Together


def test_areas_that_need_more_time_than_there_is_are_refused() -> None:
    area = replace(area_of(SCS), pulse_width_us=1000, rate_millihertz=200_000, area=0)
    areas = [replace(area, area=number) for number in range(3)]
    with pytest.raises(Refused) as caught:
        check_areas(SCS, areas)
    needed = 3 * (2 * 1000 + SCS.shape(area.waveform).interphase_us + 1)
    assert caught.value.detail == SafetyDetail(SafetyRule.AREAS_OVERLAP_US, 255, needed, 5000)
    check_areas(SCS, areas[:2])


def test_direct_current_suffers_no_area_beside_it() -> None:
    area = area_of(TDCS)
    check_areas(TDCS, [area])
    with pytest.raises(Refused) as caught:
        check_areas(TDCS, [area, replace(area, area=1)])
    assert caught.value.detail.rule in (SafetyRule.AREAS_OVERLAP_US, SafetyRule.SUM_OF_RATES_MILLIHERTZ)
