"""How a handler says no."""

from __future__ import annotations

from typing import Any

from ipg_protocol import wire
from ipg_protocol.command import Request
from ipg_protocol.refusal import REFUSAL_DETAIL, RangeDetail, SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message

_I32_MAXIMUM = 2**31 - 1
_U32_MAXIMUM = 2**32 - 1


class Refused(Exception):
    """A request is refused and nothing has changed; `detail` is what the status's layout asks for."""

    def __init__(self, status: Status, detail: Message) -> None:
        if type(detail) is not REFUSAL_DETAIL[status]:
            raise TypeError(f"{status.name} takes {REFUSAL_DETAIL[status].__name__}, not {type(detail).__name__}")
        super().__init__(f"{status.name}: {detail}")
        self.status = status
        self.detail = detail


def field_number(request: Request[Any], name: str) -> int:
    """The number by which details speak of a request's field."""
    return wire.field_names(type(request)).index(name)


def out_of_range(
    request: Request[Any],
    name: str,
    minimum: int,
    maximum: int,
    *,
    value: int,
    step: int = 1,
    status: Status = Status.OUT_OF_RANGE,
    nearest: int | None = None,
) -> Refused:
    """The refusal of a field's value, with what would be taken; `nearest` is the value clamped unless given."""
    if nearest is None:
        nearest = min(max(value, minimum), maximum)
    return Refused(
        status, RangeDetail(field_number(request, name), minimum, min(maximum, _I32_MAXIMUM), step, min(nearest, _I32_MAXIMUM))
    )


def unsafe(rule: SafetyRule, *, area: int, value: int, limit: int) -> Refused:
    """The refusal of a combination."""
    return Refused(Status.UNSAFE_COMBINATION, SafetyDetail(rule, area, min(value, _U32_MAXIMUM), limit))
