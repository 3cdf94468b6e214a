"""Many devices in one process: each at its own port, and none disturbed by what the clients of others do."""

from __future__ import annotations

import re
import resource
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import serial
from ipg_emulator.agenda import Agenda
from ipg_emulator.fleet import allow_open_files, path_of, tcp_port_of
from ipg_emulator.ports import PortError
from ipg_protocol import FrameReader, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import Identify

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "fleet.py"
COMMAND = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable"]


@pytest.fixture
def run():
    started = []

    def start(*options: str) -> list[str]:
        """The READY lines of a process with three devices."""
        process = subprocess.Popen(
            [*COMMAND, "--devices", "3", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        started.append(process)
        return [process.stdout.readline() for _ in range(3)]

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def serial_number(address: str) -> str:
    """What a device says to be."""
    with serial.serial_for_url(address, timeout=5) as port:
        port.write(encode_frame(request_frame(Identify(), 1)))
        reader = FrameReader()
        while True:
            for frame in reader.feed(port.read(1), 0):
                return decode_reply(frame).body.serial


@pytest.mark.parametrize("where", [(), ("--tcp", "0")])
def test_each_device_has_a_port_and_a_seed_of_its_own(run, where):
    addresses = [line.split()[2] for line in run("--seed", "40", *where)]
    assert [serial_number(address)[-2:] for address in addresses] == ["28", "29", "2A"]


def test_links_are_numbered_and_removed_at_the_end(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "--devices", "3", "--link", str(tmp_path / "ipg-{}.pty")], stdout=subprocess.PIPE, text=True
    ) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines == [f"READY pty {tmp_path}/ipg-{number}.pty\n" for number in range(3)]
        assert all((tmp_path / f"ipg-{number}.pty").is_symlink() for number in range(3))
        process.send_signal(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_is_taken_leaves_no_other_behind(tmp_path):
    (tmp_path / "ipg2").write_text("precious")
    told = subprocess.run(
        [*COMMAND, "--devices", "3", "--link", str(tmp_path / "ipg")], capture_output=True, text=True, check=False, timeout=20
    )
    assert (told.returncode, told.stdout) == (3, "")
    assert [path.name for path in tmp_path.iterdir()] == ["ipg2"]


def test_a_path_without_a_place_for_the_number_ends_in_it():
    assert [path_of("here/ipg", 7), path_of("{}/ipg", 7)] == ["here/ipg7", "7/ipg"]


def test_the_captures_of_several_devices_are_still_captures_by_their_names():
    assert [path_of("here/ipg.pcapng", 7), path_of("{}.pcapng", 7)] == ["here/ipg7.pcapng", "7.pcapng"]


def test_tcp_ports_are_counted_from_the_first():
    assert [tcp_port_of(5000, 2), tcp_port_of(0, 2)] == [5002, 0]
    with pytest.raises(PortError, match="from port 65534 on there are 2 ports"):
        tcp_port_of(65_534, 2)


@pytest.fixture
def open_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_of_open_files_is_raised_as_far_as_needed(open_files):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, open_files[1]))
    allow_open_files(20)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (152, open_files[1])


def test_a_hard_limit_that_is_too_low_is_named_with_what_would_fit():
    limited = ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *COMMAND, "--devices", "1000"]
    told = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=20)
    assert told.returncode == 3
    assert told.stderr == (
        "ipg-emulator: 1000 devices need 6032 open files, and this process may have 200: run at most 28, "
        "or raise the hard limit (`ulimit -Hn 6032` as root)\n"
    )


class Sleeper:
    """One that wants to be woken at a time that the test sets."""

    def __init__(self, at: int | None) -> None:
        self.at = at

    def wake_at(self) -> int | None:
        return self.at

    def wake(self, real: int) -> None:
        self.at = None


def test_the_agenda_gives_out_those_who_are_due_in_the_order_of_their_times():
    agenda, late, early, never = Agenda(), Sleeper(30), Sleeper(10), Sleeper(None)
    for sleeper in (late, early, never):
        agenda.note(sleeper)
    assert agenda.next_at() == 10
    assert [agenda.pop_due(20), agenda.pop_due(20), agenda.pop_due(30), agenda.pop_due(99)] == [early, None, late, None]


def test_one_that_is_put_off_again_and_again_takes_one_place():
    agenda, sleeper = Agenda(), Sleeper(10)
    for sleeper.at in range(10, 1_000):
        agenda.note(sleeper)
    assert agenda.pop_due(10) is sleeper
    assert agenda.pop_due(10_000) is None


def test_one_that_is_brought_forward_is_found_at_its_new_time():
    agenda, sleeper = Agenda(), Sleeper(1_000)
    agenda.note(sleeper)
    sleeper.at = 10
    agenda.note(sleeper)
    assert agenda.pop_due(10) is sleeper


def test_hosts_lose_nothing_beside_clients_that_misbehave():
    options = ["--devices", "30", "--rate", "5", "--minutes", "0.05", "--idle-seconds", "0"]
    run = subprocess.run([sys.executable, str(CAMPAIGN), *options], capture_output=True, text=True, check=False, timeout=29)
    assert run.returncode == 0, run.stdout + run.stderr
    counts = re.search(r"([\d,]+) commands sent, ([\d,]+) answered, 0 lost; .* 0 devices whose revision is another", run.stdout)
    assert counts, run.stdout
    assert counts[1] == counts[2]
    assert int(counts[1].replace(",", "")) > 200


@pytest.mark.parametrize(
    ("seen", "memory", "idle", "broken"),
    [
        ({"sent": 2, "answered": 2}, (100.0, 104.9), 0.4, False),
        ({"sent": 2, "answered": 2}, None, None, False),
        ({"sent": 2, "answered": 1, "lost": 1}, None, None, True),
        ({"sent": 2, "answered": 1}, None, None, True),
        ({"sent": 2, "answered": 2, "repeated": 1}, None, None, True),
        ({"sent": 2, "answered": 2}, (100.0, 105.0), None, True),
        ({"sent": 2, "answered": 2}, None, 0.6, True),
    ],
)
def test_the_campaign_judges_what_it_has_counted(seen, memory, idle, broken):
    campaign = runpy.run_path(str(CAMPAIGN))
    assert campaign["Outcome"](campaign["Tally"](**seen), memory, 50.0, idle).broken is broken
