"""REQ-FRM: frames, noise between them, and silence where silence is due. No case here needs a session."""

from __future__ import annotations

from functools import partial
from typing import Any

from ipg_protocol import CATALOGUE, COMMAND_OF, Kind, Reply, ResponseFlag, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.commands.link import GetLinkStatistics, GetStatus, Ping, Pong
from ipg_protocol.frame import MAXIMUM_PAYLOAD, PARTIAL_FRAME_TIMEOUT_US

from ipg_conformance.case import Profile, case
from ipg_conformance.device import Device
from ipg_conformance.expect import Inconclusive, expect, expect_recommended
from ipg_conformance.tester import Tester
from ipg_conformance.wire_bytes import body_of, delimited, flip, noise

PING_BYTES = bytes.fromhex("00041104010201010109443322116332fac600")
PONG_BYTES = bytes.fromhex("000412060102010101010109443322119ae531c500")
REQUEST_KIND = 0x11
UNKNOWN_OPCODE = 0x7E7E
SOON_SECONDS = 0.1
ATTEMPTS = 5
KEPT_SECONDS = 0.8 * PARTIAL_FRAME_TIMEOUT_US / 1e6
"""A second half that leaves so soon is still there in time; one that a busy computer holds back longer may not be."""

frm = partial(case, bare=True)


def ping_frame(token: int, request_id: int) -> bytes:
    return encode_frame(request_frame(Ping(token), request_id))


def pong_bytes(token: int, request_id: int) -> bytes:
    """The only right answer to such a PING."""
    return encode_frame(reply_frame(COMMAND_OF[Ping].opcode, request_id, Reply(Status.OK, ResponseFlag(0), Pong(token))))


def ping_body(token: int = 0x5A5A_0001, request_id: int = 0x0101) -> bytes:
    """The body of a PING."""
    return body_of(REQUEST_KIND, COMMAND_OF[Ping].opcode, request_id, token.to_bytes(4, "little"))


def expect_pong(tester: Tester, token: int, request_id: int) -> None:
    reply = tester.answer_to(COMMAND_OF[Ping].opcode, request_id)
    expect("the PING's answer", reply.body, Pong(token))


@frm("FRM/DELIMITERS/BV-01", "REQ-FRM-001", "REQ-FRM-002", "REQ-FRM-003")
def answer_is_exact(device: Device) -> None:
    """The answer to a PING is, byte for byte, delimiter, COBS, header, payload, CRC-32C, delimiter."""
    tester = device.tester
    tester.send_bytes(PING_BYTES)
    expect_pong(tester, 0x1122_3344, 1)
    expect("the bytes of the answer", bytes(tester.received), PONG_BYTES)


@frm("FRM/EMPTY/BV-01", "REQ-FRM-004")
def empty_frames_are_ignored(device: Device) -> None:
    """Zero bytes before, between and after frames change nothing."""
    tester = device.tester
    tester.send_bytes(bytes(7) + ping_frame(1, 11) + bytes(300) + ping_frame(2, 12) + bytes(2))
    expect_pong(tester, 1, 11)
    expect_pong(tester, 2, 12)
    tester.expect_silence()


@frm("FRM/EMPTY/BV-02", "REQ-FRM-004", "REQ-FRM-006")
def frames_may_share_a_delimiter(device: Device) -> None:
    """One zero byte between two frames is enough."""
    tester = device.tester
    tester.send_bytes(ping_frame(1, 21)[:-1] + ping_frame(2, 22))
    expect_pong(tester, 1, 21)
    expect_pong(tester, 2, 22)


@frm("FRM/CUT/BV-01", "REQ-FRM-005")
def frame_in_single_bytes(device: Device) -> None:
    """A frame written byte by byte is answered."""
    tester = device.tester
    for byte in ping_frame(3, 31):
        tester.send_bytes(bytes((byte,)))
    expect_pong(tester, 3, 31)


@frm("FRM/CUT/BV-02", "REQ-FRM-005")
def frame_in_two_pieces(device: Device) -> None:
    """A frame cut in two at any place is answered."""
    tester = device.tester
    frame = ping_frame(4, 41)
    for cut in range(1, len(frame)):
        tester.send_bytes(frame[:cut])
        tester.send_bytes(frame[cut:])
        expect_pong(tester, 4, 41)


@frm("FRM/MERGED/BV-01", "REQ-FRM-005", "REQ-FRM-011")
def frames_in_one_write(device: Device) -> None:
    """Four requests in one write are answered in their order."""
    tester = device.tester
    tester.send_bytes(b"".join(ping_frame(token, 50 + token) for token in range(4)))
    for token in range(4):
        expect_pong(tester, token, 50 + token)
    expected = b"".join(pong_bytes(token, 50 + token) for token in range(4))
    expect("the bytes of the four answers", bytes(tester.received), expected)


@frm("FRM/CRC/BI-01", "REQ-FRM-003")
def wrong_crc_is_dropped(device: Device) -> None:
    """A PING with any one bit of its CRC flipped is not answered."""
    body = ping_body()
    for bit in range(8 * (len(body) - 4), 8 * len(body)):
        device.tester.send_bytes(delimited(flip(body, bit)))
        device.tester.expect_silence()


@frm("FRM/CRC/BI-02", "REQ-FRM-003")
def flipped_bit_is_dropped(device: Device) -> None:
    """A PING with any one bit before its CRC flipped is not answered."""
    body = ping_body()
    for bit in range(8 * (len(body) - 4)):
        device.tester.send_bytes(delimited(flip(body, bit)))
        device.tester.expect_silence()


@frm("FRM/LENGTH/BI-01", "REQ-FRM-002")
def wrong_inner_length_is_dropped(device: Device) -> None:
    """A body whose length byte disagrees with its payload is not answered, though its CRC is right."""
    for length in (0, 3, 5, 255):
        device.tester.send_bytes(delimited(body_of(REQUEST_KIND, COMMAND_OF[Ping].opcode, 61, bytes(4), length=length)))
        device.tester.expect_silence()


@frm("FRM/RESYNC/BI-01", "REQ-FRM-006")
def noise_before_a_frame(device: Device) -> None:
    """A good frame after noise of any length is answered."""
    tester = device.tester
    for size in (1, 2, 16, 254, 255, 256, 1000):
        tester.send_bytes(noise(size, seed=size).replace(b"\0", b"\1") + ping_frame(size, 71))
        expect_pong(tester, size, 71)
    tester.expect_silence()


@frm("FRM/RESYNC/BI-02", "REQ-FRM-006")
def cut_frame_before_a_frame(device: Device) -> None:
    """A frame cut off at any byte is dropped, and the good frame behind it is answered."""
    tester = device.tester
    bad = ping_frame(5, 81)
    for cut in range(1, len(bad) - 1):
        tester.send_bytes(bad[:cut] + ping_frame(cut, 82))
        expect_pong(tester, cut, 82)
    tester.expect_silence()


@frm("FRM/RESYNC/BI-03", "REQ-FRM-006")
def lost_byte_in_a_frame(device: Device) -> None:
    """A frame with any one byte missing is dropped, and the good frame behind it is answered."""
    tester = device.tester
    bad = ping_frame(6, 91)
    for lost in range(1, len(bad) - 1):
        tester.send_bytes(bad[:lost] + bad[lost + 1 :] + ping_frame(lost, 92))
        expect_pong(tester, lost, 92)
    tester.expect_silence()


@frm("FRM/RESYNC/RT-01", "REQ-FRM-006", "REQ-FRM-003")
def noise_with_zeros(device: Device) -> None:
    """20 kB of noise with zero bytes in it get no answer, and leave the device answering."""
    for seed in range(20):
        device.tester.send_bytes(noise(1000, seed) + b"\0")
        device.tester.expect_silence()


@frm("FRM/PARTIAL/LT-01", "REQ-FRM-007")
def partial_frame_times_out(device: Device) -> None:
    """The second half of a frame that comes more than 200 ms after the first half completes nothing."""
    tester = device.tester
    frame = ping_frame(7, 101)
    tester.send_bytes(frame[:9])
    tester.listen(PARTIAL_FRAME_TIMEOUT_US / 1e6 + 0.1)
    tester.send_bytes(frame[9:])
    tester.expect_silence()


@frm("FRM/PARTIAL/LT-02", "REQ-FRM-007", "REQ-FRM-005")
def partial_frame_is_kept(device: Device) -> None:
    """The second half of a frame that comes after 100 ms completes it."""
    tester = device.tester
    frame = ping_frame(8, 111)
    for _ in range(ATTEMPTS):
        began = tester.clock()
        tester.send_bytes(frame[:9])
        tester.listen(PARTIAL_FRAME_TIMEOUT_US / 2e6)
        tester.send_bytes(frame[9:])
        if tester.clock() - began < KEPT_SECONDS:
            expect_pong(tester, 8, 111)
            return
        tester.request(Ping(token=8))
        tester.responses.clear()
    raise Inconclusive("this computer is too busy to send half a frame after 100 ms")


@frm("FRM/OVERSIZE/BV-01", "REQ-FRM-008", "REQ-FRM-011", "REQ-CMD-001")
def longest_frame_is_answered(device: Device) -> None:
    """A request with 242 payload bytes, an encoded frame of 255, is answered."""
    reply = device.tester.request_bytes(UNKNOWN_OPCODE, noise(MAXIMUM_PAYLOAD, seed=1), 121)
    expect("the answer to the longest frame", reply.status, Status.UNKNOWN_COMMAND)
    device.tester.expect_silence()


@frm("FRM/OVERSIZE/BI-01", "REQ-FRM-008")
def oversize_frame_is_dropped(device: Device) -> None:
    """A frame of one byte too many is not answered, though its length and CRC are right."""
    body = body_of(REQUEST_KIND, UNKNOWN_OPCODE, 0x0101_0101, b"\1" * (MAXIMUM_PAYLOAD + 1))
    device.tester.send_bytes(b"\0\xff" + body[:254] + bytes((len(body) - 253,)) + body[254:] + b"\0")
    device.tester.expect_silence()


@frm("FRM/OVERSIZE/RT-01", "REQ-FRM-008", "REQ-FRM-006")
def flood_without_delimiter(device: Device) -> None:
    """50 kB without a delimiter are dropped, and the good frame behind them is answered."""
    tester = device.tester
    for seed in range(50):
        tester.send_bytes(noise(1000, seed).replace(b"\0", b"\1"))
    tester.send_bytes(ping_frame(9, 131))
    expect_pong(tester, 9, 131)
    tester.expect_silence()


def _kind_bytes() -> list[tuple[str, int]]:
    own = [(kind.name, 0x10 | kind) for kind in (Kind.RESPONSE, Kind.EVENT, Kind.EVENT_ACK, Kind.HANDSHAKE, Kind.SECURE)]
    return [
        *own,
        ("KIND_0", 0x10),
        ("KIND_7", 0x17),
        ("KIND_15", 0x1F),
        ("MAJOR_0", 0x01),
        ("MAJOR_2", 0x21),
        ("MAJOR_15", 0xF1),
    ]


@frm("FRM/KIND/BI-01", "REQ-FRM-009", each=_kind_bytes())
def other_kind_is_dropped(device: Device, kind_byte: int) -> None:
    """A frame that is no REQUEST of this major version gets no answer."""
    for command in CATALOGUE.values():
        device.tester.send_bytes(delimited(body_of(kind_byte, command.opcode, 0, bytes(4))))
    device.tester.expect_silence()


@frm("FRM/ANSWER/BV-01", "REQ-FRM-011")
def answer_names_the_request(device: Device) -> None:
    """The answer has the request's opcode and id, whatever the id, and comes once."""
    for request_id in (0, 1, 0x0100, 0xFFFF_FFFE, 0xFFFF_FFFF):
        for message in (Ping(request_id), GetStatus()):
            device.tester.request(message, request_id)
        device.tester.expect_silence()


@frm("FRM/ANSWER/LT-01", "REQ-FRM-012")
def answers_come_soon(device: Device) -> None:
    """The quickest of five PINGs is answered within 100 ms, the time on the line included."""
    tester = device.tester
    taken: list[float] = []
    for token in range(5):
        began = tester.clock()
        expect("the answer to a PING", tester.request(Ping(token)).body, Pong(token))
        taken.append(tester.clock() - began)
    expect_recommended("a PING is answered within 100 ms", min(taken) <= SOON_SECONDS, f"{min(taken) * 1000:.0f} ms at best")


def _spoiled(name: str) -> bytes:
    good = ping_body()
    return {
        "oversize": b"\0" + b"\1" * 300 + b"\0",
        "bad_cobs": b"\0\xf0\1\2\3\0",
        "bad_length": delimited(body_of(REQUEST_KIND, COMMAND_OF[Ping].opcode, 1, bytes(4), length=9)),
        "bad_crc": delimited(flip(good, 8 * len(good) - 1)),
        "bad_kind": delimited(body_of(0x17, COMMAND_OF[Ping].opcode, 1, bytes(4))),
    }[name]


NOISE_KINDS = ("oversize", "bad_cobs", "bad_length", "bad_crc", "bad_kind")


def noise_counts(device: Device) -> dict[str, Any]:
    statistics = device.ask(GetLinkStatistics())
    return {name: getattr(statistics, f"noise_{name}") for name in (*NOISE_KINDS, "timed_out")}


@frm("FRM/NOISE/BV-01", "REQ-FRM-010", each=[(name.upper(), name) for name in NOISE_KINDS])
def noise_is_counted(device: Device, name: str) -> None:
    """Dropped noise is counted under its kind, and under no other."""
    before = noise_counts(device)
    for _ in range(3):
        device.tester.send_bytes(_spoiled(name))
    expect("counts of noise", noise_counts(device), before | {name: before[name] + 3})


@frm("FRM/NOISE/LT-01", "REQ-FRM-010", "REQ-FRM-007", profile=Profile.FULL)
def timed_out_frame_is_counted(device: Device) -> None:
    """A partial frame that is dropped after 200 ms is counted."""
    before = noise_counts(device)
    device.tester.send_bytes(b"\0\5\1\2")
    device.tester.listen(PARTIAL_FRAME_TIMEOUT_US / 1e6 + 0.1)
    expect("counts of noise", noise_counts(device), before | {"timed_out": before["timed_out"] + 1})
