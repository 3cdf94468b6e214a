"""GET_LONGEVITY: what it foretells comes true."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import areas_checksum
from ipg_emulator.model import Supply, load
from ipg_protocol import State
from ipg_protocol.commands.power import UNKNOWN_DAYS, BatteryTierChanged, GetBattery, GetLongevity
from ipg_protocol.commands.programs import BeginProgramWrite, CommitProgram, SelectProgram, WriteProgramBlock
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.vocabulary import BatteryTier

SECOND = 1_000_000
DAY = 86_400
DRG = load("drg-primary")


@pytest.fixture
def implanted(make_bench):
    """A DRG device with a full cell, in therapy."""
    bench = make_bench("drg-primary")
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    return bench


def tier_days(bench, since: int, end_days: int) -> dict[BatteryTier, float]:
    """After how many days each tier came, until EOS."""
    days: dict[BatteryTier, float] = {}

    def note(event, now):
        if isinstance(event, BatteryTierChanged):
            days[event.tier] = (now - since) / SECOND / DAY

    bench.firmware.observers.append(note)
    while bench.device.state is not State.EOS and bench.now - since < end_days * DAY * SECOND:
        bench.firmware.wake(bench.firmware.wake_at())
        bench.now = max(bench.now, bench.firmware.wake_at() or 0)
    return days


def test_the_estimate_at_implant_agrees_with_the_life_that_follows(implanted) -> None:
    bench = implanted
    estimate = bench.ask(GetLongevity())
    days = tier_days(bench, bench.now, 10 * 365)
    assert 3 * 365 < days[BatteryTier.EOS] < 4 * 365
    assert estimate.days_to_eri == pytest.approx(days[BatteryTier.ERI], rel=0.02)
    assert estimate.days_to_eos == pytest.approx(days[BatteryTier.EOS], rel=0.02)
    assert days[BatteryTier.LOW] < days[BatteryTier.ERI] < days[BatteryTier.EOS]


def test_a_year_later_the_estimate_is_a_year_shorter(implanted) -> None:
    bench = implanted
    at_implant = bench.ask(GetLongevity())
    bench.advance(365 * DAY)
    bench.open(nonce=2)
    later = bench.ask(GetLongevity())
    assert at_implant.days_to_eos - later.days_to_eos == pytest.approx(365, abs=3)


def test_at_the_end_no_days_are_left(make_bench) -> None:
    bench = make_bench("drg-primary")
    bench.firmware = Firmware(DRG, build_board(DRG, seed=0, charge_permille=1), serial="TEST")
    bench.advance(4 * DRG.timing.battery_check_ms / 1000)
    bench.open()
    longevity = bench.ask(GetLongevity())
    assert bench.ask(GetBattery()).tier is BatteryTier.EOS
    assert (longevity.days_to_eri, longevity.days_to_eos) == (0, 0)


def test_less_therapy_lasts_longer(implanted) -> None:
    bench = implanted
    with_therapy = bench.ask(GetLongevity())
    bench.device.delivery.abandon(0, bench.now)
    without = bench.ask(GetLongevity())
    assert without.days_to_eos > 1.3 * with_therapy.days_to_eos
    assert without.mean_drain_nanoamps == DRG.battery.idle_nanoamps


def test_cycling_counts_by_its_duty_whatever_the_moment(make_bench) -> None:
    bench = make_bench("scs-rechargeable")
    bench.open()
    program = bench.model.programs[1].areas[0]
    assert (program.cycle_on_seconds, program.cycle_off_seconds) == (30, 90)
    area = program.settings(0)
    bench.ask(BeginProgramWrite(7, 1, "cycled"))
    bench.ask(WriteProgramBlock(7, area))
    bench.ask(CommitProgram(bench.transaction(), 7, areas_checksum((area,))))
    bench.ask(SelectProgram(bench.transaction(), 7))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    on, mean_on = bench.ask(GetBattery()).drain_microamps, bench.ask(GetLongevity()).mean_drain_nanoamps
    bench.advance(25)
    off, mean_off = bench.ask(GetBattery()).drain_microamps, bench.ask(GetLongevity()).mean_drain_nanoamps
    idle = bench.model.battery.idle_nanoamps
    assert off == idle // 1000 < on
    assert mean_on == pytest.approx(mean_off, rel=0.001)
    assert mean_on - idle == pytest.approx((on * 1000 - idle) / 4, rel=0.01)


def test_a_rechargeable_cell_counts_to_its_next_charge(make_bench) -> None:
    bench = make_bench("scs-rechargeable")
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    estimate = bench.ask(GetLongevity())
    days = tier_days(bench, bench.now, 400)
    assert days[BatteryTier.ERI] == pytest.approx(estimate.days_to_eri, abs=1.2)
    assert estimate.days_to_eri < 60


def test_mains_has_no_end_in_sight(make_bench) -> None:
    bench = make_bench("drg-primary")
    battery = msgspec.structs.replace(DRG.battery, supply=Supply.MAINS)
    model = msgspec.structs.replace(DRG, battery=battery)
    bench.firmware = Firmware(model, build_board(model, seed=0), serial="TEST")
    bench.advance(1)
    bench.open()
    longevity = bench.ask(GetLongevity())
    assert (longevity.days_to_eri, longevity.days_to_eos) == (UNKNOWN_DAYS, UNKNOWN_DAYS)
    assert longevity.mean_drain_nanoamps > 0
