"""The control channel of a process with devices: operations and their answers, JSON objects in lines, over a connected socket.

`{"id": 1, "do": "advance", "with": {"seconds": 2}, "device": 0}` is answered by `{"id": 1, "answer": ...}`, or by
`{"id": 1, "error": "what was wrong, and what would be right"}`. Without `with`, an operation gets no values; without `device`,
it is the first. Answers to what waits for something come when it has happened, after others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from itertools import count
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from ipg_emulator.control.operation import (
    MISREAD,
    Operation,
    OperationError,
    StillToCome,
    answer_type,
    misread_error,
    name_of,
    run_on,
)
from ipg_emulator.control.operations import OPERATIONS
from ipg_emulator.control.witness import witness_of
from ipg_emulator.ports import PortError
from ipg_emulator.virtual import Subject

if TYPE_CHECKING:
    import socket

A = TypeVar("A")

READ_BYTES = 65_536
LONGEST_LINE = 1_048_576
TOO_LONG = f"a line is at most {LONGEST_LINE} bytes long"
POLL_US = 5_000
"""How often it is looked whether what is waited for has happened."""


class ChannelClosed(Exception):
    """Nobody answers any more: the process with the device has ended, or its channel."""


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A line from the one who asks."""

    id: int
    do: str
    values: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="with")
    device: int = 0


class Answered(msgspec.Struct):
    """A line of the one who answers; an `error` takes the place of an answer. No `id`: the line could not be read."""

    id: int | None
    answer: msgspec.Raw = msgspec.Raw()
    error: str | None = None


class Waiting(NamedTuple):
    """An operation that is not over yet."""

    id: int
    subject: Subject
    operation: Operation[Any]


class ControlChannel:
    """The answering end, served by the loop that runs the devices. When the other end closes, the devices go on."""

    def __init__(self, subjects: Sequence[Subject], descriptor: int) -> None:
        """Watch the devices from now on, and answer on a descriptor, which is closed in the end."""
        self._subjects = subjects
        self._descriptor = descriptor
        self._selector: BaseSelector | None = None
        self._unread = b""
        self._unsent = b""
        self._waiting: list[Waiting] = []
        self._look_at: int | None = None
        for subject in subjects:
            witness_of(subject.ipg)

    def open(self, selector: BaseSelector) -> None:
        """Begin to answer.

        Raises:
            PortError: the descriptor is none of an open socket.
        """
        try:
            os.set_blocking(self._descriptor, False)
            os.set_inheritable(self._descriptor, False)
            selector.register(self._descriptor, EVENT_READ, (self, None))
        except OSError as error:
            told = f"descriptor {self._descriptor} cannot be a control channel: {error.strerror}"
            raise PortError(f"{told}; pass one end of a connected socket") from None
        self._selector = selector

    def close(self) -> None:
        """End the channel."""
        if self._selector is not None:
            self._selector.unregister(self._descriptor)
            self._selector = None
            self._waiting.clear()
            os.close(self._descriptor)

    def wake_at(self) -> int | None:
        return self._look_at if self._waiting else None

    def wake(self, real: int) -> None:
        """Look whether what is waited for has happened."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._run(each)
        self._look_at = real + POLL_US
        self._send()

    def receive(self, _: object, real: int, /) -> None:
        """Answer what was asked, and send what could not be sent before; until that is gone, nothing more is read."""
        self._send()
        if self._unsent or self._selector is None:
            return
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._answer(data)
        self._look_at = real + POLL_US
        self._send()

    def _answer(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._answer_line(line)
        if len(self._unread) > LONGEST_LINE:
            self._reply(None, error=TOO_LONG)
            self._unread = b""

    def _answer_line(self, line: bytes) -> None:
        try:
            asked = msgspec.json.decode(line, type=Asked)
        except MISREAD as error:
            self._reply(None, error=f'expected {{"id": 1, "do": NAME, "with": {{...}}}}: {error}')
            return
        try:
            self._run(Waiting(asked.id, self._subject(asked.device), _operation(asked)))
        except OperationError as error:
            self._reply(asked.id, error=str(error))

    def _subject(self, number: int) -> Subject:
        if not 0 <= number < len(self._subjects):
            raise OperationError(f"there is no device {number}; there are {len(self._subjects)}, numbered from 0")
        return self._subjects[number]

    def _run(self, waiting: Waiting) -> None:
        try:
            answer = run_on(waiting.operation, waiting.subject)
        except StillToCome as later:
            self._waiting.append(waiting._replace(operation=later.again))
        except OperationError as error:
            self._reply(waiting.id, error=str(error))
        else:
            self._reply(waiting.id, answer=answer)

    def _reply(self, number: int | None, **said: object) -> None:
        self._unsent += msgspec.json.encode({"id": number, **said}) + b"\n"

    def _send(self) -> None:
        if self._selector is None or not self._unsent:
            return
        try:
            self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._selector.modify(self._descriptor, EVENT_WRITE if self._unsent else EVENT_READ, (self, None))


def _operation(asked: Asked) -> Operation[Any]:
    """What is asked for.

    Raises:
        OperationError: there is no such operation, or a value is not allowed.
    """
    if asked.do not in OPERATIONS:
        from difflib import get_close_matches

        near = get_close_matches(asked.do, OPERATIONS)
        raise OperationError(
            f"there is no operation {asked.do!r}; "
            + (f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(OPERATIONS)}")
        )
    kind = OPERATIONS[asked.do]
    try:
        operation: Operation[Any] = msgspec.json.decode(asked.values, type=kind)
    except MISREAD as error:
        raise misread_error(kind, error) from None
    return operation


class Channel:
    """The asking end. Any number of threads may ask; one that waits for something keeps none of the others waiting."""

    def __init__(self, connected: socket.socket) -> None:
        """Ask over a connected socket, which remains its owner's to close."""
        self._socket = connected
        self._ids = count(1)
        self._sending = threading.Lock()
        self._turn = threading.Condition()
        self._is_read_by_another = False
        self._unread = b""
        self._answers: dict[int | None, Answered] = {}

    def ask(self, device: int, operation: Operation[A]) -> A:
        """Have a device run an operation; its answer.

        Raises:
            OperationError: it cannot be done, or a value is not allowed.
            ChannelClosed: see there.
        """
        kind, number = type(operation), next(self._ids)
        asked = {"id": number, "do": name_of(kind), "with": operation, "device": device}
        line = msgspec.json.encode(asked) + b"\n"
        if len(line) > LONGEST_LINE:
            raise OperationError(f"{name_of(kind)}: {TOO_LONG}")
        self._send(line)
        answered = self._answer_to(number)
        if answered.error is not None:
            raise OperationError(answered.error)
        answer: A = msgspec.json.decode(answered.answer, type=answer_type(kind))
        return answer

    def _send(self, line: bytes) -> None:
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError as error:
            raise ChannelClosed(f"the device cannot be asked: {error}") from None

    def _answer_to(self, number: int) -> Answered:
        """Wait for an answer: whoever finds nobody reading reads for all."""
        with self._turn:
            while number not in self._answers:
                if self._is_read_by_another:
                    self._turn.wait()
                else:
                    self._read()
            return self._answers.pop(number)

    def _read(self) -> None:
        """Take in what comes next, while others may ask."""
        self._is_read_by_another = True
        self._turn.release()
        try:
            data = self._receive()
        finally:
            self._turn.acquire()
            self._is_read_by_another = False
            self._turn.notify_all()
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            answered = msgspec.json.decode(line, type=Answered)
            self._answers[answered.id] = answered

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(READ_BYTES)
        except OSError as error:
            raise ChannelClosed(f"the device does not answer: {error}") from None
        if not data:
            raise ChannelClosed("the device does not answer: the process that it ran in has ended, or closed its channel")
        return data
