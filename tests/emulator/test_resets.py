"""What outlives a reset of any cause, and what therapy does after it."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.board.assembly import build_board
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.journal import HOSTS, TRANSACTIONS_PER_HOST
from ipg_emulator.firmware.layout import EVENTS_KEPT
from ipg_emulator.firmware.memory import ForeignMemory
from ipg_emulator.model import load
from ipg_protocol import Role, State, Status
from ipg_protocol.commands.link import (
    GetStatus,
    GetTime,
    Reset,
    ResetCause,
    ResetHappened,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogCode, ReadCounters, ReadLog
from ipg_protocol.commands.programs import BeginProgramWrite, EraseProgram, ReadProgram, SelectProgram, WriteProgramBlock
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    ScheduleRow,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
    WriteSchedule,
)
from ipg_protocol.frame import Frame, Kind

SUDDEN = [ResetCause.BROWN_OUT, ResetCause.WATCHDOG]
RESUMING, STAYING_OFF = "scs-rechargeable", "scs-trial"
MIDNIGHT_MS = 1_800_000_000_000 // 86_400_000 * 86_400_000


def fail(bench, cause: ResetCause = ResetCause.BROWN_OUT) -> None:
    """Reset without a warning, boot, and open a session again."""
    bench.firmware.fail(cause, bench.now)
    bench.advance(1)
    bench.open(nonce=bench.now & 0xFFFFFFFF)


def in_therapy(bench) -> None:
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    assert bench.device.state is State.THERAPY


@pytest.mark.parametrize("cause", SUDDEN)
def test_a_change_that_was_answered_is_there_after_a_reset_without_warning(bench, cause) -> None:
    bench.ask(SetAmplitude(bench.transaction(), 0, 3300))
    bench.ask(SelectProgram(bench.transaction(), 1))
    bench.ask(EraseProgram(bench.transaction(), 2))
    revision = bench.device.configuration.revision
    fail(bench, cause)
    assert bench.ask(GetStatus()).active_program == 1
    assert bench.device.configuration.revision == revision
    assert bench.ask(ReadProgram(0, 0)).settings.amplitude_microamps == 3300
    assert bench.refused(ReadProgram(2, 0))[0] is Status.OUT_OF_RANGE


@pytest.mark.parametrize("cause", SUDDEN)
def test_a_change_sent_again_after_a_reset_is_not_carried_out_again(bench, cause) -> None:
    change = SetAmplitude(bench.transaction(), 0, 3300)
    answer = bench.ask(change)
    fail(bench, cause)
    reply = bench.reply(change)
    assert (reply.status, reply.body, bool(reply.flags)) == (Status.OK, answer, True)
    report = bench.ask(TransactionStatus(change.transaction))
    assert (report.outcome, report.opcode) == (TransactionOutcome.COMMITTED, 0x0303)
    assert bench.device.configuration.revision == answer.revision


def test_a_change_that_never_came_is_not_seen_after_a_reset(bench) -> None:
    fail(bench)
    assert bench.ask(TransactionStatus(7)).outcome is TransactionOutcome.NOT_SEEN


def test_the_last_transactions_of_a_host_outlive_a_reset_and_older_ones_are_forgotten(bench) -> None:
    for number in range(1, TRANSACTIONS_PER_HOST + 4):
        bench.ask(SetAmplitude(number, 0, 3000 + 100 * (number % 2)))
    fail(bench)
    outcomes = [bench.ask(TransactionStatus(number)).outcome for number in (3, 4, TRANSACTIONS_PER_HOST + 3)]
    assert outcomes == [TransactionOutcome.FORGOTTEN, TransactionOutcome.COMMITTED, TransactionOutcome.COMMITTED]


def test_the_hosts_that_changed_something_last_are_the_ones_remembered(make_bench) -> None:
    bench = make_bench()
    for host in range(1, HOSTS + 2):
        bench.ask(OpenSession(Role.CLINICIAN, host, 1))
        bench.ask(SetAmplitude(1, 0, 3000))
    for lurker in range(100, 100 + HOSTS):
        bench.ask(OpenSession(Role.OBSERVER, lurker, 1))
    bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
    bench.advance(1)
    last = {host: bench.ask(OpenSession(Role.CLINICIAN, host, 2)).last_transaction for host in range(1, HOSTS + 2)}
    assert last == {1: 0} | dict.fromkeys(range(2, HOSTS + 2), 1)


def test_events_go_on_over_a_reset_with_their_numbers(bench) -> None:
    bench.ask(SetAmplitude(bench.transaction(), 0, 3300))
    bench.frames()
    before = {number: event for number, event in bench.events if number}
    fail(bench)
    after = {number: event for number, event in bench.events if number}
    assert before.items() <= after.items()
    assert sorted(after) == list(range(1, max(after) + 1))
    assert isinstance(after[max(before) + 1], ResetHappened)


def test_an_acknowledged_event_does_not_come_again_once_it_was_written_down(bench) -> None:
    bench.ask(SetAmplitude(bench.transaction(), 0, 3300))
    last = bench.device.memory.last_event
    bench.send(Frame(Kind.EVENT_ACK, 0, last))
    bench.ask(SelectProgram(bench.transaction(), 1))
    bench.events.clear()
    fail(bench)
    assert bench.ask(OpenSession(Role.SERVICE, 7, 99)).acknowledged_event == last
    assert min(number for number, _ in bench.events if number) > last


def test_events_beyond_the_last_few_leave_a_gap_after_a_reset_too(bench) -> None:
    for step in range(EVENTS_KEPT + 5):
        bench.ask(SetAmplitude(bench.transaction(), 0, 3000 + 100 * (step % 2)))
    newest = bench.device.memory.last_event
    bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
    assert sorted(bench.device.memory.events) == list(range(newest - EVENTS_KEPT + 1, newest + 1))


def test_the_log_goes_on_and_names_the_cause(bench) -> None:
    bench.ask(SelectProgram(bench.transaction(), 1))
    before = bench.device.memory.log_entries()[:]
    fail(bench, ResetCause.WATCHDOG)
    entries = bench.ask(ReadLog(before[-1].number)).rows
    assert entries[0] == before[-1]
    assert (entries[1].code, entries[1].argument, entries[1].boot_counter) == (LogCode.BOOT, ResetCause.WATCHDOG, 2)
    assert [entry.number for entry in entries] == list(range(before[-1].number, before[-1].number + len(entries)))


def test_a_log_that_is_full_keeps_its_newest_entries_over_a_reset(make_bench) -> None:
    bench = make_bench(msgspec.structs.replace(load(RESUMING), log_entries=10))
    bench.open()
    for _ in range(12):
        bench.ask(SelectProgram(bench.transaction(), 1))
    newest = bench.device.memory.log_entries()[-1].number
    bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
    kept = bench.device.memory.log_entries()
    assert [entry.number for entry in kept] == list(range(newest - 8, newest + 2))
    assert bench.device.memory.log_dropped == newest - 9


def test_counters_of_refusals_wait_for_the_next_record_and_are_kept_by_an_orderly_restart(bench) -> None:
    bench.refused(ReadProgram(99, 0))
    refused = bench.ask(ReadCounters()).requests_refused
    assert refused == 1
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    assert bench.device.memory.counters.requests_refused == refused


def test_the_boot_counter_rises_by_one_with_each_boot(bench) -> None:
    for boot in range(2, 6):
        fail(bench, SUDDEN[boot % 2])
        assert bench.ask(GetStatus()).boot_counter == boot


@pytest.mark.parametrize(("cause", "goes_on"), [(ResetCause.WATCHDOG, True), (ResetCause.BROWN_OUT, False)])
def test_the_clock_outlasts_a_watchdog_but_no_brown_out(bench, cause, goes_on) -> None:
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    fail(bench, cause)
    assert (bench.ask(GetTime()).unix_milliseconds >= MIDNIGHT_MS) == goes_on


@pytest.mark.parametrize("cause", SUDDEN)
def test_an_implant_goes_on_with_its_therapy_by_the_ramp(make_bench, cause) -> None:
    bench = make_bench(RESUMING)
    in_therapy(bench)
    bench.firmware.fail(cause, bench.now)
    output = bench.firmware.board.output
    assert output.delivered_microamps(0, bench.now) == 0
    bench.advance(0.5)
    assert bench.device.state is State.RAMPING
    ramping = output.delivered_microamps(0, bench.now)
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    assert 0 < ramping < output.delivered_microamps(0, bench.now)
    bench.open(nonce=2)
    resumed = [event for event in bench.happened(TherapyStateChanged) if event.cause is TherapyCause.RESET]
    assert [(event.previous, event.state) for event in resumed] == [(State.IDLE, State.RAMPING)]


def test_a_trial_stimulator_stays_off_after_a_reset(make_bench) -> None:
    bench = make_bench(STAYING_OFF)
    in_therapy(bench)
    fail(bench)
    bench.advance(60)
    assert bench.device.state is State.IDLE


def test_what_was_stopped_stays_off_even_while_its_ramp_was_under_way(make_bench) -> None:
    bench = make_bench(RESUMING)
    in_therapy(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    assert bench.device.state is State.RAMPING
    fail(bench)
    bench.advance(60)
    assert bench.device.state is State.IDLE


def test_therapy_that_resumed_once_is_resumed_again(make_bench) -> None:
    bench = make_bench(RESUMING)
    in_therapy(bench)
    for _ in range(3):
        bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
        bench.advance(1)
    assert bench.device.state is State.RAMPING


def test_a_dose_is_not_begun_again_by_a_reset(make_bench) -> None:
    model = msgspec.structs.replace(load("tdcs"), therapy_after_reset=load(RESUMING).therapy_after_reset)
    bench = make_bench(model)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(60)
    fail(bench)
    bench.advance(60)
    assert bench.device.state is State.IDLE


def test_therapy_of_a_row_of_the_schedule_ends_with_the_row_though_a_watchdog_reset_it(bench) -> None:
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(1, 10, 0),)))
    bench.advance(120)
    assert bench.device.state is State.THERAPY
    bench.firmware.fail(ResetCause.WATCHDOG, bench.now)
    bench.advance(60)
    assert bench.device.state is State.THERAPY
    bench.advance(600)
    assert bench.device.state is State.IDLE


def test_therapy_that_was_turned_back_up_out_of_its_stop_ramp_is_resumed(make_bench) -> None:
    bench = make_bench(RESUMING)
    in_therapy(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    fail(bench)
    bench.advance(20)
    assert bench.device.state is State.THERAPY


@pytest.mark.parametrize("cause", [ResetCause.BROWN_OUT, ResetCause.POWER_RESTORED])
def test_therapy_of_a_row_that_ended_while_the_device_was_down_stays_off(bench, cause) -> None:
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(1, 2, 0),)))
    bench.advance(60 + 120 - 0.01)
    assert bench.device.state is State.THERAPY
    if cause is ResetCause.BROWN_OUT:
        bench.firmware.fail(cause, bench.now)
    else:
        bench.firmware.power_lost(bench.now)
        bench.now += 3_600_000_000
        bench.firmware.power_restored(bench.now)
    bench.advance(10)
    bench.open(nonce=2)
    assert bench.device.state is State.IDLE
    assert not [event for event in bench.happened(TherapyStateChanged) if event.cause is TherapyCause.RESET]


def test_the_row_of_therapy_that_stays_off_after_a_reset_does_not_stop_what_is_started_by_hand(make_bench) -> None:
    bench = make_bench(msgspec.structs.replace(load(RESUMING), therapy_after_reset=load(STAYING_OFF).therapy_after_reset))
    bench.open()
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(1, 10, 0),)))
    bench.advance(120)
    assert bench.device.state is State.THERAPY
    fail(bench)
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(900)
    assert bench.device.state is State.THERAPY


def test_half_a_program_is_forgotten_and_the_stored_one_stays_whole(bench) -> None:
    stored = bench.device.configuration.programs[0]
    bench.ask(BeginProgramWrite(0, 2, "Half"))
    bench.ask(WriteProgramBlock(0, stored.areas[0]))
    fail(bench)
    assert bench.device.configuration.programs[0] == stored
    assert bench.refused(WriteProgramBlock(0, stored.areas[0]))[0] is Status.CONFLICT


def rebuilt(bench, serial: str | None = None, model: str = RESUMING) -> Firmware:
    """Another process: the same flash, and a time that begins at 0."""
    chosen = load(model)
    board = build_board(chosen, seed=0, flash=bench.firmware.board.flash)
    return Firmware(chosen, board, serial=serial or bench.device.serial, now=0)


def test_a_device_built_on_the_same_flash_goes_on_as_after_a_loss_of_power(bench) -> None:
    bench.ask(SetAmplitude(bench.transaction(), 0, 3300))
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    configuration = bench.device.configuration
    again = rebuilt(bench)
    assert again.device.configuration == configuration
    assert again.device.boot_cause is ResetCause.POWER_RESTORED
    assert (again.memory.boot_counter, again.memory.condition.clock_set) == (2, None)


def test_times_are_kept_as_spans_when_the_devices_time_begins_anew(make_bench) -> None:
    bench = make_bench("vns-external")
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(3600)
    bench.open(nonce=2)
    bench.ask(SetTime(bench.transaction(), MIDNIGHT_MS))
    begun = bench.device.memory.condition.dose_starts[0]
    again = rebuilt(bench, model="vns-external")
    assert again.memory.condition.dose_starts == (begun - bench.now,)
    assert again.device.delivery.doses.begun_within_a_day(86_400_000_000 - 3_600_000_000 - 1) == 1
    assert again.device.delivery.doses.begun_within_a_day(86_400_000_000) == 0


@pytest.mark.parametrize(("serial", "model"), [("VIPG-00000009", RESUMING), (None, STAYING_OFF)])
def test_the_memory_of_another_device_is_refused(bench, serial, model) -> None:
    with pytest.raises(ForeignMemory, match=r"belongs to VIPG-00000000 \(scs-rechargeable"):
        rebuilt(bench, serial, model)


def test_an_exhausted_cell_silences_the_device_and_a_charger_brings_it_back(make_bench) -> None:
    bench = make_bench(RESUMING, charge_permille=2)
    bench.open()
    bench.ask(SetAmplitude(bench.transaction(), 0, 3300))
    bench.advance(30 * 86_400)
    assert bench.send(Frame(Kind.REQUEST, 1, 1, bytes(4))) == []
    assert bench.firmware.wake_at() is None
    bench.firmware.board.charger.place(1000, bench.now)
    bench.firmware.board_changed(bench.now)
    bench.advance(4 * 3600)
    bench.open(nonce=2)
    assert bench.device.state is State.IDLE
    assert bench.device.boot_cause is ResetCause.POWER_RESTORED
    assert bench.ask(ReadProgram(0, 0)).settings.amplitude_microamps == 3300


def test_reads_and_refusals_write_nothing(bench) -> None:
    bench.frames()
    before = bench.firmware.board.flash.read(0, 262_144)
    for _ in range(50):
        bench.ask(GetStatus())
        bench.refused(ReadProgram(99, 0))
    assert bench.firmware.board.flash.read(0, 262_144) == before
