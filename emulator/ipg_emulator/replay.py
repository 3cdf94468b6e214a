"""A recorded device: it answers as a trace says, and tells where the host departs from what it sent then. No clock inside."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
from ipg_protocol import wire
from ipg_protocol.capture import read_records
from ipg_protocol.command import CATALOGUE
from ipg_protocol.describe import Reframer, describe_frame, in_words
from ipg_protocol.frame import Frame, FrameReader, Kind
from ipg_protocol.trace import Record, Towards, TraceError

DRAWN_BY_HOSTS = frozenset({"host_id", "nonce"})
"""Fields that a host draws anew each time, so that they are not compared unless asked for."""
REQUEST_ID = "request_id"


class Departure(msgspec.Struct, frozen=True):
    """Where the host did something else than in the trace."""

    request: int
    """Which of the host's requests, counted from 1."""
    of: int
    """How many the trace has."""
    what: str

    def __str__(self) -> str:
        return f"request {self.request} of {self.of}: {self.what}"


class Asked(msgspec.Struct):
    """A request of the trace, and what the device said from then on until the next: how long after it, and what."""

    frame: Frame | None
    """None before the first request."""
    at_us: int
    said: list[tuple[int, bytes]]


class Replay:
    """Answers in the order of the trace, each answer as long after the request as it came then.

    Requests are compared field by field. Acknowledgements of events, and noise, may come as they will. Give it bytes with
    `receive`, wake it at `wake_at`, and send what `take_output` gives; times are microseconds and do not go backwards.
    """

    def __init__(self, records: Iterable[Record], *, ignore: Collection[str] = DRAWN_BY_HOSTS, now: int = 0) -> None:
        """Begin at `now`. The fields named in `ignore` may differ."""
        before, *asked = _asked(records)
        self.departure: Departure | None = None
        """The first difference, once there is one; from then on nothing is said any more."""
        self.requests = len(asked)
        self._expected = deque(asked)
        self._ignored = frozenset(ignore)
        self._reader = FrameReader()
        self._due: deque[tuple[int, bytes]] = deque()
        self._say(before, now)

    @property
    def answered(self) -> int:
        """How many of the trace's requests have come."""
        return self.requests - len(self._expected)

    @property
    def is_over(self) -> bool:
        """Whether the host has sent all that it sent then, and has been told all that it was told then."""
        return self.departure is None and not self._expected and not self._due

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that the host has sent."""
        for frame in self._reader.feed(data, now):
            if frame.kind is Kind.REQUEST and self.departure is None:
                self._compare(frame, now)

    def wake_at(self) -> int | None:
        """When the next answer is due; None while the host is awaited."""
        return self._due[0][0] if self._due else None

    def take_output(self, now: int) -> bytes:
        """What the device has said by `now`."""
        output = b""
        while self._due and self._due[0][0] <= now:
            output += self._due.popleft()[1]
        return output

    def end(self) -> None:
        """The host has left: if the trace goes on, that is a departure."""
        if self.departure is None and self._expected:
            recorded = self._expected[0].frame
            assert recorded is not None, "only what comes before the first request has none"
            self._depart(self.answered + 1, f"recorded {describe_frame(recorded)}, but the host has sent no more")

    def _say(self, asked: Asked, now: int) -> None:
        """Have said what followed, no sooner than what is still to be said."""
        for after_us, said in asked.said:
            at = now + after_us
            self._due.append((max(at, self._due[-1][0]) if self._due else at, said))

    def _compare(self, frame: Frame, now: int) -> None:
        number = self.answered + 1
        if not self._expected:
            self._depart(number, f"the trace ends before it, but the host has sent {describe_frame(frame)}")
            return
        asked = self._expected.popleft()
        assert asked.frame is not None, "only what comes before the first request has none"
        difference = _difference(asked.frame, frame, self._ignored)
        if difference:
            self._depart(number, difference)
        else:
            self._say(asked, now)

    def _depart(self, number: int, what: str) -> None:
        self.departure = Departure(number, self.requests, what)
        self._due.clear()


def _asked(records: Iterable[Record]) -> list[Asked]:
    """The trace by its requests; the first of the list is what the device said before any."""
    reframer = Reframer()
    asked: list[Asked] = []
    for record in records:
        if record.why:
            continue
        if not asked:
            asked.append(Asked(None, record.at_us, []))
        if record.to is Towards.HOST:
            asked[-1].said.append((max(0, record.at_us - asked[-1].at_us), record.data))
            continue
        frames = (framed.piece.frame for framed in reframer.feed(record))
        asked += [Asked(frame, record.at_us, []) for frame in frames if frame is not None and frame.kind is Kind.REQUEST]
    return asked or [Asked(None, 0, [])]


def _difference(recorded: Frame, got: Frame, ignored: Collection[str]) -> str:
    """The first thing in which a request differs from the one recorded; empty if there is none."""
    if recorded.opcode != got.opcode:
        return f"recorded {describe_frame(recorded)}, got {describe_frame(got)}"
    name = CATALOGUE[recorded.opcode].name if recorded.opcode in CATALOGUE else f"{recorded.opcode:#06x}"
    before, now = dict(_values(recorded)), dict(_values(got))
    for field in {**before, **now}:
        if field not in ignored and before.get(field) != now.get(field):
            return f"{name}, field {field}: recorded {_in_words(before, field)}, got {_in_words(now, field)}"
    return ""


def _values(frame: Frame) -> Iterator[tuple[str, Any]]:
    """A request's fields by their names; its payload as it is where it cannot be read."""
    yield REQUEST_ID, frame.request_id
    try:
        yield from _flat(wire.decode(CATALOGUE[frame.opcode].request, frame.payload))
    except (KeyError, wire.WireError):
        yield "payload", frame.payload


def _flat(message: wire.Message) -> Iterator[tuple[str, Any]]:
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, wire.Message):
            yield from _flat(value)
        else:
            yield name, value


def _in_words(values: dict[str, Any], field: str) -> str:
    return in_words(values[field]) if field in values else "nothing"


def load(path: str) -> tuple[Record, ...]:
    """The records of a trace file, JSON lines or pcapng.

    Raises:
        TraceError: it cannot be read, or is no trace.
    """
    try:
        with open(path, "rb") as file:
            return tuple(read_records(file.read()))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except TraceError as error:
        raise TraceError(f"{path}: {error}") from None
