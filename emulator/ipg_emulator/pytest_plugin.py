"""Virtual devices as pytest fixtures. Loaded at every start of pytest, so it imports nothing of its own before it is used."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ipg_emulator.handle import Handle
    from ipg_emulator.testing.ipg import Ipg
    from ipg_emulator.testing.nursery import Nursery
    from ipg_emulator.testing.target import Target
    from ipg_emulator.testing.wanted import Wanted

MARKER = """\
ipg(model, seed, faults, defects, time, transport, devices, vid, pid): the virtual device that the test's fixtures give; \
transport is in-process, pty, tcp or rfc2217, time is paced, real, manual or a factor"""
SECTION = "virtual IPG"

_fleet_of = pytest.StashKey["list[Ipg]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take a device elsewhere, and a folder for reports."""
    group = parser.getgroup("ipg", "virtual IPG")
    group.addoption("--ipg-target", metavar="URL", help="test the device that is there already, at this port or pyserial URL")
    group.addoption("--ipg-control", metavar="URL", help="where the control channel of that device is")
    token = "the file that holds the token of the control channel"
    group.addoption("--ipg-token", metavar="FILE", type=os.path.abspath, help=token)
    report = "write trace, log, state and seed of the devices of failed tests to this folder"
    group.addoption("--ipg-report", metavar="DIR", type=os.path.abspath, help=report)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and see that the options go together."""
    config.addinivalue_line("markers", MARKER)
    target, control, token = (config.getoption(f"ipg_{name}") for name in ("target", "control", "token"))
    if bool(control) != bool(token) or (control and not target):
        raise pytest.UsageError("--ipg-control URL and --ipg-token FILE go together, and with --ipg-target URL")
    if target and config.getoption("numprocesses", None):
        raise pytest.UsageError("--ipg-target is one device, which tests share one after the other: leave -n out")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """End the run before its first test if a marker cannot be followed; a worker of xdist cannot, and fails that test alone."""
    for item in items if not hasattr(config, "workerinput") else ():
        if problem := _marker_problem(item):
            raise pytest.UsageError(f"{item.nodeid}: {problem}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker cannot be followed."""
    if problem := _marker_problem(item):
        pytest.fail(problem, pytrace=False)


def _marker_problem(item: pytest.Item) -> str:
    """Why the test's marker cannot be followed; empty if it can, or if there is none."""
    if item.get_closest_marker("ipg") is None:
        return ""
    from ipg_emulator.testing.wanted import MarkerError

    try:
        _wanted(item)
    except MarkerError as error:
        return str(error)
    return ""


def _wanted(item: pytest.Item) -> Wanted:
    from ipg_emulator.testing.wanted import wanted

    return wanted((mark.args, mark.kwargs) for mark in item.iter_markers("ipg"))


@pytest.fixture(scope="session")
def _ipg_nursery() -> Iterator[Nursery]:  # pyright: ignore[reportUnusedFunction] - by its name, where it is needed
    """What devices in processes of their own are forked from."""
    from ipg_emulator.testing.nursery import Nursery

    with Nursery() as nursery:
        yield nursery


@pytest.fixture(scope="session")
def _ipg_target(pytestconfig: pytest.Config) -> Target | None:  # pyright: ignore[reportUnusedFunction] - as above
    """The device that the command line names, to be tested in place of new ones."""
    port = pytestconfig.getoption("ipg_target")
    if port is None:
        return None
    from ipg_emulator.testing.target import Target

    return Target(port, pytestconfig.getoption("ipg_control"), pytestconfig.getoption("ipg_token"))


@pytest.fixture
def ipg_fleet(request: pytest.FixtureRequest, _ipg_target: Target | None) -> Iterator[list[Ipg]]:
    """Virtual devices, as many as `@pytest.mark.ipg(devices=…)` says: each with its `port`, `device` and `client`."""
    from ipg_emulator.testing.lending import CannotLend, lend

    fleet, why_not = list["Ipg"](), ""
    with ExitStack() as ending:
        try:
            fleet = lend(_wanted(request.node), ending, lambda: request.getfixturevalue("_ipg_nursery"), _ipg_target)
        except CannotLend as error:
            why_not = str(error)
        if why_not:
            pytest.fail(why_not, pytrace=False)
        request.node.stash[_fleet_of] = fleet
        yield fleet


@pytest.fixture
def ipg(ipg_fleet: list[Ipg]) -> Ipg:
    """A virtual device: `client`, connected to it; `device`, the device seen from outside; `port`, for any program."""
    return ipg_fleet[0]


@pytest.fixture
def ipg_device(ipg: Ipg) -> Handle:
    """A virtual device seen from outside: its time, faults, surroundings, what it delivers, its log."""
    return ipg.device


@pytest.fixture
def ipg_port(ipg: Ipg) -> str:
    """Where any program reaches a virtual device: a path or a pyserial URL."""
    return ipg.port


@pytest.fixture
def ipg_comports(ipg_fleet: list[Ipg]) -> Iterator[list[Any]]:
    """Let `serial.tools.list_ports.comports()` find the test's devices, and nothing else; gives what it finds."""
    from ipg_emulator.testing.comports import Shown, listed

    wanted = ipg_fleet[0].wanted
    shown = [Shown(ipg.port, ipg.model, ipg.serial_number) for ipg in ipg_fleet]
    with listed(shown, vid=wanted.vid, pid=wanted.pid) as ports:
        yield ports


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failed test what its devices have seen."""
    report = yield
    fleet = item.stash.get(_fleet_of, list["Ipg"]())
    if fleet and report.failed:
        from ipg_emulator.testing.report import tell

        folder = item.config.getoption("ipg_report")
        report.sections += [(SECTION, tell(ipg, item.nodeid, folder)) for ipg in fleet]
    if fleet and report.when == "teardown":
        del item.stash[_fleet_of]
    return report
