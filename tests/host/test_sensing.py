"""ECAPs, the stream of them, and the feedback that follows them, by both clients."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from ipg_host import aio, connect, procedures
from ipg_host.conversation import Procedure, pause
from ipg_protocol import Role
from ipg_protocol.commands.sensing import EcapSamples, FeedbackMode

DEVICE = "ipg://scs-closed-loop?seed=1"


def streaming() -> Procedure[None]:
    yield from procedures.start()
    yield from procedures.ramp_finished()
    yield from procedures.start_ecap_stream(area=0, pulses_per_sample=4)
    yield from pause(2000)
    yield from procedures.stop_ecap_stream()
    yield from pause(2000)


def samples(events: list) -> list[int]:
    """The numbers of the samples that came."""
    batches = [event for event in events if isinstance(event, EcapSamples)]
    return list(itertools.chain(*(range(b.first_sample, b.first_sample + len(b.rows)) for b in batches)))


def test_a_stream_comes_to_on_event_without_a_gap_and_ends():
    events: list = []
    with connect(DEVICE, on_event=events.append) as client:
        client.open_session(Role.PATIENT)
        client.run(streaming())
    assert samples(events) == list(range(20))


def test_the_asyncio_client_hands_on_the_same_stream():
    events: list = []

    async def talk() -> None:
        async with await aio.connect(DEVICE, on_event=events.append) as client:
            await client.open_session(Role.PATIENT)
            await client.run(streaming())

    asyncio.run(talk())
    assert samples(events) == list(range(20))


def test_feedback_that_is_adjusted_keeps_what_was_left_out():
    with connect(DEVICE) as client:
        client.open_session(Role.CLINICIAN)
        client.run(procedures.adjust_feedback(0, enabled=1, target_microvolts=30, gain_permille=500, maximum_microamps=6000))
        found = client.run(procedures.adjust_feedback(0, target_microvolts=25))
        assert (found.enabled, found.target_microvolts, found.gain_permille) == (1, 25, 500)
        assert client.run(procedures.read_feedback(0)) == found


def test_feedback_has_no_other_fields():
    with connect(DEVICE) as client:
        client.open_session(Role.CLINICIAN)
        with pytest.raises(TypeError):
            client.run(procedures.adjust_feedback(0, goal=30))


def test_the_loop_is_open_until_it_is_set():
    with connect(DEVICE) as client:
        client.open_session(Role.PATIENT)
        assert client.run(procedures.feedback_status()).mode is FeedbackMode.OPEN_LOOP


def test_an_ecap_is_recorded_while_therapy_runs():
    with connect(DEVICE) as client:
        client.open_session(Role.PATIENT)
        client.run(procedures.start())
        client.run(procedures.ramp_finished())
        assert client.run(procedures.record_ecap(0)).amplitude_microamps == 5500
