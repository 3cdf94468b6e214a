"""However fast time passes, the device lives the same life; and a host is never outrun."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from ipg_emulator.clock import FRAME_US, LAST_US, MAXIMUM_SPEED, QUIET_US, RealTime, ScaledTime, clock_at
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import load
from ipg_emulator.simulation import Simulation
from ipg_protocol import FrameReader, Role, State, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.commands.log import ReadCounters, ReadLog
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.session import CloseSession, KeepAlive, OpenSession
from ipg_protocol.commands.therapy import SetAmplitude, StartTherapy, StopMode, StopTherapy

SECOND, HOUR = 1_000_000, 3_600_000_000
NEARLY_EMPTY = 20
BUSY_US = 10
"""How much real time each look at the clock costs in these tests: at maximum speed nothing else moves it."""


class Desk:
    """A device under a clock, whose real time is the test's own."""

    def __init__(self, speed: float, charge_permille: int = 1000, model: str = "drg-primary") -> None:
        self.real = 7 * SECOND
        self.firmware = build_device(load(model), seed=1, charge_permille=charge_permille)
        self.said = b""
        self.sent_at: list[int] = []
        self.clock = clock_at(speed, started_at=boot_finished_at(self.firmware.model), real_clock=self._look)

    def _look(self) -> int:
        self.real += BUSY_US
        return self.real

    @property
    def now(self) -> int:
        return self.clock.read(self.real)

    def send(self, data: bytes) -> None:
        now, said = self.clock.pass_time(self.firmware, self.real)
        self.sent_at.append(now)
        self.firmware.receive(data, now)
        self._heard(said + self.firmware.take_output(now), data)

    def ask(self, request: Any, number: int) -> Any:
        self.said = b""
        self.send(encode_frame(request_frame(request, number)))
        frames = FrameReader().feed(self.said, 0)
        return decode_reply(next(frame for frame in frames if frame.request_id == number)).body

    def live(self, real_us: int) -> None:
        """Let so much real time pass with nobody talking."""
        end = self.real + real_us
        while self.real < end:
            sleep_us = self.clock.sleep_us(self.firmware, self.real)
            self.real = end if sleep_us is None else min(end, self.real + math.ceil(sleep_us))
            now, said = self.clock.pass_time(self.firmware, self.real)
            self.firmware.wake(now)
            self._heard(said + self.firmware.take_output(now), b"")

    def _heard(self, said: bytes, heard: bytes) -> None:
        self.said += said
        if said or heard:
            self.clock.talked(heard, self.real)


def at_once(simulation: Simulation, seconds: float) -> None:
    simulation.advance(seconds)


def in_small_steps(simulation: Simulation, seconds: float) -> None:
    chance = random.Random(seconds)
    end = simulation.now + round(seconds * SECOND)
    while simulation.now < end:
        simulation.advance_to(min(end, simulation.now + chance.randrange(1, end // 300)))


def by_a_clock(speed: float) -> Callable[[Simulation, float], None]:
    """Let time pass as `ipg-emulator run --speed` does, but with real time that is only counted."""

    def advance(simulation: Simulation, seconds: float) -> None:
        real, end = 0, simulation.now + round(seconds * SECOND)
        clock = clock_at(speed, started_at=simulation.now, real_clock=lambda: 0)
        while simulation.now < end:
            sleep_us = clock.sleep_us(simulation.firmware, real)
            real = min(real + math.ceil((end - simulation.now) / speed), real + math.ceil(sleep_us or 0))
            now, said = clock.pass_time(simulation.firmware, real)
            simulation.now = min(end, now)
            simulation.hear(said)
            simulation.advance_to(simulation.now)

    return advance


def life(advance: Callable[[Simulation, float], None]) -> tuple[Any, ...]:
    """What is left of a scripted life of some days: log, counters, events with their times, battery, dose."""
    simulation = Simulation(build_device(load("drg-primary"), seed=3))
    simulation.open_session(Role.SERVICE)
    simulation.ask(StartTherapy(0))
    advance(simulation, 8.3)
    simulation.ask(MeasureImpedance(1, 0))
    advance(simulation, 20)
    simulation.ask(SetAmplitude(0, 0, 100))
    advance(simulation, 5 * 86_400)
    simulation.open_session()
    simulation.ask(StopTherapy(StopMode.RAMP))
    advance(simulation, 3601.5)
    simulation.open_session()
    log = simulation.ask(ReadLog(0)).rows
    counters = simulation.ask(ReadCounters())
    battery = simulation.firmware.board.power.read(simulation.now)
    return simulation.now, log, counters, simulation.events, battery, simulation.firmware.board.output.total(0, simulation.now)


@pytest.mark.parametrize("advance", [in_small_steps, by_a_clock(1), by_a_clock(50), by_a_clock(0.5)])
def test_however_time_passes_log_counters_events_and_battery_are_the_same(advance):
    assert life(advance) == life(at_once)


@pytest.mark.parametrize("speed", [1, 60, 0.25, 1000])
def test_time_goes_so_many_times_as_fast(speed):
    desk = Desk(speed)
    began = desk.now
    desk.live(10 * SECOND)
    assert desk.now - began == pytest.approx(10 * SECOND * speed, rel=1e-3)


def test_at_maximum_speed_years_pass_while_nobody_talks():
    desk = Desk(MAXIMUM_SPEED)
    desk.ask(Ping(7), 1)
    desk.live(SECOND // 5)
    assert desk.now > 365 * 24 * HOUR


def test_at_maximum_speed_time_does_not_fly_before_a_host_has_talked():
    desk = Desk(MAXIMUM_SPEED)
    began = desk.now
    desk.live(10 * SECOND)
    assert desk.now - began == 10 * SECOND


def test_at_maximum_speed_the_host_has_50_ms_of_real_time_after_each_word():
    desk = Desk(MAXIMUM_SPEED)
    assert desk.ask(Ping(7), 1) == Pong(7)
    began = desk.now
    desk.live(QUIET_US - 1000)
    assert desk.now - began <= QUIET_US
    desk.live(2000)
    assert desk.now - began > HOUR


@pytest.mark.parametrize("speed", [60, 1_000_000, MAXIMUM_SPEED])
def test_a_session_lasts_as_long_as_in_real_time(speed):
    desk = Desk(speed)
    desk.ask(OpenSession(Role.CLINICIAN, 1, 1), 0)
    desk.live(29 * SECOND)
    assert desk.firmware.link.session is not None
    desk.ask(KeepAlive(), 1)
    desk.live(29 * SECOND)
    assert desk.firmware.link.session is not None
    desk.live(SECOND + SECOND // 20)
    assert desk.firmware.link.session is None


def test_time_keeps_its_pace_for_a_host_that_talks_while_a_device_that_minds_silence_delivers():
    desk = Desk(10, model="tens")
    silence_us = 1000 * desk.firmware.model.timing.host_silence_ms
    desk.ask(OpenSession(Role.SERVICE, 1, 1), 1)
    desk.ask(StartTherapy(1), 2)
    before = desk.now
    for number in range(3, 43):
        desk.live(silence_us // 200)
        desk.ask(KeepAlive(), number)
    assert desk.now - before > 1.9 * silence_us


def test_in_a_session_time_still_runs_ahead_to_what_is_due():
    desk = Desk(MAXIMUM_SPEED)
    desk.ask(OpenSession(Role.SERVICE, 1, 1), 0)
    desk.ask(StartTherapy(1), 1)
    desk.live(6 * QUIET_US)
    assert desk.firmware.device.state is State.THERAPY
    assert desk.firmware.link.session is not None


@pytest.mark.parametrize("speed", [1, 1000, MAXIMUM_SPEED])
def test_a_frame_in_two_parts_is_heard_at_any_speed(speed):
    desk = Desk(speed)
    frame = encode_frame(request_frame(Ping(7), 1))
    desk.send(frame[:9])
    desk.live(FRAME_US // 2)
    desk.send(frame[9:])
    assert [decode_reply(answer).body for answer in FrameReader().feed(desk.said, 0)] == [Pong(7)]


def test_at_maximum_speed_nothing_is_skipped_on_the_way_to_the_end_of_service():
    desk = Desk(MAXIMUM_SPEED, NEARLY_EMPTY)
    events = []
    desk.firmware.observers.append(lambda event, now: events.append((now, event)))
    requests = [OpenSession(Role.SERVICE, 1, 1), StartTherapy(1), CloseSession()]
    for number, request in enumerate(requests):
        desk.ask(request, number)
    while desk.firmware.device.state is not State.EOS:
        desk.live(SECOND // 100)
    simulation = Simulation(build_device(load("drg-primary"), seed=1, charge_permille=NEARLY_EMPTY))
    for at, request in zip(desk.sent_at, requests, strict=True):
        simulation.advance_to(at)
        simulation.ask(request)
    simulation.advance_to(desk.now)
    assert events == simulation.events
    assert desk.firmware.memory.log_entries() == simulation.firmware.memory.log_entries()
    at_its_end = desk.now
    desk.live(2 * SECOND)
    assert desk.now <= at_its_end + 3 * SECOND, "a device at its end is left in real time, to be asked"


class NothingDue:
    """A firmware that waits for nothing."""

    is_at_end = False

    def wake_at(self) -> None:
        return None

    def host_awaited_until(self) -> None:
        return None


def test_after_a_hundred_years_time_goes_on_in_real_time():
    for speed in (MAXIMUM_SPEED, 1_000_000):
        clock = ScaledTime(speed, started_at=LAST_US, real=0, real_clock=lambda: 0)
        assert clock.pass_time(NothingDue(), 5 * SECOND) == (LAST_US + 5 * SECOND, b"")


def test_real_time_is_the_plain_clock():
    assert isinstance(clock_at(1, started_at=0, real_clock=lambda: 0), RealTime)
