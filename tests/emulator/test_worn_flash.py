"""Flash near its end and beyond: what is lost, what is mended, what is refused."""

from __future__ import annotations

from ipg_emulator.faults.board import (
    FlashWorn,
)
from ipg_emulator.faults.fault import When
from ipg_protocol import Role, State, Status
from ipg_protocol.commands.link import GetStatus, Reset, ResetCause
from ipg_protocol.commands.log import LogCode, ReadLog
from ipg_protocol.commands.programs import ListPrograms, SelectProgram
from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
)
from ipg_protocol.refusal import Done

CATHODE = 3


def delivered(bench):
    return bench.ask(ReadTherapy(0)).delivered_microamps


def select(bench, program):
    return bench.reply(SelectProgram(bench.transaction(), program)).status


def restart(bench):
    bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
    bench.advance(1)
    bench.open(nonce=bench.transaction())


def test_writes_that_do_not_hold_are_lost_at_the_restart_and_the_log_says_so(bench):
    renew = bench.begin(FlashWorn(weak=1.0, bits=9))
    assert select(bench, 1) is Status.OK
    assert bench.ask(GetStatus()).active_program == 1
    renew()
    restart(bench)
    assert bench.ask(GetStatus()).active_program == 0
    entries = [entry for entry in bench.ask(ReadLog(0)).rows if entry.code is LogCode.STORAGE_RECOVERED]
    assert [entry.argument > 0 for entry in entries] == [True]


def test_one_weak_bit_in_a_write_is_mended(bench):
    bench.begin(FlashWorn(weak=1.0, bits=1))
    assert select(bench, 1) is Status.OK
    restart(bench)
    assert bench.ask(GetStatus()).active_program == 1


def test_flash_without_weak_writes_holds_the_same_bytes(make_bench):
    images = []
    for weak in (None, 0.0):
        bench = make_bench()
        if weak is not None:
            bench.begin(FlashWorn(weak=weak))
        bench.open()
        select(bench, 1)
        flash = bench.firmware.board.flash
        images.append(flash.read(0, flash.page_count * flash.page_bytes))
    assert images[0] == images[1]


def test_on_dead_flash_a_change_is_refused_and_nothing_has_changed(running):
    renew = running.begin(FlashWorn(dead=True))
    before, programmed = running.ask(GetStatus()), delivered(running)
    assert running.refused(SelectProgram(running.transaction(), 1)) == (Status.STORAGE_FAILED, Done())
    assert running.refused(SetAmplitude(running.transaction(), 0, 1000)) == (Status.STORAGE_FAILED, Done())
    assert running.refused(Reset(running.transaction())) == (Status.STORAGE_FAILED, Done())
    assert (running.ask(GetStatus()), delivered(running)) == (before, programmed)
    renew()
    assert select(running, 1) is Status.OK


def test_flash_takes_writes_again_once_what_made_it_dead_is_over_whatever_is_laid_over_it(running):
    renew = running.begin(FlashWorn(dead=True))
    running.begin(FlashWorn(weak=0.0))
    assert select(running, 1) is Status.STORAGE_FAILED
    renew()
    assert select(running, 1) is Status.OK


def test_a_stop_on_dead_flash_is_forgotten_at_the_restart(running):
    running.begin(FlashWorn(dead=True))
    running.ask(StopTherapy(StopMode.IMMEDIATE))
    running.firmware.fail(ResetCause.BROWN_OUT, running.now)
    running.advance(60)
    assert running.device.state is State.THERAPY


def test_on_dead_flash_a_device_can_be_read_and_stopped(running):
    running.begin(FlashWorn(dead=True))
    assert running.ask(ListPrograms(0)).rows
    running.ask(KeepAlive())
    running.ask(StopTherapy(StopMode.IMMEDIATE))
    assert running.device.state is State.IDLE
    running.ask(CloseSession())
    running.open(nonce=2)


def test_a_device_restarts_on_what_its_flash_held_when_that_died(bench):
    assert select(bench, 1) is Status.OK
    boots = bench.ask(GetStatus()).boot_counter
    flash = bench.firmware.board.flash
    held = flash.read(0, flash.page_count * flash.page_bytes)
    bench.begin(FlashWorn(dead=True))
    assert select(bench, 2) is Status.STORAGE_FAILED
    for _ in range(2):
        restart(bench)
        status = bench.ask(GetStatus())
        assert (status.active_program, status.boot_counter) == (1, boots + 1)
    assert flash.read(0, flash.page_count * flash.page_bytes) == held


def test_what_happened_on_dead_flash_is_written_when_that_takes_writes_again(bench):
    renew = bench.begin(FlashWorn(dead=True))
    restart(bench)
    last = bench.ask(ReadLog(0)).next_cursor
    renew()
    bench.ask(SelectProgram(bench.transaction(), 1))
    restart(bench)
    assert bench.ask(ReadLog(0)).next_cursor > last
    assert bench.ask(GetStatus()).active_program == 1


def started(wire, *faults):
    """A device that delivers, with a plan."""
    heard = wire(*faults)
    heard.send(OpenSession(Role.SERVICE, 7, 1), StartTherapy(1))
    heard.advance(5)
    return heard


def test_flash_that_dies_as_a_change_comes_refuses_that_change(wire):
    heard = started(wire, FlashWorn(dead=True, when=When(command="SELECT_PROGRAM"), survives_restart=True))
    heard.send(SelectProgram(2, 1))
    assert [reply.status for _, _, reply in heard.replies()] == [Status.OK, Status.OK, Status.STORAGE_FAILED]
