"""The asyncio client runs the same conversations, several at a time."""

from __future__ import annotations

import asyncio
import os
import pty
import random
import time

import pytest
from ipg_host import aio, procedures
from ipg_host.conversation import pause
from ipg_host.errors import LinkLost, NoAnswer
from ipg_protocol import Reply, ResponseFlag, Role, Status, encode_frame, event_frame, reply_frame
from ipg_protocol.commands.link import Abort, Ping, Pong
from ipg_protocol.commands.power import Battery, BatteryTier, BatteryTierChanged, GetBattery
from ipg_protocol.commands.session import OpenSession, Session
from ipg_protocol.commands.therapy import Amplitude, SetAmplitude
from ipg_protocol.refusal import Done

BATTERY = Battery(4100, 998, BatteryTier.OK, 37_000, 15)


def in_time(conversation):
    return asyncio.run(asyncio.wait_for(conversation, 10))


def battery_answer(request_id: int) -> bytes:
    return encode_frame(reply_frame(0x0501, request_id, Reply(Status.OK, ResponseFlag(0), BATTERY)))


def test_several_conversations_share_a_port_with_its_own_clock(scripted):
    scripted.script = {GetBattery: lambda _: BATTERY, OpenSession: lambda request: Session(request.role, 1, 30_000, 0, 0)}

    async def talk():
        async with aio.AsyncClient(scripted, host_id=1, rng=random.Random(1)) as client:
            await client.open_session(Role.PATIENT)
            return await asyncio.gather(
                client.run(procedures.battery()), client.run(pause(500)), client.run(procedures.battery())
            )

    assert in_time(talk()) == [BATTERY, None, BATTERY]
    assert scripted.monotonic() >= 0.5
    assert scripted.closed


def test_silence_ends_in_an_error_in_the_ports_own_time(scripted):
    scripted.script = {GetBattery: lambda _: None}

    async def talk():
        async with aio.AsyncClient(scripted) as client:
            await client.run(procedures.battery())

    with pytest.raises(NoAnswer):
        in_time(talk())
    assert scripted.monotonic() >= 4.65


def test_a_terminal_is_watched_by_the_event_loop():
    device, host = pty.openpty()
    events: list = []

    async def talk():
        async with await aio.connect(os.ttyname(host), on_event=events.append) as client:
            os.write(device, encode_frame(event_frame(BatteryTierChanged(BatteryTier.LOW, 3600), 1)))
            os.write(device, battery_answer(1) + battery_answer(2))
            return await asyncio.gather(client.run(procedures.battery()), client.run(procedures.battery()))

    assert in_time(talk()) == [BATTERY, BATTERY]
    assert events == [BatteryTierChanged(BatteryTier.LOW, 3600)]
    os.close(device)
    os.close(host)


def test_a_request_is_sent_again_when_its_time_is_over():
    device, host = pty.openpty()

    async def talk():
        async with await aio.connect(os.ttyname(host), timeout_seconds=0.031) as client:
            with pytest.raises(NoAnswer):
                await client.run(procedures.battery())
        return os.read(device, 4096)

    sends = in_time(talk())
    assert sends == sends[: len(sends) // 5] * 5
    os.close(device)
    os.close(host)


def test_a_device_that_vanishes_ends_what_is_under_way():
    device, host = pty.openpty()

    async def talk():
        async with await aio.connect(os.ttyname(host)) as client:
            waiting = asyncio.create_task(client.run(procedures.battery()))
            await asyncio.sleep(0)
            os.close(host)
            os.close(device)
            await waiting

    with pytest.raises(LinkLost):
        in_time(talk())


def test_a_port_without_a_descriptor_is_read_in_a_thread(scripted):
    class Threaded:
        """The scripted port without its clock, so that real time counts."""

        timeout = 0.0
        in_waiting = property(lambda _: scripted.in_waiting)
        read = staticmethod(scripted.read)
        write = staticmethod(scripted.write)
        close = staticmethod(scripted.close)

    scripted.timeout = 0.0
    scripted.script = {Ping: lambda request: Pong(request.token), GetBattery: lambda _: BATTERY}

    async def talk():
        async with aio.AsyncClient(Threaded()) as client:
            return await client.run(procedures.battery())

    assert in_time(talk()) == BATTERY


class Slow:
    """A port without a descriptor that never says anything; it counts how many read it at once."""

    timeout = 0.0
    in_waiting = 0

    def __init__(self) -> None:
        self.reading = self.most_reading = 0

    def read(self, size: int = 1) -> bytes:
        self.reading += 1
        self.most_reading = max(self.reading, self.most_reading)
        time.sleep(0.002)
        self.reading -= 1
        return b""

    def write(self, data: bytes) -> int:
        return len(data)

    def close(self) -> None:
        assert not self.reading


async def cancelled(task) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_cancelled_waits_leave_one_reader_which_ends_before_the_port_closes():
    port = Slow()

    async def talk():
        async with aio.AsyncClient(port) as client:
            for _ in range(5):
                waiting = asyncio.create_task(client.run(procedures.battery()))
                await asyncio.sleep(0.0005)
                await cancelled(waiting)

    in_time(talk())
    assert port.most_reading == 1


def test_a_request_that_is_cancelled_in_the_line_is_never_sent(scripted):
    amplitude = Amplitude(0, 1000, 2)
    answers = iter([None, amplitude])
    scripted.script = {SetAmplitude: lambda _: next(answers), GetBattery: lambda _: BATTERY}

    async def talk():
        async with aio.AsyncClient(scripted) as client:
            first = asyncio.create_task(client.run(procedures.set_amplitude(0, 1000)))
            queued = asyncio.create_task(client.run(procedures.start()))
            await asyncio.sleep(0)
            await cancelled(queued)
            assert await first == amplitude
            await client.run(procedures.battery())

    in_time(talk())
    assert [type(request) for request in scripted.requests] == [SetAmplitude, SetAmplitude, GetBattery]


def test_a_change_that_is_cancelled_is_aborted_at_once(scripted):
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 1, 30_000, 0, 0),
        SetAmplitude: lambda _: None,
        Abort: lambda _: Done(),
    }

    async def talk():
        async with aio.AsyncClient(scripted) as client:
            await client.open_session(Role.PATIENT)
            change = asyncio.create_task(client.run(procedures.set_amplitude(0, 1000)))
            await asyncio.sleep(0)
            await cancelled(change)

    in_time(talk())
    assert scripted.requests[-1] == Abort(target=2)


def test_a_port_that_fails_in_its_own_way_ends_what_is_under_way(scripted):
    def fail(size):
        raise RuntimeError("the port's own")

    scripted.read = fail
    scripted.script = {GetBattery: lambda _: BATTERY}

    async def talk():
        async with aio.AsyncClient(scripted) as client:
            await client.run(procedures.battery())

    with pytest.raises(RuntimeError, match="the port's own"):
        in_time(talk())


@pytest.mark.parametrize(("conversation", "end"), [(procedures.battery, LinkLost), (lambda: pause(60_000), type(None))])
def test_closing_ends_what_is_under_way(conversation, end):
    device, host = pty.openpty()

    async def talk():
        client = await aio.connect(os.ttyname(host))
        waiting = asyncio.create_task(client.run(conversation()))
        await asyncio.sleep(0.005)
        await client.close()
        await asyncio.wait([waiting])
        with pytest.raises(LinkLost, match="the port was closed"):
            await client.run(procedures.battery())
        await client.run(pause(60_000))
        return waiting.exception()

    assert type(in_time(talk())) is end
    os.close(device)
    os.close(host)


def test_what_on_event_raises_goes_to_the_event_loop_and_the_conversation_on(scripted):
    reported: list = []
    tier = event_frame(BatteryTierChanged(BatteryTier.LOW, 3600), 1)
    scripted.say(encode_frame(tier))
    scripted.script = {GetBattery: lambda _: BATTERY}

    def on_event(message):
        raise RuntimeError("the user's own")

    async def talk():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        async with aio.AsyncClient(scripted, on_event=on_event) as client:
            return await client.run(procedures.battery())

    assert in_time(talk()) == BATTERY
    assert [str(error) for error in reported] == ["the user's own"]
