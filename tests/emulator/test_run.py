"""`ipg-emulator run` as its user meets it: a process, a port, signals, and everything that can be wrong with them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from ipg_emulator.faults.lead import LEAD_FAULTS
from ipg_emulator.ports import OUTPUT_QUEUE_BYTES
from ipg_protocol import FrameReader, Role, decode_event, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import GetLinkStatistics, GetStatus, LinkStatistics, Ping, Pong
from ipg_protocol.commands.session import ClosingReason, OpenSession, SessionClosing
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy

COMMAND = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable"]


class Running:
    """A device in its own process, ready."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.address = self.line.split()[-1] if self.line else ""

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


@pytest.fixture
def run():
    started = []

    def start(*options: str) -> Running:
        started.append(Running(*options))
        return started[-1]

    yield start
    for device in started:
        device.process.kill()
        device.process.communicate()


def refused(*options: str) -> tuple[int, str]:
    """Exit code and message of a start that must fail."""
    result = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=20, check=False)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


def ping(port: serial.SerialBase, token: int = 77) -> Pong:
    port.write(encode_frame(request_frame(Ping(token), 1)))
    reader = FrameReader()
    while True:
        data = port.read(1)
        assert data, "no answer"
        for frame in reader.feed(data, 0):
            if frame.opcode == 0x0001:
                return decode_reply(frame).body


def start_therapy(device: Running) -> None:
    requests = [OpenSession(Role.SERVICE, 1, 1), StartTherapy(1)]
    with serial.Serial(device.address, timeout=5) as port:
        port.write(b"".join(encode_frame(request_frame(request, number)) for number, request in enumerate(requests)))
        assert ping(port) == Pong(77)


def test_a_ping_is_answered_at_once_after_ready(run):
    with serial.Serial(run().address, timeout=5) as port:
        assert ping(port) == Pong(77)


def test_a_port_can_be_opened_again(run):
    device = run()
    for _ in range(3):
        with serial.Serial(device.address, timeout=5) as port:
            assert ping(port) == Pong(77)


def test_term_removes_the_link(run, tmp_path):
    link = tmp_path / "ipg0"
    device = run("--link", str(link))
    assert device.address == str(link)
    assert link.is_symlink()
    assert device.end(signal.SIGTERM) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_link_left_by_a_killed_process_is_replaced(run, tmp_path):
    link = tmp_path / "ipg0"
    run("--link", str(link)).end(signal.SIGKILL)
    assert link.is_symlink()
    run("--link", str(link))
    with serial.Serial(str(link), timeout=5) as port:
        assert ping(port) == Pong(77)


def test_a_link_of_a_running_device_is_refused_and_stays(run, tmp_path):
    link = tmp_path / "ipg0"
    run("--link", str(link))
    code, message = refused("--link", str(link))
    assert code == 3
    assert message == f"ipg-emulator: --link {link}: a running device has it; stop that one or give another path\n"
    with serial.Serial(str(link), timeout=5) as port:
        assert ping(port) == Pong(77)


@pytest.mark.parametrize("what", ["a directory", "a file"])
def test_a_link_path_that_is_something_else_is_refused_and_kept(tmp_path, what):
    taken = tmp_path / "taken"
    taken.mkdir() if what == "a directory" else taken.write_text("precious")
    code, message = refused("--link", str(taken))
    assert code == 3
    assert what in message
    assert taken.exists()
    assert not taken.is_symlink()


def test_a_link_in_a_folder_that_is_not_there_is_refused(tmp_path):
    code, message = refused("--link", str(tmp_path / "nowhere" / "ipg0"))
    assert (code, message.count("\n")) == (3, 1)
    assert "No such file or directory" in message


def test_a_tcp_port_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        code, message = refused("--tcp", str(number))
    assert code == 3
    assert f"cannot listen on 127.0.0.1:{number}: Address already in use" in message


@pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning", "ignore:setName:DeprecationWarning")  # pyserial's client
def test_rfc_2217_takes_settings_and_carries_every_byte_value(run):
    device = run("--rfc2217", "0")
    assert device.line.startswith("READY rfc2217 rfc2217://127.0.0.1:")
    with serial.serial_for_url(device.address, timeout=5) as port:
        port.baudrate = 9600
        for token in (0, 0xFFFFFFFF, 0xFF00FF0D):
            assert ping(port, token) == Pong(token)


@pytest.mark.parametrize("setting", ["ff fa 2c 01 00 ff f0", "ff fa 2c 02 ff f0"])
def test_a_malformed_rfc_2217_setting_costs_the_client_its_connection_and_no_more(run, setting):
    device = run("--rfc2217", "0")
    host, number = device.address.removeprefix("rfc2217://").split(":")
    for _ in range(2):
        with socket.create_connection((host, int(number)), timeout=5) as client:
            client.sendall(bytes.fromhex(setting))
            while client.recv(100):
                pass
    assert device.process.poll() is None


def test_a_link_is_never_made_over_a_link_of_the_users_own(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("")
    (tmp_path / "ipg0").symlink_to(precious)
    code, message = refused("--link", str(tmp_path / "ipg0"))
    assert (code, "there is a file of that name" in message) == (3, True)
    assert (tmp_path / "ipg0").readlink() == precious


def test_a_standard_error_that_nobody_reads_does_not_stop_the_device(run):
    device = run()
    with serial.Serial(device.address, timeout=5) as port:
        for number in range(1, 1000):
            start_and_stop = [StartTherapy(number), StopTherapy(StopMode.IMMEDIATE)]
            requests = [OpenSession(Role.SERVICE, 1, number), *start_and_stop]
            port.write(b"".join(encode_frame(request_frame(request, place)) for place, request in enumerate(requests)))
        port.reset_input_buffer()
        assert ping(port, 4711) is not None


def test_a_second_tcp_client_is_told_and_the_first_keeps_the_port(run):
    address = run("--tcp", "0").address
    host, number = address.removeprefix("socket://").split(":")
    with serial.serial_for_url(address, timeout=5) as first:
        assert ping(first) == Pong(77)
        with socket.create_connection((host, int(number)), timeout=5) as second:
            told = b"".join(iter(lambda: second.recv(100), b""))
        (frame,) = FrameReader().feed(told, 0)
        assert decode_event(frame) == SessionClosing(ClosingReason.PORT_IN_USE)
        assert ping(first) == Pong(77)


def test_a_tcp_client_may_come_back_at_once(run):
    address = run("--tcp", "0").address
    for _ in range(30):
        with serial.serial_for_url(address, timeout=5) as port:
            assert ping(port) == Pong(77)


def test_a_client_that_never_reads_does_not_stop_the_device(run):
    device = run()
    port = os.open(device.address, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    flood = encode_frame(request_frame(Ping(1), 1)) * 100
    sent = 0
    while sent < 3 * OUTPUT_QUEUE_BYTES:
        try:
            sent += os.write(port, flood)
        except BlockingIOError:
            time.sleep(0.001)
    os.close(port)
    with serial.Serial(device.address, timeout=5) as again:
        again.reset_input_buffer()
        assert again.write(b"\0" * 4) == 4
        assert device.process.poll() is None
        assert link_statistics(again).output_dropped > 0


def link_statistics(port: serial.SerialBase) -> LinkStatistics:
    """What the device says of its link, once what it had queued before has been read."""
    reader = FrameReader()
    while True:
        port.write(encode_frame(request_frame(GetLinkStatistics(), 9)))
        for frame in reader.feed(port.read(max(1, port.in_waiting)), 0):
            if frame.request_id == 9:
                return decode_reply(frame).body


def test_the_end_of_the_parent_ends_the_device():
    starter = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True); " + (
        "print(p.pid, p.stdout.readline(), flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, *COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and "zombie" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, "the device outlived its parent"
        time.sleep(0.02)


def test_an_unknown_model_is_refused_and_the_known_are_named():
    result = subprocess.run([*COMMAND[:-1], "nope"], capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("ipg-emulator: unknown model 'nope'; known: dbs-primary, ")


def test_a_record_on_a_full_disk_ends_the_device_with_a_message(run):
    device = run("--record", "/dev/full")
    start_therapy(device)
    assert device.end(signal.SIGTERM) == 1
    message = device.process.stderr.read().splitlines()[-1]
    assert message == "ipg-emulator: /dev/full: No space left on device"


def test_a_record_holds_what_was_delivered(run, tmp_path):
    device = run("--record", str(tmp_path / "record.jsonl"))
    start_therapy(device)
    assert device.end(signal.SIGTERM) == 0
    drives = [json.loads(line)["drive"] for line in (tmp_path / "record.jsonl").read_text().splitlines()[1:]]
    assert drives
    assert all(drive["until"] > drive["start"] for drive in drives)


def uptime_seconds(port: serial.SerialBase) -> int:
    port.write(encode_frame(request_frame(GetStatus(), 9)))
    reader = FrameReader()
    while True:
        for frame in reader.feed(port.read(1), 0):
            if frame.request_id == 9:
                return decode_reply(frame).body.uptime_seconds


@pytest.mark.parametrize("speed", ["36000", "max"])
def test_hours_pass_in_a_moment(run, speed):
    device = run("--speed", speed)
    with serial.Serial(device.address, timeout=5) as port:
        assert ping(port) == Pong(77)
        time.sleep(0.4)
        assert uptime_seconds(port) > 3 * 3600


def test_at_maximum_speed_a_session_is_not_outrun(run):
    device = run("--speed", "max")
    with serial.Serial(device.address, timeout=5) as port:
        port.write(encode_frame(request_frame(OpenSession(Role.SERVICE, 1, 1), 0)))
        assert ping(port) == Pong(77)
        began = uptime_seconds(port)
        time.sleep(0.4)
        assert uptime_seconds(port) - began < 30


def test_every_lead_fault_is_named_by_the_help():
    told = subprocess.run([*COMMAND[:-2], "--help"], capture_output=True, text=True, check=True).stdout
    words = re.search(r"break a contact: ([^(]+)", told)[1]
    assert re.findall(r"\w+", words.replace(" or ", " ")) == list(LEAD_FAULTS)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--tcp", "99999"], "'99999' is not a port number from 0 to 65535"),
        (["--pace", "fast"], "'fast' is not a baud rate from 300 to 12000000"),
        (["--lead-fault", "3=melted"], "'3=melted' is not CONTACT=open or CONTACT=short"),
        (["--speed", "0"], "'0' is not a number from 0.001 to 1000000, or max"),
        (["--speed", "inf"], "'inf' is not a number"),
        (["--lead-fault", "99=open"], "contacts 0 to 15"),
        (["--seed", "x"], "invalid int value: 'x'"),
    ],
)
def test_a_bad_option_says_what_is_allowed(options, wrong):
    code, message = refused(*options)
    assert code == 2
    assert wrong in message
