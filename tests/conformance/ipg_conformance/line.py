"""The line to a device: how long an answer is under way and how long each byte takes, as far as a device may count on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from ipg_protocol import COMMAND_OF, encode_frame, request_frame
from ipg_protocol.commands.link import Ping
from ipg_protocol.frame import MAXIMUM_PAYLOAD

from ipg_conformance.expect import Failure

if TYPE_CHECKING:
    from ipg_conformance.tester import Tester

LONGEST_ROUND_TRIP_SECONDS = 0.5
LONGEST_SECONDS_PER_BYTE = 10 / 2400
"""A start bit, eight bits and a stop bit at 2400 baud."""
FRAMING_BYTES = 15
"""What a frame on the line is longer than its payload: delimiters, the COBS code byte, header and CRC."""
LONGEST_FRAME_BYTES = FRAMING_BYTES + MAXIMUM_PAYLOAD

ROUND_TRIPS = 8
BURSTS = 2
PINGS_IN_A_BURST = 4


class Line(msgspec.Struct, frozen=True):
    """What the line takes of the time in which an answer must be there, in seconds of real time."""

    round_trip_seconds: float
    """From the first byte of a PING to the last of its answer, the slowest of several."""
    seconds_per_byte: float
    """At most; the device's own work for a PING is in it."""

    def allowance(self, byte_count: int) -> float:
        """How much later an answer may be there than where no line is between, if so many bytes are under way with it."""
        return self.round_trip_seconds + byte_count * self.seconds_per_byte

    def __str__(self) -> str:
        if self == NO_LINE:
            return "none, the device is in this process"
        return f"{self.round_trip_seconds * 1000:.1f} ms round trip, {self.seconds_per_byte * 1e6:.0f} µs a byte at most"


NO_LINE = Line(0.0, 0.0)
UNMEASURED_LINE = Line(LONGEST_ROUND_TRIP_SECONDS, 0.0)
"""Before it is measured, and where PINGs are not answered in its time, which is enough for the few bytes of one on the slowest
line. Bytes are not counted: on a device that sends without end they would never be over."""


def measured(tester: Tester) -> Line:
    """Measure the line by PINGs; none where the device is in this process and has a time of its own.

    PINGs one by one give the round trip. Of several at once, each but the first adds the time that its bytes take.
    """
    if tester.is_virtual:
        return NO_LINE
    try:
        trips = [_seconds_for(tester, 1) for _ in range(ROUND_TRIPS)]
        bursts = [_seconds_for(tester, PINGS_IN_A_BURST) for _ in range(BURSTS)]
    except Failure:
        return UNMEASURED_LINE
    per_byte = max(0.0, max(bursts) - min(trips)) / (PINGS_IN_A_BURST - 1) / len(_ping(0))
    return Line(min(max(trips), LONGEST_ROUND_TRIP_SECONDS), min(per_byte, LONGEST_SECONDS_PER_BYTE))


def _seconds_for(tester: Tester, count: int) -> float:
    """How long it takes in real time until so many PINGs are answered that are sent in one go."""
    numbers = [tester.take_request_id() for _ in range(count)]
    began = tester.clock.real()
    tester.send_bytes(b"".join(map(_ping, numbers)))
    for number in numbers:
        tester.response_to(COMMAND_OF[Ping].opcode, number)
    return tester.clock.real() - began


def _ping(number: int) -> bytes:
    return encode_frame(request_frame(Ping(number), number))
