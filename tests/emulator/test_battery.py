"""The battery as the host sees it, down to the end of service."""

from __future__ import annotations

import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.firmware import Firmware
from ipg_protocol import State, Status
from ipg_protocol.commands.log import LogCode, LogInfo, ReadLog
from ipg_protocol.commands.power import BatteryTierChanged, GetBattery
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy
from ipg_protocol.vocabulary import BatteryTier

DAY = 86_400


@pytest.fixture
def nearly_empty(make_bench):
    """A DRG device with a hundredth of its primary cell left, in therapy."""
    bench = make_bench("drg-primary")
    board = build_board(bench.model, seed=0, charge_permille=60)
    bench.firmware = Firmware(bench.model, board, serial="TEST")
    bench.advance(1)
    bench.open()
    bench.ask(StartTherapy(1))
    return bench


def test_the_charge_only_falls_and_therapy_costs_more_than_idling(make_bench):
    def fall(therapy: bool) -> int:
        bench = make_bench("drg-primary")
        bench.open()
        if therapy:
            bench.ask(StartTherapy(1))
        before = bench.ask(GetBattery()).charge_permille
        bench.advance(100 * DAY)
        return before - bench.ask(GetBattery()).charge_permille

    assert fall(therapy=True) > fall(therapy=False) > 0


def test_tiers_come_in_their_order_and_eos_stops_therapy_for_good(nearly_empty):
    bench = nearly_empty
    while bench.device.state is not State.EOS:
        assert bench.now < 2000 * DAY * 1_000_000
        bench.advance(DAY)
    bench.open(nonce=2)
    bench.advance(1)
    tiers = [event.tier for event in bench.happened(BatteryTierChanged)]
    assert tiers == sorted(tiers)
    assert tiers[-1] is BatteryTier.EOS
    assert bench.ask(ReadTherapy(0)).delivered_microamps == 0
    assert bench.refused(StartTherapy(2))[0] is Status.BATTERY_TOO_LOW
    newest = bench.ask(LogInfo()).newest
    codes = {entry.code for entry in bench.ask(ReadLog(max(newest - 9, 0))).rows}
    assert {LogCode.BATTERY_TIER, LogCode.THERAPY_STOPPED} <= codes
