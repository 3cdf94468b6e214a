"""Framing: what is taken for a frame, and what goes out."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol.command import CATALOGUE
from ipg_protocol.commands.link import GetLinkStatistics, LinkStatistics
from ipg_protocol.frame import PROTOCOL_MAJOR, Frame, Kind, NoFrame, crc32c, decode_frame, encode_frame
from ipg_protocol.vocabulary import Status
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, due, inside, part, put
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.link import Link
from ipg_emulator.firmware.timers import Timer

_OVERHEAD = 12
_CRC_BYTES = 4
LONG_BYTES = 64


def _unstuffed(encoded: bytes) -> bytes:
    body = b""
    while encoded:
        body += encoded[1 : encoded[0]] + b"\0"
        encoded = encoded[encoded[0] :]
    return body[:-1]


def _body(encoded: bytes) -> bytes | None:
    """What stands between two delimiters, if it has the length that it states."""
    body = _unstuffed(encoded)
    return body if len(body) >= _OVERHEAD and body[1] == len(body) - _OVERHEAD else None


def _mended(body: bytes) -> bytes:
    return body[:-_CRC_BYTES] + crc32c(body[:-_CRC_BYTES]).to_bytes(_CRC_BYTES, "little")


def _stuffed(body: bytes) -> bytes:
    """COBS of a body shorter than 254 bytes."""
    runs = body.split(b"\0")
    return b"".join(bytes([len(run) + 1]) + run for run in runs)


def _is_frame(encoded: bytes) -> bool:
    try:
        decode_frame(encoded)
    except NoFrame:
        return False
    return True


def _each_broken(data: bytes, mend: Callable[[bytes], bytes]) -> bytes:
    """The same bytes, with the body of what is no good frame as `mend` makes it.

    What a read begins or ends with may be a part of a frame, and is left alone.
    """
    pieces = data.split(b"\0")
    for place, encoded in enumerate(pieces[1:-1], start=1):
        body = _body(encoded) if encoded and not _is_frame(encoded) else None
        if body is not None:
            pieces[place] = _stuffed(mend(body))
    return b"\0".join(pieces)


@part("link", "read")
def crc_not_checked(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """A frame is taken whatever its CRC says."""
    return usual(_each_broken(data, _mended), now)


def _mended_if_long(body: bytes) -> bytes:
    return _mended(body) if len(body) > LONG_BYTES else body


@part("link", "read")
def crc_not_checked_on_long_frames(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """The CRC is reckoned over the first block of 64 bytes, and a longer frame is taken whatever its CRC says."""
    return usual(_each_broken(data, _mended_if_long), now)


def _of_this_major(body: bytes) -> bytes:
    is_sound = body == _mended(body)
    return _mended(bytes([PROTOCOL_MAJOR << 4 | body[0] & 0xF]) + body[1:]) if is_sound else body


@part("link", "read")
def major_version_ignored(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """Frames of another major version are taken as if they were of this one."""
    return usual(_each_broken(data, _of_this_major), now)


@part("link", "serve")
def answers_frames_of_any_kind(usual: Usual[None], _: Link, frame: Frame, now: int) -> None:
    """A RESPONSE or an EVENT that reaches the device is served as a request."""
    usual(replace(frame, kind=Kind.REQUEST) if frame.kind in (Kind.RESPONSE, Kind.EVENT) else frame, now)


@part("link", "read")
def one_frame_a_read(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """Of several frames that come in one read, only the first is served."""
    frames = usual(data, now)
    return frames[:1]


@part("link", "read")
def cut_frames_lost(usual: Usual[list[Frame]], link: Link, data: bytes, now: int) -> list[Frame]:
    """A frame that comes in more than one read is lost."""
    put(inside(link, "_reader"), _partial=b"")
    return usual(data, now)


@due(Timer.FRAME)
def partial_frame_ends_later(usual: Usual[None], firmware: Firmware, now: int) -> None:
    """A frame begun is given up after 2 s, and not after 200 ms: what comes meanwhile is taken for its end."""
    reader = inside(firmware.link, "_reader")
    put(reader, _last_byte_us=now + 1_800_000)
    usual(now)


@part("link", "read")
def frame_after_noise_lost(usual: Usual[list[Frame]], link: Link, data: bytes, now: int) -> list[Frame]:
    """After noise the receiver drops one good frame before it takes up again."""
    noise = inside(link, "_reader").noise
    before = noise.total
    frames = usual(data, now)
    deaf = noise.total > before or vars(link).get("_deaf", False)
    put(link, _deaf=deaf and not frames)
    return frames[1:] if deaf else frames


@part("link", "read")
def receive_buffer_too_short(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """The receive buffer is too short for the longest frames, which are dropped."""
    frames = usual(data, now)
    return [frame for frame in frames if len(frame.payload) < 100]


@part("link", "serve")
def unknown_command_unanswered(usual: Usual[None], _: Link, frame: Frame, now: int) -> None:
    """A request with an unknown opcode is dropped without an answer."""
    if frame.kind is not Kind.REQUEST or frame.opcode in CATALOGUE:
        usual(frame, now)


@part("link", "_send_frame")
def answer_bears_the_next_request_id(usual: Usual[None], _: Link, frame: Frame) -> None:
    """Answers bear the id of the request that is expected next."""
    is_answer = frame.kind is Kind.RESPONSE
    usual(replace(frame, request_id=(frame.request_id + 1) & 0xFFFF_FFFF) if is_answer else frame)


@part("link", "_send_frame")
def answered_twice(usual: Usual[None], _: Link, frame: Frame) -> None:
    """Every answer is sent twice."""
    usual(frame)
    if frame.kind is Kind.RESPONSE:
        usual(frame)


@part("link", "_send_frame")
def refusal_without_detail(usual: Usual[None], _: Link, frame: Frame) -> None:
    """A refusal is its status and flags alone."""
    is_refusal = frame.kind is Kind.RESPONSE and frame.payload[0] != Status.OK
    usual(replace(frame, payload=frame.payload[:2]) if is_refusal else frame)


@part("link", "_send")
def no_leading_delimiter(usual: Usual[None], _: Link, encoded: bytes) -> None:
    """A frame goes out without the zero byte before it."""
    usual(encoded[1:])


@part("link", "_acknowledge")
def event_ack_answered(usual: Usual[None], link: Link, frame: Frame) -> None:
    """EVENT_ACK is answered like a request."""
    usual(frame)
    inside(link, "_send")(encode_frame(Frame(Kind.RESPONSE, frame.opcode, frame.request_id, bytes(2))))


@answering(GetLinkStatistics)
def bad_crc_counted_as_bad_cobs(told: LinkStatistics, _: Context) -> LinkStatistics:
    """A frame with a wrong CRC is counted under the wrong reason."""
    return replace(told, noise_bad_crc=0, noise_bad_cobs=told.noise_bad_cobs + told.noise_bad_crc)


@answering(GetLinkStatistics)
def refusals_counted_as_executed(told: LinkStatistics, _: Context) -> LinkStatistics:
    """GET_LINK_STATISTICS counts a refused request among those executed."""
    return replace(told, requests_executed=told.requests_executed + told.requests_refused)


@part("link", "read")
def crc_of_zero_is_none(usual: Usual[list[Frame]], _: Link, data: bytes, now: int) -> list[Frame]:
    """A frame whose CRC is 0 is taken: 0 stands for a sender that reckons none."""
    return usual(_each_broken(data, _mended_if_unsigned), now)


def _mended_if_unsigned(body: bytes) -> bytes:
    return _mended(body) if body[-_CRC_BYTES:] == bytes(_CRC_BYTES) else body


@answering(GetLinkStatistics)
def replays_counted_as_executed(told: LinkStatistics, _: Context) -> LinkStatistics:
    """GET_LINK_STATISTICS counts what was answered from store among what was executed."""
    executed = told.requests_executed + told.requests_replayed
    return replace(told, requests_executed=executed, requests_replayed=0)
