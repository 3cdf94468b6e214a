"""Requests in one go: a state that passes in milliseconds lasts for all of them, however long the line takes for an answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ipg_protocol import COMMAND_OF, Frame, Kind, Reply, Request, State, encode, encode_frame
from ipg_protocol.commands.link import DeviceStatus, GetStatus, Reset
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance, MeasurementStarted
from ipg_protocol.refusal import Done

from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, OutOfReach, expect, expect_ok
from ipg_conformance.leads import finish_measurement
from ipg_conformance.line import FRAMING_BYTES
from ipg_conformance.states import bring_to
from ipg_conformance.tester import NoAnswer

Raw = tuple[int, bytes]
"""A request as opcode and payload, right or wrong."""
BOOT_ATTEMPTS = 5


def raw(device: Device, message: Request[Any]) -> Raw:
    """A request as bytes, numbered if it is a change."""
    return COMMAND_OF[type(message)].opcode, encode(device.numbered(message))


def send(device: Device, message: Request[Any]) -> int:
    """Send a request without waiting for its answer; its id."""
    return device.tester.send(*raw(device, message))


def answers_to(device: Device, requests: Iterable[Raw]) -> list[Reply]:
    """Send all in one write; their answers."""
    sent = [(opcode, device.tester.take_request_id(), payload) for opcode, payload in requests]
    device.tester.send_bytes(b"".join(encode_frame(Frame(Kind.REQUEST, *parts)) for parts in sent))
    return [device.tester.answer_to(opcode, number) for opcode, number, _ in sent]


def ask_together(device: Device, *messages: Request[Any]) -> list[Reply]:
    """As `answers_to`, of requests that are right.

    Raises:
        NotApplicable: the device has given as many doses today as it may.
    """
    replies = answers_to(device, [raw(device, message) for message in messages])
    for reply in replies:
        device.need_doses(reply)
    return replies


def approach(device: Device, state: State) -> None:
    """Bring a settled device to a state, but for MEASURING, which passes by itself: `ask_in` begins it."""
    if state is not State.MEASURING:
        bring_to(device, state)


def ask_in(device: Device, state: State, *messages: Request[Any]) -> list[Reply]:
    """The answers to requests that find a device in the state that it was brought to by `approach`."""
    if state is not State.MEASURING:
        return ask_together(device, *messages)
    return answers_while_measuring(device, [raw(device, message) for message in messages])


def answers_while_measuring(device: Device, requests: list[Raw]) -> list[Reply]:
    """Measure every contact, and send requests behind that in one go; their answers.

    Raises:
        NotApplicable: the device does not measure.
        OutOfReach: the measurement is over before the line has brought them.
    """
    device.need(MeasureImpedance)
    replies: list[Reply] = []
    for some in groups(requests, _bytes_in_time(device)):
        finish_measurement(device)
        begin, status = raw(device, MeasureImpedance(ALL_CONTACTS, device.return_contact)), raw(device, GetStatus())
        began, *answers, last = answers_to(device, [begin, *some, status])
        expect_ok(began, MeasurementStarted, "MEASURE_IMPEDANCE is accepted")
        expect("the state before and after", expect_ok(last, DeviceStatus).state, State.MEASURING)
        replies += answers
    return replies


def answers_while_booting(device: Device, requests: list[Raw]) -> list[Reply]:
    """The answers to requests in one go behind the answer to RESET: of what stands behind RESET itself, a line may cut a frame.

    Raises:
        NotApplicable: the device has booted by the time that they come.
    """
    for _ in range(BOOT_ATTEMPTS):
        device.settle()
        device.ask(Reset(NEXT))
        *replies, last = answers_to(device, [*requests, raw(device, GetStatus())])
        device.wait_for_boot()
        if expect_ok(last, DeviceStatus).state is State.BOOT:
            return replies
    raise NotApplicable("the device boots faster than it can be asked")


def answers_behind_reset(device: Device, *messages: Request[Any]) -> list[Reply]:
    """Send RESET and requests behind it in one write; the answers to these, when the boot is over.

    Raises:
        OutOfReach: one was not answered, and the line may have cut it in two, of which one half came before the reset.
    """
    requests = [raw(device, message) for message in (Reset(NEXT), *messages)]
    numbers = [device.tester.take_request_id() for _ in requests]
    frames = [Frame(Kind.REQUEST, opcode, number, payload) for (opcode, payload), number in zip(requests, numbers, strict=True)]
    device.tester.send_bytes(b"".join(map(encode_frame, frames)))
    accepted = device.tester.answer_to(COMMAND_OF[Reset].opcode, numbers[0])
    expect_ok(accepted, Done, "RESET is accepted")
    try:
        replies = [device.tester.answer_to(frame.opcode, frame.request_id) for frame in frames[1:]]
    except NoAnswer:
        if device.tester.is_virtual:
            raise
        raise OutOfReach("what stands behind RESET got lost; maybe the line cuts frames in two") from None
    device.wait_for_boot()
    return replies


def _bytes_in_time(device: Device) -> float:
    """How many bytes the line carries in half the time of a measurement of every contact."""
    seconds_per_byte = device.tester.line.seconds_per_byte * device.tester.speed
    return device.measuring_seconds / 2 / seconds_per_byte if seconds_per_byte else float("inf")


def groups(requests: list[Raw], most_bytes: float) -> Iterator[list[Raw]]:
    """The requests in their order, as many at a time as fit with a GET_STATUS behind them.

    Raises:
        OutOfReach: not even one does.
    """
    group: list[Raw] = []
    size = FRAMING_BYTES
    for request in requests:
        length = FRAMING_BYTES + len(request[1])
        if FRAMING_BYTES + length > most_bytes:
            raise OutOfReach("the line is too slow: what is to be asked about is over before a request is there")
        if size + length > most_bytes:
            yield group
            group, size = [], FRAMING_BYTES
        group.append(request)
        size += length
    yield group
