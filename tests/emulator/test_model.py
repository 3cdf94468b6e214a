"""Model files: what is shipped is sound and makes the devices it names, and a bad file is told what is wrong in one line."""

from __future__ import annotations

import math
import random
from pathlib import Path

import ipg_emulator.model
import pytest
from ipg_emulator.board import Drive
from ipg_emulator.board.assembly import build_board
from ipg_emulator.factory import build_device
from ipg_emulator.model import DefaultArea, DeviceModel, MagnetAction, ModelError, Range, Segment, Supply, load, names, parse
from ipg_emulator.model.ranges import Confidence
from ipg_protocol.commands.programs import Waveform

MODELS_FOLDER = Path(ipg_emulator.model.__file__).parent.parent / "models"
SHIPPED = [load(name) for name in names()]
SCS_TEXT = (MODELS_FOLDER / "scs-rechargeable.toml").read_text()
VNS_TEXT = (MODELS_FOLDER / "vns-implanted.toml").read_text()
AREAS = [
    pytest.param(model, area, id=f"{model.name}/{program.name}/{place}")
    for model in SHIPPED
    for program in model.programs
    for place, area in enumerate(program.areas)
]
HOUR = 3_600_000_000

GRID = Range((Segment(0, 0, 1), Segment(100, 2000, 25), Segment(2050, 6000, 50)), "test", Confidence.DESIGN)


def test_there_is_a_model_for_each_system_of_the_field() -> None:
    assert names() == [
        "dbs-primary",
        "dbs-rechargeable",
        "drg-primary",
        "motor-cortex",
        "opennerve",
        "pns-battery-free",
        "pns-percutaneous",
        "scs-10khz",
        "scs-burst",
        "scs-closed-loop",
        "scs-rechargeable",
        "scs-trial",
        "tdcs",
        "tens",
        "tms",
        "vns-external",
        "vns-implanted",
    ]


def test_every_waveform_supply_and_magnet_action_is_some_model_s() -> None:
    magnets = [model.magnet for model in SHIPPED if model.magnet]
    assert {shape.name for model in SHIPPED for shape in model.waveforms} == set(Waveform.__members__)
    assert {model.battery.supply for model in SHIPPED} == set(Supply)
    assert {gesture.action for magnet in magnets for gesture in magnet.gestures} | {m.while_held for m in magnets} == set(
        MagnetAction
    )


@pytest.mark.parametrize("model", SHIPPED, ids=lambda model: model.name)
class TestShipped:
    def test_the_name_is_the_file_name(self, model: DeviceModel) -> None:
        assert load(model.name).name == model.name

    def test_amplitude_can_be_zero(self, model: DeviceModel) -> None:
        assert model.ranges.amplitude_microamps.minimum == 0

    def test_its_own_rules_accept_its_programs(self, model: DeviceModel) -> None:
        assert build_device(model).device.active_program.name == model.programs[0].name

    def test_the_rates_of_a_default_program_are_within_the_limit_on_their_sum(self, model: DeviceModel) -> None:
        for program in model.programs:
            assert sum(area.rate_millihertz for area in program.areas) <= model.limits.sum_of_rates_millihertz.value

    def test_the_stop_ramp_ends_within_a_second(self, model: DeviceModel) -> None:
        assert model.timing.stop_ramp_ms <= 1000

    def test_only_an_external_device_stops_when_its_host_falls_silent(self, model: DeviceModel) -> None:
        is_external = model.battery.supply in (Supply.REPLACEABLE, Supply.MAINS)
        assert bool(model.timing.host_silence_ms) == is_external
        assert not is_external or model.timing.host_silence_ms > model.timing.session_idle_ms

    def test_an_implant_that_a_magnet_reaches_has_no_use_period(self, model: DeviceModel) -> None:
        assert model.magnet is None or model.limits.use_period_days is None

    def test_impedances_for_an_examination_are_those_of_sound_leads(self, model: DeviceModel) -> None:
        if model.mri is not None:
            assert model.impedance.short_below_ohms <= model.mri.lowest_ohms < model.mri.highest_ohms
            assert model.mri.highest_ohms <= model.impedance.open_above_ohms
            assert model.mri.confidence is Confidence.DESIGN


@pytest.mark.parametrize(
    "name", ["scs-rechargeable", "scs-burst", "drg-primary", "dbs-primary", "dbs-rechargeable", "opennerve"]
)
def test_the_largest_values_together_exceed_the_charge_limit(name: str) -> None:
    model = load(name)
    picocoulombs = model.ranges.amplitude_microamps.maximum * model.ranges.pulse_width_us.maximum
    assert picocoulombs / 1000 > model.limits.charge_per_phase_nanocoulombs.value


@pytest.mark.parametrize(
    ("name", "microcoulombs_per_square_centimetre", "shannon_k"),
    [
        ("scs-rechargeable", 50, 2.48),
        ("scs-trial", 50, 2.48),
        ("scs-10khz", 50, 2.48),
        ("scs-burst", 50, 2.48),
        ("scs-closed-loop", 50, 2.48),
        ("drg-primary", 50, 1.99),
        ("dbs-rechargeable", 30, 1.72),
        ("dbs-primary", 30, 1.73),
        ("pns-percutaneous", 50, 2.40),
        ("pns-battery-free", 50, 2.18),
        ("vns-implanted", 50, 2.24),
        ("opennerve", 50, 2.30),
    ],
)
def test_the_charge_limit_is_the_charge_density_it_names(
    name: str, microcoulombs_per_square_centimetre: float, shannon_k: float
) -> None:
    model = load(name)
    limit = model.limits.charge_per_phase_nanocoulombs
    area_square_centimetres = max(contact.area_square_millimetres for contact in model.contacts) / 100
    highest = round(microcoulombs_per_square_centimetre * area_square_centimetres * 1000)
    microcoulombs = limit.value / 1000
    assert 0.95 * highest <= limit.value <= highest
    assert math.log10(microcoulombs**2 / area_square_centimetres) == pytest.approx(shannon_k, abs=0.005)
    assert f"{microcoulombs_per_square_centimetre} uC/cm2" in limit.source
    assert f"k = {shannon_k:.2f}" in limit.source


@pytest.mark.parametrize(("model", "area"), AREAS)
class TestDefaultArea:
    def test_every_value_is_on_its_grid(self, model: DeviceModel, area: DefaultArea) -> None:
        for name in ("amplitude_microamps", "patient_minimum_microamps", "patient_maximum_microamps"):
            assert model.ranges.amplitude_microamps.nearest(getattr(area, name)) == getattr(area, name)
        for name in ("pulse_width_us", "rate_millihertz", "ramp_seconds", "burst_pulses", "intra_burst_millihertz"):
            assert getattr(model.ranges, name).nearest(getattr(area, name)) == getattr(area, name)
        for name in ("cycle_on_seconds", "cycle_off_seconds", "dose_seconds"):
            assert getattr(area, name) in (0, getattr(model.ranges, name).nearest(getattr(area, name)))

    def test_it_is_delivered_as_it_is_programmed(self, model: DeviceModel, area: DefaultArea) -> None:
        board = build_board(model, seed=1)
        assert board.output.deliverable_microamps(area.settings(0), 0) >= area.amplitude_microamps

    def test_recharge_leaves_less_behind_than_the_limit_at_all_a_patient_may_choose(
        self, model: DeviceModel, area: DefaultArea
    ) -> None:
        highest = max(area.amplitude_microamps, area.patient_maximum_microamps)
        left = build_board(model, seed=1).output.residual_nanocoulombs(area.settings(0), highest, 0)
        assert left < model.limits.residual_charge_nanocoulombs.value

    def test_passive_recharge_takes_about_four_time_constants_or_more(self, model: DeviceModel, area: DefaultArea) -> None:
        recharge_us = model.shape(Waveform[area.waveform]).recharge_us
        load = build_board(model, seed=1).electrodes.load(area.settings(0).contacts, 0)
        tau_us = (load.ohms + model.output.recharge_ohms) * load.farads * 1e6
        assert recharge_us == 0 or recharge_us > 3.5 * tau_us

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
    assert model.output.compliance_millivolts - model.output.headroom_millivolts == 4600
    assert model.impedance.open_reads_ohms == 65_534
    assert [(c.lead, c.position) for c in model.contacts] == [(lead, place) for lead in range(4) for place in range(4)]
    assert model.impedance.origin("open_reads_ohms").confidence is Confidence.READ
    assert model.waveforms[0].confidence is Confidence.DESIGN


def test_a_program_found_in_a_trial_can_go_into_the_implant() -> None:
    trial, implant = load("scs-trial"), load("scs-rechargeable")
    assert (trial.ranges, trial.waveforms, trial.contacts) == (implant.ranges, implant.waveforms, implant.contacts)
    assert trial.limits.charge_per_phase_nanocoulombs == implant.limits.charge_per_phase_nanocoulombs
    assert (trial.limits.use_period_days.value, implant.limits.use_period_days) == (30, None)  # type: ignore[union-attr]


def test_an_hour_of_charging_lasts_three_weeks_of_the_nominal_burst_program() -> None:
    # Eterna 32400 clinician manual, App. C
    model = load("scs-burst")
    board = build_board(model, seed=1, charge_permille=100)
    settings = model.programs[0].areas[0].settings(0)
    board.output.drive([Drive(settings, 0, None, 600, 600, 600, 600, 0)], 0)
    board.charger.place(1000, 0)  # type: ignore[union-attr]
    received = board.charger.received_nanocoulombs(HOUR)  # type: ignore[union-attr]
    days = received / 1000 / board.power.expected_microamps(0) / 86_400
    assert 21 <= days <= 35


def test_a_nominal_burst_puts_1360_millivolts_on_a_coupling_capacitor() -> None:
    model = load("scs-burst")
    area = model.programs[0].areas[0]
    picocoulombs = area.burst_pulses * area.amplitude_microamps * area.pulse_width_us
    assert picocoulombs / model.output.coupling_microfarads / 1000 == pytest.approx(1364, abs=1)


def test_a_dose_of_theta_burst_is_600_pulses() -> None:
    area = load("tms").programs[0].areas[0]
    on, off = area.cycle_on_seconds, area.cycle_off_seconds
    trains, rest = divmod(area.dose_seconds + off, on + off)
    assert (rest, trains * on * area.rate_millihertz // 1000 * area.burst_pulses) == (0, 600)


def test_the_dose_charge_forbids_the_longest_dose_at_the_highest_current() -> None:
    model = load("tdcs")
    limit = model.limits.dose_charge_microcoulombs.value  # type: ignore[union-attr]
    amplitude, seconds = model.ranges.amplitude_microamps.maximum, model.ranges.dose_seconds.maximum
    assert (amplitude, seconds, limit) == (4000, 2400, 7_200_000)
    assert amplitude * seconds > limit


def test_the_external_vagus_device_makes_one_millisecond_of_sine_every_40_milliseconds() -> None:
    area = load("vns-external").programs[0].areas[0]
    assert area.burst_pulses * 2 * area.pulse_width_us == 1000
    assert (1_000_000_000 // area.rate_millihertz, 1_000_000_000 // area.intra_burst_millihertz) == (
        40_000,
        2 * area.pulse_width_us,
    )


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
            'confidence = "unverified"\n\n[ranges.pulse',
            'confidence = "guess"\n\n[ranges.pulse',
            "ranges.amplitude_microamps.confidence: Invalid enum value 'guess'; known: read, computed, design, unverified",
        ),
        ("program_slots = 8", "program_slots = 0", "program_slots: Expected int >= 1"),
        ("program_slots = 8", "program_slots = 2", "programs: at most program_slots (2), got 3"),
        ("areas_per_program = 4", "areas_per_program = 1", "programs[0].areas: at most areas_per_program (1), got 2"),
        ("log_entries = 512", "", "Object missing required field log_entries"),
        ("log_entries = 512", "log_entries = ", "not TOML: Invalid value (at line "),
        (
            'therapy_after_reset = "resume"',
            'therapy_after_reset = "ramp"',
            "therapy_after_reset: Invalid enum value 'ramp'; known: resume, off",
        ),
        ("3 = -1000, case", "30 = -1000, case", "programs[1].areas[0].contacts: '30' is none of 0 to 15 or case"),
        ("has_case = true", "has_case = false", "programs[1].areas[0].contacts: 'case' is none of 0 to 15"),
        (
            'name = "TONIC_A',
            'name = "TUNIC_A',
            "waveforms[0].name: 'TUNIC_ACTIVE_RECHARGE' is none of TONIC_ACTIVE_RECHARGE, TONIC_PASSIVE_RECHARGE",
        ),
        (
            "recharge_phases = 1",
            "recharge_phases = 0",
            "waveforms[0].recharge_phases: at least 1, as TONIC_ACTIVE_RECHARGE recovers its charge by it",
        ),
        (
            "recharge_us = 5_000",
            "recharge_us = 0",
            "waveforms[1].recharge_us: at least 1, as TONIC_PASSIVE_RECHARGE recovers its charge by it",
        ),
        (
            "capacity_milliamp_hours = 200.0",
            "capacity_milliamp_hours = inf",
            "battery.capacity_milliamp_hours: Expected float < 1",
        ),
        (
            "capacity_milliamp_hours = 200.0",
            "capacity_milliamp_hours = 1e400",
            "battery.capacity_milliamp_hours: Expected float < 1",
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
        ("resume_millicelsius = 41_000", "resume_millicelsius = 42_000", "charging: resume_millicelsius must be below pause"),
        (
            "trickle_milliamps",
            "trickel_milliamps",
            "charging: Object contains unknown field trickel_milliamps; known: current_mil",
        ),
        ("[charging]", "[charger]", "Object contains unknown field charger; known: name, title, therapy, "),
        (
            'while_held = "stop"',
            'while_held = "stay"',
            "magnet.while_held: Invalid enum value 'stay'; known: none, stop, toggle,",
        ),
        (
            'supply = "rechargeable"',
            'supply = "solar"',
            "battery.supply: Invalid enum value 'solar'; known: primary, rechargeable,",
        ),
        ("schedule_rows = 8", "schedule_rows = 33", "schedule_rows: Expected int <= 32"),
        (
            "[limits.shannon_block_permille]\nvalue = 2_600",
            "[limits.shannon_block_permille]\nvalue = 1_800",
            "limits.shannon_warn_p",
        ),
        (
            "eri_millivolts = {",
            "era_millivolts = {",
            "battery: provenance of era_millivolts, which is none of supply, capacity_",
        ),
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
    with pytest.raises(ModelError, match=f"unknown model 'x'; known: {', '.join(names())}, or the path of a .toml file"):
        load("x")


@pytest.mark.parametrize(
    ("text", "instead", "problem"),
    [
        ("boost_program = 1", "boost_program = 2", "magnet.boost_program: 0 to 1, got 2"),
        ("boost_program = 1", "boost_program = 0", "programs[0].areas: dose_seconds, as the magnet's boost ends with the dose"),
        ("minimum_ms = 200", "minimum_ms = 3000", "magnet.gestures[0]: minimum_ms must be below maximum_ms (3000)"),
        ('action = "boost"', 'action = "boots"', "magnet.gestures[0].action: Invalid enum value 'boots'; known: none, stop, "),
    ],
)
def test_a_magnet_that_cannot_do_what_it_says_is_refused(text: str, instead: str, problem: str) -> None:
    assert text in VNS_TEXT
    with pytest.raises(ModelError) as caught:
        parse(VNS_TEXT.replace(text, instead, 1), "bad.toml")
    assert str(caught.value).startswith(f"bad.toml: {problem}")


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
