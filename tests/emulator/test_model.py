"""Model files: what is shipped is sound and honest about its sources, and a bad file is told what is wrong in one line."""

from __future__ import annotations

import math
import random
from pathlib import Path

import ipg_emulator.model
import pytest
from ipg_emulator.model import DefaultArea, DeviceModel, ModelError, Range, Segment, load, names, parse
from ipg_emulator.model.ranges import Confidence

SHIPPED = [load(name) for name in names()]
SCS_TEXT = (Path(ipg_emulator.model.__file__).parent.parent / "models" / "scs-rechargeable.toml").read_text()
AREAS = [
    pytest.param(model, area, id=f"{model.name}/{program.name}/{place}")
    for model in SHIPPED
    for program in model.programs
    for place, area in enumerate(program.areas)
]

GRID = Range((Segment(0, 0, 1), Segment(100, 2000, 25), Segment(2050, 6000, 50)), "test", Confidence.DESIGN)


def test_three_models_are_shipped() -> None:
    assert names() == ["dbs-rechargeable", "drg-primary", "scs-rechargeable"]


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model.name)
class TestShipped:
    def test_the_name_is_the_file_name(self, model: DeviceModel) -> None:
        assert load(model.name).name == model.name

    def test_amplitude_can_be_zero(self, model: DeviceModel) -> None:
        assert model.ranges.amplitude_microamps.minimum == 0

    def test_there_are_two_default_programs_or_more(self, model: DeviceModel) -> None:
        assert len(model.programs) >= 2

    def test_the_rates_of_a_default_program_are_within_the_limit_on_their_sum(self, model: DeviceModel) -> None:
        for program in model.programs:
            assert sum(area.rate_millihertz for area in program.areas) <= model.limits.sum_of_rates_millihertz.value

    def test_the_largest_values_together_exceed_the_charge_limit(self, model: DeviceModel) -> None:
        picocoulombs = model.ranges.amplitude_microamps.maximum * model.ranges.pulse_width_us.maximum
        assert picocoulombs / 1000 > model.limits.charge_per_phase_nanocoulombs.value

    def test_the_stop_ramp_ends_within_a_second(self, model: DeviceModel) -> None:
        assert model.timing.stop_ramp_ms <= 1000


@pytest.mark.parametrize(
    ("name", "microcoulombs_per_square_centimetre", "shannon_k"),
    [("scs-rechargeable", 50, 2.48), ("drg-primary", 50, 1.99), ("dbs-rechargeable", 30, 1.72)],
)
def test_the_charge_limit_is_the_charge_density_it_names(
    name: str, microcoulombs_per_square_centimetre: float, shannon_k: float
) -> None:
    model = load(name)
    limit = model.limits.charge_per_phase_nanocoulombs
    area_square_centimetres = min(contact.area_square_millimetres for contact in model.contacts) / 100
    highest = microcoulombs_per_square_centimetre * area_square_centimetres * 1000
    microcoulombs = limit.value / 1000
    assert 0.95 * highest <= limit.value <= highest
    assert math.log10(microcoulombs**2 / area_square_centimetres) == pytest.approx(shannon_k, abs=0.005)
    assert f"k = {shannon_k}" in limit.source


@pytest.mark.parametrize(("model", "area"), AREAS)
class TestDefaultArea:
    def test_every_value_is_on_its_grid(self, model: DeviceModel, area: DefaultArea) -> None:
        amplitudes = (area.amplitude_microamps, area.patient_minimum_microamps, area.patient_maximum_microamps)
        assert set(amplitudes) <= set(model.ranges.amplitude_microamps.values())
        assert area.pulse_width_us in set(model.ranges.pulse_width_us.values())
        assert area.rate_millihertz in set(model.ranges.rate_millihertz.values())
        assert area.ramp_seconds in set(model.ranges.ramp_seconds.values())
        assert area.cycle_on_seconds in {0, *model.ranges.cycle_on_seconds.values()}
        assert area.cycle_off_seconds in {0, *model.ranges.cycle_off_seconds.values()}

    def test_cathodes_and_anodes_each_carry_the_whole_current(self, model: DeviceModel, area: DefaultArea) -> None:
        assert sum(share for share in area.contacts.values() if share < 0) == -1000
        assert sum(share for share in area.contacts.values() if share > 0) == 1000

    def test_charge_and_contact_current_are_within_limits_for_all_a_patient_may_choose(
        self, model: DeviceModel, area: DefaultArea
    ) -> None:
        highest = max(area.amplitude_microamps, area.patient_maximum_microamps)
        shares = [abs(share) / 1000 for share in area.contacts.values()]
        assert highest * area.pulse_width_us / 1000 <= model.limits.charge_per_phase_nanocoulombs.value
        assert highest * max(shares) <= model.limits.contact_current_microamps.value

    def test_a_pulse_with_its_recharge_fits_its_period(self, model: DeviceModel, area: DefaultArea) -> None:
        occupied = area.pulse_width_us * (1 + model.output.recharge_phases) + model.output.interphase_us
        assert occupied <= 1e9 / area.rate_millihertz

    def test_it_survives_the_way_to_a_message(self, model: DeviceModel, area: DefaultArea) -> None:
        settings = area.settings(1)
        assert (settings.area, settings.waveform.name) == (1, area.waveform)
        assert [share.permille for share in settings.contacts] == list(area.contacts.values())


def test_the_scs_model_has_a_program_of_two_areas_and_one_that_cycles() -> None:
    programs = load("scs-rechargeable").programs
    assert any(len(program.areas) == 2 for program in programs)
    assert any(area.cycle_on_seconds and area.cycle_off_seconds for program in programs for area in program.areas)


def test_the_drg_model_has_the_figures_of_the_axium() -> None:
    model = load("drg-primary")
    amplitude, rate = model.ranges.amplitude_microamps, model.ranges.rate_millihertz
    assert [(s.minimum, s.maximum, s.step) for s in amplitude.segments] == [(0, 2000, 25), (2050, 6000, 50)]
    assert (rate.minimum, rate.maximum, rate.step_at(4000)) == (4000, 80_000, 2000)
    assert (model.output.compliance_millivolts, model.impedance.open_reads_ohms) == (4600, 65_534)
    assert [(c.lead, c.position) for c in model.contacts] == [(lead, place) for lead in range(4) for place in range(4)]
    assert model.output.origin("compliance_millivolts").confidence is Confidence.READ
    assert model.output.origin("interphase_us").confidence is Confidence.DESIGN


@pytest.mark.parametrize(
    ("text", "instead", "problem"),
    [
        ("minimum = 0,", "minimum = -1,", "ranges.amplitude_microamps.segments[0].minimum: Expected int >= 0"),
        (
            "minimum = 0,",
            "minimm = 0,",
            "ranges.amplitude_microamps.segments[0]: Object contains unknown field minimm; known: minimum, maximum, step",
        ),
        (
            "maximum = 25_500",
            "maximum = 25_550",
            "ranges.amplitude_microamps.segments[0]: maximum 25550 is not minimum 0 plus whole steps of 100",
        ),
        ("minimum = 210_000", "minimum = 200_000", "segment from 200000 must start above 200000"),
        (
            'confidence = "design"',
            'confidence = "guess"',
            "ranges.rate_millihertz.confidence: Invalid enum value 'guess'; known: read, computed, design, unverified",
        ),
        ("program_slots = 8", "program_slots = 0", "program_slots: Expected int >= 1"),
        ("program_slots = 8", "program_slots = 2", "programs: at most program_slots (2), got 3"),
        ("areas_per_program = 4", "areas_per_program = 1", "programs[0].areas: at most areas_per_program (1), got 2"),
        ("log_entries = 512", "", "Object missing required field log_entries"),
        ("log_entries = 512", "log_entries = ", "not TOML: Invalid value (at line "),
        ("3 = -1000, case", "30 = -1000, case", "programs[1].areas[0].contacts: '30' is none of 0 to 15 or case"),
        ("has_case = true", "has_case = false", "programs[1].areas[0].contacts: 'case' is none of 0 to 15"),
        (
            'waveforms = ["TONIC_A',
            'waveforms = ["TUNIC_A',
            "waveforms[0]: 'TUNIC_ACTIVE_RECHARGE' is none of TONIC_ACTIVE_RECHARGE, TONIC_PASSIVE_RECHARGE",
        ),
        ('waveform = "TONIC_P', 'waveform = "TUNIC_P', "programs[1].areas[0].waveform: 'TUNIC_PASSIVE_RECHARGE' is none of"),
        ("eos_millivolts = 3_200", "eos_millivolts = 3_300", "battery: thresholds must rise: eos_millivolts < eri_millivolts"),
        (
            "depth_permille = 500",
            "depth_permille = 900",
            "battery: open_circuit must rise in depth and fall in voltage after depth",
        ),
        ("depth_permille = 0,", "depth_permille = 1,", "battery: open_circuit must go from depth_permille 0 to 1000"),
        ("headroom_millivolts = 500", "headroom_millivolts = 10_000", "output: headroom_millivolts must be below compliance"),
        ("eri_millivolts = {", "era_millivolts = {", "battery: provenance of era_millivolts, which is none of rechargeable, "),
    ],
)
def test_a_bad_file_is_told_file_field_and_what_is_allowed_in_one_line(text: str, instead: str, problem: str) -> None:
    assert text in SCS_TEXT
    with pytest.raises(ModelError) as caught:
        parse(SCS_TEXT.replace(text, instead, 1), "bad.toml")
    assert str(caught.value).startswith("bad.toml: ")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_model_is_told_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'x'; known: dbs-rechargeable, drg-primary, scs-rechargeable, or"):
        load("x")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "binary.toml").write_bytes(b"name = '\xff'")
    for name, problem in [("none", "No such file"), ("folder", "Is a directory"), ("binary", "not UTF-8 text at byte 8")]:
        with pytest.raises(ModelError, match=f"{name}.toml: {problem}"):
            load(str(tmp_path / f"{name}.toml"))


def test_a_model_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SCS_TEXT)
    assert load(str(path)) == load("scs-rechargeable")


def test_nearest_is_the_grid_value_at_the_least_distance() -> None:
    grid = list(GRID.values())
    chance = random.Random(1)
    for value in [chance.randrange(-500, 7000) for _ in range(2000)]:
        assert GRID.nearest(value) == min(grid, key=lambda candidate: (abs(candidate - value), candidate))


@pytest.mark.parametrize(("value", "step"), [(0, 1), (50, 25), (2000, 25), (2001, 50), (9999, 50)])
def test_the_step_is_that_of_the_segment_the_value_is_in(value: int, step: int) -> None:
    assert GRID.step_at(value) == step
