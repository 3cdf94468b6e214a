"""The handle: what a test asks of a device, and what its failed assertions say."""

from __future__ import annotations

import inspect
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import serial
from ipg_emulator.control import OPERATIONS, OperationError
from ipg_emulator.faults.fault import FAULTS, When
from ipg_emulator.handle import Handle, local
from ipg_emulator.ports.in_process import InProcess, Passing
from ipg_emulator.snapshot import fork, read
from ipg_protocol.commands.link import Ping, ResetCause, ResetHappened
from ipg_protocol.commands.therapy import StopMode, StopTherapy, TherapyStateChanged
from ipg_protocol.vocabulary import State, Status


def test_every_operation_has_its_method() -> None:
    source = inspect.getsource(Handle)
    assert [cls.__name__ for cls in OPERATIONS.values() if f"ops.{cls.__name__}(" not in source] == []


def test_a_handle_reaches_the_device_behind_an_ipg_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial, "protocol_handler_packages", [*serial.protocol_handler_packages, "ipg_emulator.ports"])
    with serial.serial_for_url("ipg://scs-rechargeable?seed=5") as port:
        handle = local(port)
        handle.posture("supine")
        assert handle.describe().seed == 5
        assert handle.state().surroundings.posture == "supine"
        assert handle.now == port.monotonic()


def test_an_event_is_waited_for_by_its_name_or_its_class(watched: Any) -> None:
    watched.start()
    watched.handle.cut_power()
    watched.handle.restore_power()
    by_class = watched.handle.wait_for(ResetHappened, cause=ResetCause.POWER_RESTORED)
    by_name = watched.handle.wait_for("THERAPY_STATE_CHANGED", state=State.IDLE)
    assert (by_class.fields["cause"], by_name.fields["state"]) == ("POWER_RESTORED", "IDLE")


def test_an_event_that_came_before_the_wait_counts_and_is_not_found_twice(watched: Any) -> None:
    watched.handle.magnet()
    watched.handle.advance(1.0)
    first = watched.handle.wait_for("MAGNET_CHANGED")
    watched.handle.magnet(present=False)
    second = watched.handle.wait_for("MAGNET_CHANGED")
    assert (first.fields["present"], second.fields["present"]) == (1, 0)
    with pytest.raises(AssertionError):
        watched.handle.wait_for("MAGNET_CHANGED", within=1.0)


def test_waiting_in_vain_says_what_came_instead(watched: Any) -> None:
    watched.start()
    began = watched.handle.now
    with pytest.raises(AssertionError) as raised:
        watched.handle.wait_for(TherapyStateChanged, within=1.5, state=State.FAULT)
    assert str(raised.value) == (
        f"there was no THERAPY_STATE_CHANGED state=FAULT by {began + 1.5:.6f} s; what came instead:\n"
        f"  {began:.6f} s THERAPY_STATE_CHANGED {{'previous': 'IDLE', 'state': 'RAMPING', 'cause': 'COMMAND'}}"
    )


def test_no_stimulation_holds_where_there_was_none(watched: Any) -> None:
    watched.start()
    watched.handle.advance(20.0)
    watched.reply(StopTherapy(StopMode.IMMEDIATE))
    stopped = watched.handle.now
    watched.handle.advance(60.0)
    watched.handle.no_stimulation(after=stopped)
    with pytest.raises(AssertionError, match="there was stimulation between"):
        watched.handle.no_stimulation(after=stopped - 0.5)
    watched.handle.no_stimulation(after=0.0, before=0.02)


def test_no_stimulation_in_no_time_says_nothing(watched: Any) -> None:
    with pytest.raises(AssertionError, match=r"no time has passed since 0\.020000 s"):
        watched.handle.no_stimulation(after=watched.handle.now)


def test_no_stimulation_of_one_area_leaves_the_others_aside(watched: Any) -> None:
    watched.start()
    watched.handle.advance(20.0)
    watched.handle.no_stimulation(after=0.02, area=3)
    with pytest.raises(AssertionError, match="area 1"):
        watched.handle.no_stimulation(after=0.02, area=1)


def test_a_fault_is_injected_as_an_object(watched: Any) -> None:
    number = watched.handle.inject(FAULTS["reply-lost"](when=When(command="PING"), times=1))
    watched.send(Ping(1))
    assert watched.frames(1.0) == []
    assert [(each.number, each.struck) for each in watched.handle.faults()] == [(number, 1)]
    watched.handle.clear_faults()
    assert watched.handle.faults() == []


def test_after_a_restore_the_same_event_can_be_waited_for_again(watched: Any) -> None:
    watched.handle.snapshot("before")
    for _ in range(2):
        watched.handle.restore("before")
        watched.handle.magnet()
        assert watched.handle.wait_for("MAGNET_CHANGED").fields["present"] == 1


def test_a_snapshot_in_a_file_is_the_device(watched: Any, tmp_path: Path) -> None:
    watched.start()
    watched.handle.advance(5.0)
    watched.handle.snapshot()
    watched.handle.advance(5.0)
    watched.handle.write_snapshot(str(tmp_path / "device"))
    ipg, now = fork(read(str(tmp_path / "device")))
    forked = local(InProcess(ipg, started_at=now))
    watched.handle.restore()
    assert forked.state() == watched.handle.state()
    assert forked.log() == watched.handle.log()


def test_an_error_of_the_operation_reaches_the_caller(watched: Any) -> None:
    with pytest.raises(OperationError, match="the supply of scs-rechargeable is rechargeable"):
        watched.handle.worn_disc(False)


def test_what_one_handle_restores_another_can_wait_for(watched: Any) -> None:
    other = local(watched.device)
    watched.handle.snapshot()
    watched.handle.magnet()
    seen = other.wait_for("MAGNET_CHANGED")
    watched.handle.restore()
    watched.handle.magnet()
    assert other.wait_for("MAGNET_CHANGED").number > seen.number


def test_in_real_time_waiting_waits(make_watched: Any) -> None:
    watched = make_watched(passing=Passing.REAL)
    later = threading.Timer(0.05, watched.handle.magnet)
    later.start()
    began = time.monotonic()
    event = watched.handle.wait_for("MAGNET_CHANGED", within=20.0)
    later.join()
    assert 0.04 < time.monotonic() - began < 15.0
    assert event.fields["present"] == 1


def test_in_manual_time_the_device_stands_still_but_for_the_handle(make_watched: Any) -> None:
    watched = make_watched(passing=Passing.MANUAL)
    began = watched.handle.now
    assert watched.reply(Ping(1)).status is Status.OK
    assert watched.handle.now == began
    assert watched.handle.advance(2.0) == pytest.approx(began + 2.0)


def test_threads_that_ask_at_once_leave_the_device_whole(watched: Any) -> None:
    watched.start()
    began = watched.handle.now
    threads = [threading.Thread(target=lambda: [watched.handle.advance(0.25) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        watched.handle.state()
    for thread in threads:
        thread.join()
    assert watched.handle.now == pytest.approx(began + 100.0)
