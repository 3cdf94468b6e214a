"""Declares defects: a decorator says where in the firmware a defect sits, the function below it what is done there instead.

A defect's name is its function's, its description the docstring. What it wraps is handed to it first, as `usual`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ipg_protocol.command import CATALOGUE, Reply
from ipg_protocol.frame import Frame
from ipg_protocol.refusal import SafetyDetail, SafetyRule
from ipg_protocol.vocabulary import Status
from ipg_protocol.wire import Message, WireError, decode
from msgspec.structs import replace

from ipg_emulator.firmware.capabilities import capability_rows
from ipg_emulator.firmware.core import Alteration, Firmware
from ipg_emulator.firmware.dispatch import Context, Handler
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.timers import Timer
from ipg_emulator.model import DeviceModel


class Defect(NamedTuple):
    """One thing that the makers of a device got wrong. `put_on` alters firmware that has not booted yet."""

    name: str
    doc: str
    module: str
    put_on: Alteration


DECLARED: dict[str, Defect] = {}
"""Every defect by name, in the order of declaration."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Usual = Callable[..., T]
"""What a defect wraps."""


def _declare(function: Callable[..., Any], put_on: Alteration) -> None:
    name = function.__name__.replace("_", "-")
    if name in DECLARED:
        raise ValueError(f"there is a defect {name} already")
    DECLARED[name] = Defect(name, " ".join((function.__doc__ or "").split()), function.__module__, put_on)


# Requests


def serving(*requests: type[Message]) -> Callable[[F], F]:
    """`function(usual, request, context)` serves these requests."""

    def declare(function: F) -> F:
        _declare(function, partial(_serve, function, requests))
        return function

    return declare


def _serve(function: Callable[..., Message | None], requests: tuple[type[Message], ...], firmware: Firmware) -> None:
    for request in requests:
        firmware.handlers[request] = partial(function, firmware.handlers[request])


def answering(*requests: type[Message]) -> Callable[[F], F]:
    """`function(answer, context)` makes another answer out of the right one."""

    def declare(function: F) -> F:
        _declare(function, partial(_serve, partial(_answer, function), requests))
        return function

    return declare


def _answer(alter: Callable[[Any, Context], Message], usual: Handler, request: Message, context: Context) -> Message | None:
    answer = usual(request, context)
    return None if answer is None else alter(answer, context)


def refusing(*statuses: Status) -> Callable[[F], F]:
    """`function(reply, request)` makes another reply out of a refusal of such a status; a malformed `request` is None."""

    def declare(function: F) -> F:
        refuse = partial(_refuse, function, statuses)
        _declare(function, partial(_at_each_boot, partial(_override, refuse, "link", "_reply")))
        return function

    return declare


def _refuse(
    alter: Callable[[Reply, Message | None], Reply],
    statuses: tuple[Status, ...],
    usual: Usual[Reply | None],
    *link_frame_now: Any,
) -> Reply | None:
    _, frame, now = link_frame_now
    reply: Reply | None = usual(frame, now)
    return alter(reply, _request_of(frame)) if reply is not None and reply.status in statuses else reply


def _request_of(frame: Frame) -> Message | None:
    try:
        return decode(CATALOGUE[frame.opcode].request, frame.payload)
    except (KeyError, WireError):
        return None


# Parts


def part(path: str, method: str) -> Callable[[F], F]:
    """`function(usual, part, ...)` stands in for a method of a part of the firmware, from each boot on."""

    def declare(function: F) -> F:
        _declare(function, partial(_at_each_boot, partial(_override, function, path, method)))
        return function

    return declare


def _override(function: Callable[..., Any], path: str, method: str, firmware: Firmware) -> None:
    owner: object = firmware
    for name in path.split("."):
        owner = getattr(owner, name, None)
    if owner is not None:  # a model may lack the part
        usual = vars(owner).get(method) or partial(getattr(type(owner), method), owner)
        setattr(owner, method, partial(function, usual, owner))


def due(timer: Timer) -> Callable[[F], F]:
    """`function(usual, firmware, now)` is what happens when a timer has run out."""

    def declare(function: F) -> F:
        _declare(function, partial(_at_each_boot, partial(_when_due, function, timer)))
        return function

    return declare


def _when_due(function: Callable[..., None], timer: Timer, firmware: Firmware) -> None:
    timers = inside(firmware, "_timers")
    timers.on(timer, partial(function, inside(timers, "_actions")[timer], firmware))


def booting(function: F) -> F:
    """`function(firmware)` is done at each boot, once the parts are there."""
    _declare(function, partial(_at_each_boot, function))
    return function


def _at_each_boot(alter: Alteration, firmware: Firmware) -> None:
    firmware.altered.append(alter)


# The rest


def built(function: F) -> F:
    """`function(firmware)` is done once, before the first boot: to its table of states, or its board."""
    _declare(function, function)
    return function


def going_by(function: Callable[[DeviceModel], DeviceModel]) -> Callable[[DeviceModel], DeviceModel]:
    """`function(model)` makes other figures out of the model's. The device goes by them, and tells those of its model."""
    _declare(function, partial(_go_by, function))
    return function


def _go_by(function: Callable[[DeviceModel], DeviceModel], firmware: Firmware) -> None:
    firmware.figures = function(firmware.figures)
    firmware.altered.append(_tell_model)


def _tell_model(firmware: Firmware) -> None:
    vars(firmware.device)["capabilities"] = capability_rows(firmware.model)


# For the functions


def forgiving(rule: SafetyRule, usual: Usual[Message], request: Message, context: Context) -> Message | None:
    """The answer; None where this rule was broken."""
    try:
        return usual(request, context)
    except Refused as refused:
        if isinstance(refused.detail, SafetyDetail) and refused.detail.rule is rule:
            return None
        raise


def keeping(name: str, usual: Usual[Message], request: Message, context: Context) -> Message:
    """The answer, with a part of the configuration put back to what it was before."""
    memory = context.device.memory
    kept = getattr(memory.configuration, name)
    answer = usual(request, context)
    memory.configuration = replace(memory.configuration, **{name: kept})
    return answer


def inside(owner: object, name: str) -> Any:
    """What a part keeps to itself: a defect sits where its maker had access to everything."""
    return getattr(owner, name)


def put(owner: object, **values: object) -> None:
    """Let a part keep something else to itself."""
    for name, value in values.items():
        setattr(owner, name, value)
