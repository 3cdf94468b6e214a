"""Runs that do not come to their end: interrupted, or on a device that goes away, is slow, silent, or talks without end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ipg_conformance import CASES, Port, Profile, Result, Unreachable, Verdict, open_port, run_cases, tester
from ipg_conformance.cli import main
from ipg_conformance.cli.interruption import in_order
from ipg_conformance.cli.running import NOT_STOPPED
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure
from ipg_conformance.report import read_report
from ipg_conformance.runner import select
from ipg_emulator.firmware.dispatch import HANDLERS, Context
from ipg_emulator.firmware.refusal import Refused
from ipg_protocol import EVENT_OF, Frame, Kind, State, Status, encode_frame
from ipg_protocol.commands.link import DeviceStatus, GetStatus
from ipg_protocol.commands.log import LogCode, ReadLog
from ipg_protocol.commands.modes import MagnetChanged
from ipg_protocol.commands.therapy import StopTherapy
from ipg_protocol.refusal import StateDetail

URL = "ipg://scs-rechargeable?seed=1"
EMULATOR = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--seed", "1"]
SUITE = [sys.executable, "-m", "ipg_conformance", "run", "--allow", "output,destructive", "--target"]
LONG_CASE_WITH_THERAPY = "SES/IDLE/LT-01"


class Passing:
    """A port that passes everything on, for others to spoil."""

    def __init__(self, url: str = URL) -> None:
        self.device: Any = open_port(url)
        self.timeout: float | None = None

    def monotonic(self) -> float:
        return float(self.device.monotonic())

    @property
    def in_waiting(self) -> int:
        return int(self.device.in_waiting)

    def read(self, size: int = 1, /) -> bytes:
        self.device.timeout = self.timeout
        return bytes(self.device.read(max(size, self.in_waiting)))

    def write(self, data: bytes, /) -> int:
        self.device.write(data)
        return len(data)

    def close(self) -> None:
        self.device.close()


class Vanishing(Passing):
    """It is gone after so many writes, and comes back as `open_port` finds it."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._left = writes

    def write(self, data: bytes, /) -> int:
        self._left -= 1
        if self._left < 0:
            raise OSError("Input/output error")
        return super().write(data)


class Late(Passing):
    """Whatever the device sends arrives so many seconds later."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._on_its_way: list[tuple[float, bytes]] = []

    def read(self, size: int = 1, /) -> bytes:
        deadline = self.monotonic() + (self.timeout or 0)
        while True:
            if self._on_its_way and self._on_its_way[0][0] <= self.monotonic():
                return self._on_its_way.pop(0)[1]
            arrives = self._on_its_way[0][0] if self._on_its_way else deadline
            if (left := min(arrives, deadline) - self.monotonic()) <= 0:
                return b""
            self.device.timeout = max(left, 1e-5)
            if data := self.device.read(max(1, self.in_waiting)):
                self._on_its_way.append((self.monotonic() + self._seconds, bytes(data)))


class Stalling(Passing):
    """Each answer comes in two halves, the second so many seconds after the first."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._rest = b""

    def read(self, size: int = 1, /) -> bytes:
        if self._rest:
            self.device.timeout = self._seconds
            data, self._rest = self._rest + bytes(self.device.read(1)), b""
            return data
        data = super().read(size)
        self._rest = data[len(data) // 2 :]
        return data[: len(data) // 2]


class Mute(Passing):
    """It hears everything, and answers nothing any more after so many writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._left = writes

    def write(self, data: bytes, /) -> int:
        self._left -= 1
        return super().write(data)

    def read(self, size: int = 1, /) -> bytes:
        data = super().read(size)
        return data if self._left >= 0 else b""


class Flooding(Passing):
    """Between what the device sends come events without end, by their number: the same, 0, or rising."""

    def __init__(self, step: int, first: int) -> None:
        super().__init__(f"{URL}&time=real")
        self._step = step
        self._number = first

    def read(self, size: int = 1, /) -> bytes:
        self.timeout = min(self.timeout or 0, 0.001)
        flood = b""
        for _ in range(20):
            self._number += self._step
            flood += encode_frame(Frame(Kind.EVENT, EVENT_OF[MagnetChanged].opcode, self._number, b"\1"))
        return super().read(size) + flood


class Babbling:
    """No device: an event each millisecond, and never an answer. Its time passes as it is read."""

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.in_waiting = 0
        self._events = 0

    def monotonic(self) -> float:
        return self._events / 1000

    def read(self, size: int = 1, /) -> bytes:
        self._events += 1
        return encode_frame(Frame(Kind.EVENT, EVENT_OF[MagnetChanged].opcode, self._events, b"\1"))[: max(size, 64)]

    def write(self, data: bytes, /) -> int:
        return len(data)

    def close(self) -> None: ...


def told(port: Port, only: list[str]) -> tuple[list[Result], Exception | None]:
    """What a run's listener heard, and what ended the run."""
    heard: list[Result] = []
    try:
        run_cases(port, select(Profile.FULL, only), heard.append)
    except Unreachable as error:
        return heard, error
    return heard, None


def state(port: Port) -> State:
    body = tester.Tester(port).request(GetStatus()).body
    assert isinstance(body, DeviceStatus)
    return body.state


@pytest.mark.parametrize("writes", [13, 20, 40])
def test_case_in_which_the_device_goes_away_is_inconclusive_and_the_last(writes: int) -> None:
    heard, error = told(Vanishing(writes), ["THR/STOP"])
    assert isinstance(error, Unreachable)
    assert [result.verdict for result in heard][-1] is Verdict.INCONCLUSIVE
    assert all(result.verdict is Verdict.PASS for result in heard[:-1])


def test_device_that_is_gone_before_the_first_case_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="the port is gone"):
        run_cases(Vanishing(0), select(Profile.QUICK, ["FRM"]))


def test_slow_device_is_not_what_it_should_be() -> None:
    heard, error = told(Late(0.3), ["FRM/ANSWER", "CMD/VALID/BV-01/PING", "IDN"])
    verdicts = {result.case: result.verdict for result in heard}
    assert error is None
    assert verdicts.pop("FRM/ANSWER/LT-01") is Verdict.NON_STRICT
    assert set(verdicts.values()) <= {Verdict.PASS, Verdict.NOT_APPLICABLE}


def test_line_that_stalls_in_the_middle_of_a_frame_loses_nothing() -> None:
    heard, error = told(Stalling(0.25), ["IDN/IDENTIFY", "CMD/VALID/BV-01/PING"])
    assert error is None
    assert {result.verdict for result in heard} == {Verdict.PASS}


def test_device_that_answers_after_two_seconds_fails_and_is_not_waited_for_without_end() -> None:
    port = Late(2.0)
    heard, error = told(port, ["THR/STOP", "IDN"])
    assert error is None
    assert {result.verdict for result in heard} <= {Verdict.FAIL}
    assert port.monotonic() < 100


def test_device_that_falls_silent_fails_and_ends_the_run() -> None:
    port = Mute(60)
    heard, error = told(port, ["THR"])
    assert error is None
    assert [result.verdict for result in heard][-3:] == [Verdict.FAIL] * 3
    assert len(heard) < 10


def test_silent_device_is_told_to_stop() -> None:
    port = Mute(60)
    told(port, ["THR"])
    assert state(port.device) is State.IDLE


def test_device_that_refuses_to_stop_is_not_taken_for_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: StopTherapy, __: Context) -> None:
        raise Refused(Status.WRONG_STATE, StateDetail(State.THERAPY))

    said: list[bool] = []
    chosen = select(Profile.FULL, ["FRM/DELIMITERS"])
    run_cases(open_port(URL), chosen, on_leaving=said.append)
    monkeypatch.setitem(HANDLERS, StopTherapy, refused)
    run_cases(open_port(URL), chosen, on_leaving=said.append)
    assert said == [True, False]


@pytest.mark.parametrize(("step", "first"), [(0, 77), (0, 0), (1, 1000)], ids=["the same event", "unnumbered", "ever new"])
def test_device_that_floods_events_fails(step: int, first: int) -> None:
    heard, error = told(Flooding(step, first), ["FRM/DELIMITERS", "FRM/ANSWER", "EVT/NUMBER"])
    assert error is None
    assert Verdict.FAIL in {result.verdict for result in heard}
    assert Verdict.ERROR not in {result.verdict for result in heard}


def test_device_that_does_nothing_but_send_events_is_not_waited_for_without_end() -> None:
    port = Babbling()
    with pytest.raises(Unreachable, match="bytes came, but no answer: 3 PINGs were sent"):
        run_cases(port, select(Profile.QUICK, ["FRM"]))
    assert port.monotonic() < 10


def test_event_that_comes_too_often_fails_by_its_requirement() -> None:
    (result,), _ = told(Flooding(0, 77), ["FRM/EMPTY/BV-01"])
    assert (result.verdict, result.what) == (
        Verdict.FAIL,
        "an event is sent 5 times at most, afresh after each OPEN_SESSION (REQ-EVT-001)",
    )


def test_fault_of_a_case_is_an_error_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = CASES["THR/STOP/LT-02"]

    def wrong(device: Device) -> None:
        device.begin_therapy()
        raise RuntimeError("a slip")

    monkeypatch.setitem(broken.__dict__, "function", wrong)
    heard, _ = told(open_port(URL), ["THR/STOP/LT-01", "THR/STOP/LT-02"])
    assert [result.verdict for result in heard] == [Verdict.PASS, Verdict.ERROR]


def spoiled(monkeypatch: pytest.MonkeyPatch, port: Passing) -> None:
    def opened(_: str) -> Port:
        return port

    monkeypatch.setattr("ipg_conformance.cli.running.open_port", opened)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_run_of_which_the_device_goes_away_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled(monkeypatch, Vanishing(40))
    assert main(["run", "--target", URL, "--only", "THR/STOP"]) == 3
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("UNREACHABLE core 1.0: ")
    assert "not run" in said[-1]
    assert said[-2].startswith("ended early: the device went away: the port is gone: Input/output error")


def test_run_on_a_device_that_falls_silent_says_that_therapy_may_be_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spoiled(monkeypatch, Mute(60))
    assert main(["run", "--target", URL, "--only", "THR", "--out", str(tmp_path)]) == 1
    assert f"\n{NOT_STOPPED}\n" in capsys.readouterr().out
    assert read_report(tmp_path / "report.json").run.notes == (NOT_STOPPED,)


def test_run_that_failed_before_the_device_went_away_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unfit(_: Device) -> None:
        raise Failure("the state", expected="IDLE", got="FAULT")

    spoiled(monkeypatch, Vanishing(30))
    monkeypatch.setitem(CASES["FRM/ANSWER/BV-01"].__dict__, "function", unfit)
    assert main(["run", "--target", URL, "--only", "FRM/ANSWER", "THR/STOP"]) == 1
    assert last_line(capsys).startswith("NOT CONFORMANT")


def test_inconclusive_run_ends_with_4(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ipg_conformance.tester.VIRTUAL_CASE_SECONDS", 0.0)
    monkeypatch.setitem(CASES["SES/IDLE/LT-01"].__dict__, "timeout_seconds", 1.0)
    assert main(["run", "--target", URL, "--only", "SES/IDLE/LT-01", "FRM/EMPTY"]) == 4
    assert last_line(capsys).startswith("INCONCLUSIVE core 1.0: 3 pass, 0 fail, 1 inconclusive, 0 n/a; ")


def test_run_with_a_fault_of_its_own_ends_with_5(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(_: Device) -> None:
        raise RuntimeError("a slip")

    monkeypatch.setitem(CASES["THR/STOP/LT-02"].__dict__, "function", wrong)
    assert main(["run", "--target", URL, "--only", "THR/STOP/LT-01", "THR/STOP/LT-02"]) == 5
    printed = capsys.readouterr().out
    assert "RuntimeError: a slip" in printed
    assert printed.splitlines()[-1].startswith("SUITE ERROR core 1.0: 1 pass, 0 fail, 0 n/a, 1 error; ")


def test_interrupted_run_tells_what_it_found_and_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(device: Device) -> None:
        device.begin_therapy()
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setitem(CASES["THR/STOP/LT-02"].__dict__, "function", interrupted)
    port = Passing()
    monkeypatch.setattr(port, "close", lambda: None)
    spoiled(monkeypatch, port)
    assert main(["run", "--target", URL, "--only", "THR/STOP/LT-01", "THR/STOP/LT-02"]) == 130
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "ended early: interrupted",
        "INTERRUPTED core 1.0: 1 pass, 0 fail, 0 n/a, 1 not run; 2/116 MUST covered",
    ]
    assert state(port.device) is State.IDLE


@pytest.fixture
def minded() -> Iterator[None]:
    """Whoever runs the tests in the background has a shell that lets them, and what they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("minded")
def test_second_signal_does_not_break_the_stopping() -> None:
    steps: list[str] = []

    def be_interrupted_twice() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGTERM)
            steps.append("stopped")

    with pytest.raises(KeyboardInterrupt), in_order():
        be_interrupted_twice()
    assert steps == ["stopped"]


def test_signals_are_as_before_after_a_run() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with in_order():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with in_order():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def emulator(*options: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([*EMULATOR, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout is not None
        try:
            yield device, device.stdout.readline().split()[-1]
        finally:
            device.kill()


@contextmanager
def suite(target: str) -> Generator[subprocess.Popen[str]]:
    """A run in a case that gives therapy for half a minute."""
    command = [*SUITE, target, "--only", LONG_CASE_WITH_THERAPY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        time.sleep(3)
        assert run.poll() is None
        try:
            yield run
        finally:
            run.kill()


@pytest.mark.usefixtures("minded")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "TERM"])
def test_signal_stops_the_therapy_of_a_device_on_a_port(number: signal.Signals) -> None:
    with emulator() as (_, target), suite(target) as run:
        run.send_signal(number)
        said, _ = run.communicate(timeout=10)
        port = open_port(target)
        device = Device(tester.Tester(port))
        assert device.status().state is State.IDLE
        device.open_session()
        codes = [row.code for row in device.ask(ReadLog(0)).rows]
        port.close()
    assert run.returncode == 130, said
    assert said.splitlines()[-1].startswith("INTERRUPTED core 1.0: ")
    assert LogCode.THERAPY_STARTED in codes


@pytest.mark.parametrize("options", [(), ("--tcp", "0")], ids=["pty", "tcp"])
def test_killed_device_ends_the_run(options: tuple[str, ...]) -> None:
    with emulator(*options) as (device, target), suite(target) as run:
        device.kill()
        said, _ = run.communicate(timeout=15)
    assert run.returncode == 3, said
    assert "INCONCLUSIVE SES/IDLE/LT-01" in said
    assert "therapy could not be stopped" in said
    assert "Traceback" not in said
