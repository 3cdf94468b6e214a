"""A device on the bench: requests in, replies out, at times of the test's choosing."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, TypeVar

import pytest
from ipg_emulator.clock import advance
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.fault import Condition, Fault
from ipg_emulator.faults.injector import Injector
from ipg_emulator.faults.plan import FaultPlan
from ipg_emulator.handle import Handle, local
from ipg_emulator.model import DeviceModel, load
from ipg_emulator.ports.in_process import InProcess, Passing
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import FrameReader, Kind, Reply, Role, State, Status, decode_event, decode_reply, encode_frame, request_frame
from ipg_protocol.command import Request
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.commands.measurement import Impedance, MeasureImpedance, ReadImpedance
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy
from ipg_protocol.frame import Frame
from ipg_protocol.trace import Record
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

    def begin(self, fault: Condition) -> Callable[[], None]:
        """Let a condition begin at once; what is returned ends it, at the time it then is."""
        ipg = VirtualIpg(self.firmware)
        fault.check(ipg)
        undo = fault.begin(ipg, self.now, Random(1))
        return lambda: undo(self.now) if undo else None

    def wait(self, seconds: float) -> None:
        """Let time pass, and leave what the device says meanwhile to be read."""
        end = self.now + round(seconds * 1_000_000)
        while (at := self.firmware.wake_at()) is not None and at <= end:
            self.now = max(self.now, at)
            self.firmware.wake(self.now)
        self.now = end
        self.firmware.wake(end)

    def pings(self, *tokens: int) -> list[int]:
        """Send PINGs at once; the tokens of those that are answered at once."""
        for token in tokens:
            self.firmware.receive(encode_frame(request_frame(Ping(token), token)), self.now)
        return self.answered()

    def answered(self) -> list[int]:
        """The tokens of the PINGs answered since the last look."""
        replies = [decode_reply(frame).body for frame in self.frames() if frame.kind is Kind.RESPONSE]
        return [body.token for body in replies if isinstance(body, Pong)]

    def later(self, hours: float) -> None:
        """Let hours pass, and open a session again."""
        self.advance(hours * 3600)
        self.open(nonce=self.transaction())

    def delivered(self) -> int:
        """What area 0 delivers, in microamperes, as the device says."""
        return self.ask(ReadTherapy(0)).delivered_microamps

    def measured(self, cathode: int, anode: int = CASE_CONTACT) -> Impedance:
        """What the device measures between two contacts."""
        started = self.ask(MeasureImpedance(cathode, anode))
        self.advance(started.duration_ms / 1000)
        (row,) = self.ask(ReadImpedance(0)).rows
        return row

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


class Wire:
    """A virtual device with what goes wrong with it, and what its host hears and when."""

    def __init__(self, *faults: Fault, model: str = "scs-rechargeable", seed: int = 0, plan_seed: int = 0) -> None:
        """Without faults, there is nothing between the device and its host."""
        self.ipg = VirtualIpg(build_device(load(model), seed=seed))
        self.started = self.now = boot_finished_at(self.ipg.firmware.model)
        self.told: list[Record] = []
        self.ipg.watchers.append(self.told.append)
        self.heard: list[tuple[int, bytes]] = []
        """The times in microseconds from the start, and the bytes."""
        self._request_ids = count(1)
        if faults:
            self.ipg.faults = Injector(self.ipg, FaultPlan(plan_seed, faults), seed, now=self.now)

    @property
    def faults(self) -> Injector:
        assert isinstance(self.ipg.faults, Injector)
        return self.ipg.faults

    @property
    def device(self) -> Any:
        return self.ipg.firmware.device

    def write(self, data: bytes) -> None:
        self.ipg.receive(data, self.now)
        self._hear(self.now, self.ipg.take_output(self.now))

    def send(self, *requests: Request[Any]) -> None:
        """Send requests at once, numbered on from the last, and give them no time."""
        self.write(b"".join(encode_frame(request_frame(request, next(self._request_ids))) for request in requests))

    def advance(self, seconds: float) -> None:
        end = self.now + round(seconds * 1_000_000)
        for at, said in advance(self.ipg, self.now, end):
            self._hear(at, said)
        self.now = end
        self.ipg.wake(end)
        self._hear(end, self.ipg.take_output(end))

    def _hear(self, at: int, said: bytes) -> None:
        if said:
            self.heard.append((at - self.started, said))

    def frames(self) -> list[tuple[int, Frame]]:
        """The good frames that the host has heard, and when, in milliseconds from the start."""
        reader = FrameReader()
        return [(at // 1000, frame) for at, data in self.heard for frame in reader.feed(data, at)]

    def replies(self) -> list[tuple[int, int, Reply]]:
        """The replies among them: when, to which request id, and what they say."""
        return [(at, frame.request_id, decode_reply(frame)) for at, frame in self.frames() if frame.kind is Kind.RESPONSE]

    def struck(self) -> list[tuple[str, str]]:
        """What faults have done to bytes, as the trace tells it: where the bytes were to go, and why."""
        return [(record.to, record.why) for record in self.told if "(fault" in record.why]


@pytest.fixture
def wire() -> type[Wire]:
    return Wire


class Watched:
    """A device in this process with its handle, and a host that numbers its requests."""

    def __init__(self, model: DeviceModel, passing: Passing = Passing.PACED, **build: Any) -> None:
        ipg = VirtualIpg(build_device(model, **build))
        self.device = InProcess(ipg, started_at=boot_finished_at(model), passing=passing)
        self.handle: Handle = local(self.device)
        self._request_ids = count(1)
        self._transactions = count(1)

    def transaction(self) -> int:
        return next(self._transactions)

    def send(self, request: Request[Any], request_id: int | None = None) -> None:
        number = next(self._request_ids) if request_id is None else request_id
        self.device.write(encode_frame(request_frame(request, number)))

    def frames(self, within: float = 0.0) -> list[Frame]:
        """What the device says within so many seconds."""
        return FrameReader().feed(self.device.read(65_536, within), 0)

    def reply(self, request: Request[Any]) -> Reply:
        """The one reply to a request, whatever it says."""
        self.send(request)
        (frame,) = [frame for frame in self.frames() if frame.kind is Kind.RESPONSE]
        return decode_reply(frame)

    def open(self, role: Role = Role.SERVICE) -> None:
        assert self.reply(OpenSession(role, host_id=7, nonce=1)).status is Status.OK
        self._request_ids = count(1)

    def start(self) -> None:
        """Deliver the active program."""
        self.open()
        assert self.reply(StartTherapy(self.transaction())).status is Status.OK


@pytest.fixture
def make_watched() -> Callable[..., Watched]:
    def make(model: str = "scs-rechargeable", **build: Any) -> Watched:
        return Watched(load(model), **build)

    return make


@pytest.fixture
def watched(make_watched: Callable[..., Watched]) -> Watched:
    """An SCS device in virtual time, that is watched from the start."""
    return make_watched()


@pytest.fixture
def running(bench: Bench) -> Bench:
    """The same, its therapy up at full amplitude."""
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    assert bench.device.state is State.THERAPY
    return bench
