"""A device on the bench: requests in, replies out, at times of the test's choosing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

import pytest
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.model import DeviceModel, load
from ipg_protocol import FrameReader, Kind, Reply, Role, Status, decode_event, decode_reply, encode_frame, request_frame
from ipg_protocol.command import Request
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.frame import Frame
from ipg_protocol.wire import Message

R = TypeVar("R", bound=Message)


class Bench:
    """A firmware, the time, and a host that numbers its requests."""

    def __init__(self, model: DeviceModel, **build: Any) -> None:
        self.model = model
        self.firmware = build_device(model, **build)
        self.now = boot_finished_at(model)
        self.events: list[tuple[int, Message]] = []
        self._reader = FrameReader()
        self._request_ids = count(1)
        self._transactions = count(1)

    @property
    def device(self) -> Any:
        return self.firmware.device

    def transaction(self) -> int:
        return next(self._transactions)

    def amplitude_from(self, microamps: int, steps: int) -> int:
        """The amplitude so many steps of the model's grid away."""
        grid = list(self.model.ranges.amplitude_microamps.values())
        return grid[grid.index(microamps) + steps]

    def frames(self) -> list[Frame]:
        """What the device has said, events kept aside."""
        frames = self._reader.feed(self.firmware.take_output(self.now), self.now)
        self.events += [(frame.request_id, decode_event(frame)) for frame in frames if frame.kind is Kind.EVENT]
        return [frame for frame in frames if frame.kind is not Kind.EVENT]

    def send(self, frame: Frame) -> list[Frame]:
        self.firmware.receive(encode_frame(frame), self.now)
        return self.frames()

    def reply(self, request: Request[Any], request_id: int | None = None) -> Reply:
        """The one reply to a request, whatever it says."""
        (frame,) = self.send(request_frame(request, next(self._request_ids) if request_id is None else request_id))
        return decode_reply(frame)

    def ask(self, request: Request[R]) -> R:
        """The answer to a request that must not be refused."""
        reply = self.reply(request)
        assert reply.status is Status.OK, reply
        return reply.body  # type: ignore[return-value]

    def refused(self, request: Request[Any]) -> tuple[Status, Message]:
        """The refusal of a request that must not be answered."""
        reply = self.reply(request)
        assert reply.status is not Status.OK, reply
        return reply.status, reply.body

    def open(self, role: Role = Role.SERVICE, nonce: int = 1) -> None:
        self.ask(OpenSession(role, host_id=7, nonce=nonce))
        self._request_ids = count(1)

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the device at each of its deadlines."""
        end = self.now + round(seconds * 1_000_000)
        while (at := self.firmware.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.firmware.wake(self.now)
            self.frames()
        self.now = end
        self.firmware.wake(end)

    def happened(self, kind: type[R]) -> list[R]:
        """The events of a kind so far, each once however often it was sent."""
        self.frames()
        once = {number or -place: event for place, (number, event) in enumerate(self.events, 1)}
        return [event for event in once.values() if isinstance(event, kind)]


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    def make(model: str | DeviceModel = "scs-rechargeable", **build: Any) -> Bench:
        return Bench(load(model) if isinstance(model, str) else model, **build)

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """An SCS device with a SERVICE session open."""
    made = make_bench()
    made.open()
    return made
