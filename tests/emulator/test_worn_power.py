"""An implant without a battery under a worn disc, and cells that their users change: what a loss of power does."""

from __future__ import annotations

import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import load
from ipg_protocol import State, Status, encode_frame, request_frame
from ipg_protocol.commands.link import Alert, GetStatus, GetTime, Ping, Reset, ResetCause, ResetHappened, SetTime
from ipg_protocol.commands.log import LogCode, ReadCounters
from ipg_protocol.commands.power import BatteryTierChanged, GetBattery
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude, StartTherapy, TherapyCause
from ipg_protocol.vocabulary import BatteryTier

DAY = 86_400


@pytest.fixture
def worn(make_bench):
    """An implant under its disc, in therapy, with a SERVICE session open."""
    bench = make_bench("pns-battery-free")
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    return bench


def lift(bench) -> None:
    bench.firmware.power_lost(bench.now)


def lay_back(bench) -> None:
    bench.firmware.power_restored(bench.now)
    bench.advance(1)


def test_without_its_disc_the_implant_delivers_nothing(worn) -> None:
    lift(worn)
    output = worn.firmware.board.output
    charge = output.total(0, worn.now).nanocoulombs
    assert charge > 0
    assert output.delivered_microamps(0, worn.now) == 0
    worn.advance(3600)
    assert output.total(0, worn.now).nanocoulombs == charge


def test_without_its_disc_the_implant_neither_hears_nor_answers_and_is_heard_again_with_it(worn) -> None:
    lift(worn)
    assert worn.send(request_frame(Ping(1), 0)) == []
    assert worn.firmware.take_output(worn.now) == b""
    lay_back(worn)
    assert worn.ask(Ping(2)).token == 2


def test_half_a_request_from_before_the_loss_is_forgotten(worn) -> None:
    frame = encode_frame(request_frame(Ping(1), 0))
    worn.firmware.receive(frame[:5], worn.now)
    lift(worn)
    lay_back(worn)
    worn.firmware.receive(frame[5:], worn.now)
    assert worn.frames() == []
    assert worn.ask(Ping(2)).token == 2


def test_what_was_said_but_not_yet_taken_is_lost(worn) -> None:
    worn.firmware.receive(encode_frame(request_frame(Ping(1), 0)), worn.now)
    lift(worn)
    assert worn.firmware.take_output(worn.now) == b""


def test_without_its_disc_the_implant_waits_for_nothing_and_logs_nothing(worn) -> None:
    lift(worn)
    entries = len(worn.firmware.memory.log_entries())
    assert worn.firmware.wake_at() is None
    worn.firmware.board.patient.temperature_millicelsius = 50_000
    worn.firmware.board_changed(worn.now)
    worn.firmware.wake(worn.now + 30 * DAY * 1_000_000)
    assert len(worn.firmware.memory.log_entries()) == entries
    assert worn.firmware.memory.latched_faults == []


def test_with_its_disc_back_it_boots_without_therapy_and_with_its_memory(worn) -> None:
    amplitude = worn.amplitude_from(worn.ask(ReadTherapy(0)).programmed_microamps, -1)
    worn.ask(SetAmplitude(worn.transaction(), 0, amplitude))
    revision, boots = worn.ask(GetStatus()).revision, worn.firmware.memory.boot_counter
    lift(worn)
    worn.advance(600)
    lay_back(worn)
    assert worn.device.state is State.IDLE
    assert worn.firmware.memory.boot_counter == boots + 1
    worn.open(nonce=2)
    worn.advance(1)
    causes = [event.cause for _, event in worn.events if isinstance(event, ResetHappened)]
    assert causes[-1] is ResetCause.POWER_RESTORED
    assert worn.ask(GetStatus()).revision == revision
    assert worn.ask(ReadTherapy(0)).programmed_microamps == amplitude
    assert worn.ask(ReadTherapy(0)).delivered_microamps == 0
    boot = [entry for entry in worn.firmware.memory.log_entries() if entry.code is LogCode.BOOT][-1]
    assert boot.argument == ResetCause.POWER_RESTORED


def test_power_that_was_not_lost_does_not_come_back(worn) -> None:
    worn.firmware.power_restored(worn.now)
    assert worn.device.state is State.THERAPY


def test_power_lost_twice_is_lost_once(worn) -> None:
    boots = worn.firmware.memory.boot_counter
    lift(worn)
    lift(worn)
    lay_back(worn)
    assert worn.firmware.memory.boot_counter == boots + 1


def test_power_lost_during_the_boot_leads_to_another_boot(worn) -> None:
    lift(worn)
    worn.firmware.power_restored(worn.now)
    assert worn.device.state is State.BOOT
    lift(worn)
    worn.advance(1)
    lay_back(worn)
    assert worn.device.state is State.IDLE


def test_a_disc_that_is_off_feeds_nothing(worn) -> None:
    lift(worn)
    consumed = worn.firmware.board.power.consumed_nanocoulombs(worn.now)
    worn.advance(DAY)
    assert worn.firmware.board.power.consumed_nanocoulombs(worn.now) == consumed
    lay_back(worn)
    assert worn.ask(GetBattery()).drain_microamps > 0


@pytest.fixture
def run_down(make_bench):
    """An implant whose disc's cell is at its end, with a SERVICE session open."""
    bench = make_bench("pns-battery-free")
    bench.firmware = Firmware(bench.model, build_board(bench.model, seed=0, charge_permille=60), serial="TEST")
    bench.advance(1)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    while bench.device.state is not State.EOS:
        assert bench.now < 30 * DAY * 1_000_000
        bench.advance(1800)
    bench.open(nonce=2)
    return bench


def test_a_fresh_disc_brings_the_implant_back_from_its_end(run_down) -> None:
    bench = run_down
    assert bench.refused(StartTherapy(bench.transaction()))[0] is Status.BATTERY_TOO_LOW
    lift(bench)
    bench.firmware.board.power.replace(bench.now)
    lay_back(bench)
    bench.open(nonce=3)
    bench.advance(1)
    battery = bench.ask(GetBattery())
    assert (battery.tier, battery.charge_permille) == (BatteryTier.OK, 1000)
    assert [event.tier for _, event in bench.events if isinstance(event, BatteryTierChanged)][-1] is BatteryTier.OK
    assert bench.device.state is State.IDLE
    bench.ask(StartTherapy(bench.transaction()))


def test_the_same_disc_laid_back_leaves_the_implant_at_its_end(run_down) -> None:
    run_down.advance(DAY)
    lift(run_down)
    lay_back(run_down)
    assert run_down.device.state is State.EOS


def test_no_command_leads_out_of_the_end_of_a_disc(run_down) -> None:
    run_down.ask(Reset(run_down.transaction()))
    run_down.advance(1)
    assert run_down.device.state is State.EOS


def test_a_primary_cell_at_its_end_stays_there_over_a_loss_of_power(make_bench) -> None:
    model = load("drg-primary")
    bench = make_bench("drg-primary")
    bench.firmware = Firmware(model, build_board(model, seed=0, charge_permille=1), serial="TEST")
    bench.advance(4 * model.timing.battery_check_ms / 1000)
    assert bench.device.state is State.EOS
    lift(bench)
    lay_back(bench)
    assert bench.device.state is State.EOS


def test_therapy_up_to_the_loss_is_logged_and_counted(worn) -> None:
    before = worn.ask(ReadCounters()).therapy_seconds
    worn.advance(100)
    lift(worn)
    lift(worn)
    lay_back(worn)
    worn.open(nonce=2)
    assert worn.ask(ReadCounters()).therapy_seconds == before + 120
    entries = worn.firmware.memory.log_entries()
    stopped = [entry.argument for entry in entries if entry.code is LogCode.THERAPY_STOPPED]
    assert stopped == [TherapyCause.BATTERY]


def test_the_clock_does_not_outlast_a_loss_of_power(worn) -> None:
    worn.ask(SetTime(worn.transaction(), 1_700_000_000_000))
    assert not worn.ask(GetStatus()).alerts & Alert.CLOCK_NOT_SET
    lift(worn)
    worn.advance(3600)
    lay_back(worn)
    assert worn.ask(GetStatus()).alerts & Alert.CLOCK_NOT_SET
    time = worn.ask(GetTime())
    assert time.unix_milliseconds == time.uptime_milliseconds


def test_the_clock_outlasts_a_reset(worn) -> None:
    worn.ask(SetTime(worn.transaction(), 1_700_000_000_000))
    worn.ask(Reset(worn.transaction()))
    worn.advance(1)
    assert worn.ask(GetTime()).unix_milliseconds == 1_700_000_001_000
