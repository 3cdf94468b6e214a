"""Explained silence: every byte that reaches a device is answered, acknowledged, or told of with the reason; and its files."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
import serial
from ipg_emulator.appending import AppendedFile
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.firmware import Hung
from ipg_emulator.faults.injector import inject
from ipg_emulator.firmware.layout import EVENTS_KEPT
from ipg_emulator.firmware.link import OUTPUT_LIMIT
from ipg_emulator.model import load
from ipg_emulator.tracing import LiveTrace, trace_to
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import CATALOGUE, Frame, FrameReader, Kind, Role, encode_frame, request_frame
from ipg_protocol.capture import read_capture
from ipg_protocol.command import Request
from ipg_protocol.commands.link import GetCapabilities, GetStatus, Identify, Ping, Reset, ResetCause, SelfTest
from ipg_protocol.commands.log import ReadLog
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.describe import describe_records
from ipg_protocol.dissector import dissector
from ipg_protocol.trace import Record, Towards, read_trace

COMMAND = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable"]


class Traced:
    """A device whose every record is kept, and the time."""

    def __init__(self, model_name: str = "scs-rechargeable") -> None:
        model = load(model_name)
        self.ipg = VirtualIpg(build_device(model, seed=1))
        self.now = boot_finished_at(model)
        self.records: list[Record] = []
        self.ipg.watchers.append(self.records.append)
        self._ids = count(1)

    def send(self, *data: bytes) -> None:
        for each in data:
            self.now += 1_000
            self.ipg.receive(each, self.now)
            self.ipg.take_output(self.now)

    def request(self, request: Request[Any]) -> bytes:
        wire = encode_frame(request_frame(request, next(self._ids)))
        self.send(wire)
        return wire

    def open(self) -> None:
        self.request(OpenSession(Role.SERVICE, host_id=7, nonce=1))

    def advance(self, seconds: float) -> None:
        end = self.now + round(seconds * 1_000_000)
        while (at := self.ipg.wake_at()) is not None and at <= end:
            self.ipg.wake(at)
            self.ipg.take_output(at)
        self.now = end
        self.ipg.wake(end)

    def told(self, to: Towards = Towards.DEVICE) -> list[tuple[bytes, str]]:
        return [(record.data, record.why) for record in self.records if record.why and record.to is to]


@pytest.fixture
def traced() -> Traced:
    return Traced()


PING = encode_frame(request_frame(Ping(1), 1))
UNFINISHED = "device: the frame was not finished within 200 ms"
BAD_CRC = PING[:-2] + bytes((PING[-2] ^ 1 or 2,)) + b"\0"


def body(kind: int) -> bytes:
    """What is between the delimiters of a frame whose kind byte is this, and all else right."""
    from cobs import cobs
    from ipg_protocol import crc32c

    covered = bytes((kind, 0, 1, 0, 9, 0, 0, 0))
    return bytes(cobs.encode(covered + crc32c(covered).to_bytes(4, "little")))


@pytest.mark.parametrize(
    ("dropped", "why"),
    [
        (BAD_CRC.strip(b"\0"), "the CRC is wrong"),
        (b"\x05\x01", "it is not COBS"),
        (b"\1\2\3", "it is too short for a frame"),
        (b"a" * 300, "it is longer than any frame"),
        (body(0x15), "HANDSHAKE is reserved"),
        (body(0x16), "SECURE is reserved"),
        (body(0x19), "there is no kind 9"),
        (body(0x21), "it is of the protocol's version 2, which is not spoken here"),
    ],
)
def test_noise_is_told_with_its_reason_and_counted(dropped: bytes, why: str, traced: Traced) -> None:
    traced.send(b"\0" + dropped + b"\0")
    assert traced.told() == [(dropped, f"device: {why}")]
    assert traced.ipg.silences == Counter({f"device: {why}": 1})


def test_a_frame_that_is_not_finished_is_told_of_after_200_ms_though_nothing_more_comes(traced: Traced) -> None:
    traced.send(PING[:6])
    sent_at = traced.now
    traced.advance(0.199_999)
    assert traced.told() == []
    traced.advance(0.000_001)
    assert traced.records[-1] == Record(sent_at + 200_000, Towards.DEVICE, PING[1:6], UNFINISHED)


def test_what_comes_after_200_ms_finds_the_unfinished_frame_given_up(traced: Traced) -> None:
    traced.send(PING[:6])
    traced.now += 200_000
    traced.send(PING)
    assert traced.told() == [(PING[1:6], UNFINISHED)]
    assert traced.ipg.firmware.link.statistics().noise_timed_out == 1


def test_requests_that_wait_for_firmware_that_hangs_are_told_when_the_watchdog_ends_it(traced: Traced) -> None:
    inject(traced.ipg, Hung(watchdog_ms=150), traced.now)
    traced.send(PING + b"\1\2")
    traced.advance(1)
    assert traced.told() == [
        (PING, "device: it died and restarted before it had served this"),
        (b"\1\2", "device: it died and restarted in the middle of the frame"),
    ]


@pytest.mark.parametrize("kind", [Kind.RESPONSE, Kind.EVENT])
def test_a_frame_of_a_kind_that_is_not_for_a_device_is_told(kind: Kind, traced: Traced) -> None:
    frame = encode_frame(Frame(kind, 1, 5, b"\0\0\1\2\3\4"))
    traced.send(frame)
    assert traced.told() == [(frame, f"device: the kind {kind.name} is not for a device")]


def test_an_acknowledgement_is_told_if_no_event_waits_for_it(traced: Traced) -> None:
    traced.open()
    good, never, again = (encode_frame(Frame(Kind.EVENT_ACK, 0, number)) for number in (1, 999, 1))
    traced.send(good, never, again)
    why = "device: it acknowledges no event that waits for it"
    assert traced.told() == [(never, why), (again, why)]


def test_what_reaches_a_device_without_power_is_told() -> None:
    traced = Traced("pns-battery-free")
    traced.ipg.firmware.power_lost(traced.now)
    traced.send(PING)
    assert traced.told() == [(PING, "device: it has no power")]


def test_what_the_device_would_have_said_is_told_when_its_power_goes() -> None:
    traced = Traced("pns-battery-free")
    traced.ipg.receive(PING, traced.now)
    traced.ipg.firmware.power_lost(traced.now)
    ((data, why),) = traced.told(Towards.HOST)
    assert why == "device: its power went before this was sent"
    assert [frame.kind for frame in FrameReader().feed(data, 0)] == [Kind.RESPONSE]


def test_a_frame_in_whose_middle_the_device_restarts_is_told(traced: Traced) -> None:
    traced.open()
    traced.send(encode_frame(request_frame(Reset(1), 2)) + b"\x05\x06")
    assert traced.told() == [(b"\x05\x06", "device: it restarted in the middle of the frame")]


def test_a_request_is_told_if_the_device_dies_before_it_has_answered(traced: Traced) -> None:
    traced.open()
    asked = traced.request(SelfTest())
    traced.ipg.firmware.fail(ResetCause.WATCHDOG, traced.now)
    assert traced.told() == [(asked, "device: it died and restarted before it had answered")]


def test_answers_that_nothing_fetches_are_told_once_the_output_is_full(traced: Traced) -> None:
    identify = encode_frame(request_frame(Identify(), 1))
    while not traced.ipg.silences:
        traced.ipg.receive(identify, traced.now)
    ((dropped, why),) = traced.told(Towards.HOST)
    assert why == "device: its output is full: nothing fetches it"
    kept = traced.ipg.take_output(traced.now)
    assert OUTPUT_LIMIT - len(dropped) < len(kept) <= OUTPUT_LIMIT


def test_an_event_that_newer_ones_push_out_is_told(traced: Traced) -> None:
    traced.open()
    transaction = count(1)
    while not traced.told(Towards.HOST):
        traced.request(StartTherapy(next(transaction)))
        traced.request(StopTherapy(StopMode.IMMEDIATE))
    (dropped, why), *_ = traced.told(Towards.HOST)
    assert why == "device: its queue of events is full, and this was the oldest"
    (frame,) = FrameReader().feed(dropped, 0)
    assert (frame.kind, frame.request_id) == (Kind.EVENT, 1)
    assert len(traced.ipg.firmware.link.events) == EVENTS_KEPT


def test_what_the_port_has_no_room_for_is_told(traced: Traced) -> None:
    traced.ipg.output_lost(b"\0abc\0", traced.now)
    assert traced.told(Towards.HOST) == [(b"\0abc\0", "port: the host does not read, and the queue to it is full")]
    assert sum(traced.ipg.silences.values()) == 1


def mischief(rng: Random, ids: Any) -> bytes:
    """A stretch of what a bad line, or a bad host, might send."""
    good = [
        encode_frame(request_frame(Ping(rng.getrandbits(32)), next(ids))),
        encode_frame(request_frame(GetStatus(), next(ids))),
        encode_frame(request_frame(SelfTest(), next(ids))),
        encode_frame(Frame(Kind.REQUEST, rng.getrandbits(16) | 0x4000, next(ids), rng.randbytes(rng.randrange(40)))),
        encode_frame(Frame(Kind.EVENT_ACK, 0, rng.randrange(12))),
        encode_frame(Frame(rng.choice([Kind.RESPONSE, Kind.EVENT]), 1, 3, rng.randbytes(6))),
    ]
    chosen = bytearray(rng.choice([*good, rng.randbytes(rng.randrange(1, 400)), b"\0" * rng.randrange(1, 4)]))
    if rng.random() < 0.3:
        chosen[rng.randrange(len(chosen))] ^= 1 << rng.randrange(8)
    return bytes(chosen)


@pytest.mark.parametrize("seed", range(12))
def test_every_byte_is_answered_acknowledged_or_told(seed: int, traced: Traced) -> None:
    rng, ids, reader = Random(seed), count(2), FrameReader()
    traced.open()
    traced.records.clear()
    arrived: list[Frame] = []
    sent = b"".join(mischief(rng, ids) for _ in range(150))
    place = 0
    while place < len(sent):
        chunk = sent[place : place + rng.randrange(1, 200)]
        place += len(chunk)
        traced.now += rng.choice([10, 1_000, 1_000, 250_000])
        arrived += reader.feed(chunk, traced.now + 1_000)
        traced.send(chunk)
    traced.advance(20)
    assert answered(traced) == Counter((f.opcode, f.request_id) for f in arrived if f.kind is Kind.REQUEST)
    told = [data for data, _ in traced.told()]
    others = Counter(encode_frame(f) for f in arrived if f.kind is not Kind.REQUEST)
    acknowledgements = [reader.feed(data, 0)[0].request_id for data in (others - Counter(told)).elements()]
    assert len(acknowledgements) == len(set(acknowledgements))
    assert traced.ipg.firmware.device.memory.acknowledged_event == max(acknowledgements, default=0)
    requests = [encode_frame(f) for f in arrived if f.kind is Kind.REQUEST]
    unfinished = traced.ipg.firmware.link._reader.unfinished
    assert letters(*told, *requests, *(others - Counter(told)).elements(), unfinished) == letters(sent)
    assert traced.ipg.silences == Counter(why for _, why in traced.told())


def answered(traced: Traced) -> Counter[tuple[int, int]]:
    reader = FrameReader()
    frames = [f for record in traced.records if record.to is Towards.HOST for f in reader.feed(record.data, 0)]
    return Counter((f.opcode, f.request_id) for f in frames if f.kind is Kind.RESPONSE)


def letters(*data: bytes) -> Counter[int]:
    """How often each byte stands there, but for the delimiters."""
    return Counter(b"".join(data).replace(b"\0", b""))


def test_watching_a_device_changes_no_byte() -> None:
    watched, alone = Traced(), Traced()
    alone.ipg.watchers.clear()
    rng, ids = Random(3), count(2)
    said: dict[Traced, bytes] = {watched: b"", alone: b""}
    for _ in range(80):
        data = mischief(rng, ids)
        for traced in said:
            traced.now += 1_000
            traced.ipg.receive(data, traced.now)
            said[traced] += traced.ipg.take_output(traced.now)
    assert said[watched] == said[alone] != b""
    assert watched.ipg.silences == alone.ipg.silences != Counter()


def test_a_recorded_session_is_decoded_by_wireshark_with_nothing_malformed(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    path, script = tmp_path / "trace.pcapng", tmp_path / "ipg.lua"
    script.write_text(dissector())
    traced = Traced("scs-closed-loop")
    trace_to(traced.ipg, str(path), seed=1)
    traced.open()
    for entry in CATALOGUE.values():
        if not entry.request.__struct_fields__ and entry.request is not CloseSession:
            traced.request(entry.request())
    traced.request(GetCapabilities(0))
    traced.request(ReadLog(0))
    traced.request(StartTherapy(1))
    traced.advance(30)
    fields = [word for name in ("kind", "name", "malformed", "crc.wrong") for word in ("-e", f"ipg.{name}")]
    command = ["tshark", "-X", f"lua_script:{script}", "-r", path, "-T", "fields", *fields]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=25).stdout
    packets = [line.split("\t") for line in shown.splitlines()]
    assert len(packets) > 50
    assert all(name for kind, name, _, _ in packets if int(kind) != Kind.EVENT_ACK)
    assert not [packet for packet in packets if packet[2] or packet[3]]


# Files and lines


def sessions(traced: Traced) -> None:
    traced.open()
    traced.send(BAD_CRC, PING, PING[:7])
    traced.advance(1)
    traced.send(PING)


def test_a_trace_file_holds_every_record(tmp_path: Path, traced: Traced) -> None:
    path = tmp_path / "trace.jsonl"
    trace_to(traced.ipg, str(path), seed=1)
    sessions(traced)
    trace = read_trace(path.read_bytes().splitlines())
    assert trace.records == tuple(traced.records)
    assert (trace.head.model, trace.head.serial, trace.head.seed) == ("scs-rechargeable", traced.ipg.firmware.serial, 1)


def test_a_capture_holds_every_frame_and_every_reason(tmp_path: Path, traced: Traced) -> None:
    path = tmp_path / "trace.pcapng"
    trace_to(traced.ipg, str(path), seed=1)
    sessions(traced)
    assert describe_records(read_capture(path.read_bytes())) == describe_records(traced.records)


def test_live_lines_say_what_passed_and_why_what_did_not(traced: Traced) -> None:
    reading, writing = os.pipe()
    traced.ipg.watchers.append(LiveTrace(writing, label="[3] "))
    traced.send(PING, BAD_CRC)
    lines = os.read(reading, 10_000).decode().splitlines()
    assert lines[0].split() == ["[3]", "0.021000", ">", "REQUEST", "1", "PING", "token=1"]
    assert lines[1].split()[2:] == ["<", "RESPONSE", "1", "PING", "OK", "token=1"]
    assert ">! device: the CRC is wrong: 04 11" in lines[2]
    assert len(lines) == 3
    os.close(reading)
    os.close(writing)


def everything(descriptor: int) -> bytes:
    """What can be read at once."""
    os.set_blocking(descriptor, False)
    read = b""
    with suppress(BlockingIOError):
        while True:
            read += os.read(descriptor, 65_536)
    return read


def test_live_lines_that_nobody_reads_stop_nothing_and_are_counted(traced: Traced) -> None:
    reading, writing = os.pipe()
    traced.ipg.watchers.append(LiveTrace(writing))
    for _ in range(3_000):
        traced.send(PING)
    shown = everything(reading)
    traced.send(PING)
    after = everything(reading).decode().splitlines()
    assert after[0] == f"... {2 * 3_000 - shown.count(b'PING')} lines that nobody read in time"
    assert len(after) == 3
    os.close(reading)
    os.close(writing)


def test_a_full_disk_ends_a_traced_run_with_one_line() -> None:
    result = subprocess.run([*COMMAND, "--trace", "/dev/full"], capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stderr) == (1, "ipg-emulator: /dev/full: No space left on device\n")


def test_a_file_whose_disk_fills_up_within_a_line_ends_with_the_line_before(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    file = AppendedFile(str(path))
    file.write(b"a whole line\n")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left on device"):
            file.write(b"one for which there is no room\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"a whole line\n"


@pytest.fixture
def run() -> Any:
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().split()[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def spoken(address: str) -> None:
    with serial.Serial(address, timeout=5) as port:
        port.write(b"\1\2\3\0" + PING)
        assert port.read(len(PING) + 2)


def test_a_traced_run_writes_decoded_lines_on_standard_error(run: Callable[..., Any]) -> None:
    process, address = run("--trace")
    spoken(address)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    said = [line.split(maxsplit=1)[1] for line in errors.splitlines()]
    assert sorted(said) == [
        "< RESPONSE 1 PING OK token=1",
        "> REQUEST 1 PING token=1",
        ">! device: it is too short for a frame: 01 02 03",
    ]


def test_the_python_of_the_page_runs_as_it_stands() -> None:
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(block, "docs/traces.md", "exec"), {})


def test_a_traced_run_of_several_devices_writes_a_file_for_each(run: Callable[..., Any], tmp_path: Path) -> None:
    process, address = run("--devices", "2", "--trace", str(tmp_path / "t{}.jsonl"))
    spoken(address)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    first, second = (read_trace((tmp_path / f"t{number}.jsonl").read_bytes().splitlines()) for number in range(2))
    assert (first.head.seed, second.head.seed) == (0, 1)
    assert first.records
    assert not second.records
