"""REQ-PRT: a second client at a port that takes one."""

from __future__ import annotations

import msgspec
from ipg_protocol import FrameReader, Kind, State, decode_event, encode_frame, request_frame
from ipg_protocol.commands.link import GetLinkStatistics, Ping
from ipg_protocol.commands.session import ClosingReason, SessionClosing
from ipg_protocol.commands.therapy import ReadLimits

from ipg_conformance.case import case
from ipg_conformance.device import Device
from ipg_conformance.expect import expect, expect_that
from ipg_conformance.second_client import SecondClient

BAD_COBS = b"\x00\x09\x01\x00"


@case("SES/PORT/BI-01", "REQ-PRT-001")
def second_client_is_sent_away(device: Device) -> None:
    """A second client gets SESSION_CLOSING, PORT_IN_USE, whatever it sends, and is disconnected: it is told nothing else."""
    with SecondClient(device.tester.url) as other:
        other.send(encode_frame(request_frame(Ping(7), 1)))
        frames = FrameReader().feed(other.heard_to_the_end(), 0)
    expect("what the second client is told", [frame.kind for frame in frames], [Kind.EVENT])
    event = decode_event(frames[0]), frames[0].request_id
    expect("the event, and its number", event, (SessionClosing(ClosingReason.PORT_IN_USE), 0))


@case("SES/PORT/BV-01", "REQ-PRT-001")
def first_client_goes_on(device: Device) -> None:
    """The first client does not notice: session and therapy go on, and the noise that the second sends is not counted."""
    device.begin_therapy()
    device.forget_events()
    before = _noise(device)
    with SecondClient(device.tester.url) as other:
        other.send(BAD_COBS)
        other.heard_to_the_end()
        device.ask(ReadLimits())
    device.ask(ReadLimits())
    expect_that("therapy runs", device.status().state in (State.RAMPING, State.THERAPY), device.status())
    expect("the events SESSION_CLOSING", device.tester.events_of(SessionClosing), [])
    expect("the noise that is counted", _noise(device), before)


def _noise(device: Device) -> list[int]:
    counters = msgspec.structs.asdict(device.ask(GetLinkStatistics()))
    return [count for name, count in counters.items() if name.startswith("noise")]
