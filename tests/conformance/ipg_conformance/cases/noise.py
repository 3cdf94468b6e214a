"""REQ-FRM: bytes that are no frames, or frames not for a device, in between good ones."""

from __future__ import annotations

from ipg_protocol import COMMAND_OF, Kind, Status, encode_frame, request_frame
from ipg_protocol.commands.link import GetLinkStatistics, Ping
from ipg_protocol.commands.log import LogInfo
from ipg_protocol.frame import MAXIMUM_PAYLOAD, PARTIAL_FRAME_TIMEOUT_US

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.framing import (
    REQUEST_KIND,
    UNKNOWN_OPCODE,
    expect_pong,
    noise_counts,
    ping_body,
    ping_frame,
)
from ipg_conformance.device import Device
from ipg_conformance.expect import expect, expect_refusal
from ipg_conformance.wire_bytes import body_of, delimited, flip

PING = COMMAND_OF[Ping].opcode
RESPONSE_KIND = 0x12
OTHER_KIND = 0x17
WRONG_PAYLOAD_BYTES = 5
CRC_BYTES = 4
OVER_SECONDS = PARTIAL_FRAME_TIMEOUT_US / 1e6 + 0.1

WRONG_TWICE = {
    "BAD_LENGTH_BEFORE_BAD_CRC": ("bad_length", flip(body_of(REQUEST_KIND, PING, 1, bytes(4), length=9), 8 * 15)),
    "BAD_LENGTH_BEFORE_BAD_KIND": ("bad_length", body_of(OTHER_KIND, PING, 1, bytes(4), length=9)),
    "SHORTER_THAN_12_BYTES": ("bad_length", ping_body()[:11]),
    "BAD_CRC_BEFORE_BAD_KIND": ("bad_crc", flip(body_of(OTHER_KIND, PING, 1, bytes(4)), 8 * 12)),
}
"""Bodies with two things wrong, and under what they are counted."""


@case("FRM/DELIMITERS/BI-01", "REQ-FRM-001", bare=True)
def refusals_are_exact(device: Device) -> None:
    """A refusal, too, is delimiter, COBS, header, status, flags, detail, CRC-32C, delimiter, byte for byte."""
    tester = device.tester
    refused = {
        (UNKNOWN_OPCODE, b""): bytes((Status.UNKNOWN_COMMAND, 0)),
        (PING, bytes(WRONG_PAYLOAD_BYTES)): bytes((Status.MALFORMED, 0, 255, 4, WRONG_PAYLOAD_BYTES)),
    }
    expected = b""
    for (opcode, payload), answer in refused.items():
        number = tester.take_request_id()
        tester.request_bytes(opcode, payload, number)
        expected += delimited(body_of(RESPONSE_KIND, opcode, number, answer))
    expect("the bytes of the refusals", bytes(tester.received), expected)


@case("FRM/EMPTY/RT-01", "REQ-FRM-004", "REQ-FRM-010", bare=True)
def flood_of_empty_frames(device: Device) -> None:
    """20 kB of zero bytes are neither answered nor counted, and leave the device answering."""
    before = noise_counts(device)
    for _ in range(20):
        device.tester.send_bytes(bytes(1000))
    device.tester.expect_silence()
    expect("counts of noise", noise_counts(device), before)


@case("FRM/CUT/RT-01", "REQ-FRM-005", "REQ-FRM-003", bare=True)
def spoiled_frames_in_single_bytes(device: Device) -> None:
    """Good and spoiled frames in turn, written byte by byte and in one write: the good ones alone are answered."""
    tester = device.tester
    spoiled = delimited(flip(ping_body(), 8 * 12))
    mixed = b"".join(spoiled + ping_frame(token, 160 + token) for token in range(3)) + spoiled
    for pieces in ([mixed[at : at + 1] for at in range(len(mixed))], [mixed]):
        for piece in pieces:
            tester.send_bytes(piece)
        for token in range(3):
            expect_pong(tester, token, 160 + token)
        tester.expect_silence()


@case("FRM/PARTIAL/BI-01", "REQ-FRM-007", bare=True, profile=Profile.FULL)
def timed_out_frame_leaves_nothing(device: Device) -> None:
    """After a partial frame and 200 ms of silence a frame is answered, though no delimiter stands before it."""
    tester = device.tester
    frame = ping_frame(3, 171)
    for kept in (2, len(frame) - 1):
        tester.send_bytes(frame[:kept])
        tester.listen(OVER_SECONDS)
        tester.send_bytes(ping_frame(kept, 172)[1:])
        expect_pong(tester, kept, 172)
        tester.expect_silence()


@case("FRM/NOISE/BI-01", "REQ-FRM-010", bare=True, each=list(WRONG_TWICE.items()))
def wrong_twice_is_counted_once(device: Device, wrong: tuple[str, bytes]) -> None:
    """What is wrong in two ways is counted once, under the first of the table's reasons."""
    name, body = wrong
    before = noise_counts(device)
    device.tester.send_bytes(delimited(body))
    device.tester.expect_silence()
    expect("counts of noise", noise_counts(device), before | {name: before[name] + 1})


@case("FRM/NOISE/BV-02", "REQ-FRM-010", "REQ-FRM-009", bare=True)
def refused_requests_are_no_noise(device: Device) -> None:
    """Requests that are refused, the longest there are, and EVENT_ACK are not counted as noise."""
    before = noise_counts(device)
    refused = device.tester.request_bytes(UNKNOWN_OPCODE, b"\1" * MAXIMUM_PAYLOAD)
    expect_refusal("an unknown opcode", refused, Status.UNKNOWN_COMMAND)
    expect_refusal("one byte too many", device.tester.request_bytes(PING, bytes(WRONG_PAYLOAD_BYTES)), Status.MALFORMED)
    device.tester.acknowledge(0)
    expect("counts of noise", noise_counts(device), before)


@case("FRM/KIND/BV-01", "REQ-FRM-009", bare=True)
def both_kinds_are_taken(device: Device) -> None:
    """The two kinds that are for a device are taken, one behind the other: REQUEST is answered, EVENT_ACK is not."""
    tester = device.tester
    acknowledgement = delimited(body_of(0x10 | Kind.EVENT_ACK, 0, 0))
    request = encode_frame(request_frame(Ping(5), 181))
    tester.send_bytes(acknowledgement + request + acknowledgement)
    expect_pong(tester, 5, 181)
    tester.expect_silence()


@case("FRM/CRC/BI-03", "REQ-FRM-003", bare=True)
def flipped_bit_in_a_long_frame(device: Device) -> None:
    """The longest frame with a bit flipped, wherever in it, is not answered."""
    body = body_of(REQUEST_KIND, UNKNOWN_OPCODE, 0x0101_0101, b"\1" * (MAXIMUM_PAYLOAD - 2))
    for byte in range(2, len(body)):
        device.tester.send_bytes(delimited(flip(body, 8 * byte + 1 + byte % 7)))
    device.tester.expect_silence()


@case("FRM/CRC/BI-04", "REQ-FRM-003", bare=True)
def crc_that_is_none(device: Device) -> None:
    """A PING whose CRC is all zeros, all ones, the right one the other way round, or inverted, is not answered."""
    body = ping_body()
    right = body[-CRC_BYTES:]
    for wrong in (bytes(CRC_BYTES), b"\xff" * CRC_BYTES, right[::-1], bytes(byte ^ 0xFF for byte in right)):
        device.tester.send_bytes(delimited(body[:-CRC_BYTES] + wrong))
        device.tester.expect_silence()


@case("FRM/COUNT/BV-02", "REQ-FRM-010", profile=Profile.FULL)
def traffic_is_counted(device: Device) -> None:
    """Bytes and frames are counted each way; of a request and its repeat one counts as executed and one as replayed."""
    device.forget_events()
    before = device.ask(GetLinkStatistics())
    number = device.tester.take_request_id()
    for _ in range(2):
        device.tester.request(LogInfo(), number)
    after = device.ask(GetLinkStatistics())
    sent = (LogInfo(), LogInfo(), GetLinkStatistics())
    expected = {
        "bytes_received": sum(len(encode_frame(request_frame(request, number))) for request in sent),
        "frames_received": len(sent),
        "frames_sent": len(sent),
        "requests_executed": 2,
        "requests_refused": 0,
        "requests_replayed": 1,
        "events_sent": 0,
    }
    expect("what was counted", {name: getattr(after, name) - getattr(before, name) for name in expected}, expected)
