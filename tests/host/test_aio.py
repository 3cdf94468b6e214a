"""The asyncio client runs the same conversations, several at a time."""

from __future__ import annotations

import asyncio
import os
import pty
import random

import pytest
from ipg_host import aio, procedures
from ipg_host.conversation import pause
from ipg_host.errors import LinkLost, NoAnswer
from ipg_protocol import Reply, ResponseFlag, Role, Status, encode_frame, event_frame, reply_frame
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.commands.power import Battery, BatteryTier, BatteryTierChanged, GetBattery
from ipg_protocol.commands.session import OpenSession, Session

BATTERY = Battery(4100, 998, BatteryTier.OK, 37_000, 15)


def in_time(conversation):
    return asyncio.run(asyncio.wait_for(conversation, 10))


def battery_answer(request_id: int) -> bytes:
    return encode_frame(reply_frame(0x0501, request_id, Reply(Status.OK, ResponseFlag(0), BATTERY)))


def test_several_conversations_share_a_port_with_its_own_clock(scripted):
    scripted.script = {GetBattery: lambda _: BATTERY, OpenSession: lambda request: Session(request.role, 1, 30_000, 0)}

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
