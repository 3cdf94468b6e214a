"""The session and its numbering: which requests were seen, and what each was answered."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto, unique
from typing import NamedTuple

import msgspec
from ipg_protocol.command import Reply
from ipg_protocol.frame import Frame
from ipg_protocol.vocabulary import Role

ANSWERS_KEPT = 8


class Answered(NamedTuple):
    """A request and the reply it got."""

    opcode: int
    payload: bytes
    reply: Reply


@unique
class Seen(Enum):
    """What is known of a request id."""

    NEW = auto()
    REPEATED = auto()
    REUSED = auto()
    STALE = auto()
    PENDING = auto()
    ABORTED = auto()


class Session(msgspec.Struct):
    """An open session."""

    role: Role
    host_id: int
    opened_by: Answered
    highest_id: int = 0
    answers: OrderedDict[int, Answered] = msgspec.field(default_factory=OrderedDict[int, Answered])
    awaited: Frame | None = None
    """The request whose answer takes time."""
    aborted: set[int] = msgspec.field(default_factory=set[int])
    """The ids of requests that were aborted before they came."""

    def look_up(self, frame: Frame) -> Seen:
        """Whether a request is new, a repeat, another one under a used id, aborted, or too old to know."""
        if self.awaited is not None and frame.request_id == self.awaited.request_id:
            return Seen.PENDING if frame == self.awaited else Seen.REUSED
        answered = self.answers.get(frame.request_id)
        if answered is not None:
            same = (answered.opcode, answered.payload) == (frame.opcode, frame.payload)
            return Seen.REPEATED if same else Seen.REUSED
        if frame.request_id in self.aborted:
            return Seen.ABORTED
        return Seen.STALE if self.is_forgotten(frame.request_id) else Seen.NEW

    def is_forgotten(self, request_id: int) -> bool:
        """Whether an id is so old that nothing is kept of it."""
        return request_id <= self.highest_id - ANSWERS_KEPT

    def keep(self, frame: Frame, reply: Reply) -> None:
        """Keep a reply; those of the last ids are kept."""
        self.highest_id = max(self.highest_id, frame.request_id)
        self.answers[frame.request_id] = Answered(frame.opcode, frame.payload, reply)
        forgotten = self.highest_id - ANSWERS_KEPT
        for old in [number for number in self.answers if number <= forgotten]:
            del self.answers[old]
        if self.aborted:
            self.aborted = {number for number in self.aborted if number > forgotten}

    def await_answer(self, frame: Frame) -> None:
        """Take note of a request that will be answered later."""
        self.highest_id = max(self.highest_id, frame.request_id)
        self.awaited = frame
