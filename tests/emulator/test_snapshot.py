"""A whole device kept in memory or in a file: it goes on from there as if nothing had come between."""

from __future__ import annotations

import gc
import hashlib
import io
import os
import pickle
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import serial
from ipg_emulator.board.flash import PAGE_BYTES, PAGE_COUNT, WEAR_BYTES
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.fault import FAULTS
from ipg_emulator.faults.injector import Injector
from ipg_emulator.faults.plan import FaultPlan, fault_from
from ipg_emulator.image import build_on_image
from ipg_emulator.model import load, names
from ipg_emulator.ports.in_process import InProcess
from ipg_emulator.snapshot import Head, Snapshot, SnapshotError, fork, read, take
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import Role, encode_frame, request_frame
from ipg_protocol.command import Request
from ipg_protocol.commands.link import GetTime, Identify, Ping
from ipg_protocol.commands.log import ReadCounters, ReadFaults
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.programs import ReadProgram, SelectProgram
from ipg_protocol.commands.session import KeepAlive, OpenSession
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude, StartTherapy, StepAmplitude, StopMode, StopTherapy

EXAMPLES = runpy.run_path(str(Path(__file__).with_name("fault_examples.py")))["EXAMPLES"]
Ask = Callable[[int, Random], Request[Any]]

CHOICES: tuple[Ask, ...] = (
    lambda _, chance: Ping(chance.getrandbits(32)),
    lambda *_: GetTime(),
    lambda *_: GetBattery(),
    lambda *_: ReadTherapy(0),
    lambda *_: ReadCounters(),
    lambda *_: ReadFaults(),
    lambda *_: KeepAlive(),
    lambda _, chance: ReadProgram(chance.randrange(4), 0),
    lambda number, chance: SelectProgram(number, chance.randrange(3)),
    lambda number, _: StartTherapy(number),
    lambda *_: StopTherapy(StopMode.RAMP),
    lambda number, chance: SetAmplitude(number, 0, 100 * chance.randrange(30)),
    lambda number, chance: StepAmplitude(number, 0, chance.choice((-1, 1)), chance.randrange(1, 5)),
    lambda _, chance: MeasureImpedance(*chance.sample(range(8), 2)),
)


@pytest.fixture(autouse=True)
def _urls(monkeypatch):
    monkeypatch.setattr(serial, "protocol_handler_packages", ["ipg_emulator.ports"])


def ipg_port(url: str) -> Any:
    return serial.serial_for_url(url, timeout=0.2)


@pytest.fixture
def port() -> Any:
    return ipg_port("ipg://scs-rechargeable?seed=3")


def exchange(port: Any, request: Request[Any], number: int) -> bytes:
    """All that a device says to a request within 200 ms."""
    port.write(encode_frame(request_frame(request, number)))
    return bytes(port.read(10_000))


def converse(port: Any, commands: int, seed: int = 1) -> bytes:
    """All that a device says to so many requests that are drawn from a seed, with pauses and what happens to the patient."""
    chance = Random(seed)
    said = exchange(port, OpenSession(Role.SERVICE, host_id=7, nonce=1), 1)
    for number in range(1, commands):
        said += exchange(port, chance.choice(CHOICES)(number, chance), number)
        if chance.random() < 0.02:
            port.advance(chance.random() * 3600)
            port.surroundings.take_posture(chance.choice(("sitting", "supine", "standing")))
            said += exchange(port, OpenSession(Role.SERVICE, host_id=7, nonce=number), 1)
    return said


def test_a_thousand_commands_after_a_restore_get_the_same_bytes_again(port):
    kept = port.snapshot()
    first, ended_at = converse(port, 1000), port.present()
    port.restore(kept)
    assert (converse(port, 1000), port.present()) == (first, ended_at)


def test_other_commands_get_other_bytes(port):
    kept = port.snapshot()
    first = converse(port, 50)
    port.restore(kept)
    assert converse(port, 50, seed=2) != first


@pytest.mark.parametrize("model", names())
def test_a_fork_of_every_model_in_use_goes_on_as_the_device_itself(model):
    port = ipg_port(f"ipg://{model}?seed=5")
    converse(port, 60)
    ipg, now = fork(msgspec.structs.replace(port.snapshot(), from_file=True))
    forked = InProcess(ipg, started_at=now)
    assert forked.present() == port.present()
    before = ask_in_turn(port.device)
    assert ask_in_turn(forked) == before


def ask_in_turn(device: InProcess) -> list[bytes]:
    answers = []
    for request in (Identify(), GetBattery(), ReadTherapy(0), ReadCounters()):
        device.write(encode_frame(request_frame(request, 900)))
        answers.append(device.read(10_000, 0.2))
        device.advance(7200)
    return answers


def test_forks_do_not_disturb_each_other_nor_the_snapshot(port):
    converse(port, 30)
    kept = port.snapshot()
    one, other = (InProcess(ipg, started_at=now) for ipg, now in (fork(kept), fork(kept)))
    one.advance(86_400)
    one.surroundings.charger(900)
    expected = ask_in_turn(other)
    assert ask_in_turn(InProcess(fork(kept)[0], started_at=kept.at_us)) == expected != ask_in_turn(one)


def test_a_device_is_kept_in_the_middle_of_a_ramp(port):
    exchange(port, OpenSession(Role.SERVICE, host_id=7, nonce=1), 1)
    port.timeout = 0
    exchange(port, StartTherapy(1), 1)
    kept = port.snapshot()
    port.advance(0.5)
    underway = exchange(port, ReadTherapy(0), 2)
    port.restore(kept)
    assert exchange(port, ReadTherapy(0), 2) != underway
    port.restore(kept)
    port.advance(0.5)
    assert exchange(port, ReadTherapy(0), 2) == underway


def test_what_is_on_the_line_is_kept(port):
    late = fault_from({"fault": "delay", "towards": "host", "milliseconds": 150})
    port.ipg.faults = Injector(port.ipg, FaultPlan(1, (late,)), 3, now=port.present())
    port.timeout = 0
    assert exchange(port, Ping(7), 1) == b""
    kept = port.snapshot()
    port.timeout = 0.2
    arrived = port.read(100)
    assert len(arrived) > 10
    port.restore(kept)
    assert port.read(100) == arrived
    forked = InProcess(fork(kept)[0], started_at=kept.at_us)
    assert forked.read(100, 0.2) == arrived


def test_chance_goes_on_where_it_was(port):
    noisy = fault_from({"fault": "corrupt", "bits": 3, "probability": 0.5})
    port.ipg.faults = Injector(port.ipg, FaultPlan(1, (noisy,)), 3, now=port.present())
    converse(port, 40)
    kept = port.snapshot()
    first = converse(port, 40)
    port.restore(kept)
    assert converse(port, 40) == first


@pytest.mark.parametrize("kind", FAULTS)
def test_a_device_with_a_fault_of_any_kind_goes_on_out_of_a_file(port, kind):
    port.ipg.faults = Injector(port.ipg, FaultPlan(1, (EXAMPLES[kind],)), 3, now=port.present())
    converse(port, 8)
    kept = msgspec.structs.replace(port.snapshot(), from_file=True)
    first = converse(port, 12)
    port.restore(kept)
    assert converse(port, 12) == first


def test_a_fault_of_a_snapshot_waits_for_its_event_after_a_restore(port):
    at_event = {"fault": "drop", "towards": "host", "when": {"event": "THERAPY_STATE_CHANGED"}}
    port.ipg.faults = Injector(port.ipg, FaultPlan(1, (fault_from(at_event),)), 3, now=port.present())
    exchange(port, OpenSession(Role.SERVICE, host_id=7, nonce=1), 1)
    port.restore(port.snapshot())
    assert exchange(port, Ping(1), 1) != b""
    exchange(port, StartTherapy(2), 2)
    assert exchange(port, Ping(2), 3) == b""


# Who looks on


def test_whoever_looks_on_stays_over_a_restore_and_a_fork_has_nobody(port):
    events: list[Any] = []
    records: list[Any] = []
    segments: list[Any] = []
    port.ipg.watchers.append(records.append)
    port.firmware.observers.append(lambda event, now: events.append(event))
    port.firmware.board.output.listeners.append(segments.append)
    kept = port.snapshot()
    port.restore(kept)
    converse(port, 200)
    heard = [len(events), len(records), len(segments)]
    assert all(heard)
    forked = InProcess(fork(kept)[0], started_at=kept.at_us)
    forked.advance(86_400)
    forked.write(encode_frame(request_frame(Ping(7), 1)))
    assert [len(events), len(records), len(segments)] == heard


def test_silences_are_told_of_after_a_restore(port):
    port.restore(port.snapshot())
    port.write(b"\0rubbish\0")
    assert port.ipg.silences.total() == 1


# The file


@pytest.fixture
def kept(port) -> Snapshot:
    converse(port, 40)
    return port.snapshot()


@pytest.fixture
def path(tmp_path, kept) -> Path:
    kept.write(str(tmp_path / "device.snapshot"))
    return tmp_path / "device.snapshot"


def test_a_device_out_of_a_file_goes_on_as_one_out_of_memory(kept, path):
    from_memory, from_file = (InProcess(fork(each)[0], started_at=each.at_us) for each in (kept, read(str(path))))
    assert ask_in_turn(from_file) == ask_in_turn(from_memory)


def test_a_file_says_whose_it_is(kept, path):
    found = read(str(path))
    assert (found.model_name, found.serial, found.at_us) == ("scs-rechargeable", "VIPG-00000003", kept.at_us)


GO_ON = """
import sys
from ipg_emulator.snapshot import fork, read
from ipg_protocol import encode_frame, request_frame
from ipg_protocol.commands.log import ReadCounters
from ipg_emulator.ports.in_process import InProcess
ipg, now = fork(read(sys.argv[1]))
device = InProcess(ipg, started_at=now)
device.advance(86_400)
device.write(encode_frame(request_frame(ReadCounters(), 5)))
print(device.read(1000, 1).hex())
"""


def test_another_process_goes_on_from_a_file(kept, path):
    seeded = os.environ | {"PYTHONHASHSEED": "77"}
    there = subprocess.run([sys.executable, "-c", GO_ON, str(path)], capture_output=True, text=True, check=True, env=seeded)
    here = InProcess(fork(kept)[0], started_at=kept.at_us)
    here.advance(86_400)
    here.write(encode_frame(request_frame(ReadCounters(), 5)))
    assert there.stdout.strip() == here.read(1000, 1).hex()


def rewritten(path: Path, **changes: Any) -> None:
    first, body = path.read_bytes().split(b"\n", 1)
    head = msgspec.structs.replace(msgspec.json.decode(first, type=Head), **changes)
    path.write_bytes(msgspec.json.encode(head) + b"\n" + body)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.0.1"}, r"virtual-ipg 0.0.1 \(format 1\) wrote it, and this is"),
        ({"snapshot": 99}, "run it with the version that wrote it"),
        ({"python": "cpython 2.7"}, "it was written under cpython 2.7, and this is"),
    ],
)
def test_a_file_of_another_version_is_refused(path, changes, words):
    rewritten(path, **changes)
    with pytest.raises(SnapshotError, match=words):
        read(str(path))


def test_a_file_that_ends_early_is_refused_wherever_it_ends(path):
    whole = path.read_bytes()
    for length in (0, 1, 40, whole.index(b"\n") + 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotError, match="not whole" if length > whole.index(b"\n") else "not a snapshot"):
            read(str(path))


def test_a_file_in_which_any_byte_was_altered_is_refused(path):
    whole = path.read_bytes()
    for place in Random(1).sample(range(len(whole)), 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        with pytest.raises(SnapshotError, match=str(path)):
            read(str(path))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}\n", b"\x80\x05K\x01.", b'{"trace": "ipg", "version": 1}\n'])
def test_a_file_that_is_no_snapshot_is_refused(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(SnapshotError, match="it is not a snapshot"):
        read(str(tmp_path / "other"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SnapshotError, match="No such file"):
        read(str(tmp_path / "none"))


class Caller:
    """Runs a command where it is unpickled."""

    def __init__(self, *call: Any) -> None:
        self._call = call

    def __reduce__(self) -> Any:
        return self._call[0], self._call[1:]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ((os.system, "false"), "posix.system"),
        ((eval, "1"), "builtins.eval"),
        ((io.open, "/dev/null"), "io.open|_io.open|builtins.open"),
        ((getattr, load, "__globals__"), "__globals__ of builtins.function"),
    ],
)
def test_nothing_but_a_device_comes_out_of_a_file(kept, call, name):
    forged = msgspec.structs.replace(kept, state=pickle.dumps(Caller(*call)), from_file=True)
    with pytest.raises(SnapshotError, match=f"holds ({name}), which is no part of a device"):
        fork(forged)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(kept, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        kept.write(str(tmp_path / "taken"))
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_what_is_no_file_is_written_to_and_not_replaced(kept, tmp_path):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        kept.write(str(full))
    assert full.is_symlink()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    small = msgspec.structs.replace(kept, state=b"", flashes=())
    with suppress(BlockingIOError):
        small.write(str(tmp_path / "pipe"))
    assert os.read(reader, 100_000) == small.file_content()
    os.close(reader)


def test_a_link_to_a_file_stays_one(kept, tmp_path):
    (tmp_path / "latest").symlink_to("kept.snapshot")
    kept.write(str(tmp_path / "latest"))
    assert (tmp_path / "latest").is_symlink()
    assert read(str(tmp_path / "kept.snapshot")).serial == kept.serial


def test_a_file_beside_it_is_left_alone(kept, tmp_path):
    (tmp_path / "kept.new").write_text("mine")
    kept.write(str(tmp_path / "kept"))
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "kept.new"}
    assert (tmp_path / "kept.new").read_text() == "mine"


def test_what_has_no_end_is_no_snapshot():
    with pytest.raises(SnapshotError, match="it is not a snapshot"):
        read("/dev/zero")


def test_a_file_whose_sums_are_right_and_that_holds_no_device_is_refused(path):
    body = b"\x93\x01\x02\x03"
    first = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(first + b"\n" + body)
    rewritten(path, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    with pytest.raises(SnapshotError, match="it holds no device"):
        read(str(path))


def test_a_snapshot_holds_each_flash_once(kept):
    assert [len(stored) for stored in kept.flashes] == [PAGE_COUNT * (PAGE_BYTES + WEAR_BYTES)]


# What is said of it

DOCS = Path(__file__).parents[2] / "docs" / "time.md"


@pytest.mark.parametrize("program", re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL))
def test_the_programs_of_the_docs_run(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(program, {})


# In place


def test_a_snapshot_of_another_device_is_refused_and_nothing_has_changed(port, kept):
    other = ipg_port("ipg://scs-rechargeable?seed=4")
    before = take(other.ipg, other.present())
    with pytest.raises(SnapshotError, match=r"of scs-rechargeable VIPG-00000003, and this is scs-rechargeable VIPG-00000004"):
        other.restore(kept)
    assert take(other.ipg, other.present()) == before


def test_a_restored_device_keeps_the_file_of_its_flash(tmp_path):
    model, image = load("scs-rechargeable"), str(tmp_path / "device.nvm")
    ipg = VirtualIpg(build_on_image(image, lambda **given: build_device(model, seed=3, **given), print))
    port = InProcess(ipg, started_at=boot_finished_at(model))
    port.write(encode_frame(request_frame(OpenSession(Role.SERVICE, 7, 1), 1)))
    kept = port.snapshot()
    select = encode_frame(request_frame(SelectProgram(1, 1), 1))
    port.write(select)
    assert ipg.firmware.memory.configuration.active_program == 1
    port.restore(kept)
    assert ipg.firmware.memory.configuration.active_program == 0
    port.write(encode_frame(request_frame(SelectProgram(1, 2), 1)))
    del ipg, port
    gc.collect()  # the file stays locked as long as its flash is referred to
    again = build_on_image(image, lambda **given: build_device(model, seed=3, **given), print)
    assert again.memory.configuration.active_program == 2


def test_time_goes_back_and_the_clock_of_the_port_does_not(port):
    kept = port.snapshot()
    port.advance(100)
    before = port.monotonic()
    port.restore(kept)
    assert port.present() == kept.at_us
    assert port.monotonic() == before
    port.advance(1)
    assert port.monotonic() == before + 1


def test_what_was_not_read_is_lost_with_the_time_in_which_it_was_said(port):
    kept = port.snapshot()
    port.write(encode_frame(request_frame(Ping(7), 1)))
    assert port.in_waiting
    port.restore(kept)
    assert not port.in_waiting


def test_forks_share_the_model(port):
    kept = port.snapshot()
    assert all(fork(kept)[0].firmware.model is port.firmware.model for _ in range(3))
    assert fork(kept)[0].firmware.device.model.output is port.firmware.model.output


def test_a_fault_that_cannot_be_pickled_is_refused_by_name(port):
    port.firmware.handlers[Ping] = lambda request, context: None
    with pytest.raises(SnapshotError, match=r"cannot be kept: .*lambda"):
        port.snapshot()
