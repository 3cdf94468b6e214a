"""The fixtures give devices over every transport and leave nothing behind, and a failed test says what its device has seen."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from select import select
from typing import Any

import pytest
import serial
from ipg_emulator.control.channel import Channel
from ipg_emulator.faults.fault import When
from ipg_emulator.faults.plan import FaultError
from ipg_emulator.faults.reply import ReplyLost
from ipg_emulator.handle import Handle, over
from ipg_emulator.ports.in_process import offered_names
from ipg_emulator.testing.comports import Shown, listed
from ipg_emulator.testing.ipg import Ipg, plan_of
from ipg_emulator.testing.lending import CannotLend, lend
from ipg_emulator.testing.nursery import Nursery, NurseryError
from ipg_emulator.testing.report import tell, text, write
from ipg_emulator.testing.wanted import MarkerError, Wanted, wanted
from ipg_host import procedures
from ipg_protocol import Role
from ipg_protocol.trace import read_trace
from serial.tools.list_ports import comports, grep

pytest_plugins = "pytester"
# pyserial's own, when it opens an rfc2217 port.
pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning", "ignore:setName:DeprecationWarning")

IN_OWN_PROCESS = ("pty", "tcp", "rfc2217")
EVERY_TRANSPORT = ("in-process", *IN_OWN_PROCESS)
LOST = ReplyLost(when=When(command="IDENTIFY"), times=1)


def transports(names: tuple[str, ...]) -> pytest.MarkDecorator:
    """Run a test over each of them; the argument is its name."""
    return pytest.mark.parametrize("transport", [pytest.param(name, marks=pytest.mark.ipg(transport=name)) for name in names])


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def nursery(_ipg_nursery: Nursery) -> Nursery:
    return _ipg_nursery


def lend_one(ending: ExitStack, nursery: Nursery | None = None, **asked: Any) -> Ipg:
    """The device that a marker with these arguments would give."""

    def forbidden() -> Nursery:
        assert nursery is not None, "a device in this process needs no nursery"
        return nursery

    (ipg,) = lend(wanted([((), asked)]), ending, forbidden)
    return ipg


# What a marker asks for


def test_of_two_markers_the_closer_one_wins_argument_by_argument() -> None:
    found = wanted([((), {"seed": 7}), ((), {"seed": 1, "model": "tens"})])
    assert (found.seed, found.model) == (7, "tens")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"modle": "tens"},
            "ipg takes no argument 'modle'; there are model, seed, faults, defects, time, transport",
        ),
        ({"transport": "usb"}, "ipg's transport is in-process or pty or tcp or rfc2217, not 'usb'"),
        ({"time": "fast"}, "ipg's time is real, paced, manual or a factor of real time from 0.001 to 1000000, not 'fast'"),
        ({"time": 1e9, "transport": "pty"}, "ipg's time is real, paced, manual or a factor of real time from 0.001 to 1000000"),
        ({"time": 60}, "ipg's time is real, paced, manual in this process; a factor such as 60 needs transport='pty'"),
        ({"devices": 0}, "ipg's devices is a whole number from 1, not 0"),
        ({"seed": True}, "ipg's seed is a whole number, not True"),
        ({"time": True}, "ipg's time is real, paced, manual or a factor of real time from 0.001 to 1000000, not True"),
        ({"faults": LOST}, "ipg's faults is the path of a fault plan, or a list of faults, not "),
        (
            {"defects": "seven-answers-kept"},
            "ipg's defects is a list of names; `ipg-emulator defects` prints them, not ",
        ),
        ({"vid": 0x10000}, "ipg's vid is a number from 0 to 0xFFFF, not 65536"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_marker_that_cannot_be_followed_says_what_could_be(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(MarkerError) as raised:
        wanted([((), asked)])
    assert str(raised.value).startswith(told)


def test_a_marker_takes_its_arguments_by_name() -> None:
    with pytest.raises(MarkerError, match="takes its arguments by name, not 'tens' alone"):
        wanted([(("tens",), {})])


def test_the_marker_to_repeat_asks_for_the_one_device_of_a_fleet() -> None:
    asked = wanted([((), {"devices": 3, "seed": 7, "faults": [LOST]})])
    text = asked.marker(2)
    assert text == (
        "@pytest.mark.ipg(model='scs-rechargeable', seed=9, faults=[ReplyLost(when=When(command='IDENTIFY'), times=1)])"
    )


def test_what_is_wrong_with_a_fault_of_a_marker_is_told_with_its_number_and_kind() -> None:
    with pytest.raises(FaultError, match=r"^fault 2 \(drop\): there is no field 'probabilty'; drop has "):
        plan_of([LOST, {"fault": "drop", "probabilty": 1}])


# Devices


@transports(EVERY_TRANSPORT)
def test_the_client_talks_to_the_device_that_is_seen_from_outside(transport: str, ipg: Ipg) -> None:
    boot_counter = ipg.client.run(procedures.identify()).boot_counter
    assert boot_counter == ipg.device.state().boot_counter
    assert [line.text[0].split()[2] for line in ipg.device.trace(2)] == ["IDENTIFY", "IDENTIFY"]


@transports(EVERY_TRANSPORT)
def test_any_pyserial_program_opens_the_port(transport: str, ipg_port: str) -> None:
    with serial.serial_for_url(ipg_port, timeout=0) as port:
        assert port.is_open


@transports(("in-process", "pty"))
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_a_new_device(transport: str, turn: int, ipg: Ipg) -> None:
    assert ipg.device.state().session is None
    ipg.client.open_session(Role.PATIENT)
    assert ipg.device.state().session is not None


@pytest.mark.ipg(model="tens", seed=3)
def test_the_marker_names_model_and_seed(ipg_device: Handle) -> None:
    who = ipg_device.describe()
    assert (who.model, who.seed) == ("tens", 3)


@pytest.mark.ipg(devices=3, seed=0xFF)
def test_a_fleet_has_devices_of_successive_seeds(ipg_fleet: list[Ipg]) -> None:
    serials = [ipg.client.run(procedures.identify()).serial for ipg in ipg_fleet]
    assert serials == ["VIPG-000000FF", "VIPG-00000100", "VIPG-00000101"] == [ipg.serial_number for ipg in ipg_fleet]


def test_the_same_seed_gives_the_same_bytes(ending: ExitStack) -> None:
    def heard(seed: int) -> list[str]:
        ipg = lend_one(ending, seed=seed)
        ipg.client.open_session(Role.CLINICIAN)
        ipg.client.run(procedures.measure_impedance())
        return [line.hex for line in ipg.device.trace()]

    assert heard(5) == heard(5) != heard(6)


# Time


def test_paced_time_passes_while_the_program_waits(ipg_port: str, ipg_device: Handle) -> None:
    before = ipg_device.now
    with serial.serial_for_url(ipg_port, timeout=1000) as port:
        assert port.read(1) == b""
    assert ipg_device.now == before + 1000


@transports(("in-process", "pty"))
@pytest.mark.ipg(time="manual")
def test_manual_time_passes_by_advance_alone(transport: str, ipg_device: Handle, ipg_port: str) -> None:
    before = ipg_device.now
    with serial.serial_for_url(ipg_port, timeout=0.001) as port:
        port.read(1)
    assert ipg_device.now == before
    assert ipg_device.advance(3600) == before + 3600


@transports(IN_OWN_PROCESS)
def test_time_is_real_in_a_process_of_its_own(transport: str, ipg_device: Handle) -> None:
    assert ipg_device.time().passes_by_itself


@pytest.mark.ipg(transport="pty", time=1_000_000)
def test_time_can_go_faster_in_a_process_of_its_own(ipg_device: Handle) -> None:
    first = ipg_device.now
    while ipg_device.now < first + 1000:
        pass


# Faults


@transports(("in-process", "pty"))
@pytest.mark.ipg(faults=[LOST])
def test_faults_are_there_from_the_start(transport: str, ipg: Ipg) -> None:
    ipg.client.run(procedures.identify())
    asked = [line for line in ipg.device.trace() if line.to == "device"]
    assert len(asked) == 2
    assert [(fault.fault, fault.struck) for fault in ipg.device.faults()] == [(LOST, 1)]


@pytest.mark.parametrize("transport", ["in-process", "pty"])
def test_faults_can_be_a_plan_in_a_file(transport: str, tmp_path: Path, ending: ExitStack, nursery: Nursery) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nfault = "reply-lost"\nwhen = {command = "IDENTIFY"}\ntimes = 1\n')
    ipg = lend_one(ending, nursery, transport=transport, faults=plan)
    assert [fault.fault for fault in ipg.device.faults()] == [LOST]


@pytest.mark.parametrize("transport", ["in-process", "pty"])
def test_a_device_has_the_defects_that_a_test_asks_for(transport: str, ending: ExitStack, nursery: Nursery) -> None:
    ipg = lend_one(ending, nursery, transport=transport, defects=["identity-of-the-boot-before"])
    assert ipg.client.run(procedures.identify()).boot_counter == ipg.device.state().boot_counter - 1


@pytest.mark.parametrize("transport", ["in-process", "pty"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"model": "tense"}, "unknown model 'tense'; known: "),
        ({"faults": [{"fault": "reply-lots"}]}, "there is no fault 'reply-lots'; did you mean reply-lost"),
        ({"faults": "no-plan.toml"}, "no-plan.toml: No such file or directory"),
        ({"defects": ["seven-answers"]}, "there is no defect 'seven-answers'; did you mean seven-answers-kept"),
    ],
    ids=["model", "fault", "plan", "defect"],
)
def test_what_there_is_not_is_told_in_a_line(
    transport: str, asked: dict[str, Any], told: str, ending: ExitStack, nursery: Nursery
) -> None:
    with pytest.raises(CannotLend) as raised:
        lend_one(ending, nursery, transport=transport, **asked)
    assert told in str(raised.value)
    assert "Traceback" not in str(raised.value)


# Hosts that search for their device


@pytest.mark.ipg(devices=2, transport="pty", vid=0x0403, pid=0x6001)
def test_a_search_of_the_ports_finds_the_devices_and_nothing_else(ipg_fleet: list[Ipg], ipg_comports: list[Any]) -> None:
    found = [(port.device, port.vid, port.pid, port.serial_number) for port in comports()]
    assert found == [(ipg.port, 0x0403, 0x6001, ipg.serial_number) for ipg in ipg_fleet]
    assert [port.device for port in grep("0403:6001.*SER=VIPG-00000001")] == [ipg_fleet[1].port]


def test_a_search_of_the_ports_finds_them_by_a_number_kept_for_tests(ipg_comports: list[Any]) -> None:
    assert [port.hwid for port in comports()] == ["USB VID:PID=1209:0001 SER=VIPG-00000000"]


def test_a_search_of_the_ports_is_as_it_was_afterwards() -> None:
    before = [port.device for port in comports()]
    with listed([Shown("nowhere", "tens", "1")]):
        assert [port.device for port in comports()] == ["nowhere"]
        with listed([]):
            assert comports() == []
        assert [port.device for port in comports()] == ["nowhere"]
    assert [port.device for port in comports()] == before


# Nothing is left behind


def open_descriptors() -> dict[str, str]:
    return {link.name: str(link.readlink()) for link in list(Path("/dev/fd").iterdir()) if os.path.lexists(link)}


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("transport", EVERY_TRANSPORT)
def test_nothing_of_a_device_is_left_behind(transport: str, nursery: Nursery) -> None:
    before = open_descriptors(), threading.enumerate(), offered_names()
    for seed in range(3):
        with ExitStack() as ending:
            ipg = lend_one(ending, nursery, transport=transport, seed=seed)
            ipg.client.run(procedures.identify())
            assert (open_descriptors(), offered_names()) != (before[0], before[2])
    assert (open_descriptors(), threading.enumerate(), offered_names()) == before


def test_a_process_and_its_link_end_with_the_device(nursery: Nursery, tmp_path: Path) -> None:
    device = nursery.start(["run", "--model", "tens", "--link", str(tmp_path / "ipg0")])
    assert os.path.lexists(device.address)
    assert is_running(device.number)
    device.end()
    assert not os.path.lexists(device.address)
    assert not is_running(device.number)


def test_a_device_that_does_not_come_up_leaves_nothing(nursery: Nursery) -> None:
    before = open_descriptors()
    with pytest.raises(NurseryError, match="unknown model 'tense'"):
        nursery.start(["run", "--model", "tense"])
    assert open_descriptors() == before


def watch(number: int) -> int:
    """A descriptor that can be read once the process of this number has ended."""
    return os.pidfd_open(number)


def has_ended(watched: int) -> bool:
    return bool(select([watched], [], [], 10)[0])


@pytest.fixture
def device_of_a_run(pytester: pytest.Pytester) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """A run of pytest in the middle of a test; the processes of its device and of what that was forked from; its link."""
    pytester.makepyfile(
        """
        import os, sys, time

        def test_that_is_killed(_ipg_nursery):
            device = _ipg_nursery.start(["run", "--model", "tens", "--link", "ipg0"])
            print(device.number, _ipg_nursery.number, flush=True)
            time.sleep(60)
        """
    )
    line = [sys.executable, "-m", "pytest", "-s", "-q", "-p", "no:cacheprovider"]
    with subprocess.Popen(line, cwd=pytester.path, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        numbers = run.stdout.readline()
        watched = [watch(int(number)) for number in numbers.split()]
        yield run, watched, pytester.path / "ipg0"
        run.kill()
    for descriptor in watched:
        os.close(descriptor)


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the end of a process cannot be waited for on this system")
def test_a_device_and_its_link_go_when_the_tests_are_killed(
    device_of_a_run: tuple[subprocess.Popen[str], list[int], Path],
) -> None:
    run, watched, link = device_of_a_run
    assert os.path.lexists(link)
    run.send_signal(signal.SIGKILL)
    assert all(map(has_ended, watched))
    assert not os.path.lexists(link)


def test_a_device_goes_when_what_it_was_forked_from_is_killed(tmp_path: Path) -> None:
    nursery = Nursery()
    link = tmp_path / "ipg0"
    device = nursery.start(["run", "--model", "tens", "--link", str(link)])
    watched = watch(device.number)
    os.kill(nursery.number, signal.SIGKILL)
    assert has_ended(watched)
    assert not os.path.lexists(link)
    device.end()
    nursery.close()
    os.close(watched)


# Runs of pytest


a_run_of_pytest = pytest.mark.timeout(60)
"""A run takes a second or two, but many of them at a time share the processors."""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    unused = ("cacheprovider", "schemathesis", "anyio", "hypothesispytest", "timeout")
    return pytester.runpytest_subprocess(*(f"-pno:{name}" for name in unused), "-W", "error", *arguments, timeout=50)


@a_run_of_pytest
def test_the_plugin_is_there_without_anything_set_up_and_loads_nothing_before_it_is_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        HEAVY = {"serial", "msgspec", "ipg_protocol", "ipg_host"}

        def test_before():
            assert not HEAVY & {name.split(".")[0] for name in sys.modules}
            assert [name for name in sys.modules if name.startswith("ipg_emulator.")] == ["ipg_emulator.pytest_plugin"]

        def test_used(ipg): assert "msgspec" in sys.modules
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_an_unknown_argument_of_the_marker_ends_the_run_before_any_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_first(): pass

        @pytest.mark.ipg(modle="tens")
        def test_second(ipg): pass
        """
    )
    result = run(pytester)
    result.stderr.fnmatch_lines(["ERROR: *::test_second: ipg takes no argument 'modle'; there are model, seed, *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "passed" not in result.stdout.str()


FAILING = """
    import pytest
    from ipg_host import procedures

    @pytest.mark.ipg(model="tens", seed=7, faults=[{"fault": "reply-lost", "when": {"command": "IDENTIFY"}, "times": 1}])
    def test_that_fails(ipg):
        ipg.client.run(procedures.identify())
        assert False
"""
REPORTED = [
    "*- virtual IPG -*",
    "@pytest.mark.ipg(model='tens', seed=7, faults=*) gives this device again",
    "tens VIPG-00000007, seed 7, *",
    "state: IDLE, *",
    "fault 1: ReplyLost(*), struck 1 time",
    "the last 4 frames of the link:",
    "*-> device  REQUEST 1 IDENTIFY",
    "*<- device  RESPONSE 1 IDENTIFY OK * [[]device: reply lost *",
    "*-> device  REQUEST 1 IDENTIFY",
    "*<- device  RESPONSE 1 IDENTIFY OK *",
    "its log:",
    "*BOOT*",
]


@a_run_of_pytest
@pytest.mark.parametrize("distribution", [(), ("-n2",)], ids=["one-process", "xdist"])
def test_a_failed_test_says_what_its_device_has_seen(pytester: pytest.Pytester, distribution: tuple[str, ...]) -> None:
    pytester.makepyfile(FAILING)
    result = run(pytester, *distribution, "--ipg-report", "reports")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(REPORTED)
    (report,) = (pytester.path / "reports").glob("*test_that_fails*/0/report.txt")
    assert report.read_text().splitlines()[1] in result.stdout.str()
    result.stdout.fnmatch_lines([f"{report.parent} holds more"])


@pytest.mark.ipg(model="tens", seed=7, faults=[LOST])
def test_the_files_of_a_report_are_read_by_programs(ipg: Ipg, tmp_path: Path) -> None:
    ipg.client.run(procedures.identify())
    folder = Path(write(ipg, "tests/test_a.py::test_it[1/2]", str(tmp_path)))
    assert folder.match("tests_test_a.py_test_it_1_2_*/0")
    trace = read_trace((folder / "trace.jsonl").read_bytes().splitlines())
    assert (trace.head.model, trace.head.seed) == ("tens", 7)
    assert [bool(record.why) for record in trace.records] == [False, True, False, False]
    assert json.loads((folder / "state.json").read_text())["state"]["state"] == "IDLE"
    assert json.loads((folder / "log.json").read_text())[0]["code"] == "BOOT"
    assert "seed=7" in (folder / "report.txt").read_text()


def test_of_a_device_that_has_died_the_report_says_so(nursery: Nursery) -> None:
    process = nursery.start(["run", "--model", "tens"])
    handle = over(Channel(process.control))
    ipg = Ipg(process.address, wanted=Wanted("tens"), model="tens", serial_number="", handle=handle, ending=process.end)
    nursery.ask({"signal": signal.SIGKILL, "to": process.number})
    said = text(ipg)
    assert said.splitlines()[1].startswith("it can be asked no more: the device ")  # "cannot be asked", or "does not answer"
    ipg.close()


@a_run_of_pytest
def test_a_fixture_that_fails_at_the_end_says_what_its_device_has_seen(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def checked(ipg):
            yield
            ipg.device.wait_for("FAULT_RAISED", within=1)

        @pytest.mark.ipg(seed=7)
        def test_in_this_process(checked): pass
        @pytest.mark.ipg(seed=8, transport="pty")
        def test_in_another(checked): pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*seed=7) gives this device again", "scs-rechargeable VIPG-00000007, seed 7, *"])
    result.stdout.fnmatch_lines(
        ["*seed=8, transport='pty') gives this device again", "it can be asked no more: *", "its process*"]
    )


@a_run_of_pytest
@pytest.mark.ipg(transport="tcp", seed=9)
def test_the_same_tests_run_against_a_device_elsewhere(ipg_port: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from ipg_host import procedures

        def test_of_the_client(ipg): assert ipg.client.run(procedures.identify()).serial == "VIPG-00000009"
        def test_of_the_device(ipg_device): pass

        @pytest.mark.ipg(model="tens")
        def test_of_another_model(ipg): pass

        @pytest.mark.ipg(faults=[{"fault": "reply-lost"}])
        def test_with_faults(ipg): pass
        """
    )
    result = run(pytester, "--ipg-target", ipg_port, "-rs")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines_random(
        [
            f"*only its port is known of the device at {ipg_port}; --ipg-control and --ipg-token show the rest",
            f"*the device at {ipg_port} is a scs-rechargeable, and the test is for a tens",
            f"*the device at {ipg_port} cannot be given faults without --ipg-control",
        ]
    )


@pytest.fixture
def control(tmp_path: Path) -> Iterator[list[str]]:
    """A device with a control channel elsewhere, as the options that lead there."""
    pytest.importorskip("uvicorn", reason="the extra `control` is not installed")
    pytest.importorskip("starlette", reason="the extra `control` is not installed")
    token = str(tmp_path / "token")
    line = ["run", "--model", "scs-rechargeable", "--seed", "9", "--tcp", "0", "--control", "0", "--control-token", token]
    with subprocess.Popen([sys.executable, "-m", "ipg_emulator", *line], stdout=subprocess.PIPE, text=True) as device:
        assert device.stdout is not None
        (_, _, port), (_, url, *_) = (device.stdout.readline().split() for _ in range(2))
        yield ["--ipg-target", port, "--ipg-control", url, "--ipg-token", token]
        device.terminate()


@a_run_of_pytest
def test_with_a_control_channel_each_test_finds_the_device_elsewhere_as_the_first_did(
    control: list[str], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        """
        import pytest
        from ipg_protocol import Role
        from ipg_host import procedures

        @pytest.mark.parametrize("turn", [1, 2])
        def test_of_the_device(turn, ipg):
            assert ipg.device.state().session is None
            ipg.client.open_session(Role.PATIENT)
            assert ipg.device.state().session is not None

        @pytest.mark.ipg(faults=[{"fault": "reply-lost", "when": {"command": "IDENTIFY"}, "times": 1}])
        def test_with_faults(ipg):
            ipg.client.run(procedures.identify())
            assert ipg.device.faults()[0].struck == 1

        def test_that_fails(ipg):
            assert ipg.device.faults() == []
            assert False
        """
    )
    result = run(pytester, *control, "-rs")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["the device is at socket://*", "scs-rechargeable VIPG-00000009, seed 9, *"])


@a_run_of_pytest
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--ipg-control", "http://127.0.0.1:8000", "--ipg-token", "token"),
            "ERROR: --ipg-control URL and --ipg-token FILE go together, and with --ipg-target URL",
        ),
        (
            ("--ipg-target", "ipg0", "-n2"),
            "ERROR: --ipg-target is one device, which tests share one after the other: leave -n out",
        ),
    ],
    ids=["control-without-target", "target-shared"],
)
def test_options_that_do_not_go_together_are_told(pytester: pytest.Pytester, options: tuple[str, ...], told: str) -> None:
    result = run(pytester, *options)
    result.stderr.fnmatch_lines([told])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_report_that_cannot_be_written_does_not_hide_the_failure(ipg: Ipg, tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.write_text("")
    assert tell(ipg, "test_it", str(folder)) == f"{text(ipg)}\nnothing could be written to {folder}: Not a directory"


@a_run_of_pytest
def test_a_device_elsewhere_that_does_not_answer_is_told_in_a_line(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(ipg): pass")
    result = run(pytester, "--ipg-target", "nowhere")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["--ipg-target nowhere: cannot open nowhere: No such file or directory"])
    assert "Traceback" not in result.stdout.str()


# The page of the documentation


PAGE = Path(__file__).parents[2] / "docs" / "pytest.md"


@a_run_of_pytest
def test_the_examples_of_the_page_run(pytester: pytest.Pytester) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    pytester.makepyfile("".join(blocks))
    result = run(pytester)
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] == "".join(blocks).count("def test_")


def test_the_page_names_every_argument_fixture_and_option(pytester: pytest.Pytester) -> None:
    text = PAGE.read_text()
    arguments = {field.name for field in fields(Wanted)} - {"given"}
    fixtures = {"ipg", "ipg_device", "ipg_port", "ipg_fleet", "ipg_comports"}
    assert not {name for name in arguments | fixtures if f"`{name}`" not in text}
    shown = run(pytester, "--help").stdout.str()
    options = set(re.findall(r"--ipg-[a-z]+", shown))
    assert len(options) == 4
    assert not {option for option in options if option not in text}
