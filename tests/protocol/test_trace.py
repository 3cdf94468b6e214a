"""Traces: JSON lines and captures that read back as they were written, and errors that name the line."""

from __future__ import annotations

import sys

import pytest
from ipg_protocol import capture, encode_frame, request_frame
from ipg_protocol.capture import CaptureEncoder, NoCaptures, read_capture, read_records
from ipg_protocol.commands.link import Ping
from ipg_protocol.describe import Reframer
from ipg_protocol.trace import Head, Record, Towards, TraceError, encode_head, encode_record, read_trace

HEAD = Head(model="scs-rechargeable", serial="VIPG-00000007", seed=7)
PING = encode_frame(request_frame(Ping(5), 1))
RECORDS = (
    Record(1_000, Towards.DEVICE, PING[:4]),
    Record(1_200, Towards.DEVICE, PING[4:] + b"\1\2\3\0"),
    Record(1_200, Towards.DEVICE, b"\1\2\3", "device: it is too short for a frame"),
    Record(2**33, Towards.HOST, PING),
)
LINES = [encode_head(HEAD), *map(encode_record, RECORDS)]


def captured(records: tuple[Record, ...]) -> bytes:
    encoder, reframer = CaptureEncoder(), Reframer()
    head = encoder.encode_head(HEAD)
    return head + b"".join(encoder.encode(framed) for record in records for framed in reframer.feed(record))


def test_a_trace_reads_back_as_it_was_written() -> None:
    trace = read_trace(LINES)
    assert (trace.head, trace.records) == (HEAD, RECORDS)


def test_a_line_is_json_that_other_programs_read() -> None:
    assert LINES[0] == b'{"trace":"ipg","version":1,"model":"scs-rechargeable","serial":"VIPG-00000007","seed":7}\n'
    assert LINES[3] == b'{"at_us":1200,"to":"device","hex":"010203","why":"device: it is too short for a frame"}\n'


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1 is not a head"),
        ([b"{}"], "line 1 is not a head"),
        ([b'{"trace": "tcp"}'], "line 1 is not a head"),
        ([b'{"trace":"ipg","version":2,"model":"","serial":"","seed":1}'], "line 1: the trace is of version 2; version 1"),
        ([LINES[0], b"\xff"], "line 2 is not a record"),
        ([LINES[0], LINES[1], b'{"at_us":1,"to":"moon","hex":""}'], "line 3 is not a record .*'moon'"),
        ([LINES[0], b'{"at_us":-1,"to":"host","hex":""}'], "line 2 is not a record .*at_us"),
        ([LINES[0], b'{"at_us":1,"to":"host","hex":"0g"}'], "line 2: hex"),
        ([LINES[0], LINES[1][:20]], "line 2 is not a record"),
    ],
)
def test_a_trace_that_cannot_be_read_names_the_line(lines: list[bytes], words: str) -> None:
    with pytest.raises(TraceError, match=words):
        read_trace(lines)


def test_a_capture_holds_one_packet_for_each_frame_and_each_thing_dropped() -> None:
    read = tuple(read_capture(captured(RECORDS)))
    assert [(record.at_us, record.to, record.data.strip(b"\0"), record.why) for record in read] == [
        (1_200, Towards.DEVICE, PING.strip(b"\0"), ""),
        (1_200, Towards.DEVICE, b"\1\2\3", "device: it is too short for a frame"),
        (2**33, Towards.HOST, PING.strip(b"\0"), ""),
    ]


def test_either_kind_of_file_is_known_by_its_beginning() -> None:
    assert tuple(read_records(b"".join(LINES))) == RECORDS
    assert tuple(read_records(captured(RECORDS))) == tuple(read_capture(captured(RECORDS)))


@pytest.mark.parametrize("kept", [4, 40, 200])
def test_a_capture_whose_beginning_is_cut_short_is_refused(kept: int) -> None:
    with pytest.raises(TraceError, match="no pcapng file of this link"):
        tuple(read_records(captured(RECORDS)[:kept]))


@pytest.mark.parametrize(
    ("whole", "words"),
    [(captured(RECORDS), "what follows packet 2 cannot be read"), (b"".join(LINES), "line 5 is not a record")],
)
def test_of_a_trace_whose_end_is_missing_all_before_it_is_read(whole: bytes, words: str) -> None:
    before: list[Record] = []
    with pytest.raises(TraceError, match=words):
        before.extend(read_records(whole[:-3]))
    assert before == list(read_records(whole))[:-1]


def test_a_capture_of_another_link_is_refused() -> None:
    data = bytearray(captured(RECORDS))
    data[data.index(b"\x93\0\0\0")] = 1
    with pytest.raises(TraceError, match=r"packet 1 is not one of link type USER0 \(147\)"):
        tuple(read_records(bytes(data)))


def test_without_the_extra_a_capture_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pcapng", None)
    with pytest.raises(NoCaptures, match=r"pip install 'virtual-ipg\[pcapng\]'"):
        CaptureEncoder()
    with pytest.raises(NoCaptures, match=r"pip install 'virtual-ipg\[pcapng\]'"):
        tuple(read_records(capture.MAGIC))
