"""The battery: consumption by hand, the same however often it is read, and the life that the Axium manual publishes."""

from __future__ import annotations

import random

import msgspec
import pytest
from ipg_emulator.board import Drive, Load
from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.battery import Battery
from ipg_emulator.board.discharge import DischargeCurve, mean_millivolts
from ipg_emulator.board.energy import TherapyEnergy
from ipg_emulator.board.output import CurrentOutput
from ipg_emulator.model import Supply, VoltagePoint, load, names
from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
YEAR = 365.25 * DAY
DRG = load("drg-primary")
SCS = load("scs-rechargeable")

AXIUM_LONGEVITY = {
    # Axium Clinical Manual, PMA P150004, p. 22: microamperes, microseconds, hertz, ohms of each lead; years
    "5th percentile": ([(2750, 410, 20, 1609), (1350, 300, 34, 1796)], 0.9),
    "nominal": ([(800, 300, 20, 1600), (800, 300, 20, 1600)], 3.3),
    "50th percentile": ([(675, 1000, 16, 1727)], 3.5),
    "95th percentile": ([(500, 160, 20, 1886)], 4.9),
    "low": ([(650, 110, 10, 1140), (350, 230, 10, 1968)], 5.0),
}


class LoadOfEachCathode:
    """Electrodes whose load is looked up by the pattern's first contact, in series with one capacitance."""

    def __init__(self, *ohms: float, farads: float = 1.0) -> None:
        self._ohms = ohms
        self._farads = farads

    def load(self, contacts, now):
        return Load(self._ohms[contacts[0].contact], self._farads, self._farads, 0)

    def measure(self, cathode, anode, now):
        raise NotImplementedError


class NoTherapy:
    def battery_nanocoulombs(self, now):
        return 0.0

    def battery_microamps(self, now):
        return 0.0

    def energy(self, now):
        return TherapyEnergy()


def settings(area: int, microamps: int, width: int, hertz: int, waveform=Waveform.TONIC_PASSIVE_RECHARGE) -> AreaSettings:
    return AreaSettings(
        area=area,
        waveform=waveform,
        ramp_seconds=2,
        pulse_width_us=width,
        amplitude_microamps=microamps,
        rate_millihertz=hertz * 1000,
        burst_pulses=1,
        intra_burst_millihertz=0,
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=0,
        patient_minimum_microamps=0,
        patient_maximum_microamps=microamps,
        contacts=(ContactShare(area, -1000), ContactShare(area + 8, 1000)),
    )


def steady(area: AreaSettings, start: int = 0) -> Drive:
    level = area.amplitude_microamps
    return Drive(area, start, None, level, level, level, level, start)


def device(model, areas, ohms, farads=1.0):
    output = CurrentOutput(model, LoadOfEachCathode(*ohms, farads=farads), mean_millivolts(model.battery.open_circuit))
    output.drive([steady(area) for area in areas], 0)
    return output, Battery(model.battery, output)


def life_years(battery: Battery, eos_millivolts: int) -> float:
    early, late = 0, int(30 * YEAR)
    while late - early > DAY:
        middle = (early + late) // 2
        early, late = (middle, late) if battery.read(middle).millivolts > eos_millivolts else (early, middle)
    return late / YEAR


@pytest.mark.parametrize("row", AXIUM_LONGEVITY)
def test_life_is_within_a_tenth_of_what_the_axium_manual_publishes(row: str) -> None:
    leads, published_years = AXIUM_LONGEVITY[row]
    areas = [settings(number, *lead[:3]) for number, lead in enumerate(leads)]
    farads = build_board(DRG, seed=0).electrodes.load(areas[0].contacts, 0).farads
    _, battery = device(DRG, areas, [lead[3] for lead in leads], farads)
    assert life_years(battery, DRG.battery.eos_millivolts) == pytest.approx(published_years, rel=0.1)


def test_from_eri_to_eos_is_about_a_month_at_nominal_settings() -> None:
    leads, _ = AXIUM_LONGEVITY["nominal"]
    _, battery = device(DRG, [settings(number, *lead[:3]) for number, lead in enumerate(leads)], [1600, 1600])
    span_years = life_years(battery, DRG.battery.eos_millivolts) - life_years(battery, DRG.battery.eri_millivolts)
    assert 20 <= span_years * 365.25 <= 35


def test_therapy_costs_its_charge_by_the_ratio_of_voltages_and_its_pulses() -> None:
    output, _ = device(SCS, [settings(0, 4000, 250, 50)], [500])
    supply_volts = 4e-3 * 500 + (SCS.output.headroom_millivolts + SCS.output.supply_margin_millivolts) / 1000
    battery_volts = mean_millivolts(SCS.battery.open_circuit) / 1000
    efficiency = SCS.output.converter_efficiency_permille / 1000
    charge = 4000 * 250 / 1000 * 50 * 3600
    overhead = SCS.output.pulse_overhead_nanocoulombs * 50 * 3600
    assert output.battery_nanocoulombs(HOUR) == pytest.approx(charge * supply_volts / battery_volts / efficiency + overhead)
    assert output.battery_microamps(HOUR) * 3600 * 1000 == pytest.approx(output.battery_nanocoulombs(HOUR))


def test_active_recharge_draws_for_both_phases() -> None:
    def cost(waveform: Waveform) -> float:
        output, _ = device(SCS, [settings(0, 4000, 250, 50, waveform)], [500])
        return output.battery_nanocoulombs(HOUR) - SCS.output.pulse_overhead_nanocoulombs * 50 * 3600

    assert cost(Waveform.TONIC_ACTIVE_RECHARGE) == pytest.approx(2 * cost(Waveform.TONIC_PASSIVE_RECHARGE))


def test_the_supply_follows_the_worst_area() -> None:
    small = settings(1, 1000, 250, 50)
    alone, _ = device(SCS, [small], [500, 500])
    with_worse, _ = device(SCS, [small, settings(0, 1000, 250, 50)], [5000, 500])
    assert with_worse.battery_nanocoulombs(HOUR) > 2 * alone.battery_nanocoulombs(HOUR)


def test_idle_and_telemetry_add_up_by_hand() -> None:
    battery = Battery(SCS.battery, NoTherapy())
    battery.telemetry(1000, HOUR)
    expected = SCS.battery.idle_nanoamps * 7200 + 1000 * SCS.battery.telemetry_nanocoulombs_per_byte
    assert battery.consumed_nanocoulombs(2 * HOUR) == pytest.approx(expected)


def test_on_the_shelf_only_the_shelf_current_flows() -> None:
    battery = Battery(SCS.battery, NoTherapy())
    battery.sleep(True, HOUR)
    battery.sleep(False, 11 * HOUR)
    expected = (2 * SCS.battery.idle_nanoamps + 10 * SCS.battery.shelf_nanoamps) * 3600
    assert battery.consumed_nanocoulombs(12 * HOUR) == pytest.approx(expected)


@pytest.mark.parametrize("name", names())
def test_a_battery_read_once_and_one_read_a_thousand_times_agree(name: str) -> None:
    model = load(name)
    boards = [build_board(model, seed=1), build_board(model, seed=1)]
    chance = random.Random(2)
    program = [area.settings(place) for place, area in enumerate(model.programs[0].areas)]
    changes = sorted(chance.randrange(100 * DAY) for _ in range(50))
    readings = sorted(chance.randrange(100 * DAY) for _ in range(1000))
    for now, is_change in sorted([(now, True) for now in changes] + [(now, False) for now in readings]):
        if not is_change:
            boards[0].power.read(now)
            continue
        area = msgspec.structs.replace(program[0], amplitude_microamps=chance.randrange(0, 2000, 100))
        level, end = area.amplitude_microamps, now + chance.randrange(1, 10) * SECOND
        for board in boards:
            board.output.drive([Drive(area, now, end, 0, level, 0, level, now), steady(area, end)], now)
    assert boards[0].power.consumed_nanocoulombs(100 * DAY) == boards[1].power.consumed_nanocoulombs(100 * DAY)
    assert boards[0].power.read(100 * DAY) == boards[1].power.read(100 * DAY)


@pytest.mark.parametrize("name", [name for name in names() if load(name).battery.supply is not Supply.MAINS])
def test_therapy_runs_a_cell_down_through_every_threshold_without_ever_rising(name: str) -> None:
    model = load(name)
    board = build_board(model, seed=1)
    areas = [area.settings(place) for place, area in enumerate(model.programs[0].areas)]
    board.output.drive([steady(area) for area in areas], 0)
    cycle = max(1, areas[0].cycle_on_seconds + areas[0].cycle_off_seconds) * SECOND
    readings = [board.power.read(day * (DAY - DAY % cycle)) for day in range(15 * 365)]
    voltages = [reading.millivolts for reading in readings]
    assert voltages == sorted(voltages, reverse=True)
    assert voltages[0] > model.battery.low_millivolts
    assert voltages[-1] <= model.battery.eos_millivolts
    assert (readings[0].charge_permille, readings[-1].charge_permille) == (1000, 0)


def test_a_cell_that_is_half_full_reads_half() -> None:
    assert build_board(SCS, seed=1, charge_permille=500).power.read(0).charge_permille == 500


def test_the_voltage_drops_by_the_current_through_the_cells_resistance() -> None:
    _, battery = device(DRG, [settings(0, 2000, 300, 80)], [1600])
    drain = battery.read(0).drain_microamps
    fresh = DRG.battery.open_circuit[0]
    assert battery.read(0).millivolts == pytest.approx(fresh.millivolts - drain * fresh.milliohms / 1e6, abs=1)
    assert drain > DRG.battery.idle_nanoamps / 1000


def test_an_older_cell_drops_more_voltage_under_the_same_drain() -> None:
    def drop(charge_permille: int) -> float:
        loaded = CurrentOutput(DRG, LoadOfEachCathode(1600), mean_millivolts(DRG.battery.open_circuit))
        loaded.drive([steady(settings(0, 2000, 300, 80))], 0)
        open_circuit = DischargeCurve(DRG.battery.open_circuit).at(1000 - charge_permille)[0]
        return open_circuit - Battery(DRG.battery, loaded, charge_permille).read(0).millivolts

    assert drop(50) > 5 * drop(1000) > 0


def test_voltage_and_resistance_are_straight_between_the_points_of_the_curve() -> None:
    points = (VoltagePoint(0, 4000, 1000), VoltagePoint(500, 3800, 2000), VoltagePoint(1000, 3000, 6000))
    curve = DischargeCurve(points)
    assert [curve.at(depth)[0] for depth in (0, 250, 500, 750, 1000, 2000)] == [4000, 3900, 3800, 3400, 3000, 3000]
    assert [curve.at(depth)[1] for depth in (0, 250, 500, 750, 1000)] == [1000, 1500, 2000, 4000, 6000]
    assert mean_millivolts(points) == (3900 + 3400) / 2
    assert curve.mean_millivolts(250, 500) == 3850
    assert curve.mean_millivolts(750, 250) == pytest.approx((3850 + 3600) / 2)


@pytest.mark.parametrize("drain_microamps", [0, 100, 5000])
def test_the_depth_at_a_voltage_is_where_the_terminals_have_that_voltage(drain_microamps: int) -> None:
    curve = DischargeCurve(DRG.battery.open_circuit)
    depth = curve.depth_at(2600, drain_microamps)
    millivolts, milliohms = curve.at(depth)
    assert millivolts - drain_microamps * milliohms / 1e6 == pytest.approx(2600)
    assert curve.depth_at(1000, 0) == 1000
    assert curve.depth_at(5000, 0) == 0


def test_a_cell_gives_so_much_charge_until_its_voltage_has_fallen() -> None:
    drain = DRG.battery.idle_nanoamps / 1000
    battery = Battery(DRG.battery, NoTherapy())
    hours = battery.milliamp_hours_to(DRG.battery.eri_millivolts, drain, 0) * 1000 / drain
    assert battery.read(int((hours - 24) * HOUR)).millivolts > DRG.battery.eri_millivolts
    assert battery.read(int((hours + 24) * HOUR)).millivolts <= DRG.battery.eri_millivolts


def test_the_expected_drain_is_the_mean_over_the_day_to_come() -> None:
    cycled = msgspec.structs.replace(settings(0, 2000, 300, 20), cycle_on_seconds=30, cycle_off_seconds=90)
    output, battery = device(DRG, [cycled], [1600])
    before, after = (battery.consumed_nanocoulombs(now) for now in (10 * SECOND, 10 * SECOND + DAY))
    assert battery.expected_microamps(10 * SECOND) == pytest.approx((after - before) / 86_400 / 1000)
    quarter = DRG.battery.idle_nanoamps / 1000 + output.battery_microamps(10 * SECOND) / 4
    assert battery.expected_microamps(10 * SECOND) == pytest.approx(quarter, rel=1e-4)


def test_a_cell_fades_with_the_years_by_its_figure_compounded() -> None:
    fading = Battery(msgspec.structs.replace(SCS.battery, fade_permille_per_year=20), NoTherapy())
    lasting = Battery(DRG.battery, NoTherapy())
    ten_years = int(10 * YEAR)
    assert fading.capacity_nanocoulombs(ten_years) == pytest.approx(fading.capacity_nanocoulombs(0) * 0.98**10)
    assert lasting.capacity_nanocoulombs(ten_years) == lasting.capacity_nanocoulombs(0) == 900 * 3.6e9


def test_a_cell_fades_with_each_hundred_full_charges() -> None:
    class FullCharges:
        def received_nanocoulombs(self, now):
            return 200 * SCS.battery.capacity_milliamp_hours * 3.6e9

        def charging_microamps(self, now):
            return 0.0

        def held_millivolts(self, now):
            return None

    battery = Battery(msgspec.structs.replace(SCS.battery, fade_permille_per_hundred_cycles=15), NoTherapy())
    fresh = battery.capacity_nanocoulombs(0)
    battery.charge_from(FullCharges())
    assert battery.capacity_nanocoulombs(0) == pytest.approx(fresh * 0.985**2)


def test_mains_never_runs_down() -> None:
    battery = Battery(msgspec.structs.replace(DRG.battery, supply=Supply.MAINS), NoTherapy())
    assert battery.read(100 * int(YEAR)).charge_permille == 1000
    assert battery.milliamp_hours_to(DRG.battery.eos_millivolts, 1000, 0) == float("inf")


def test_a_replaced_cell_is_full_and_runs_down_like_the_first() -> None:
    battery = Battery(msgspec.structs.replace(DRG.battery, supply=Supply.REPLACEABLE), NoTherapy())
    year = int(YEAR)
    first = [battery.read(years * year) for years in range(5)]
    battery.replace(5 * year)
    assert [battery.read((5 + years) * year) for years in range(5)] == first
    assert first[-1].charge_permille < 500


def test_a_cell_that_feeds_nothing_loses_nothing() -> None:
    battery = Battery(DRG.battery, NoTherapy())
    battery.disconnect(HOUR)
    assert battery.read(DAY).drain_microamps == 0
    assert battery.consumed_nanocoulombs(DAY) == battery.consumed_nanocoulombs(HOUR)
    battery.sleep(False, DAY)
    assert battery.consumed_nanocoulombs(2 * DAY) > battery.consumed_nanocoulombs(DAY)
