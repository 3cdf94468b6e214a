"""The charger on its board: the course of current, charge and heat."""

from __future__ import annotations

import math

import msgspec
import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.case import Case
from ipg_emulator.board.decay import Decay
from ipg_emulator.model import load, names
from ipg_protocol.commands.power import ChargingState

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
SCS = load("scs-rechargeable")
FIGURES = SCS.charging
BODY = 37_000


def charged_board(charge_permille: int, coupling_permille: int = 1000, model=SCS):
    board = build_board(model, seed=0, charge_permille=charge_permille)
    board.charger.place(coupling_permille, 0)
    return board


def course(board, end: int):
    """The charger's reading at each of its own changes, with the time."""
    while (at := board.charger.wake_at()) is not None and at <= end:
        yield at, board.charger.read(at)


def test_a_charge_goes_from_constant_current_over_a_taper_to_complete() -> None:
    board = charged_board(500)
    charge_in = {board.charger.read(0).state: 500}
    for at, reading in course(board, 10 * HOUR):
        charge_in.setdefault(reading.state, board.power.read(at).charge_permille)
    assert charge_in == {
        ChargingState.CONSTANT_CURRENT: 500,
        ChargingState.CONSTANT_VOLTAGE: FIGURES.taper_from_permille,
        ChargingState.COMPLETE: 1000,
    }


def test_constant_current_fills_the_cell_by_current_times_time() -> None:
    board = charged_board(500)
    milliamp_hours = FIGURES.current_milliamps - SCS.battery.idle_nanoamps / 1e6
    filled = 1000 * milliamp_hours / SCS.battery.capacity_milliamp_hours
    assert 1000 - board.power.depth_permille(HOUR) == pytest.approx(500 + filled, abs=0.1)


def test_the_taper_falls_exponentially_to_the_current_that_counts_as_complete() -> None:
    board = charged_board(500)
    begun, ended = (
        next(at for at, reading in course(board, 20 * HOUR) if reading.state is state)
        for state in (ChargingState.CONSTANT_VOLTAGE, ChargingState.COMPLETE)
    )
    full, last = FIGURES.current_milliamps * 1000, FIGURES.current_milliamps * FIGURES.complete_below_permille
    again = charged_board(500)
    for share in (0.0, 0.25, 0.5, 0.75, 0.9999):
        at = begun + int((ended - begun) * share)
        expected = full * math.exp(math.log(last / full) * share)
        assert again.charger.read(at).current_microamps == pytest.approx(expected, rel=0.01)


def test_the_terminals_are_held_at_the_constant_voltage_during_the_taper() -> None:
    board = charged_board(990)
    assert board.charger.read(MINUTE).state is ChargingState.CONSTANT_VOLTAGE
    assert board.power.read(MINUTE).millivolts == FIGURES.constant_millivolts


@pytest.mark.parametrize("coupling_permille", [200, 400, 700, 1000])
def test_the_current_is_scaled_by_how_well_the_coils_couple(coupling_permille: int) -> None:
    reading = charged_board(300, coupling_permille).charger.read(MINUTE)
    assert reading.current_microamps == FIGURES.current_milliamps * coupling_permille
    assert reading.coupling_permille == coupling_permille


def test_below_the_least_coupling_nothing_flows() -> None:
    board = charged_board(300, FIGURES.least_coupling_permille - 1)
    reading = board.charger.read(MINUTE)
    assert (reading.state, reading.current_microamps, reading.minutes_left) == (ChargingState.ABSENT, 0, None)
    assert board.charger.wake_at() is None


def test_worse_coupling_takes_longer_and_leads_as_far() -> None:
    def minutes_to_complete(coupling_permille: int) -> float:
        board = charged_board(300, coupling_permille)
        return next(at for at, r in course(board, 100 * HOUR) if r.state is ChargingState.COMPLETE) / MINUTE

    full, half, least = (minutes_to_complete(coupling) for coupling in (1000, 500, 200))
    assert full < half < least
    assert half > 1.5 * full


def test_a_trickle_that_is_broken_off_goes_on_the_next_time() -> None:
    board = charged_board(0)
    board.charger.remove(HOUR)
    assert 1000 - board.power.depth_permille(HOUR) > 10
    board.charger.place(1000, 2 * HOUR)
    assert board.charger.read(2 * HOUR).state is ChargingState.TRICKLE


@pytest.mark.parametrize("charge_permille", [0, 15, 300, 900, 990])
@pytest.mark.parametrize("coupling_permille", [300, 1000])
def test_the_minutes_left_come_true(charge_permille: int, coupling_permille: int) -> None:
    board = charged_board(charge_permille, coupling_permille)
    foretold = board.charger.read(0).minutes_left
    complete = next(at for at, reading in course(board, 100 * HOUR) if reading.state is ChargingState.COMPLETE)
    assert complete / MINUTE == pytest.approx(foretold, abs=2)


def test_an_empty_cell_is_charged_by_a_trickle_and_works_again_after_about_two_hours() -> None:
    board = charged_board(0)
    assert board.charger.read(0).current_microamps == FIGURES.trickle_milliamps * 1000
    ready = next(at for at, _ in course(board, 10 * HOUR) if board.power.read(at).charge_permille >= FIGURES.restart_permille)
    assert 1.5 <= ready / HOUR <= 2.5


@pytest.mark.parametrize("name", [name for name in names() if load(name).charging])
def test_every_rechargeable_model_charges_from_empty_to_full_within_a_day_and_without_overheating(name: str) -> None:
    board = charged_board(0, model=load(name))
    readings: dict[ChargingState, tuple[int, int]] = {}
    for at, reading in course(board, 24 * HOUR):
        readings.setdefault(reading.state, (at, board.power.read(at).charge_permille))
    assert ChargingState.PAUSED not in readings
    at, charge_permille = readings[ChargingState.COMPLETE]
    assert (at > 30 * MINUTE, charge_permille) == (True, 1000)


def test_a_new_cell_has_seen_no_charging() -> None:
    battery = msgspec.structs.replace(SCS.battery, fade_permille_per_hundred_cycles=500)
    board = charged_board(0, model=msgspec.structs.replace(SCS, battery=battery))
    fresh = board.power.capacity_nanocoulombs(0)
    board.charger.remove(3 * HOUR)
    assert board.power.capacity_nanocoulombs(3 * HOUR) < 0.999 * fresh
    board.power.replace(3 * HOUR)
    assert board.power.capacity_nanocoulombs(3 * HOUR) == fresh
    assert board.power.depth_permille(3 * HOUR) == 0


def test_a_session_takes_no_more_than_a_wake_an_hour_beside_its_changes() -> None:
    board = charged_board(0)
    wakes = [at for at, reading in course(board, 24 * HOUR) if reading.state is not ChargingState.COMPLETE]
    assert len(wakes) <= wakes[-1] // HOUR + 8


def test_read_once_or_a_thousand_times_the_charge_is_the_same() -> None:
    once, often = charged_board(0, 600), charged_board(0, 600)
    for at in range(0, 20 * HOUR, 71 * SECOND):
        often.power.read(at)
        often.charger.read(at)
    assert once.charger.received_nanocoulombs(20 * HOUR) == often.charger.received_nanocoulombs(20 * HOUR)
    assert once.power.read(20 * HOUR) == often.power.read(20 * HOUR)
    assert once.temperature_millicelsius(20 * HOUR) == often.temperature_millicelsius(20 * HOUR)


def test_a_full_cell_is_charged_again_only_when_it_has_fallen_to_where_the_taper_begins() -> None:
    board = charged_board(995)
    drawn = 0
    for at, reading in course(board, 4000 * HOUR):
        charge = 1000 - board.power.depth_permille(at)
        if reading.state is ChargingState.COMPLETE:
            assert charge > FIGURES.taper_from_permille - 1
        else:
            drawn += charge < FIGURES.taper_from_permille + 1
    assert drawn, "the cell was never charged again"


def test_an_old_cell_holds_less_and_is_full_sooner() -> None:
    def minutes(fade: int) -> int:
        battery = msgspec.structs.replace(SCS.battery, fade_permille_per_year=fade)
        board = build_board(msgspec.structs.replace(SCS, battery=battery), seed=0, charge_permille=1000)
        at = 10 * 365 * 24 * HOUR
        board.charger.place(1000, at)
        return board.charger.read(at).minutes_left

    assert minutes(50) < 0.8 * minutes(0)


# Heat


def test_the_case_warms_by_its_time_constant_towards_what_the_current_makes_of_it() -> None:
    board = charged_board(100)
    rest = FIGURES.heating_millikelvin_per_milliamp * FIGURES.current_milliamps
    after = FIGURES.heating_seconds * SECOND
    assert board.temperature_millicelsius(0) == BODY
    assert board.temperature_millicelsius(after) == pytest.approx(BODY + rest * (1 - math.exp(-1)), abs=1)
    assert board.temperature_millicelsius(3 * HOUR) == pytest.approx(BODY + rest, abs=5)


def test_badly_aligned_coils_heat_the_case_as_much_for_less_current() -> None:
    well, badly = charged_board(300, 1000), charged_board(300, 400)
    assert badly.temperature_millicelsius(HOUR) == well.temperature_millicelsius(HOUR) > BODY + 2000


def test_the_case_cools_down_when_the_charger_is_taken_away() -> None:
    board = charged_board(100)
    warm = board.temperature_millicelsius(HOUR) - BODY
    board.charger.remove(HOUR)
    cooled = board.temperature_millicelsius(HOUR + FIGURES.heating_seconds * SECOND) - BODY
    assert cooled == pytest.approx(warm * math.exp(-1), abs=1)


@pytest.mark.parametrize("decay_us", [100 * SECOND, 900 * SECOND, 5000 * SECOND])
def test_the_closed_form_of_the_case_agrees_with_small_steps(decay_us: int) -> None:
    tau = 900 * SECOND
    case = Case(tau)
    heat = Decay(0, 200.0, 2800.0, decay_us)
    case.heat(heat)
    rise, step = 0.0, SECOND
    for at in range(0, 5000 * SECOND, step):
        rise += (heat.at(at + step // 2) - rise) * (1 - math.exp(-step / tau))
    assert case.rise_millikelvin(5000 * SECOND) == pytest.approx(rise, abs=2)


@pytest.mark.parametrize("decaying", [0.0, 3000.0, -1500.0])
def test_the_case_reaches_a_temperature_when_it_was_foretold(decaying: float) -> None:
    case = Case(900 * SECOND)
    case.heat(Decay(0, 2000.0, decaying, 2400 * SECOND))
    at = case.when_above(1000, 0)
    assert case.rise_millikelvin(at) >= 1000 > case.rise_millikelvin(at - 1)
    assert case.when_above(6000, 0) is None


def test_charging_pauses_in_a_hot_case_and_resumes_in_a_cooler_one() -> None:
    board = build_board(SCS, seed=0, charge_permille=100)
    board.patient.temperature_millicelsius = 39_500
    board.charger.place(1000, 0)
    hottest, states = 0, []
    for at, reading in course(board, 6 * HOUR):
        temperature = board.temperature_millicelsius(at)
        hottest = max(hottest, temperature)
        if reading.state is ChargingState.PAUSED:
            assert (temperature, reading.current_microamps) == (FIGURES.pause_millicelsius, 0)
        elif states and states[-1] is ChargingState.PAUSED:
            assert temperature == FIGURES.resume_millicelsius
        states.append(reading.state)
    assert states.count(ChargingState.PAUSED) >= 5
    assert hottest <= SCS.safety.over_temperature_millicelsius
