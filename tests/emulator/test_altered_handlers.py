"""Handlers altered for one device: slow ones, wrong ones, and ones that run into an error."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
from ipg_emulator.faults.fault import FaultError, When
from ipg_emulator.faults.firmware import SlowCommand, StuckState, WatchdogReset
from ipg_emulator.firmware.dispatch import HANDLERS
from ipg_protocol import Kind, State, Status, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import GetStatus, Ping, Pong, ResetCause
from ipg_protocol.commands.therapy import (
    SetAmplitude,
    StopMode,
    StopTherapy,
)


def output(bench):
    return bench.firmware.board.output.delivered_microamps(0, bench.now)


# Slow


def test_a_slow_handler_holds_up_its_request_and_all_that_comes_behind(bench):
    bench.begin(SlowCommand(command="GET_STATUS", milliseconds=400))
    assert bench.pings(1) == [1]
    bench.firmware.receive(encode_frame(request_frame(GetStatus(), 50)), bench.now)
    assert bench.pings(2, 3) == []
    bench.wait(0.399)
    assert bench.answered() == []
    bench.wait(0.001)
    frames = bench.frames()
    assert [frame.request_id for frame in frames if frame.kind is Kind.RESPONSE] == [50, 2, 3]


def test_each_slow_request_takes_its_time_after_the_one_before(bench):
    bench.begin(SlowCommand(command="PING", milliseconds=100))
    assert bench.pings(1, 2, 3) == []
    found = []
    for _ in range(4):
        bench.wait(0.1)
        found.append(bench.answered())
    assert found == [[1], [2], [3], []]


def test_the_same_request_asked_again_is_slow_again(bench):
    bench.begin(SlowCommand(command="PING", milliseconds=100))
    for _ in range(2):
        assert bench.pings(1) == []
        bench.wait(0.1)
        assert bench.answered() == [1]


def test_a_slow_change_is_made_once_and_late(running):
    running.begin(SlowCommand(command="SET_AMPLITUDE", milliseconds=5000))
    before = output(running)
    lower = running.amplitude_from(before, -1)
    request = encode_frame(request_frame(SetAmplitude(running.transaction(), 0, lower), 60))
    revision = running.device.configuration.revision
    running.firmware.receive(request, running.now)
    running.firmware.receive(request, running.now)
    running.wait(4.999)
    assert output(running) == before
    running.wait(0.001)
    replies = [decode_reply(frame) for frame in running.frames() if frame.kind is Kind.RESPONSE]
    assert [reply.status for reply in replies] == [Status.OK, Status.OK]
    assert running.device.configuration.revision == revision + 1


def test_a_timer_that_is_due_meanwhile_waits_with_the_request(running):
    running.begin(SlowCommand(command="PING", milliseconds=60_000))
    running.ask(StopTherapy(StopMode.RAMP))
    assert running.pings(1) == []
    running.wait(59)
    assert running.device.state is State.RAMPING
    running.wait(1)
    assert (running.answered(), running.device.state) == ([1], State.IDLE)


def test_a_request_that_waits_when_the_device_dies_is_never_answered(bench):
    bench.begin(SlowCommand(command="PING", milliseconds=500))
    assert bench.pings(1) == []
    bench.firmware.fail(ResetCause.BROWN_OUT, bench.now)
    bench.wait(2)
    assert bench.answered() == []
    assert bench.pings(2) == []


def test_slow_handlers_laid_over_each_other_add_up_and_end_in_any_order(bench):
    ends = [bench.begin(SlowCommand(command="PING", milliseconds=wait)) for wait in (100, 50, 200)]
    for ended, seconds in ((0, 0.35), (2, 0.25), (1, 0.05)):
        assert bench.pings(1) == []
        bench.wait(seconds - 0.001)
        assert bench.answered() == []
        bench.wait(0.001)
        assert bench.answered() == [1]
        ends[ended]()
    assert bench.pings(1) == [1]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (partial(SlowCommand, command="PONG", milliseconds=1), "there is no command 'PONG'"),
        (partial(StuckState, state="THERAP"), "did you mean THERAPY"),
    ],
)
def test_a_name_that_does_not_exist_is_told_when_the_fault_is_made(make, problem):
    with pytest.raises(FaultError, match=problem):
        make()


@pytest.mark.parametrize("survives", [False, True])
def test_a_slow_handler_is_quick_after_a_restart_unless_it_survives_that(wire, survives):
    heard = wire(SlowCommand(command="PING", milliseconds=300, survives_restart=survives), WatchdogReset(when=When(at_ms=1000)))
    for _ in range(2):
        heard.send(Ping(1))
        heard.advance(2)
    assert [at for at, _, _ in heard.replies()] == [300, 2300 if survives else 2000]


def test_a_slow_handler_forgets_what_a_reset_took_from_it(wire):
    slow = SlowCommand(command="PING", milliseconds=300, survives_restart=True)
    heard = wire(slow, WatchdogReset(when=When(at_ms=100)))
    for frame in (encode_frame(request_frame(Ping(1), 1)),) * 2:
        heard.write(frame)
        heard.advance(2)
    assert [at for at, _, _ in heard.replies()] == [2300]


# One device altered, and no other


class OffByOne:
    """A PING that comes back with another token."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, request, context):
        return Pong(self.inner(request, context).token + 1)


def test_a_handler_replaced_in_one_firmware_alters_that_device_over_its_restarts_and_no_other(make_bench):
    altered, other = make_bench(), make_bench()
    altered.firmware.handlers[Ping] = OffByOne(altered.firmware.handlers[Ping])
    assert (altered.ask(Ping(1)), other.ask(Ping(1))) == (Pong(2), Pong(1))
    altered.firmware.fail(ResetCause.WATCHDOG, altered.now)
    altered.advance(1)
    assert altered.ask(Ping(1)) == Pong(2)
    assert HANDLERS[Ping] is other.firmware.handlers[Ping]


def test_a_device_in_the_middle_of_its_faults_can_be_pickled_and_goes_on_alike(running):
    running.begin(SlowCommand(command="PING", milliseconds=300))
    running.begin(StuckState(state="THERAPY"))
    assert running.pings(1) == []
    other = pickle.loads(pickle.dumps(running.firmware))
    outputs = []
    for firmware in (running.firmware, other):
        firmware.wake(running.now + 300_000)
        outputs.append(firmware.take_output(running.now + 300_000))
    assert outputs[0] == outputs[1] != b""


# Errors


class Crashing:
    """A handler that runs into an error."""

    def __call__(self, request, context):
        raise ZeroDivisionError


def test_an_error_in_sound_firmware_is_a_bug_that_comes_out(bench):
    bench.firmware.handlers[Ping] = Crashing()
    with pytest.raises(ZeroDivisionError):
        bench.pings(1)


def test_an_error_that_the_watchdog_takes_care_of_resets_the_device(running):
    running.firmware.handlers[Ping] = Crashing()
    running.firmware.survives = (ZeroDivisionError,)
    assert running.pings(1) == []
    assert (running.device.state, output(running)) == (State.BOOT, 0)
    assert running.device.boot_cause is ResetCause.WATCHDOG
