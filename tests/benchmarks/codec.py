"""How fast frames are checked and messages decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import cobs.cobs as untyped_cobs
from ipg_protocol import Frame, FrameReader, Kind, crc32c, decode, encode, encode_frame
from ipg_protocol.commands.link import Alert, DeviceStatus, LinkStatistics
from ipg_protocol.vocabulary import BatteryTier, State
from measure import Row, per_call_ns, take_turns

unstuff = cast("Callable[[bytes], bytes]", cast("Any", untyped_cobs).decode)
FRAMES = 1000
ROUNDS = 15


def frames() -> Iterable[Row]:
    """Frames in and out of the reader, against COBS and CRC alone: the C code that none can do without."""
    encoded = [encode_frame(Frame(Kind.REQUEST, 0x0303, number, bytes(range(1, 25)))) for number in range(FRAMES)]
    stream = b"".join(encoded)
    stuffed = [frame.strip(b"\0") for frame in encoded]

    def read() -> None:
        if len(FrameReader().feed(stream, 0)) != FRAMES:
            raise AssertionError("the reader lost a frame")

    def unstuff_and_check() -> None:
        for frame in stuffed:
            crc32c(unstuff(frame)[:-4])

    median = take_turns({"floor": per_call_ns(unstuff_and_check, 10), "figure": per_call_ns(read, 10)}, ROUNDS)
    rate = {name: FRAMES * 1e9 / ns for name, ns in median.items()}
    yield Row(
        "frames decoded and checked, 24-byte payload",
        "per s",
        rate["figure"],
        200_000,
        rate["floor"],
        "COBS and CRC alone",
        at_least=True,
        holds_figure=True,
    )


@dataclass(slots=True)
class PlainStatus:
    """The fields of `DeviceStatus`, unchecked."""

    state: int
    active_program: int
    battery_tier: int
    unacknowledged_events: int
    alerts: int
    revision: int
    boot_counter: int
    uptime_seconds: int


@dataclass(slots=True)
class PlainStatistics:
    """The fields of `LinkStatistics`."""

    bytes_received: int
    frames_received: int
    frames_sent: int
    noise_oversize: int
    noise_bad_cobs: int
    noise_bad_length: int
    noise_bad_crc: int
    noise_bad_kind: int
    noise_timed_out: int
    requests_executed: int
    requests_refused: int
    requests_replayed: int
    events_sent: int
    output_dropped: int


def messages() -> Iterable[Row]:
    """Payload to message, against `struct` into a slots dataclass; with enumerations to check, and without."""
    status = encode(DeviceStatus(State.THERAPY, 1, BatteryTier.OK, 0, Alert.SESSION_OPEN, 17, 3, 4711))
    statistics = encode(LinkStatistics(*range(14)))
    yield _message_row(DeviceStatus, PlainStatus, struct.Struct("<BBBBHIII"), status)
    yield _message_row(LinkStatistics, PlainStatistics, struct.Struct("<14I"), statistics)


def _message_row(
    message: type[DeviceStatus | LinkStatistics],
    plain: type[PlainStatus | PlainStatistics],
    layout: struct.Struct,
    payload: bytes,
) -> Row:
    samples = {
        "floor": per_call_ns(lambda: plain(*layout.unpack(payload)), 5000),
        "figure": per_call_ns(lambda: decode(message, payload), 5000),
    }
    median = take_turns(samples, ROUNDS)
    return Row(f"decode {message.__name__}", "ns", median["figure"], 4, median["floor"], "struct, slots dataclass")
