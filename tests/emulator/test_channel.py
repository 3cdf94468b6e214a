"""The control channel: a process with devices does what it is asked over a socket, without its ports standing still."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from selectors import DefaultSelector
from typing import Any

import msgspec
import pytest
from ipg_emulator.control import OperationError
from ipg_emulator.control.channel import LONGEST_LINE, Channel, ChannelClosed, ControlChannel
from ipg_emulator.faults.fault import FAULTS, When
from ipg_emulator.handle import Handle, over
from ipg_emulator.ports.in_process import Passing
from ipg_protocol import Role

SECONDS_TO_START = 20.0


class Running:
    """A process with devices, and its control channel."""

    def __init__(self, ending: ExitStack, *options: str) -> None:
        ours, theirs = socket.socketpair()
        arguments = ["run", "--model", "scs-rechargeable", "--control-fd", str(theirs.fileno()), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ipg_emulator", *arguments],
            pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()
        ours.settimeout(SECONDS_TO_START)
        self.socket = ending.enter_context(ours)
        ending.callback(self._end)
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.channel = Channel(ours)
        self.handle: Handle = over(self.channel)

    def _end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def lines(self, sent: bytes) -> list[Any]:
        """What is answered to raw bytes, as many lines as were sent."""
        self.socket.sendall(sent)
        answers = b""
        while answers.count(b"\n") < sent.count(b"\n"):
            answers += self.socket.recv(65_536)
        return [msgspec.json.decode(line) for line in answers.splitlines()]


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    with ExitStack() as ending:
        yield lambda *options: Running(ending, *options)


def test_a_device_in_another_process_does_what_it_is_asked(run: Callable[..., Running]) -> None:
    running = run("--speed", "manual", "--seed", "9")
    assert running.ready.startswith("READY pty ")
    handle = running.handle
    assert handle.describe().seed == 9
    began = handle.now
    assert handle.advance(100.0) == pytest.approx(began + 100.0)
    handle.magnet()
    assert handle.wait_for("MAGNET_CHANGED").at_seconds == pytest.approx(began + 100.0)
    number = handle.inject(FAULTS["drop"](when=When(command="PING")))
    (planned,) = handle.faults()
    assert (planned.number, planned.fault) == (number, FAULTS["drop"](when=When(command="PING")))
    handle.snapshot()
    handle.advance(50.0)
    assert handle.restore().at_seconds == pytest.approx(began + 100.0)
    handle.no_stimulation(after=0.0)
    assert handle.delivered().is_nothing


def test_one_that_waits_keeps_none_of_the_others_waiting(run: Callable[..., Running]) -> None:
    handle = run().handle
    found: list[object] = []
    waiting = [threading.Thread(target=lambda: found.append(handle.wait_for("MAGNET_CHANGED", within=20.0))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    for _ in range(50):
        handle.state()
    assert found == []
    handle.magnet()
    for thread in waiting:
        thread.join(20.0)
    assert len(found) == 3


def test_many_threads_get_each_their_own_answers(run: Callable[..., Running]) -> None:
    running = run("--devices", "4", "--speed", "manual")
    wrong: list[object] = []

    def ask(number: int) -> None:
        handle = over(running.channel, number)
        wrong.extend(seed for _ in range(50) if (seed := handle.describe().seed) != number)

    threads = [threading.Thread(target=ask, args=(number % 4,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert wrong == []


def test_the_devices_of_a_fleet_are_told_apart(run: Callable[..., Running]) -> None:
    running = run("--devices", "2", "--speed", "manual")
    first, second = over(running.channel, 0), over(running.channel, 1)
    second.advance(10.0)
    assert second.now - first.now == pytest.approx(10.0)
    with pytest.raises(OperationError, match="there is no device 2; there are 2, numbered from 0"):
        over(running.channel, 2).describe()


@pytest.mark.parametrize(
    ("line", "number", "why"),
    [
        (b"nonsense", None, 'expected {"id": 1, "do": NAME, "with": {...}}: JSON is malformed'),
        (b'{"id": 3}', None, "missing required field `do`"),
        (b'{"id": 3, "do": "time", "of": 1}', None, "unknown field `of`"),
        (b'{"id": 3, "do": "tiem"}', 3, "there is no operation 'tiem'; did you mean time"),
        (b'{"id": 3, "do": "xyzzy"}', 3, "there is no operation 'xyzzy'; there are describe, "),
        (b'{"id": 3, "do": "advance"}', 3, "advance: Object missing required field `seconds`"),
        (b'{"id": 3, "do": "advance", "with": {"seconds": "1"}}', 3, "advance: Expected `float`, got `str`"),
        (b'{"id": 3, "do": "posture", "with": {"name": "flying"}}', 3, "allowed: prone, side, sitting"),
        (b'{"id": 3, "do": "time", "device": 7}', 3, "there is no device 7"),
        (b'{"id": 3, "do": "worn-disc", "with": {"present": true}}', 3, "the supply of scs-rechargeable is rechargeable"),
        (b"[" * 10_000, None, "expected {"),
        (b'{"id": 3, "do": "wait-for", "with": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", None, "maximum recursion depth"),
        (b'"\xff\xfe"', None, "expected {"),
    ],
)
def test_a_wrong_line_is_answered_with_what_would_be_right(channel: Running, line: bytes, number: int | None, why: str) -> None:
    wrong, right = channel.lines(line + b"\n" + b'{"id": 4, "do": "time"}\n')
    assert wrong["id"] == number
    assert why in wrong["error"]
    assert right["id"] == 4
    assert "error" not in right


@pytest.fixture(scope="module")
def channel() -> Iterator[Running]:
    """A device that wrong lines are sent to, which leave it as it is."""
    with ExitStack() as ending:
        yield Running(ending, "--speed", "manual")


def test_what_is_too_long_for_a_line_is_refused_before_it_is_sent(channel: Running) -> None:
    with pytest.raises(OperationError, match=f"wait-for: a line is at most {LONGEST_LINE} bytes long"):
        channel.handle.wait_for("RESET_HAPPENED", cause="x" * LONGEST_LINE)


def test_a_line_without_end_is_given_up(run: Callable[..., Running]) -> None:
    running = run()
    running.socket.sendall(b"x" * (LONGEST_LINE + 70_000))
    told = msgspec.json.decode(running.socket.recv(65_536).splitlines()[0])
    assert told == {"id": None, "error": f"a line is at most {LONGEST_LINE} bytes long"}


def test_answers_larger_than_the_socket_holds_arrive_whole(run: Callable[..., Running]) -> None:
    running = run("--speed", "manual")
    for _ in range(30):
        running.handle.magnet()
        running.handle.magnet(present=False)
    asked = b"".join(b'{"id": %d, "do": "events"}\n' % number for number in range(100))
    answers = running.lines(asked)
    assert [answer["id"] for answer in answers] == list(range(100))
    assert {len(answer["answer"]) for answer in answers} == {180}


def test_when_the_other_end_closes_the_device_goes_on(run: Callable[..., Running]) -> None:
    running = run()
    path = running.ready.split()[2]
    running.socket.close()
    from ipg_host import connect

    with connect(path) as client:
        assert client.open_session(Role.OBSERVER).role is Role.OBSERVER
    assert running.process.poll() is None


def test_when_the_device_ends_the_one_who_asks_is_told(run: Callable[..., Running]) -> None:
    running = run()
    waiting: list[object] = []

    def wait() -> None:
        try:
            running.handle.wait_for("MAGNET_CHANGED", within=60.0)
        except ChannelClosed as closed:
            waiting.append(closed)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    running.handle.state()
    running.process.kill()
    for thread in threads:
        thread.join(20.0)
    assert len(waiting) == 3
    with pytest.raises(ChannelClosed, match="the device"):
        running.handle.state()


def test_a_descriptor_that_is_no_socket_is_told() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--control-fd", "77"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 3
    assert told.stderr == (
        "ipg-emulator: descriptor 77 cannot be a control channel: Bad file descriptor; pass one end of a connected socket\n"
    )


class Served:
    """The answering end in this process, served whenever there is something to do."""

    def __init__(self, ending: ExitStack, watched: Any) -> None:
        self.asking, answering = socket.socketpair()
        ending.enter_context(self.asking)
        self.asking.setblocking(False)
        self.selector = ending.enter_context(DefaultSelector())
        self.channel = ControlChannel([watched.device], answering.detach())
        self.channel.open(self.selector)
        ending.callback(self.channel.close)

    def serve(self) -> None:
        while self.selector.select(0):
            self.channel.receive(None, 0)

    def heard(self) -> bytes:
        """All that is answered until there is nothing more."""
        heard = b""
        with suppress(BlockingIOError):
            while True:
                heard += self.asking.recv(1_000_000)
                self.serve()
        return heard


@pytest.fixture
def served(watched: Any) -> Iterator[Served]:
    with ExitStack() as ending:
        yield Served(ending, watched)


@pytest.mark.parametrize("size", [1, 7, 25, 1000])
def test_lines_may_come_in_any_pieces(served: Served, size: int) -> None:
    whole = b'{"id": 1, "do": "time"}\n{"id": 2, "do": "describe"}\n{"id": 3, "do": "snapshots"}\n'
    for place in range(0, len(whole), size):
        served.asking.send(whole[place : place + size])
        served.serve()
    assert [msgspec.json.decode(line)["id"] for line in served.heard().splitlines()] == [1, 2, 3]


def test_of_one_who_does_not_read_no_more_is_read(served: Served) -> None:
    sent = 0
    with suppress(BlockingIOError):
        while sent < 1_000_000:
            served.asking.send(b'{"id": %d, "do": "describe"}\n' % sent)
            sent += 1
            served.serve()
    assert 0 < sent < 1_000_000
    assert [msgspec.json.decode(line)["id"] for line in served.heard().splitlines()] == list(range(sent))


def test_one_who_leaves_while_something_is_waited_for_leaves_nothing_behind(make_watched: Any) -> None:
    with ExitStack() as ending:
        served = Served(ending, make_watched(passing=Passing.REAL))
        served.asking.send(b'{"id": 1, "do": "wait-for", "with": {"event": "MAGNET_CHANGED"}}\n')
        served.serve()
        assert served.channel.wake_at() is not None
        served.asking.close()
        served.serve()
        assert not served.selector.get_map()
        assert served.channel.wake_at() is None
