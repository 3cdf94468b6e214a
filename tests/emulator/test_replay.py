"""Replays: a recorded device answers as it did then, and tells the first thing in which the host departs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import serial
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import load
from ipg_emulator.replay import DRAWN_BY_HOSTS, Replay
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import Frame, Kind, Role, encode_frame, request_frame
from ipg_protocol.command import Request
from ipg_protocol.commands.link import GetStatus, Identify, Ping, SelfTest
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ScheduleRow, SetAmplitude, StartTherapy, StepAmplitude, WriteSchedule
from ipg_protocol.trace import Head, Record, Towards, encode_head, encode_record

Said = list[tuple[int, bytes]]
CONVERSATION: tuple[Request[Any], ...] = (
    OpenSession(Role.CLINICIAN, host_id=7, nonce=1),
    GetStatus(),
    SetAmplitude(1, 0, 3000),
    StartTherapy(2),
    Ping(9),
)


def wires(requests: tuple[Request[Any], ...]) -> list[bytes]:
    return [encode_frame(request_frame(request, number)) for number, request in enumerate(requests, 1)]


def record_of(requests: tuple[Request[Any], ...], gap_us: int = 300_000) -> list[Record]:
    """What a device and a host say that sends these, one after the other."""
    model = load("scs-rechargeable")
    ipg, now = VirtualIpg(build_device(model, seed=1)), boot_finished_at(model)
    records: list[Record] = []
    ipg.watchers.append(records.append)
    for wire in wires(requests):
        ipg.receive(wire, now)
        ipg.take_output(now)
        end = now + gap_us
        while (at := ipg.wake_at()) is not None and at <= end:
            ipg.wake(at)
            ipg.take_output(at)
        now = end
    return records


def play(replay: Replay, sent: list[bytes], gap_us: int = 300_000) -> Said:
    """What a host is told that sends this, and when."""
    said: Said = []
    for number, data in enumerate(sent):
        now = number * gap_us
        replay.receive(data, now)
        said.append((now, replay.take_output(now)))
        while (at := replay.wake_at()) is not None and at <= now + gap_us:
            said.append((at, replay.take_output(at)))
    return [(at, data) for at, data in said if data]


RECORDS = record_of(CONVERSATION)


def test_a_host_that_does_the_same_is_told_the_same_at_the_same_times() -> None:
    replay = Replay(RECORDS)
    begun = RECORDS[0].at_us
    heard = merged([(record.at_us - begun, record.data) for record in RECORDS if record.to is Towards.HOST])
    assert merged(play(replay, wires(CONVERSATION))) == heard
    assert replay.is_over
    assert replay.departure is None
    assert replay.answered == replay.requests == 5


def merged(said: Said) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for at, data in said:
        found[at] = found.get(at, b"") + data
    return found


def test_an_answer_comes_as_long_after_its_request_as_it_came_then() -> None:
    records = record_of((CONVERSATION[0], SelfTest()), gap_us=3_000_000)
    place = max(place for place, record in enumerate(records) if record.to is Towards.DEVICE)
    replay = Replay(records)
    first, second = wires((CONVERSATION[0], SelfTest()))
    replay.receive(first, 5_000_000)
    assert replay.take_output(5_000_000)
    replay.receive(second, 15_000_000)
    replay.take_output(14_999_999)
    heard: dict[int, bytes] = {}
    while (at := replay.wake_at()) is not None:
        heard[at] = replay.take_output(at)
    later = [(15_000_000 + record.at_us - records[place].at_us, record.data) for record in records[place + 1 :]]
    assert heard == merged(later)
    assert max(heard) > 15_500_000


@pytest.mark.parametrize(
    ("place", "request_sent", "words"),
    [
        (2, SetAmplitude(1, 0, 2000), "request 3 of 5: SET_AMPLITUDE, field amplitude_microamps: recorded 3000, got 2000"),
        (2, SetAmplitude(8, 0, 2000), "request 3 of 5: SET_AMPLITUDE, field transaction: recorded 1, got 8"),
        (0, OpenSession(Role.SERVICE, 7, 1), "request 1 of 5: OPEN_SESSION, field role: recorded CLINICIAN, got SERVICE"),
        (1, Identify(), "request 2 of 5: recorded REQUEST 2 GET_STATUS, got REQUEST 2 IDENTIFY"),
    ],
)
def test_the_first_difference_is_told_with_request_command_and_field(
    place: int, request_sent: Request[Any], words: str
) -> None:
    changed = (*CONVERSATION[:place], request_sent, *CONVERSATION[place + 1 :])
    replay = Replay(RECORDS)
    play(replay, wires(changed))
    assert str(replay.departure) == words
    assert not replay.is_over


def test_rows_that_differ_are_told_row_by_row() -> None:
    replay = Replay(record_of((WriteSchedule(1, (ScheduleRow(480, 60, 2),)),)))
    play(replay, wires((WriteSchedule(1, ()),)))
    assert str(replay.departure) == (
        "request 1 of 1: WRITE_SCHEDULE, field rows: recorded [minute_of_day=480 duration_minutes=60 program=2], got []"
    )


def test_another_number_of_a_request_is_a_difference() -> None:
    replay = Replay(RECORDS)
    play(replay, [wires(CONVERSATION)[0], encode_frame(request_frame(GetStatus(), 5))])
    assert str(replay.departure) == "request 2 of 5: GET_STATUS, field request_id: recorded 2, got 5"


def test_a_payload_that_fits_no_layout_is_compared_as_it_is() -> None:
    replay = Replay(RECORDS)
    play(replay, [wires(CONVERSATION)[0], encode_frame(Frame(Kind.REQUEST, 3, 2, b"\1\2"))])
    assert str(replay.departure) == "request 2 of 5: GET_STATUS, field payload: recorded nothing, got 0102"


def test_after_a_departure_nothing_more_is_said() -> None:
    replay = Replay(RECORDS)
    sent = wires(CONVERSATION)
    assert len(play(replay, [sent[1], *sent])) == 0
    assert (replay.departure and replay.departure.request) == 1


def test_what_a_host_draws_anew_may_differ_and_more_if_asked_for() -> None:
    drawn = (OpenSession(Role.CLINICIAN, host_id=77, nonce=8), GetStatus(), SetAmplitude(1, 0, 2000), *CONVERSATION[3:])
    exact, lenient = Replay(RECORDS, ignore=()), Replay(RECORDS, ignore=DRAWN_BY_HOSTS | {"amplitude_microamps"})
    play(exact, wires(drawn))
    play(lenient, wires(drawn))
    assert str(exact.departure) == "request 1 of 5: OPEN_SESSION, field host_id: recorded 7, got 77"
    assert lenient.is_over


def test_a_host_that_sends_less_or_more_departs() -> None:
    less, more = Replay(RECORDS), Replay(RECORDS)
    play(less, wires(CONVERSATION)[:3])
    less.end()
    assert (
        str(less.departure) == "request 4 of 5: recorded REQUEST 4 START_THERAPY transaction=2, but the host has sent no more"
    )
    play(more, [*wires(CONVERSATION), encode_frame(request_frame(Ping(1), 6))])
    assert str(more.departure) == "request 6 of 5: the trace ends before it, but the host has sent REQUEST 6 PING token=1"


def test_acknowledgements_noise_and_cuts_may_come_as_they_will() -> None:
    replay = Replay(RECORDS)
    acknowledgement = encode_frame(Frame(Kind.EVENT_ACK, 0, 2))
    stream = b"".join((b"\1\2\0", acknowledgement, *wires(CONVERSATION), b"\7"))
    play(replay, [stream[place : place + 1] for place in range(len(stream))], gap_us=1)
    assert replay.departure is None
    assert replay.answered == 5


def test_what_did_not_pass_is_not_replayed() -> None:
    dropped = [msgspec.structs.replace(record, why="line: dropped") for record in RECORDS]
    replay = Replay([*RECORDS[:2], *dropped[2:4], *RECORDS[4:]])
    assert replay.requests == 5 - sum(record.to is Towards.DEVICE for record in dropped[2:4])


def test_a_trace_of_nothing_is_followed_by_saying_nothing() -> None:
    assert Replay([]).is_over


# The command


def write_trace(path: Path, records: list[Record]) -> str:
    head = Head(model="scs-rechargeable", serial="VIPG-00000001", seed=1)
    path.write_bytes(b"".join((encode_head(head), *map(encode_record, records))))
    return str(path)


@pytest.fixture
def replayed() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ipg_emulator", "replay", *options]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().split()[-1]


SHORT = (Ping(1), GetStatus(), Ping(2))
SHORT_RECORDS = record_of(SHORT, gap_us=1_000)


def speak(where: str, requests: tuple[Request[Any], ...]) -> None:
    with serial.serial_for_url(where, timeout=5) as port:
        for wire in wires(requests):
            port.write(wire)
            port.read_until(b"\0", 2)
            port.read_until(b"\0")


@pytest.mark.parametrize("port", [(), ("--tcp", "0")])
def test_a_replay_ends_well_once_the_host_has_followed_it(
    port: tuple[str, ...], replayed: Callable[..., Any], tmp_path: Path
) -> None:
    process = replayed(write_trace(tmp_path / "t.jsonl", SHORT_RECORDS), *port)
    speak(address(process), SHORT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "ipg-emulator: t.jsonl: the host has followed all 3 requests\n")


def test_a_replay_ends_with_1_at_the_first_difference(replayed: Callable[..., Any], tmp_path: Path) -> None:
    process = replayed(write_trace(tmp_path / "t.jsonl", SHORT_RECORDS))
    with serial.serial_for_url(address(process), timeout=5) as port:
        port.write(wires((Ping(4),))[0])
        _, errors = process.communicate(timeout=10)
    words = "the host departs from the trace at request 1 of 3: PING, field token: recorded 1, got 4"
    assert (process.returncode, errors) == (1, f"ipg-emulator: t.jsonl: {words}\n")


def test_a_replay_that_is_stopped_before_its_end_says_what_was_still_to_come(
    replayed: Callable[..., Any], tmp_path: Path
) -> None:
    process = replayed(write_trace(tmp_path / "t.jsonl", SHORT_RECORDS))
    address(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors.endswith("request 1 of 3: recorded REQUEST 1 PING token=1, but the host has sent no more\n")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("none.jsonl",), 2, "none.jsonl: No such file or directory"),
        (("broken.jsonl",), 2, "broken.jsonl: line 1 is not a head"),
        (("broken.jsonl", "--ignore", "colour"), 2, "'colour' is not a field of any request"),
    ],
)
def test_a_replay_that_cannot_begin_says_why_in_a_line(
    options: tuple[str, ...], code: int, words: str, replayed: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "broken.jsonl").write_text("{}\n")
    process = replayed(*(str(tmp_path / option) if option.endswith("jsonl") else option for option in options))
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (code, "")
    assert words in errors
    assert "Traceback" not in errors


def test_relative_steps_are_compared_too() -> None:
    stepped = (*CONVERSATION[:1], StepAmplitude(1, 0, 1, 1))
    replay = Replay(record_of(stepped))
    play(replay, wires((*CONVERSATION[:1], StepAmplitude(1, 0, 2, 1))))
    assert str(replay.departure) == "request 2 of 2: STEP_AMPLITUDE, field steps: recorded 1, got 2"
