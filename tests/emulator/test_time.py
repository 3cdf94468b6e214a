"""Time on demand: paced, real, scaled or manual; and a device of this process that any port reaches by its name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from selectors import DefaultSelector
from typing import Any

import pytest
import serial
from ipg_emulator import argument_types
from ipg_emulator.clock import MANUAL_SPEED
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import load
from ipg_emulator.ports import Immediate
from ipg_emulator.ports.in_process import InProcess, Passing, offer, withdraw
from ipg_emulator.runner import Runner, Station
from ipg_emulator.snapshot import SnapshotError
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import FrameReader, Kind, Role, decode_event, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import GetTime, Ping, Pong
from ipg_protocol.commands.measurement import MeasureImpedance, MeasurementDone
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy, TherapyStateChanged
from ipg_protocol.vocabulary import State

MODEL = load("scs-rechargeable")
BOOTED = boot_finished_at(MODEL)
SECOND = 1_000_000
RAMP_SECONDS = 60


@pytest.fixture(autouse=True)
def _urls(monkeypatch):
    monkeypatch.setattr(serial, "protocol_handler_packages", ["ipg_emulator.ports"])


def new_ipg() -> VirtualIpg:
    return VirtualIpg(build_device(MODEL, seed=3))


def sent(request: Any, number: int = 1) -> bytes:
    return encode_frame(request_frame(request, number))


def pongs(data: bytes) -> list[int]:
    return [body.token for body in replies(data) if isinstance(body, Pong)]


def replies(data: bytes) -> list[Any]:
    return [decode_reply(frame).body for frame in FrameReader().feed(data, 0) if frame.kind is Kind.RESPONSE]


def events(data: bytes) -> list[Any]:
    return [decode_event(frame) for frame in FrameReader().feed(data, 0) if frame.kind is Kind.EVENT]


# In this process


def test_manual_time_stands_still_but_for_advance():
    port = serial.serial_for_url("ipg://scs-rechargeable?time=manual", timeout=0)
    for _ in range(3):
        assert port.read(10) == b""
    assert port.present() == BOOTED
    port.advance(5)
    assert port.present() == BOOTED + 5 * SECOND


def test_what_arrives_in_manual_time_is_answered_at_the_present():
    port = serial.serial_for_url("ipg://scs-rechargeable?time=manual", timeout=0)
    port.write(sent(Ping(7)))
    assert pongs(port.read(100)) == [7]
    assert port.present() == BOOTED


def test_in_manual_time_a_read_waits_until_another_thread_lets_time_pass():
    device = InProcess(new_ipg(), started_at=BOOTED, passing=Passing.MANUAL)
    device.write(sent(OpenSession(Role.SERVICE, 7, 1)))
    device.write(sent(StartTherapy(1)))
    device.read(10_000, 0)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(device.read(1, 20)))
    reader.start()
    assert reader.is_alive()
    device.advance(RAMP_SECONDS)
    reader.join()
    assert read == [b"\0"]


def test_in_manual_time_a_read_hears_what_somebody_else_does_to_the_device():
    device = InProcess(new_ipg(), started_at=BOOTED, passing=Passing.MANUAL)
    device.write(sent(OpenSession(Role.SERVICE, 7, 1)))
    device.clear()
    reader = threading.Thread(target=device.read, args=(1, 20))
    reader.start()
    device.surroundings.magnet(True)
    reader.join(10)
    assert not reader.is_alive()


def test_a_read_in_real_time_lets_other_threads_write():
    device = InProcess(new_ipg(), started_at=BOOTED, passing=Passing.REAL)
    size = len(sent(Ping(7)))
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(device.read(size, 20)))
    reader.start()
    device.write(sent(Ping(7)))
    reader.join()
    assert len(read[0]) == size


def test_what_is_there_to_be_read_is_forgotten_though_nobody_has_asked_for_it():
    device = InProcess(new_ipg(), started_at=BOOTED)
    device.write(sent(OpenSession(Role.SERVICE, 7, 1)))
    device.surroundings.magnet(True)
    device.clear()
    assert device.read(1000, 0) == b""


def test_an_advance_in_real_time_takes_none():
    device = InProcess(new_ipg(), started_at=BOOTED, passing=Passing.REAL)
    device.advance(86_400)
    assert BOOTED + 86_400 * SECOND <= device.present() < BOOTED + 86_500 * SECOND


def test_paced_is_another_word_for_virtual_time():
    for word in ("virtual", "paced"):
        port = serial.serial_for_url(f"ipg://scs-rechargeable?time={word}", timeout=10)
        port.read(1)
        assert (port.virtual, port.present()) == (True, BOOTED + 10 * SECOND)


def test_an_unknown_time_is_refused_with_those_that_there_are():
    with pytest.raises(serial.SerialException, match="time is one of virtual, paced, real, manual, not fast"):
        serial.serial_for_url("ipg://scs-rechargeable?time=fast")


# By name


@pytest.fixture
def device() -> Iterator[InProcess]:
    made = InProcess(new_ipg(), started_at=BOOTED)
    assert offer("bench", made) == "ipg://device/bench"
    yield made
    withdraw("bench")


def test_a_url_reaches_a_device_that_is_there_already(device):
    port = serial.serial_for_url("ipg://device/bench", timeout=0)
    device.advance(100)
    assert (port.ipg, port.present()) == (device.ipg, BOOTED + 100 * SECOND)
    port.write(sent(Ping(7)))
    assert pongs(port.read(100)) == [7]


def test_a_device_outlives_its_ports_and_a_new_port_begins_with_nothing_to_read(device):
    with serial.serial_for_url("ipg://device/bench", timeout=0) as first:
        first.write(sent(OpenSession(Role.SERVICE, 7, 1)))
    second = serial.serial_for_url("ipg://device/bench", timeout=0)
    assert second.read(1000) == b""
    second.write(sent(StartTherapy(1)))
    assert [type(body).__name__ for body in replies(second.read(1000))] == ["TherapyState"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ipg://device/bank", "no device is offered as 'bank' in this process; there are: bench"),
        ("ipg://device/bench?seed=3", "a device that is there already takes no options"),
    ],
)
def test_a_url_that_reaches_no_device_is_refused(device, url, words):
    with pytest.raises(serial.SerialException, match=words):
        serial.serial_for_url(url)


def test_a_name_is_taken_once(device):
    with pytest.raises(ValueError, match="another device is offered as 'bench'"):
        offer("bench", InProcess(new_ipg(), started_at=BOOTED))


def test_a_name_is_free_again_once_withdrawn(device):
    port = serial.serial_for_url("ipg://device/bench", timeout=0)
    withdraw("bench")
    with pytest.raises(serial.SerialException, match="there are: none"):
        serial.serial_for_url("ipg://device/bench")
    port.write(sent(Ping(7)))
    assert pongs(port.read(100)) == [7]
    offer("bench", device)


# At a port


class WirePort(Immediate):
    """A port in memory: what the device says is collected."""

    address = "wire"

    def __init__(self) -> None:
        self.said = b""

    def open(self, selector: Any, owner: object) -> None:
        """Nothing to register."""

    def receive(self, ready: object, now: int, /) -> bytes:
        return ready if isinstance(ready, bytes) else b""

    def send(self, data: bytes, now: int, /) -> bool:
        self.said += data
        return True

    def close(self) -> None:
        """Nothing to close."""

    def heard(self) -> bytes:
        heard, self.said = self.said, b""
        return heard


@pytest.fixture
def real(monkeypatch) -> list[int]:
    """The real time, which is the test's own."""
    now = [7 * SECOND]
    monkeypatch.setattr("ipg_emulator.runner.real_time", lambda: now[0])
    return now


@pytest.fixture
def station(real):
    def make(speed: float = 1) -> Station:
        return Station(new_ipg(), WirePort(), started_at=BOOTED, speed=speed)

    return make


def say(station: Station, request: Any, number: int, real: list[int]) -> bytes:
    station.receive(sent(request, number), real[0])
    return station.port.heard()


def test_a_station_in_manual_time_answers_and_stands_still(station, real):
    manual = station(MANUAL_SPEED)
    real[0] += 3600 * SECOND
    assert pongs(say(manual, Ping(7), 1, real)) == [7]
    assert (manual.present(), manual.wake_at()) == (BOOTED, None)


@pytest.mark.parametrize("speed", [1, 60, MANUAL_SPEED, argument_types.speed("max")])
def test_a_station_passes_time_at_once_at_any_speed(station, real, speed):
    passing = station(speed)
    passing.advance(3600)
    assert passing.present() == BOOTED + 3600 * SECOND


def test_a_station_goes_on_from_where_it_was_advanced_to(station, real):
    passing = station(2)
    passing.advance(3600)
    real[0] += SECOND
    assert passing.present() == BOOTED + 3602 * SECOND


def test_what_the_device_says_meanwhile_goes_out_of_the_port(station, real):
    passing = station(MANUAL_SPEED)
    say(passing, OpenSession(Role.SERVICE, 7, 1), 1, real)
    say(passing, StartTherapy(1), 1, real)
    passing.advance(RAMP_SECONDS)
    states = [event.state for event in events(passing.port.heard()) if isinstance(event, TherapyStateChanged)]
    assert State.THERAPY in states


def test_a_restored_station_goes_on_at_the_time_of_the_snapshot(station, real):
    passing = station(1)
    say(passing, OpenSession(Role.SERVICE, 7, 1), 1, real)
    kept = passing.snapshot()
    say(passing, StartTherapy(1), 1, real)
    real[0] += 20 * SECOND
    assert replies(say(passing, ReadTherapy(0), 2, real))[0].delivered_microamps > 0
    passing.restore(kept)
    assert passing.present() == kept.at_us
    real[0] += SECOND
    assert replies(say(passing, ReadTherapy(0), 2, real))[0].delivered_microamps == 0
    assert passing.present() == kept.at_us + SECOND


def test_a_station_refuses_the_snapshot_of_another_and_keeps_its_time(station, real):
    other = Station(VirtualIpg(build_device(MODEL, seed=4)), WirePort(), started_at=BOOTED)
    passing = station(MANUAL_SPEED)
    passing.advance(5)
    with pytest.raises(SnapshotError):
        passing.restore(other.snapshot())
    assert passing.present() == BOOTED + 5 * SECOND


class Beside:
    """Served beside a station, as a control channel is: it asks the device for something, once."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._due_at: int | None = 0

    def open(self, selector: DefaultSelector) -> None:
        """It waits for nothing but time."""

    def wake_at(self) -> int | None:
        return self._due_at

    def wake(self, real: int) -> None:
        self._due_at = None
        now = self._station.present()
        self._station.ipg.receive(sent(OpenSession(Role.SERVICE, 7, 1)), now)
        self._station.ipg.receive(sent(MeasureImpedance(0, 1)), now)
        self._station.present()

    def receive(self, ready: Any, real: int) -> None:
        """It has no descriptors."""

    def close(self) -> None:
        self.is_closed = True


class Happened(Exception):
    """What the test waits for."""


def test_a_station_is_woken_in_time_for_what_somebody_beside_it_has_begun(monkeypatch):
    def observe(event: Any, _: int) -> None:
        if isinstance(event, MeasurementDone):
            raise Happened

    monkeypatch.setattr("ipg_emulator.runner._exit_on_signals", lambda: None)
    station = Station(new_ipg(), WirePort(), started_at=BOOTED)
    station.ipg.firmware.observers.append(observe)
    runner, beside = Runner([station]), Beside(station)
    runner.serve(beside)
    with pytest.raises(Happened):
        runner.run(lambda: None, outlive_parent=True)
    assert beside.is_closed


@pytest.mark.parametrize(("text", "speed"), [("manual", 0.0), ("max", float("inf")), ("60", 60.0)])
def test_a_speed_is_a_factor_or_a_word(text, speed):
    assert argument_types.speed(text) == speed


def test_get_time_in_manual_time_follows_what_was_passed(station, real):
    passing = station(MANUAL_SPEED)
    before = replies(say(passing, GetTime(), 1, real))[0]
    passing.advance(90)
    after = replies(say(passing, GetTime(), 2, real))[0]
    assert after.uptime_milliseconds - before.uptime_milliseconds == 90_000
