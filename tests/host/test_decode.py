"""`ipg-host decode`: bytes typed in, traces, captures and raw files, in words or as JSON, without a port."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ipg_host.cli.main import main
from ipg_protocol import Frame, Kind, Reply, ResponseFlag, Status, encode_frame, reply_frame, request_frame
from ipg_protocol.capture import CaptureEncoder
from ipg_protocol.commands.link import Ping, Pong, TransactionOutcome, TransactionReport
from ipg_protocol.describe import Reframer
from ipg_protocol.trace import Head, Record, Towards, encode_head, encode_record

PING = encode_frame(request_frame(Ping(5), 1))
PONG = encode_frame(reply_frame(1, 1, Reply(Status.OK, ResponseFlag.REPLAYED, Pong(5))))
HEAD = Head(model="scs-rechargeable", serial="VIPG-00000001", seed=1)
RECORDS = [
    Record(1_000_000, Towards.DEVICE, PING + b"\1\2\0"),
    Record(1_000_000, Towards.DEVICE, b"\1\2", "device: it is not COBS"),
    Record(1_000_500, Towards.HOST, PONG),
]
TRACE = b"".join((encode_head(HEAD), *map(encode_record, RECORDS)))
TRACE_LINES = [
    "    1.000000 > REQUEST 1 PING token=5",
    "    1.000000 >! device: it is not COBS: 01 02",
    "    1.000500 < RESPONSE 1 PING OK REPLAYED token=5",
]


def capture() -> bytes:
    encoder, reframer = CaptureEncoder(), Reframer()
    head = encoder.encode_head(HEAD)
    return head + b"".join(encoder.encode(framed) for record in RECORDS for framed in reframer.feed(record))


class Told(NamedTuple):
    code: int
    lines: list[str]
    errors: str


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    def run(*arguments: str, typed: bytes = b"") -> Told:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed)))
        code = main(["decode", *arguments])
        captured = capsys.readouterr()
        return Told(code, captured.out.splitlines(), captured.err)

    return run


Decode = Callable[..., Told]


@pytest.mark.parametrize(
    "arguments", [(PING.hex(),), (PING.hex(" "),), (PING.hex(":").upper(),), tuple(PING.hex(" ").split()), ("0x" + PING.hex(),)]
)
def test_hexadecimal_pairs_are_decoded_however_they_are_set_apart(arguments: tuple[str, ...], decode: Decode) -> None:
    assert decode(*arguments) == (0, ["REQUEST 1 PING token=5"], "")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (TRACE, TRACE_LINES),
        (PING + PONG, ["REQUEST 1 PING token=5", "RESPONSE 1 PING OK REPLAYED token=5"]),
        (
            PING.hex(" ").encode() + b"\n" + PONG.hex().encode() + b"\n",
            [
                "REQUEST 1 PING token=5",
                "RESPONSE 1 PING OK REPLAYED token=5",
            ],
        ),
        (b"\1\2\0", ["no frame, it is not COBS: 01 02 at byte 0"]),
        (b"", []),
    ],
    ids=["trace", "bytes", "text", "noise", "empty"],
)
def test_a_file_is_decoded_whatever_it_holds(content: bytes, lines: list[str], decode: Decode, tmp_path: Path) -> None:
    path = tmp_path / "heard"
    path.write_bytes(content)
    assert decode(str(path)) == (0, lines, "")
    assert decode("-", typed=content) == (0, lines, "")


@pytest.mark.parametrize(
    ("whole", "words"), [(TRACE, "line 4 is not a record of a trace"), (capture(), "what follows packet 2 cannot be read")]
)
def test_of_a_trace_that_is_cut_short_all_before_its_end_is_told(whole: bytes, words: str, decode: Decode) -> None:
    code, lines, errors = decode("-", typed=whole[:-9])
    assert (code, lines) == (2, TRACE_LINES[:2])
    assert errors.startswith(f"ipg-host: -: {words}: ")


def test_a_frame_whose_end_is_not_in_the_trace_is_told_too(decode: Decode) -> None:
    begun = encode_record(Record(1_000_700, Towards.HOST, PONG[:4]))
    assert decode("-", typed=TRACE + begun) == (
        0,
        [*TRACE_LINES, f"    1.000700 < no frame, its end is missing: {PONG[1:4].hex(' ')} at byte {len(PONG) + 1}"],
        "",
    )


def test_a_capture_is_decoded_as_the_trace_that_it_was_made_of(decode: Decode, tmp_path: Path) -> None:
    path = tmp_path / "trace.pcapng"
    path.write_bytes(capture())
    assert decode(str(path)) == (0, TRACE_LINES, "")


def frames(told: Told) -> list[dict[str, Any]]:
    assert (told.code, told.errors) == (0, "")
    found: list[dict[str, Any]] = json.loads("\n".join(told.lines))["frames"]
    return found


def test_json_has_names_numbers_and_reasons(decode: Decode) -> None:
    request, dropped, response = frames(decode("--json", "-", typed=TRACE))
    assert (request["kind"], request["number"], request["name"], request["fields"]) == ("REQUEST", 1, "PING", {"token": 5})
    assert (request["at_us"], request["to"], request["hex"]) == (1_000_000, "device", PING.hex())
    assert (response["status"], response["flags"], response["to"]) == ("OK", ["REPLAYED"], "host")
    assert (dropped["why"], dropped["hex"], dropped["kind"]) == ("device: it is not COBS", "0102", None)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(Kind.REQUEST, 0x7777, 1), "no such command: 0x7777"),
        (Frame(Kind.EVENT, 0x9999, 1), "no such event: 0x9999"),
        (Frame(Kind.REQUEST, 1, 1, b"\1"), "expected 4 bytes, got 1"),
        (Frame(Kind.EVENT_ACK, 0, 1), ""),
    ],
)
def test_json_says_of_a_frame_that_nobody_understands_why(frame: Frame, why: str, decode: Decode) -> None:
    (told,) = frames(decode("--json", encode_frame(frame).hex()))
    assert (told["kind"], told["why"], told["fields"]) == (frame.kind.name, why, None)


def test_json_has_bytes_in_hexadecimal(decode: Decode) -> None:
    report = TransactionReport(TransactionOutcome.COMMITTED, 0x0303, b"\1\xff")
    (told,) = frames(decode("--json", encode_frame(reply_frame(0x000C, 4, Reply(Status.OK, ResponseFlag(0), report))).hex()))
    assert told["fields"] == {"outcome": "COMMITTED", "opcode": 0x0303, "answer": "01ff"}


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        (("zz",), b"", "'zz' is neither pairs of hexadecimal digits nor a file: No such file or directory"),
        (("012",), b"", "'012' is neither"),
        (("-",), b"{}", "-: line 1 is not a head"),
        (("-",), capture()[:9], "-: it is no pcapng file of this link"),
    ],
)
def test_what_cannot_be_decoded_is_wrong_usage_told_in_a_line(
    arguments: tuple[str, ...], typed: bytes, words: str, decode: Decode
) -> None:
    told = decode(*arguments, typed=typed)
    assert (told.code, told.lines) == (2, [])
    assert told.errors.startswith(f"ipg-host: {words}")
    assert told.errors.count("\n") == 1


def test_the_example_of_the_page_is_true(decode: Decode) -> None:
    page = (Path(__file__).parents[2] / "docs" / "traces.md").read_text()
    ((typed, shown),) = re.findall(r"^\$ ipg-host decode ([0-9a-f ]+)\n(.*)$", page, re.MULTILINE)
    assert decode(*typed.split()) == (0, [shown], "")


def test_no_port_is_needed_or_opened(decode: Decode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPG_PORT", "/dev/there-is-no-such-port")
    assert decode(PING.hex()).code == 0
