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


class Session(msgspec.Struct):
    """An open session."""

    role: Role
    host_id: int
    opened_by: Answered
    highest_id: int = 0
    answers: OrderedDict[int, Answered] = msgspec.field(default_factory=OrderedDict[int, Answered])

    def look_up(self, frame: Frame) -> Seen:
        """Whether a request is new, a repeat, another one under a used id, or too old to know."""
        answered = self.answers.get(frame.request_id)
        if answered is not None:
            same = (answered.opcode, answered.payload) == (frame.opcode, frame.payload)
            return Seen.REPEATED if same else Seen.REUSED
        return Seen.STALE if frame.request_id <= self.highest_id - ANSWERS_KEPT else Seen.NEW

    def keep(self, frame: Frame, reply: Reply) -> None:
        """Keep a reply; those of the last ids are kept."""
        self.highest_id = max(self.highest_id, frame.request_id)
        self.answers[frame.request_id] = Answered(frame.opcode, frame.payload, reply)
        for old in [number for number in self.answers if number <= self.highest_id - ANSWERS_KEPT]:
            del self.answers[old]
