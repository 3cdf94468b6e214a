"""Exactly once: a virtual device at the end of a line that loses, repeats and delays, and that resets at any moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from ipg_host import Client, OutcomeUnknown, Refused, procedures
from ipg_host.aio import AsyncClient
from ipg_host.conversation import Procedure, ask, pause
from ipg_host.programs import Program
from ipg_protocol import Message, Role, State, Status, encode_frame, request_frame
from ipg_protocol.commands.link import Reset, ResetHappened, TransactionOutcome
from ipg_protocol.commands.programs import AreaSettings, ContactShare, ReadProgram, Waveform
from ipg_protocol.commands.therapy import Amplitude, AmplitudeChanged, SetAmplitude

HOST = 7
SHARES = (ContactShare(0, -1000), ContactShare(1, 1000))
AREAS = tuple(
    AreaSettings(number, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 5000, 50_000, 1, 0, 0, 0, 0, 0, 8000, SHARES)
    for number in range(2)
)
WALKING = Program("Walking", AREAS)

CHANGES: dict[str, Callable[[], Procedure[Any]]] = {
    "an amplitude set": lambda: procedures.set_amplitude(0, 3000),
    "an amplitude stepped": lambda: procedures.step_amplitude(0, 1),
    "a program written": lambda: procedures.write_program(3, WALKING),
    "therapy started": procedures.start,
    "a checkpoint saved": lambda: procedures.save_checkpoint(0),
    "a reset": lambda: ask(Reset(transaction=0)),
}

ON_THE_WAY = ("lost", "repeated", "delayed")
AT_THE_DEVICE = ("reset before", "reset after", "cut before write", "cut inside write", "cut after write")

Faults = tuple[dict[int, str], dict[int, str]]


class Outcome(NamedTuple):
    """What came of a change on a line with faults: its answer, how often it was applied, and how many frames it took."""

    answer: Any
    applied: int
    to_device: int
    to_host: int


def blocking(line, change: Procedure[Any], faults: Faults) -> Outcome:
    client = Client(line, host_id=HOST, rng=random.Random(1))
    client.open_session(Role.CLINICIAN)
    before = client.run(procedures.read_counters()).changes_committed
    line.begin_faults(*faults)
    answer = client.run(change)
    frames = line.to_device.carried, line.to_host.carried
    line.begin_faults({}, {})
    return Outcome(answer, client.run(procedures.read_counters()).changes_committed - before, *frames)


def with_asyncio(line, change: Procedure[Any], faults: Faults) -> Outcome:
    async def talk() -> Outcome:
        async with AsyncClient(line, host_id=HOST, rng=random.Random(1)) as client:
            await client.open_session(Role.CLINICIAN)
            before = (await client.run(procedures.read_counters())).changes_committed
            line.begin_faults(*faults)
            answer = await client.run(change)
            frames = line.to_device.carried, line.to_host.carried
            line.begin_faults({}, {})
            return Outcome(answer, (await client.run(procedures.read_counters())).changes_committed - before, *frames)

    return asyncio.run(talk())


CLIENTS = {"blocking": blocking, "asyncio": with_asyncio}


def check_each_frame(make_line, client: str, name: str, fault: str, direction: int) -> None:
    """One change, with the fault at each frame of one direction in turn, comes out as on a quiet line."""
    hold, change = CLIENTS[client], CHANGES[name]
    quiet = hold(make_line(), change(), ({}, {}))
    for frame in range(quiet.to_host if direction else quiet.to_device):
        faults: Faults = ({}, {frame: fault}) if direction else ({frame: fault}, {})
        outcome = hold(make_line(), change(), faults)
        assert (frame, outcome.applied, outcome.answer) == (frame, 1, quiet.answer)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", [*ON_THE_WAY, *AT_THE_DEVICE])
@pytest.mark.parametrize("name", CHANGES)
def test_whatever_befalls_one_request_the_change_is_made_once_and_answered(make_line, name, fault, client):
    check_each_frame(make_line, client, name, fault, 0)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", ON_THE_WAY)
@pytest.mark.parametrize("name", CHANGES)
def test_whatever_befalls_one_answer_the_change_is_made_once_and_answered(make_line, name, fault, client):
    check_each_frame(make_line, client, name, fault, 1)


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_befalls_two_frames_the_change_is_made_once_and_answered(make_line, name):
    rng, change = random.Random(name), CHANGES[name]
    quiet = blocking(make_line(), change(), ({}, {}))
    for _ in range(25):
        faults: Faults = ({}, {})
        for _ in range(2):
            direction = rng.randrange(2)
            faults[direction][rng.randrange(8)] = rng.choice(ON_THE_WAY if direction else ON_THE_WAY + AT_THE_DEVICE)
        outcome = blocking(make_line(), change(), faults)
        assert (faults, outcome.applied, outcome.answer) == (faults, 1, quiet.answer)


class Weather(Mapping[int, str]):
    """Faults as chance has them; each frame's number is asked for once."""

    def __init__(self, rng: random.Random, permille: Mapping[str, int]) -> None:
        self._draw = lambda: rng.choices([*permille, ""], [*permille.values(), 1000 - sum(permille.values())])[0]

    def __getitem__(self, number: int) -> str:
        return self._draw()

    def __iter__(self) -> Iterator[int]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_in_the_worst_weather_no_change_is_lost_or_made_twice(line):
    resets = dict.fromkeys(AT_THE_DEVICE, 4)
    storm = Weather(random.Random(2), {"lost": 150, "repeated": 100, **resets}), Weather(random.Random(3), {"lost": 150})
    client = Client(line, host_id=HOST, rng=random.Random(1))
    client.open_session(Role.CLINICIAN)
    line.begin_faults(*storm)
    revisions = [client.run(procedures.set_amplitude(0, 1000 + 100 * (number % 50))).revision for number in range(400)]
    assert revisions == list(range(revisions[0], revisions[0] + 400))
    line.begin_faults({}, {})
    assert client.run(procedures.status()).boot_counter > 5


def lose_the_line(line, frames: int) -> tuple[Client, OutcomeUnknown]:
    """A change on a line that is cut after so many frames of it reached the device; the line is whole again after."""
    client = Client(line, host_id=HOST, rng=random.Random(1))
    client.open_session(Role.CLINICIAN)
    line.begin_faults(*(dict.fromkeys(range(first, 60), "lost") for first in (frames, 0)))
    with pytest.raises(OutcomeUnknown) as caught:
        client.run(procedures.set_amplitude(0, 3000))
    line.begin_faults({}, {})
    return client, caught.value


def test_what_the_device_has_forgotten_stays_unknown(line):
    client, unknown = lose_the_line(line, 1)
    for number in range(33):
        client.run(procedures.set_amplitude(0, 1000 + 100 * number))
    with pytest.raises(OutcomeUnknown, match="does not keep what became of it any more"):
        client.run(procedures.resolve(unknown))


def test_stop_of_unknown_outcome_is_sent_again(line):
    client = Client(line, host_id=HOST, rng=random.Random(1))
    line.begin_faults(dict.fromkeys(range(5), "lost"), {})
    with pytest.raises(OutcomeUnknown) as caught:
        client.run(procedures.stop())
    assert client.run(procedures.resolve(caught.value)).state is State.IDLE


def test_a_self_test_is_answered_once_it_is_over(line):
    client = Client(line, host_id=HOST, rng=random.Random(1))
    client.open_session(Role.CLINICIAN)
    line.begin_faults({}, {})
    began = line.monotonic()
    assert client.run(procedures.self_test()).failed == 0
    assert line.monotonic() - began >= 0.4
    assert line.to_device.carried > 1


@pytest.mark.parametrize("fault", [*ON_THE_WAY, "reset before", "reset after"])
def test_a_self_test_is_answered_whatever_befalls_its_first_request(line, fault):
    client = Client(line, host_id=HOST, rng=random.Random(1))
    client.open_session(Role.CLINICIAN)
    line.begin_faults({0: fault}, {})
    assert client.run(procedures.self_test()).failed == 0


def test_a_change_whose_answer_is_lost_is_answered_though_the_device_has_answered_many_reads_since(line):
    async def talk() -> Amplitude:
        async with AsyncClient(line, host_id=HOST, rng=random.Random(1)) as client:
            await client.open_session(Role.CLINICIAN)
            line.begin_faults({}, {0: "lost"})
            change = asyncio.create_task(client.run(procedures.set_amplitude(0, 3000)))
            await asyncio.sleep(0)
            for _ in range(20):
                await client.run(ask(ReadProgram(0, 0)))
            return await change

    assert asyncio.run(talk()).amplitude_microamps == 3000
    client = Client(line, host_id=HOST, rng=random.Random(2))
    client.open_session(Role.CLINICIAN)
    assert client.run(procedures.read_counters()).changes_committed == 1


def test_a_change_that_is_cancelled_is_not_made_even_if_it_comes_yet(line):
    late = encode_frame(request_frame(SetAmplitude(1, 0, 3000), 2))

    async def talk() -> int:
        async with AsyncClient(line, host_id=HOST, rng=random.Random(1)) as client:
            await client.open_session(Role.CLINICIAN)
            line.begin_faults({0: "lost", 1: "lost"}, {})
            change = asyncio.create_task(client.run(procedures.set_amplitude(0, 3000)))
            await asyncio.sleep(0)
            change.cancel()
            await asyncio.wait([change])
            await client.run(pause(10))
            line.write(late)
            return (await client.run(procedures.read_counters())).changes_committed

    assert asyncio.run(talk()) == 0


@pytest.mark.parametrize("fault", AT_THE_DEVICE)
def test_each_event_is_delivered_once_over_a_reset(line, fault):
    events: list[Message] = []
    client = Client(line, host_id=HOST, rng=random.Random(1), on_event=events.append)
    client.open_session(Role.CLINICIAN)
    line.begin_faults({2: fault}, {})
    for amplitude in (2000, 2100, 2200, 2300):
        client.run(procedures.set_amplitude(0, amplitude))
    client.run(pause(3000))
    changed = [event.amplitude_microamps for event in events if isinstance(event, AmplitudeChanged)]
    assert changed == [2000, 2100, 2200, 2300]
    assert [event.boot_counter for event in events if isinstance(event, ResetHappened)] == [1, 2]
    assert client.events_missed == 0


@pytest.mark.parametrize(("arrived", "outcome"), [(1, TransactionOutcome.COMMITTED), (0, TransactionOutcome.NOT_SEEN)])
@pytest.mark.parametrize("anew", [False, True], ids=["the same client", "another client"])
def test_an_unknown_outcome_is_resolved_later(line, arrived, outcome, anew):
    client, unknown = lose_the_line(line, arrived)
    assert (unknown.transaction, unknown.request.amplitude_microamps) == (1, 3000)
    if anew:
        client = Client(line, host_id=HOST, rng=random.Random(2))
        client.open_session(Role.CLINICIAN)
    assert client.run(procedures.fate(1)).outcome is outcome
    answer = client.run(procedures.resolve(unknown))
    assert answer == Amplitude(0, 3000, answer.revision)
    assert client.run(procedures.read_counters()).changes_committed == 1


def test_a_number_that_another_program_of_this_host_took_meanwhile_is_not_an_answer(line):
    _, unknown = lose_the_line(line, 0)
    other = Client(line, host_id=HOST, rng=random.Random(2))
    other.open_session(Role.CLINICIAN)
    other.run(procedures.set_amplitude(0, 2000))
    with pytest.raises(Refused) as caught:
        other.run(procedures.resolve(unknown))
    assert caught.value.status is Status.ID_REUSED
    assert other.run(procedures.read_counters()).changes_committed == 1
