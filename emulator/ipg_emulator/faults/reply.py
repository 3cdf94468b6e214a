"""Faults of the device's replies: lost after the command was executed, refused without being executed, late, odd, repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar

import msgspec
from ipg_protocol import wire
from ipg_protocol.command import Reply, reply_frame
from ipg_protocol.frame import Frame, Kind, encode_frame
from ipg_protocol.refusal import REFUSAL_DETAIL
from ipg_protocol.trace import Towards
from ipg_protocol.vocabulary import ResponseFlag, Role, Status

from ipg_emulator.faults.fault import (
    Carried,
    Chance,
    Copies,
    FaultError,
    FrameFault,
    Milliseconds,
    Passing,
    Place,
    check_name,
    fault,
)

RequestIdOffset = Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFFFF)]


class ReplyFault(FrameFault, frozen=True):
    """A fault that strikes what the device answers; its frames are counted among the responses."""

    place: ClassVar[Place] = Place.DEVICE

    def directions(self) -> tuple[Towards, ...]:
        return (Towards.HOST,)

    def concerns(self, passing: Passing, /) -> bool:
        return passing.frame is not None and passing.frame.kind is Kind.RESPONSE


@fault
class ReplyLost(ReplyFault, frozen=True, kw_only=True, tag="reply-lost"):
    """The command is executed, and its reply is lost."""

    did: ClassVar[str] = "reply lost after the command was executed"

    def strike(self, _: Carried, _passing: Passing, _chance: Chance, /) -> list[Carried]:
        return []


@fault
class ReplyLate(ReplyFault, frozen=True, kw_only=True, tag="reply-late"):
    """The command is executed at once, and its reply comes late; what is sent after it does not wait for it."""

    did: ClassVar[str] = "reply delayed"
    milliseconds: Milliseconds = 500

    def strike(self, carried: Carried, _: Passing, _chance: Chance, /) -> list[Carried]:
        return [msgspec.structs.replace(carried, at_us=carried.at_us + self.milliseconds * 1000, overtaken_by=None)]


@fault
class WrongId(ReplyFault, frozen=True, kw_only=True, tag="wrong-id"):
    """The reply bears the id of another request."""

    did: ClassVar[str] = "reply given another request id"
    offset: RequestIdOffset = 1
    """What is added to the id."""

    def strike(self, carried: Carried, passing: Passing, _: Chance, /) -> list[Carried]:
        frame = _known(passing)
        other_id = (frame.request_id + self.offset) % 2**32
        return [msgspec.structs.replace(carried, data=encode_frame(msgspec.structs.replace(frame, request_id=other_id)))]


@fault
class ReplyRepeated(ReplyFault, frozen=True, kw_only=True, tag="reply-repeated"):
    """The reply is sent more than once."""

    did: ClassVar[str] = "reply repeated"
    copies: Copies = 1
    """How many more than the one that belongs there."""

    def strike(self, carried: Carried, _: Passing, _chance: Chance, /) -> list[Carried]:
        return [carried] * (1 + self.copies)


class Refusal(FrameFault, frozen=True):
    """The request is refused before the device executes it; its frames are counted among the requests."""

    place: ClassVar[Place] = Place.DEVICE
    did: ClassVar[str] = "request refused, and not executed"

    def directions(self) -> tuple[Towards, ...]:
        return (Towards.DEVICE,)

    def concerns(self, passing: Passing, /) -> bool:
        return passing.frame is not None and passing.frame.kind is Kind.REQUEST

    def answer(self, passing: Passing, /) -> Reply:
        """What is said in place of the device."""
        raise NotImplementedError

    def strike(self, carried: Carried, passing: Passing, _: Chance, /) -> list[Carried]:
        request = _known(passing)
        answer = encode_frame(reply_frame(request.opcode, request.request_id, self.answer(passing)))
        return [msgspec.structs.replace(carried, data=answer, is_answer=True)]


@fault
class Busy(Refusal, frozen=True, kw_only=True, tag="busy"):
    """The request is refused BUSY, as often as `times` says, and not executed."""

    did: ClassVar[str] = "request refused BUSY, and not executed"
    retry_after_ms: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 100
    """When the device says to ask again."""

    def answer(self, passing: Passing, /) -> Reply:
        return _refused(passing, Status.BUSY, {"retry_after_ms": self.retry_after_ms})


@fault
class Refused(Refusal, frozen=True, kw_only=True, tag="refused"):
    """The request is refused with a status of your choice, and not executed."""

    status: str
    """A status of SPEC.md, such as CONFLICT."""
    detail: Mapping[str, int] = {}
    """Fields of the refusal's detail by name. Those left out are as the device stands, or 0 where it has no say."""

    def __post_init__(self) -> None:
        """See that there is such a refusal.

        Raises:
            FaultError: there is no such status, or its detail has no such field or cannot hold the value.
        """
        check_name("refusal", self.status, [status.name for status in REFUSAL_DETAIL])
        layout = REFUSAL_DETAIL[Status[self.status]]
        names = {field.name for field in wire.fields(layout)}
        for name in self.detail:
            if name not in names:
                known = f"it has {', '.join(sorted(names))}" if names else "it has none"
                raise FaultError(f"the detail of {self.status} has no field {name!r}; {known}")
        try:
            wire.decode(layout, wire.encode(layout(**dict.fromkeys(names, 0) | dict(self.detail))))
        except wire.WireError as error:
            raise FaultError(f"the detail of {self.status}: {error}") from None

    def answer(self, passing: Passing, /) -> Reply:
        return _refused(passing, Status[self.status], self.detail)


_AS_IT_STANDS: dict[str, Callable[[Passing], int]] = {
    "boot_counter": lambda passing: passing.ipg.firmware.memory.boot_counter,
    "request_id": lambda passing: _known(passing).request_id,
    "required": lambda _: Role.SERVICE,
    "received_size": lambda passing: len(_known(passing).payload),
    "expected_size": lambda passing: len(_known(passing).payload),
    "retry_after_ms": lambda _: 100,
    "revision": lambda passing: passing.ipg.firmware.memory.configuration.revision,
    "state": lambda passing: passing.ipg.firmware.device.state,
    "tier": lambda passing: passing.ipg.firmware.device.supply.tier,
}
"""What the fields of a detail hold where a fault does not say; else 0."""


def _refused(passing: Passing, status: Status, detail: Mapping[str, int]) -> Reply:
    layout = REFUSAL_DETAIL[status]
    values = {field.name: _default(field.name, passing) for field in wire.fields(layout)}
    return Reply(status, ResponseFlag(0), layout(**values | dict(detail)))


def _default(name: str, passing: Passing) -> int:
    tell = _AS_IT_STANDS.get(name)
    return tell(passing) if tell else 0


def _known(passing: Passing) -> Frame:
    """The frame that a fault of replies has found to concern it."""
    assert passing.frame is not None, "a frame that is broken is none of a reply fault's"
    return passing.frame
