"""A process that devices are forked from, each into a process of its own: Python's start and the imports are paid for once.

It lives no longer than the process that has started it, and no device outlives it, whichever of them is killed.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from selectors import EVENT_READ, DefaultSelector
from typing import Any, NoReturn, Self

LONGEST_REQUEST = 65_536
DESCRIPTORS = 3
"""A device gets its end of the control channel, its standard output and its standard error."""
NEEDED = ("console", "control.channel", "launch", "ports.pty", "ports.rfc2217", "running", "surroundings")
"""What a device in a process of its own imports late."""
START_SECONDS = 10.0
END_SECONDS = 5.0
ERROR_LINES = 10


class NurseryError(Exception):
    """A device did not come up, or the process that they are forked from has ended; the text says what was printed."""


# The side of whoever wants devices


class Nursery:
    """Devices in processes of their own."""

    def __init__(self) -> None:
        """Start the process.

        Raises:
            NurseryError: this is no POSIX system.
        """
        if not hasattr(os, "fork"):
            raise NurseryError(
                "only a POSIX system can have a device in a process of its own; transport='in-process' needs none"
            )
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: what lies in the folder that tests are run in must not take the place of any module.
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the tests: these end in their turn
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    def start(self, arguments: list[str]) -> DeviceProcess:
        """A device that `ipg-emulator` would run with these arguments, ready to be talked to.

        Raises:
            NurseryError: it has ended instead, or is not ready in time.
        """
        with ExitStack() as unless_ready, ExitStack() as once_passed:
            ours, control = socket.socketpair()
            once_passed.enter_context(control)
            unless_ready.enter_context(ours)
            output, theirs = os.pipe()
            once_passed.callback(os.close, theirs)
            unless_ready.callback(os.close, output)
            errors = unless_ready.enter_context(tempfile.TemporaryFile())
            request = {"start": arguments, "folder": os.getcwd()}
            number = self.ask(request, [control.fileno(), theirs, errors.fileno()])
            once_passed.close()
            device = DeviceProcess(self, number, ours, output, errors)
            unless_ready.callback(device.stop)
            device.await_ready()
            unless_ready.pop_all()
        return device

    def ask(self, request: dict[str, Any], descriptors: list[int] | None = None) -> int:
        """The answer to a request, which descriptors may go with.

        Raises:
            NurseryError: nobody is there to answer.
        """
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors or [])
            answer = self._socket.recv(LONGEST_REQUEST)
        except OSError:
            answer = b""
        if not answer:
            raise NurseryError("the process that devices are forked from has ended")
        return int(answer)

    def close(self) -> None:
        """End the process, and with it what devices there are."""
        self._socket.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class DeviceProcess:
    """A device in a process of its own."""

    def __init__(self, nursery: Nursery, number: int, control: socket.socket, output: int, errors: Any) -> None:
        self.control = control
        """Where `--control-fd` is served."""
        self.address = ""
        """What a pyserial program opens to get there."""
        self._nursery = nursery
        self.number = number
        """Of the process."""
        self._output = output
        self._errors = errors

    def await_ready(self) -> None:
        """Wait until the device answers.

        Raises:
            NurseryError: it has ended instead, or is not ready in time.
        """
        first, _, _ = self._read_line(START_SECONDS).partition("\n")
        if not first.startswith("READY "):
            raise NurseryError(f"the device did not come up: {self.last_words() or 'it said nothing'}")
        self.address = first.split(maxsplit=2)[2]

    def last_words(self) -> str:
        """The end of what the process has printed as errors, as long as it is not let go."""
        if self._errors.closed:
            return "its process has ended with the fixture"
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-ERROR_LINES:])

    def end(self) -> None:
        """Power the device off: its port goes with it. One that does not end in time is killed."""
        self.stop()
        self.control.close()
        os.close(self._output)
        self._errors.close()

    def stop(self) -> None:
        """End the process."""
        with suppress(NurseryError):  # with which the device has ended too
            self._nursery.ask({"signal": signal.SIGTERM, "to": self.number})
            if not self._has_ended_within(END_SECONDS):
                self._nursery.ask({"signal": signal.SIGKILL, "to": self.number})
            self._nursery.ask({"reap": self.number})

    def _has_ended_within(self, seconds: float) -> bool:
        """Whether the standard output has come to its end, as it does with the process."""
        deadline = time.monotonic() + seconds
        while self._wait(deadline):
            if not os.read(self._output, LONGEST_REQUEST):
                return True
        return False

    def _read_line(self, seconds: float) -> str:
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n") and self._wait(deadline):
            data = os.read(self._output, LONGEST_REQUEST)
            if not data:
                break
            line += data
        return line.decode()

    def _wait(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))
        return bool(ready)


# The process that devices are forked from


class Forks:
    """The devices that have been forked from this process, and their numbers."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()

    def answer(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """Do what is asked. Returns the number of the device that it was about, and in that device's own process 0."""
        match request:
            case {"start": _}:
                number = os.fork()
                self._numbers.add(number)
            case {"signal": kind, "to": number}:
                os.kill(number, kind)
            case {"reap": number}:
                os.waitpid(number, 0)
                self._numbers.remove(number)
            case _:
                raise ValueError(f"nobody asks for {request}")
        for descriptor in descriptors if number else ():
            os.close(descriptor)
        return number

    def end(self) -> None:
        """End all that there are."""
        for number in self._numbers:
            os.kill(number, signal.SIGTERM)
        for number in self._numbers:
            os.waitpid(number, 0)


def _serve(asking: socket.socket) -> list[str] | None:
    """Answer until there is nobody left to ask, None; in a device's own process, the arguments that it is to be run with."""
    forks = Forks()
    for request, descriptors in _requests(asking):
        number = forks.answer(request, descriptors)
        if not number:
            control = _take(descriptors)
            os.chdir(request["folder"])
            return [*request["start"], "--control-fd", str(control)]
        asking.send(str(number).encode())
    forks.end()
    return None


def _requests(asking: socket.socket) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Requests, each with its descriptors, as long as there is somebody to ask."""
    from ipg_emulator.runner import PARENT_POLL_US, ParentGone, ParentWatch

    with DefaultSelector() as selector, suppress(ParentGone):
        watch = ParentWatch(selector)
        selector.register(asking, EVENT_READ, None)
        while True:
            for key, _ in selector.select(PARENT_POLL_US / 1_000_000):
                if key.data is not None:
                    watch.receive(None, 0)
                message, descriptors, _, _ = socket.recv_fds(asking, LONGEST_REQUEST, DESCRIPTORS)
                if not message:
                    return
                yield json.loads(message), descriptors
            watch.wake(0)


def _take(descriptors: list[int]) -> int:
    """Let output and errors go where they were asked for; the descriptor of the control channel."""
    control, output, errors = descriptors
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    return control


def _warm_up() -> None:
    """Import all that a device needs, and build one: much is made ready at its first use."""
    for name in NEEDED:
        import_module(f"ipg_emulator.{name}")
    from ipg_emulator.factory import build_device
    from ipg_emulator.model import load

    build_device(load("scs-rechargeable"))


def main() -> NoReturn:
    """Serve the socket whose descriptor is the argument."""
    from ipg_emulator import cli

    with socket.socket(fileno=int(sys.argv[1])) as requests:
        gc.disable()
        _warm_up()
        gc.freeze()
        arguments = _serve(requests)
    raise SystemExit(None if arguments is None else cli.main(arguments))


if __name__ == "__main__":
    main()
