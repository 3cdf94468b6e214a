"""Events: numbered, sent until acknowledged, and not for ever."""

from __future__ import annotations

from ipg_protocol import Kind, Role
from ipg_protocol.commands.link import GetStatus, Reset, ResetCause, ResetHappened
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.frame import Frame


def acknowledge(bench, number):
    assert bench.send(Frame(Kind.EVENT_ACK, 0, number)) == []


def numbers(bench):
    seen = [number for number, _ in bench.events]
    bench.events.clear()
    return seen


def test_events_are_numbered_by_one(bench):
    bench.ask(StartTherapy(1))
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.advance(0)
    seen = numbers(bench)
    assert seen == list(range(1, len(seen) + 1))


def test_an_unacknowledged_event_is_sent_five_times_a_second_apart(bench):
    bench.advance(0)
    numbers(bench)
    bench.ask(StartTherapy(1))
    bench.advance(0)
    newest = max(numbers(bench))
    bench.advance(10)
    assert numbers(bench).count(newest) == 4


def test_an_acknowledged_event_is_not_sent_again(bench):
    bench.ask(StartTherapy(1))
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.advance(0)
    acknowledge(bench, max(numbers(bench)))
    bench.advance(10)
    assert numbers(bench) == []
    assert bench.ask(GetStatus()).unacknowledged_events == 0


def test_an_acknowledgement_of_a_number_never_used_counts_for_nothing(bench):
    bench.ask(StartTherapy(1))
    acknowledge(bench, 4_000_000_000)
    assert bench.ask(GetStatus()).unacknowledged_events > 0


def test_events_wait_for_a_session(bench):
    bench.advance(0)
    acknowledge(bench, max(numbers(bench)))
    bench.ask(StartTherapy(1))
    bench.ask(CloseSession())
    bench.frames()
    numbers(bench)
    bench.advance(10)
    assert numbers(bench) == []
    bench.open(nonce=2)
    bench.advance(0)
    assert numbers(bench)


def test_at_most_32_are_kept_and_a_gap_shows_the_loss(bench):
    for transaction in range(1, 40):
        bench.ask(StartTherapy(transaction))
        bench.ask(StopTherapy(StopMode.IMMEDIATE))
    assert bench.ask(GetStatus()).unacknowledged_events == 32


def restart(bench):
    """RESET, and a session in the new boot: the highest event that is acknowledged."""
    bench.ask(Reset(1_000))
    bench.advance(1)
    opened = bench.ask(OpenSession(Role.SERVICE, host_id=7, nonce=1_000))
    bench.advance(0)
    return opened.acknowledged_event


def test_numbers_go_on_over_a_restart_and_what_was_not_acknowledged_comes_again(bench):
    bench.ask(StartTherapy(1))
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.advance(0)
    before = list(bench.events)
    acknowledge(bench, before[1][0])
    bench.events.clear()
    assert restart(bench) == before[1][0]
    seen = [(number, event) for number, event in bench.events if number]
    assert seen[: len(before) - 2] == before[2:]
    assert [number for number, _ in seen] == list(range(before[2][0], before[2][0] + len(seen)))
    assert ResetHappened(ResetCause.COMMAND, 2) in [event for _, event in seen]


def test_what_was_acknowledged_before_a_restart_is_over(bench):
    bench.ask(StartTherapy(1))
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.advance(0)
    newest = max(numbers(bench))
    acknowledge(bench, newest)
    assert restart(bench) == newest
    assert [number for number in numbers(bench) if number] == [newest + 1, newest + 2]
