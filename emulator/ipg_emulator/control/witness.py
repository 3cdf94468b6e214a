"""What is remembered of a device for whoever asks later: events, refusals, the last bytes, what was delivered. All bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec
from ipg_protocol.command import CATALOGUE, EVENT_OF, decode_event, decode_reply
from ipg_protocol.describe import describe_frame
from ipg_protocol.frame import Frame, FrameReader, Kind
from ipg_protocol.trace import Record, Towards
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message, WireError, field_names

from ipg_emulator.board import Segment
from ipg_emulator.board.assembly import VirtualBoard
from ipg_emulator.control.answers import SeenEvent, SeenRefusal, seconds
from ipg_emulator.control.operation import OperationError
from ipg_emulator.control.plain import plain_fields
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.link import UNNUMBERED
from ipg_emulator.virtual import VirtualIpg

if TYPE_CHECKING:
    from ipg_emulator.snapshot import Snapshot

EVENTS_KEPT = 10_000
REFUSALS_KEPT = 1_000
RECORDS_KEPT = 1_000
SEGMENTS_KEPT = 20_000
REASONS_KEPT = 1_000
_TOLD_TWICE = "port:"
"""Bytes that the port had no room for are on record already, as those that were put before it."""


class Memories(msgspec.Struct):
    """What a witness keeps."""

    delivery_known_from: int
    """In microseconds."""
    events: deque[SeenEvent] = msgspec.field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    refusals: deque[SeenRefusal] = msgspec.field(default_factory=lambda: deque(maxlen=REFUSALS_KEPT))
    records: deque[Record] = msgspec.field(default_factory=lambda: deque(maxlen=RECORDS_KEPT))
    segments: deque[Segment] = msgspec.field(default_factory=lambda: deque(maxlen=SEGMENTS_KEPT))
    last_of_reason: dict[str, Record] = {}
    """The last bytes that something has happened to, by what it was."""

    def copy(self) -> Memories:
        """The same, for keeping: what is remembered is itself never changed."""
        return Memories(
            self.delivery_known_from,
            self.events.copy(),
            self.refusals.copy(),
            self.records.copy(),
            self.segments.copy(),
            self.last_of_reason.copy(),
        )

    def until(self, now: int, output_until: int) -> Memories:
        """What was remembered at `now`, when the output had been reported up to `output_until`."""
        then = self.copy()
        _drop(then.events, lambda event: event.at_seconds > seconds(now))
        _drop(then.refusals, lambda refusal: refusal.at_seconds > seconds(now))
        _drop(then.records, lambda record: record.at_us > now)
        _drop(then.segments, lambda segment: segment.drive.until is None or segment.drive.until > output_until)
        return then


class Kept(msgspec.Struct, frozen=True):
    """A snapshot of a device, and what was remembered of it until then."""

    snapshot: Snapshot
    memories: Memories


class Witness:
    """Watches one device from a moment on: it is one of the device's watchers, and is found there."""

    def __init__(self, delivery_known_from: int) -> None:
        self.memories = Memories(delivery_known_from)
        self.snapshots: dict[str, Kept] = {}
        self.last_event = 0
        """The number of the newest event, 0 if there was none. It grows over a restore too, for whoever asks for newer ones."""
        self._reader = FrameReader()

    def __call__(self, record: Record) -> None:
        """Take note of bytes of the link."""
        self.memories.records.append(record)
        if record.why:
            self._altered(record)
        elif record.to is Towards.HOST:
            for frame in self._reader.feed(record.data, record.at_us):
                self._answered(frame, record)
                self._streamed(frame, record.at_us)

    def happened(self, event: Message, now: int) -> None:
        """Take note of an event of the device, or of its link."""
        self.last_event += 1
        name = EVENT_OF[type(event)].name
        self.memories.events.append(SeenEvent(self.last_event, seconds(now), name, plain_fields(event)))

    def output(self, segment: Segment) -> None:
        """Take note of a stretch of output that is over."""
        memories, segments = self.memories, self.memories.segments
        if len(segments) == segments.maxlen:
            memories.delivery_known_from = max(memories.delivery_known_from, segments[0].drive.until or 0)
        segments.append(segment)

    def keep(self, name: str, snapshot: Snapshot) -> None:
        """Keep a snapshot under a name."""
        self.snapshots[name] = Kept(snapshot, self.memories.copy())

    def turned_back(self, ipg: VirtualIpg, now: int) -> None:
        """Forget what has happened since a time that the device goes on from; of what was at that very microsecond, nothing."""
        self.memories = self.memories.until(now, board_of(ipg.firmware).output.reported_until)
        self._reader = FrameReader()

    def go_back(self, kept: Kept) -> None:
        """Remember what was, when a snapshot was taken that the device goes on from."""
        self.memories = kept.memories.copy()

    def _altered(self, record: Record) -> None:
        known = self.memories.last_of_reason
        if record.why not in known and len(known) == REASONS_KEPT:
            del known[next(iter(known))]
        known[record.why] = record
        if record.to is Towards.HOST and not record.why.startswith(_TOLD_TWICE):
            for frame in FrameReader().feed(record.data, record.at_us):
                self._answered(frame, record)

    def _streamed(self, frame: Frame, at_us: int) -> None:
        """Events that bear no number are the link's: those of streams, and the end of a session."""
        if frame.kind is Kind.EVENT and frame.request_id == UNNUMBERED:
            self.happened(decode_event(frame), at_us)

    def _answered(self, frame: Frame, record: Record) -> None:
        if frame.kind is not Kind.RESPONSE or not frame.payload or frame.payload[0] == Status.OK:
            return
        try:
            reply = decode_reply(frame)
        except WireError:  # a fault has made it up
            return
        detail, command = plain_fields(reply.body), CATALOGUE.get(frame.opcode)
        names = field_names(command.request) if command else ()
        if "field" in detail and detail["field"] < len(names):
            detail["field"] = names[detail["field"]]
        name = command.name if command else f"{frame.opcode:#06x}"
        self.memories.refusals.append(
            SeenRefusal(
                seconds(record.at_us), frame.request_id, name, reply.status.name, detail, describe_frame(frame), record.why
            )
        )


def witness_of(ipg: VirtualIpg) -> Witness:
    """Who remembers of a device; from now on, if nobody has yet.

    Raises:
        OperationError: it is on a board of which nobody can tell what it delivers.
    """
    for watcher in ipg.watchers:
        if isinstance(watcher, Witness):
            return watcher
    output = board_of(ipg.firmware).output
    witness = Witness(output.reported_until)
    ipg.watchers.append(witness)
    ipg.firmware.observers.append(witness.happened)
    ipg.turned_back.append(witness.turned_back)
    output.listeners.append(witness.output)
    return witness


def board_of(firmware: Firmware) -> VirtualBoard:
    """The board that a virtual device is on.

    Raises:
        OperationError: it is another one.
    """
    board = firmware.board
    if not isinstance(board, VirtualBoard):
        raise OperationError(f"only a virtual board can be asked, not a {type(board).__name__}")
    return board


T = TypeVar("T")


def _drop(newest_last: deque[T], is_later: Callable[[T], bool]) -> None:
    while newest_last and is_later(newest_last[-1]):
        newest_last.pop()
