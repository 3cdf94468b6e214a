"""Charging through the skin: what the firmware makes of it, and what the host sees."""

from __future__ import annotations

import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import load
from ipg_protocol import Status
from ipg_protocol.commands.link import Alert, GetStatus, Reset
from ipg_protocol.commands.log import LogCode, LogInfo, ReadCounters, ReadLog
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.power import (
    UNKNOWN_MINUTES,
    BatteryTierChanged,
    ChargingChanged,
    ChargingState,
    GetBattery,
    GetCharging,
)
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.vocabulary import BatteryTier, FaultCode, State

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 86_400
SCS = load("scs-rechargeable")
FIGURES = SCS.charging
BODY = 37_000


@pytest.fixture
def put_in(make_bench):
    """A bench whose SCS device has a cell charged so far, with a SERVICE session open."""

    def make(charge_permille: int, model=SCS):
        bench = make_bench()
        bench.model = model
        bench.firmware = Firmware(model, build_board(model, seed=0, charge_permille=charge_permille), serial="TEST")
        bench.advance(1)
        bench.open()
        return bench

    return make


def place(bench, coupling_permille: int = 1000) -> None:
    bench.firmware.board.charger.place(coupling_permille, bench.now)
    bench.firmware.board_changed(bench.now)


def at_end_of_service(bench) -> None:
    while bench.device.state is not State.EOS:
        assert bench.now < 1000 * DAY * SECOND
        bench.advance(DAY / 8)


def test_a_fever_that_breaks_lets_charging_go_on(put_in) -> None:
    bench = put_in(500)
    bench.firmware.board.patient.temperature_millicelsius = 42_000
    place(bench)
    assert bench.ask(GetCharging()).state is ChargingState.PAUSED
    bench.firmware.board.patient.temperature_millicelsius = BODY
    bench.firmware.board_changed(bench.now)
    assert bench.ask(GetCharging()).state is ChargingState.CONSTANT_CURRENT


def test_a_case_too_hot_while_charging_latches_the_fault(put_in) -> None:
    bench = put_in(500)
    place(bench)
    bench.firmware.board.patient.temperature_millicelsius = SCS.safety.over_temperature_millicelsius + 1
    bench.firmware.board_changed(bench.now)
    assert bench.device.memory.latched_faults == [FaultCode.OVER_TEMPERATURE]
    assert bench.device.state is State.FAULT


def test_a_session_is_reported_logged_and_counted(put_in) -> None:
    bench = put_in(800)
    assert bench.ask(GetCharging()).state is ChargingState.ABSENT
    assert not bench.ask(GetStatus()).alerts & Alert.CHARGING
    place(bench)
    assert bench.ask(GetStatus()).alerts & Alert.CHARGING
    bench.advance(10 * 3600)
    bench.open(nonce=2)
    bench.advance(1)
    expected = [ChargingState.CONSTANT_CURRENT, ChargingState.CONSTANT_VOLTAGE, ChargingState.COMPLETE]
    assert [event.state for event in bench.happened(ChargingChanged)] == expected
    entries = bench.ask(ReadLog(max(bench.ask(LogInfo()).newest - 9, 0))).rows
    assert [entry.argument for entry in entries if entry.code is LogCode.CHARGING] == expected
    assert bench.ask(ReadCounters()).chargings == 1
    bench.firmware.board.charger.remove(bench.now)
    bench.firmware.board_changed(bench.now)
    assert not bench.ask(GetStatus()).alerts & Alert.CHARGING
    place(bench)
    assert bench.ask(ReadCounters()).chargings == 2


def test_the_host_reads_current_coupling_heat_and_the_time_left(put_in) -> None:
    bench = put_in(300)
    place(bench, 600)
    bench.advance(15)
    charging = bench.ask(GetCharging())
    assert (charging.coupling_permille, charging.current_microamps, charging.charge_permille) == (600, 30_000, 301)
    assert BODY < charging.case_millicelsius == bench.ask(ReadTemperature()).case_millicelsius
    assert charging.case_millicelsius == bench.ask(GetBattery()).temperature_millicelsius
    assert 60 < charging.minutes_left < UNKNOWN_MINUTES


def test_without_a_charger_nobody_knows_how_long_it_takes(put_in) -> None:
    assert put_in(300).ask(GetCharging()).minutes_left == UNKNOWN_MINUTES


def test_therapy_goes_on_while_charging_and_the_charge_rises(put_in) -> None:
    bench = put_in(300)
    bench.ask(StartTherapy(1))
    place(bench)
    bench.advance(3600)
    assert bench.device.state is State.THERAPY
    assert bench.ask(GetBattery()).charge_permille > 500


def test_a_restart_neither_ends_a_session_nor_counts_it_again(put_in) -> None:
    bench = put_in(300)
    place(bench)
    bench.firmware.power_lost(bench.now)
    bench.firmware.power_restored(bench.now)
    bench.advance(1)
    bench.open(nonce=2)
    assert bench.ask(GetCharging()).state is ChargingState.CONSTANT_CURRENT
    assert bench.ask(ReadCounters()).chargings == 1
    bench.advance(20 * 3600)
    bench.open(nonce=3)
    bench.advance(1)
    assert bench.happened(ChargingChanged)[-1].state is ChargingState.COMPLETE


def test_what_is_felt_during_the_boot_counts_no_charger_again(put_in) -> None:
    bench = put_in(500)
    place(bench)
    bench.ask(Reset(bench.transaction()))
    assert bench.device.state is State.BOOT
    bench.firmware.board_changed(bench.now)
    assert bench.device.memory.counters.chargings == 1


def test_the_tier_improves_while_charging(put_in) -> None:
    bench = put_in(100)
    bench.advance(4 * 3600)
    place(bench)
    bench.advance(4 * 3600)
    bench.open(nonce=2)
    bench.advance(1)
    assert [event.tier for event in bench.happened(BatteryTierChanged)] == [BatteryTier.LOW, BatteryTier.OK]


def test_a_cell_at_its_end_comes_back_when_it_holds_enough(put_in) -> None:
    bench = put_in(60)
    at_end_of_service(bench)
    bench.open(nonce=2)
    assert bench.refused(StartTherapy(1))[0] is Status.BATTERY_TOO_LOW
    place(bench)
    while bench.device.state is State.EOS:
        before = bench.ask(GetBattery()).charge_permille
        bench.advance(20)
    assert before <= FIGURES.restart_permille <= bench.ask(GetBattery()).charge_permille <= before + 2
    assert bench.device.state is State.IDLE
    assert bench.ask(GetBattery()).tier is not BatteryTier.EOS
    bench.open(nonce=3)
    bench.ask(StartTherapy(2))
    assert bench.device.state is State.RAMPING


def test_a_cell_empty_for_months_needs_about_two_hours_before_the_device_works(put_in) -> None:
    bench = put_in(30)
    bench.advance(120 * DAY)
    assert (bench.device.state, bench.device.supply.read(bench.now).charge_permille) == (State.EOS, 0)
    placed = bench.now
    place(bench)
    assert bench.device.board.charger.read(bench.now).state is ChargingState.TRICKLE
    while bench.device.state in (State.BOOT, State.EOS):
        bench.advance(60)
    assert 1.5 <= (bench.now - placed) / HOUR <= 2.5


def test_a_cell_that_comes_back_with_a_fault_latched_leads_to_fault(put_in) -> None:
    bench = put_in(60)
    at_end_of_service(bench)
    bench.device.latch(FaultCode.OUTPUT_STAGE, 255, 0, bench.now)
    place(bench)
    bench.advance(3600)
    assert bench.device.state is State.FAULT


def test_a_charger_over_a_shelved_device_charges_it_and_leaves_it_on_the_shelf(put_in) -> None:
    bench = put_in(300)
    bench.device.shelve(bench.now)
    place(bench)
    bench.firmware.board.patient.temperature_millicelsius = SCS.safety.over_temperature_millicelsius + 1
    bench.firmware.board_changed(bench.now)
    bench.firmware.board.patient.temperature_millicelsius = BODY
    bench.firmware.board_changed(bench.now)
    bench.advance(2 * 3600)
    assert bench.device.state is State.SHELF
    assert bench.device.supply.read(bench.now).charge_permille > 700


def test_a_primary_cell_has_no_such_command(make_bench) -> None:
    bench = make_bench("drg-primary")
    assert bench.refused(GetCharging())[0] is Status.NOT_SUPPORTED
