"""The silence of the host: an implant goes on, an external stimulator stops."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.firmware.timers import Timer
from ipg_emulator.model import load
from ipg_protocol import State, Status
from ipg_protocol.commands.link import Ping
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.therapy import (
    ReadTherapy,
    SetAmplitude,
    StartTherapy,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyStateChanged,
)

SILENCE = 100


def with_silence(seconds):
    model = load("scs-rechargeable")
    return msgspec.structs.replace(model, timing=msgspec.structs.replace(model.timing, host_silence_ms=seconds * 1000))


@pytest.fixture
def external(make_bench):
    bench = make_bench(with_silence(SILENCE))
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    return bench


def logged(bench, code):
    return [entry.argument for entry in bench.device.memory.log_entries() if entry.code is code]


def test_therapy_stops_by_the_ramp_after_the_silence(external):
    external.advance(SILENCE - 0.1)
    assert external.device.state is State.THERAPY
    external.advance(0.2)
    assert external.device.state is State.RAMPING
    external.advance(external.model.timing.stop_ramp_ms / 1000)
    assert external.device.state is State.IDLE
    assert logged(external, LogCode.HOST_SILENT) == [SILENCE * 1000]
    assert logged(external, LogCode.THERAPY_STOPPED) == [TherapyCause.HOST_SILENT]
    external.open(nonce=2)
    assert TherapyCause.HOST_SILENT in [event.cause for event in external.happened(TherapyStateChanged)]


def test_any_request_breaks_the_silence(external):
    for token in range(5):
        external.advance(SILENCE - 1)
        external.ask(Ping(token))
    assert external.device.state is State.THERAPY
    external.advance(SILENCE + 5)
    assert external.device.state is State.IDLE


def test_a_refused_request_breaks_it_too(external):
    external.advance(SILENCE - 1)
    assert external.refused(SetAmplitude(external.transaction(), 0, 0))[0] is Status.NO_SESSION
    external.advance(2)
    assert external.device.state is State.THERAPY


def test_silence_before_a_start_does_not_count(make_bench):
    bench = make_bench(with_silence(SILENCE))
    bench.advance(10 * SILENCE)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(SILENCE - 1)
    assert bench.device.state is State.THERAPY


def test_a_host_that_turns_the_stop_ramp_back_up_is_watched_on(external):
    external.advance(SILENCE + 0.1)
    assert external.device.state is State.RAMPING
    external.open(nonce=2)
    external.ask(StartTherapy(external.transaction()))
    external.advance(SILENCE - 0.1)
    assert external.device.state is State.THERAPY
    external.advance(2)
    assert external.device.state is State.IDLE


def test_nothing_waits_while_therapy_is_off(external):
    external.ask(StopTherapy(StopMode.IMMEDIATE))
    assert external.device._timers.deadline(Timer.HOST_SILENCE) is None
    external.advance(2 * SILENCE)
    assert logged(external, LogCode.HOST_SILENT) == []


def test_therapy_that_a_magnet_holds_off_does_not_come_back_to_a_silent_host(external):
    external.device.board.magnet_present = True
    external.firmware.board_changed(external.now)
    external.advance(SILENCE + 1)
    external.device.board.magnet_present = False
    external.firmware.board_changed(external.now)
    assert external.device.state is State.IDLE


def test_an_implant_goes_on(bench):
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(7 * 86_400)
    bench.open(nonce=2)
    assert bench.ask(ReadTherapy(0)).delivered_microamps > 0


@pytest.mark.parametrize("model", ["tdcs", "tens", "tms"])
def test_the_external_stimulators_stop(make_bench, model):
    bench = make_bench(model)
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(bench.model.timing.host_silence_ms / 1000 - 1)
    assert bench.device.state in (State.RAMPING, State.THERAPY)
    bench.advance(1 + bench.model.timing.stop_ramp_ms / 1000)
    assert bench.device.state is State.IDLE
    assert logged(bench, LogCode.HOST_SILENT) == [bench.model.timing.host_silence_ms]
