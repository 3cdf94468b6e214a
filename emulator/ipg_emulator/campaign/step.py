"""One step of a device: what it was given at one moment, and what it said."""

from __future__ import annotations

from typing import Any

import msgspec
from ipg_protocol.command import CATALOGUE, Request
from ipg_protocol.frame import Frame, Kind
from ipg_protocol.vocabulary import ResponseFlag, Status
from ipg_protocol.wire import WireError, decode


class Step(msgspec.Struct):
    """What a device did at one moment: the request it was given, if any, and the frames that it said."""

    now: int
    host_id: int
    boots: int
    frame: Frame | None
    request: Request[Any] | None
    said: list[Frame]

    @property
    def reply(self) -> Frame | None:
        """The answer to the request, unless it is a repetition of an earlier one."""
        frame = self.frame
        for said in self.said:
            if frame is not None and (said.kind, said.opcode, said.request_id) == (
                Kind.RESPONSE,
                frame.opcode,
                frame.request_id,
            ):
                return None if said.payload[1] & ResponseFlag.REPLAYED else said
        return None


def is_ok(reply: Frame | None) -> bool:
    """Whether there is an answer, and it is no refusal."""
    return reply is not None and reply.payload[0] == Status.OK


def request_of(frame: Frame) -> Request[Any] | None:
    """The request that a frame carries; None if it carries none that a device can read."""
    entry = CATALOGUE.get(frame.opcode)
    try:
        return entry and decode(entry.request, frame.payload)
    except WireError:
        return None
