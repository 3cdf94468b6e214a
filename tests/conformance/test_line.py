"""The line to a device and the pace of its time: neither is the device's fault, and neither excuses it without limit."""

from __future__ import annotations

from typing import Any

import pytest
from ipg_conformance import CASES, Profile, Unreachable, open_port, tester
from ipg_conformance.case import MOST_QUICK_VARIANTS
from ipg_conformance.cli import main
from ipg_conformance.clock import FRAME_SECONDS, Clock
from ipg_conformance.line import (
    LONGEST_ROUND_TRIP_SECONDS,
    LONGEST_SECONDS_PER_BYTE,
    NO_LINE,
    Line,
    measured,
)
from ipg_conformance.runner import line_to, run_cases, select
from ipg_protocol import request_frame
from ipg_protocol.commands.link import Ping, Pong

URL = "ipg://scs-rechargeable?seed=1"
SECONDS_PER_BYTE_AT_9600 = 10 / 9600


class Slow:
    """A port on a line that delivers each byte so long after the one before it, both ways, and all of them late."""

    def __init__(self, late_seconds: float = 0.0, seconds_per_byte: float = 0.0) -> None:
        self._device: Any = open_port(URL)
        self._late = late_seconds
        self._per_byte = seconds_per_byte
        self._now = 0.0
        self._to_device: list[tuple[float, bytes]] = []
        self._to_host: list[tuple[float, bytes]] = []
        self.timeout: float | None = None

    def monotonic(self) -> float:
        return self._now

    @property
    def in_waiting(self) -> int:
        return sum(at <= self._now for at, _ in self._to_host)

    def write(self, data: bytes, /) -> int:
        self._put(self._to_device, data)
        return len(data)

    def read(self, size: int = 1, /) -> bytes:
        deadline = self._now + (self.timeout or 0.0)
        while not self.in_waiting and self._now < deadline:
            self._pass_until(min([deadline, *(queue[0][0] for queue in (self._to_device, self._to_host) if queue)]))
        taken = [byte for at, byte in self._to_host if at <= self._now][:size]
        del self._to_host[: len(taken)]
        return b"".join(taken)

    def close(self) -> None:
        self._device.close()

    def _put(self, queue: list[tuple[float, bytes]], data: bytes) -> None:
        for byte in data:
            free_at = max(self._now, queue[-1][0] - self._late if queue else 0.0)
            queue.append((free_at + self._per_byte + self._late, bytes((byte,))))

    def _pass_until(self, at: float) -> None:
        self._device.timeout = max(at - self._now, 0.0)
        heard = self._device.read(1) if at > self._now else b""
        self._now = at
        self._put(self._to_host, heard + self._device.read(self._device.in_waiting))
        while self._to_device and self._to_device[0][0] <= self._now:
            self._device.write(self._to_device.pop(0)[1])
            self._put(self._to_host, self._device.read(self._device.in_waiting))


def on_line(**line: float) -> tester.Tester:
    measuring = tester.Tester(Slow(**line))
    measuring.line = measured(measuring)
    return measuring


def test_more_is_allowed_for_the_more_bytes() -> None:
    line = Line(0.1, 0.001)
    assert (line.allowance(0), line.allowance(200)) == (0.1, pytest.approx(0.3))


def test_device_in_this_process_has_no_line() -> None:
    assert line_to(open_port(URL)) == NO_LINE


def test_delay_is_measured_as_round_trip() -> None:
    line = on_line(late_seconds=0.05).line
    assert line.round_trip_seconds == pytest.approx(0.1, abs=0.001)
    assert line.seconds_per_byte == pytest.approx(0, abs=0.0001)


def test_pace_is_measured_as_seconds_per_byte() -> None:
    line = on_line(seconds_per_byte=SECONDS_PER_BYTE_AT_9600).line
    assert SECONDS_PER_BYTE_AT_9600 <= line.seconds_per_byte < 1.5 * SECONDS_PER_BYTE_AT_9600


def test_no_device_is_excused_beyond_the_slowest_of_lines() -> None:
    line = on_line(late_seconds=0.3, seconds_per_byte=0.006).line
    assert line == Line(LONGEST_ROUND_TRIP_SECONDS, LONGEST_SECONDS_PER_BYTE)


def test_answer_over_a_late_line_is_waited_for() -> None:
    late = on_line(late_seconds=0.2)
    assert late.answer_to(*sent(late), within=0.01).body == Pong(8)


def test_answer_behind_what_the_line_is_still_busy_with_is_waited_for() -> None:
    slow = on_line(seconds_per_byte=SECONDS_PER_BYTE_AT_9600)
    slow.send_bytes(b"\1" * 4000 + b"\0")
    assert slow.request(Ping(9)).body == Pong(9)


def test_line_excuses_no_more_than_it_takes() -> None:
    late = on_line(late_seconds=0.2)
    late.line = NO_LINE
    with pytest.raises(tester.NoAnswer, match=r"an answer within 0\.3 s"):
        late.answer_to(*sent(late), within=0.3)


def sent(by: tester.Tester) -> tuple[int, int]:
    """Opcode and id of a PING that was sent."""
    ping = request_frame(Ping(8), 0)
    return ping.opcode, by.send(ping.opcode, ping.payload)


def test_silent_port_is_not_measured() -> None:
    with pytest.raises(Unreachable, match="nothing answers"):
        line_to(Slow(late_seconds=60))


def test_case_passes_over_a_line_of_9600_baud_that_is_late() -> None:
    port = Slow(late_seconds=0.05, seconds_per_byte=SECONDS_PER_BYTE_AT_9600)
    results = run_cases(
        port, select(Profile.QUICK, ["FRM/OVERSIZE/BV-01", "CMD/VALID/BV-01/GET_CAPABILITIES", "THR/STOP/LT-02"])
    )
    assert [result.what for result in results if result.verdict != "PASS"] == []


def test_time_passes_as_fast_as_the_device_s() -> None:
    real = [0.0]
    clock = Clock(lambda: real[0], 10)
    real[0] = 2.0
    assert clock() == 20
    assert clock.real_seconds(5) == 0.5


def test_time_does_not_hurry_in_the_middle_of_a_frame() -> None:
    real = [0.0]
    clock = Clock(lambda: real[0], 10)
    clock.wrote(b"\0half")
    assert clock.real_seconds(0.3) == pytest.approx(FRAME_SECONDS + 0.01)
    real[0] = FRAME_SECONDS / 2
    assert clock() == pytest.approx(FRAME_SECONDS / 2)
    clock.wrote(b"of one\0")
    real[0] += 1.0
    assert clock() == pytest.approx(FRAME_SECONDS / 2 + 10)


@pytest.mark.parametrize("speed", ["0", "-1", "1000", "nan", "inf", "max", ""])
def test_wrong_speed_is_told(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--target", "somewhere", f"--speed={speed}"])
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument --speed: {speed!r} is not a number from 0.1 to 100")


def test_emulator_in_this_process_takes_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--target", URL, "--speed", "10"])
    assert "a time of its own" in capsys.readouterr().err.splitlines()[-1]


def test_quick_profile_takes_some_of_many_variants() -> None:
    quick, whole = ([case.id for case in select(profile, ["CMD/ROLE/BV-01"])] for profile in Profile)
    assert quick == whole
    chosen = [case.id for case in select(Profile.QUICK) if case.id.startswith("CMD/ROLE/BV-01/")]
    assert len(chosen) == MOST_QUICK_VARIANTS
    assert (chosen[0], chosen[-1]) == (whole[0], whole[-1])


def test_quick_profile_proves_each_requirement_that_takes_no_long_wait() -> None:
    quick = {name for case in select(Profile.QUICK) for name in case.requirements}
    whole = {name for case in CASES.values() for name in case.requirements}
    assert whole - quick == {"REQ-DOS-002", "REQ-HST-001", "REQ-SCH-003", "REQ-SES-003", "REQ-USE-001"}
