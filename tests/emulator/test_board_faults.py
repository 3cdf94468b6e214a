"""Faults of the board: what a host sees of each, what becomes of therapy, and that all is well when they are over."""

from __future__ import annotations

import pickle
from random import Random

import pytest
from ipg_emulator.faults.board import (
    BatteryLevel,
    BatterySag,
    BrownOut,
    ChargerMisaligned,
    ClockDrift,
    FlashWorn,
    MagnetHeld,
    OverTemperature,
)
from ipg_emulator.faults.fault import FaultError, When
from ipg_emulator.faults.leads import ImpedanceDrift, LeadBreach, LeadIntermittent, LeadOpen
from ipg_emulator.surroundings import Surroundings
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import Role, State
from ipg_protocol.commands.link import GetTime, ResetCause, ResetHappened, SetTime
from ipg_protocol.commands.log import FaultRaised, LogCode
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.modes import MagnetChanged
from ipg_protocol.commands.power import BatteryTierChanged, ChargingState, GetBattery, GetCharging
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    ScheduleRow,
    StartTherapy,
    TherapyStateChanged,
    WriteSchedule,
)
from ipg_protocol.vocabulary import BatteryTier, FaultCode

HOUR = 3600
CATHODE = 3
"""Of the program that the device leaves the factory with."""


def raised(bench, kind):
    """The list that gets the events of a kind from now on, whether or not a host is there to be told."""
    found = []
    bench.firmware.observers.append(lambda event, _: found.append(event) if isinstance(event, kind) else None)
    return found


# Battery, charger, heat, magnet


def test_a_sagging_battery_reads_lower_and_holds_its_charge(bench):
    sound = bench.ask(GetBattery())
    mend = bench.begin(BatterySag(millivolts=300))
    sagging = bench.ask(GetBattery())
    assert (sagging.millivolts, sagging.charge_permille) == (sound.millivolts - 300, sound.charge_permille)
    mend()
    assert bench.ask(GetBattery()).millivolts == sound.millivolts


def test_a_battery_that_sags_below_its_end_stops_therapy_at_the_third_check(running):
    tiers = raised(running, BatteryTierChanged)
    running.begin(BatterySag(millivolts=1200))
    running.advance(2.5 * HOUR)
    assert running.device.state is State.THERAPY
    running.advance(HOUR)
    assert running.device.state is State.EOS
    assert [event.tier for event in tiers] == [BatteryTier.EOS]
    assert running.device.board.output.delivered_microamps(0, running.now) == 0


def test_a_battery_jumps_to_a_charge(bench):
    bench.begin(BatteryLevel(permille=420))
    assert bench.ask(GetBattery()).charge_permille == 420
    bench.later(hours=24)
    assert bench.ask(GetBattery()).charge_permille < 420


@pytest.mark.parametrize("tier", ["LOW", "ERI", "EOS"])
@pytest.mark.parametrize("model", ["scs-rechargeable", "drg-primary", "tens", "motor-cortex"])
def test_a_battery_jumps_to_a_tier_and_the_device_finds_out(make_bench, model, tier):
    bench = make_bench(model)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(10)
    tiers = raised(bench, BatteryTierChanged)
    bench.begin(BatteryLevel(tier=tier))
    bench.advance(bench.model.battery.consecutive_readings * bench.model.timing.battery_check_ms / 1000)
    assert [event.tier.name for event in tiers] == [tier]


def test_a_jump_of_the_battery_is_no_energy_that_went_anywhere(running):
    power = running.device.board.power
    before = power.energy(running.now)
    running.begin(BatteryLevel(permille=100))
    assert power.energy(running.now) == before


def test_a_charger_at_work_notices_that_the_cell_is_full_all_of_a_sudden(bench):
    bench.begin(BatteryLevel(permille=500))
    Surroundings(bench.firmware).charger(1000, bench.now)
    assert bench.ask(GetCharging()).state is ChargingState.CONSTANT_CURRENT
    bench.begin(BatteryLevel(permille=1000))
    assert bench.ask(GetCharging()).state is not ChargingState.CONSTANT_CURRENT


def test_a_misaligned_charger_charges_less_wherever_it_is_laid(bench):
    bench.begin(BatteryLevel(permille=500))
    mend = bench.begin(ChargerMisaligned(coupling_permille=400))
    world = Surroundings(bench.firmware)
    world.charger(1000, bench.now)
    poor = bench.ask(GetCharging())
    assert poor.coupling_permille == 400
    mend()
    good = bench.ask(GetCharging())
    assert good.coupling_permille == 1000
    assert good.current_microamps == pytest.approx(poor.current_microamps * 2.5, rel=0.01)
    world.charger(300, bench.now)
    bench.begin(ChargerMisaligned(coupling_permille=400))
    assert bench.ask(GetCharging()).coupling_permille == 300


def test_heat_latches_its_fault_and_ends_therapy_and_the_case_cools_down_after(running):
    mend = running.begin(OverTemperature(millicelsius=55_000))
    assert running.ask(ReadTemperature()).case_millicelsius == 55_000
    assert [event.fault for event in running.happened(FaultRaised)] == [FaultCode.OVER_TEMPERATURE]
    assert running.device.state is State.FAULT
    assert running.device.board.output.delivered_microamps(0, running.now) == 0
    mend()
    assert running.ask(ReadTemperature()).case_millicelsius == 37_000


def test_a_held_magnet_holds_therapy_off_though_another_is_taken_away(running):
    world = Surroundings(running.firmware)
    let_go = running.begin(MagnetHeld())
    assert running.device.state is State.SUSPENDED
    world.magnet(True, running.now)
    world.magnet(False, running.now)
    assert running.device.state is State.SUSPENDED
    let_go()
    running.advance(5)
    assert running.device.state is State.THERAPY
    assert [event.present for event in running.happened(MagnetChanged)] == [1, 0]


@pytest.mark.parametrize(
    ("model", "fault", "problem"),
    [
        ("scs-rechargeable", LeadOpen(contact=16), "contact = 16: scs-rechargeable has contacts 0 to 15"),
        ("scs-rechargeable", ImpedanceDrift(contact=99), "contact = 99: scs-rechargeable has contacts 0 to 15"),
        ("drg-primary", ChargerMisaligned(), "drg-primary has no charger"),
        ("tms", BatteryLevel(permille=5), "tms has no battery: it lives on mains"),
        ("scs-trial", MagnetHeld(), "scs-trial does not sense magnets"),
    ],
)
def test_a_model_does_not_have_a_fault_of_what_it_lacks(make_bench, model, fault, problem):
    with pytest.raises(FaultError, match=problem):
        make_bench(model).begin(fault)


@pytest.mark.parametrize("level", [{}, {"permille": 5, "tier": "ERI"}])
def test_a_level_is_a_charge_or_a_tier(level):
    with pytest.raises(FaultError, match="either permille"):
        BatteryLevel(**level)


# Clock and supply


@pytest.mark.parametrize("ppm", [20_000, 50, -50])
def test_a_drifting_clock_gains_and_keeps_what_it_has_gained(bench, ppm):
    start = 1_700_000_000_000
    bench.ask(SetTime(bench.transaction(), start))
    mend = bench.begin(ClockDrift(ppm=ppm))
    bench.later(hours=100)
    wrong_ms = 100 * HOUR * ppm // 1000
    assert bench.ask(GetTime()).unix_milliseconds == start + 100 * HOUR * 1000 + wrong_ms
    mend()
    bench.later(hours=1)
    assert bench.ask(GetTime()).unix_milliseconds == start + 101 * HOUR * 1000 + wrong_ms


@pytest.mark.parametrize("ppm", [10_000, -10_000, 333, -77])
def test_the_schedule_goes_by_the_drifting_clock(bench, ppm):
    bench.ask(SetTime(bench.transaction(), 0))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(10 * 60, 60, 1),)))
    set_at = bench.now
    bench.begin(ClockDrift(ppm=ppm))
    started = []
    bench.firmware.observers.append(lambda event, now: started.append(now) if isinstance(event, TherapyStateChanged) else None)
    bench.advance(11 * HOUR)
    assert (started[0] - set_at) / 1_000_000 == pytest.approx(10 * HOUR / (1 + ppm / 1e6), abs=1e-5)


def test_the_schedule_runs_once_a_day_by_whatever_clock(bench):
    bench.ask(SetTime(bench.transaction(), 0))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(10 * 60, 60, 1),)))
    bench.begin(ClockDrift(ppm=977))
    bench.advance(20.5 * 24 * HOUR)
    starts = [entry for entry in bench.device.memory.log_entries() if entry.code is LogCode.THERAPY_STARTED]
    assert len(starts) == 21


def test_a_brown_out_ends_the_session_and_boots_the_device(running):
    running.begin(BrownOut())
    assert running.device.state is State.BOOT
    assert running.device.board.output.delivered_microamps(0, running.now) == 0
    running.advance(0.1)
    running.open(nonce=2)
    running.advance(5)
    assert [event.cause for event in running.happened(ResetHappened)][-1] is ResetCause.BROWN_OUT
    assert running.device.state is State.THERAPY


# Faults on faults


def test_faults_laid_over_each_other_end_in_any_order(running):
    programmed, verdict = running.delivered(), running.measured(CATHODE).verdict
    running.advance(5)
    faults = (
        LeadOpen(contact=CATHODE),
        LeadBreach(contact=CATHODE),
        MagnetHeld(),
        MagnetHeld(),
        FlashWorn(weak=0),
        FlashWorn(),
    )
    for order in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 4, 0, 5, 1, 3]):
        flash = running.device.board.flash
        ends = [running.begin(fault) for fault in faults]
        for place in order:
            ends[place]()
        running.advance(5)
        assert (running.delivered(), running.device.board.flash) == (programmed, flash)
    assert running.measured(CATHODE).verdict is verdict


def test_what_ends_a_fault_can_be_pickled_with_its_device(running):
    programmed = running.delivered()
    ipg = VirtualIpg(running.firmware)
    undos = [
        fault.begin(ipg, running.now, Random(1))
        for fault in (LeadOpen(contact=CATHODE), LeadIntermittent(contact=2), ImpedanceDrift(), FlashWorn(), MagnetHeld())
    ]
    firmware, again = pickle.loads(pickle.dumps((running.firmware, undos)))
    running.firmware = firmware
    assert running.delivered() == 0
    for undo in again:
        undo(running.now)
    running.advance(5)
    assert running.delivered() == programmed


# As a plan has them


def started(wire, *faults):
    """A device that delivers, with a plan."""
    heard = wire(*faults)
    heard.send(OpenSession(Role.SERVICE, 7, 1), StartTherapy(1))
    heard.advance(5)
    return heard


def test_a_magnet_of_a_plan_is_held_for_its_time(wire):
    heard = started(wire, MagnetHeld(when=When(at_ms=6000), for_ms=2000))
    states = []
    for _ in range(4):
        states.append(heard.device.state)
        heard.advance(1)
    assert states == [State.THERAPY, State.SUSPENDED, State.SUSPENDED, State.RAMPING]
    heard.advance(5)
    assert heard.device.state is State.THERAPY


def test_a_battery_that_jumps_at_an_event_is_found_empty(wire):
    heard = started(wire, BatteryLevel(tier="EOS", when=When(event="THERAPY_STATE_CHANGED", nth=2)))
    heard.advance(4 * HOUR)
    assert heard.device.state is State.EOS
