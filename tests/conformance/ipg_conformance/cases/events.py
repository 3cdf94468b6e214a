"""REQ-EVT: numbers, acknowledgement, re-sending, and what is kept."""

from __future__ import annotations

from ipg_protocol import Message
from ipg_protocol.commands.session import CloseSession, KeepAlive
from ipg_protocol.commands.therapy import AmplitudeChanged, SetAmplitude

from ipg_conformance.case import Profile, case
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import expect, expect_that

EVENTS_KEPT = 32
SENDS = 5
RESEND_SECONDS = 1.0
RESEND_TOLERANCE_SECONDS = 0.2


def numbers(device: Device, kind: type[Message] = AmplitudeChanged) -> list[int]:
    """The numbers of the events of a kind that have come, repeats included."""
    return [number for number, message in device.tester.events if isinstance(message, kind)]


def change_amplitude(device: Device, times: int) -> None:
    """Cause that many AMPLITUDE_CHANGED."""
    lower, higher = device.smallest().amplitude_microamps, device.typical().amplitude_microamps
    for index in range(times):
        device.ask(SetAmplitude(NEXT, 0, higher if index % 2 else lower))


def unacknowledged(device: Device) -> int:
    return device.status().unacknowledged_events


def prepare(device: Device) -> None:
    """Select a typical program, and begin with nothing to acknowledge."""
    device.write_program(device.typical())
    device.forget_events()
    expect("events to acknowledge before the case", unacknowledged(device), 0)


@case("EVT/NUMBER/BV-01", "REQ-EVT-001")
def event_numbers_rise_by_one(device: Device) -> None:
    """Events are numbered one after the other."""
    prepare(device)
    change_amplitude(device, 5)
    device.catch_up(0.1)
    found = numbers(device)
    expect_that("five events came", len(found) == 5, found)
    expect("their numbers", found, list(range(found[0], found[0] + 5)))


@case("EVT/ACK/BV-01", "REQ-EVT-001", "REQ-EVT-002")
def acknowledgement_removes(device: Device) -> None:
    """EVENT_ACK n removes all events up to n and is not answered; GET_STATUS counts those that are left."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 3)
    device.catch_up(0.1)
    first = numbers(device)[0]
    expect("events to acknowledge", unacknowledged(device), 3)
    for acknowledged, left in ((first - 1, 3), (first + 1, 1), (first + 1, 1), (first + 2, 0)):
        device.tester.acknowledge(acknowledged)
        device.tester.expect_silence()
        expect(f"events left after EVENT_ACK {acknowledged}", unacknowledged(device), left)


@case("EVT/ACK/BI-01", "REQ-EVT-002", "REQ-EVT-001")
def acknowledgement_of_nothing(device: Device) -> None:
    """EVENT_ACK without anything to acknowledge is not answered and changes nothing."""
    prepare(device)
    for number in (0, 1, 0xFFFF_FFFF):
        device.tester.acknowledge(number)
        device.tester.expect_silence()
    change_amplitude(device, 1)
    device.tester.wait_for_event(AmplitudeChanged)


@case("EVT/RESEND/LT-01", "REQ-EVT-001", profile=Profile.FULL)
def event_is_sent_five_times(device: Device) -> None:
    """An event that is never acknowledged is sent 5 times, 1 s apart, and again after the next OPEN_SESSION."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 1)
    device.tester.listen(RESEND_SECONDS + RESEND_TOLERANCE_SECONDS)
    sent = [event for event in device.tester.events if isinstance(event[1], AmplitudeChanged)]
    expect("the event and its first repeat", sent, [sent[0]] * 2)
    device.tester.listen((SENDS - 1) * RESEND_SECONDS)
    expect("how often it came", len(numbers(device)), SENDS)
    device.open_session()
    device.catch_up(0.1)
    expect("how often it came after OPEN_SESSION", len(numbers(device)), SENDS + 1)


@case("EVT/RESEND/BV-01", "REQ-EVT-001", profile=Profile.FULL)
def acknowledged_event_is_not_sent_again(device: Device) -> None:
    """An event that was acknowledged does not come again."""
    prepare(device)
    change_amplitude(device, 1)
    device.tester.wait_for_event(AmplitudeChanged)
    device.tester.acknowledging = False
    device.tester.listen(RESEND_SECONDS + RESEND_TOLERANCE_SECONDS)
    expect("how often it came", len(numbers(device)), 1)


@case("EVT/SESSION/BO-01", "REQ-EVT-001", profile=Profile.FULL)
def events_wait_for_a_session(device: Device) -> None:
    """Without a session no event is sent; the one that is due comes after OPEN_SESSION."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, 1)
    device.catch_up()
    device.ask(CloseSession())
    device.tester.events.clear()
    device.tester.listen(RESEND_SECONDS + RESEND_TOLERANCE_SECONDS)
    expect("events without a session", [message for _, message in device.tester.events], [])
    device.open_session()
    device.tester.wait_for_event(AmplitudeChanged)


@case("EVT/KEPT/LT-01", "REQ-EVT-001")
def last_events_are_kept(device: Device) -> None:
    """Of events never acknowledged the last 32 are kept, and come in their order after OPEN_SESSION."""
    prepare(device)
    device.tester.acknowledging = False
    change_amplitude(device, EVENTS_KEPT + 3)
    device.ask(KeepAlive())
    oldest, newest = min(numbers(device)), max(numbers(device))
    expect("the number of the newest", newest, oldest + EVENTS_KEPT + 2)
    expect("events to acknowledge", unacknowledged(device), EVENTS_KEPT)
    device.ask(CloseSession())
    device.tester.events.clear()
    device.open_session()
    device.catch_up(0.1)
    found, kept = numbers(device), list(range(newest - EVENTS_KEPT + 1, newest + 1))
    expect("the numbers", found[:EVENTS_KEPT], kept)
    expect("those that have come again since", {*found[EVENTS_KEPT:]} - {*kept}, set[int]())
