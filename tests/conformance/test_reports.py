"""The reports: each says what the run found, is read by what reads such files, and takes any text for text."""

from __future__ import annotations

import csv
import errno
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, cast

import jsonschema
import msgspec
import pcapng
import pytest
from ipg_conformance.cli import main
from ipg_conformance.report import (
    CannotWrite,
    Identity,
    ReportError,
    Requirement,
    Result,
    Run,
    Verdict,
    Waiver,
    compare,
    first_wrong_byte,
    junit_xml,
    prepare_folder,
    read_report,
    write_file,
    write_reports,
)
from ipg_conformance.report.coverage import NOT_PASSED, coverage_csv, coverage_of
from ipg_conformance.report.exchange import lines_of, wrong_byte_on_the_wire
from ipg_conformance.report.html import report_html
from ipg_conformance.report.json import TIMES, report_json
from ipg_conformance.report.repro import repro_text
from ipg_conformance.report.schema import schema_text
from ipg_protocol import COMMAND_OF, Frame, Kind, encode_frame, request_frame
from ipg_protocol import capture as captures
from ipg_protocol.capture import NoCaptures, read_capture
from ipg_protocol.commands.link import Ping
from ipg_protocol.trace import Record, Towards
from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import JUnitXml

PING = encode_frame(request_frame(Ping(token=42), 7))
PONG = encode_frame(Frame(Kind.RESPONSE, COMMAND_OF[Ping].opcode, 7, b"\0\0\x2b\0\0\0"))
EXCHANGE = (Record(1_000_000, Towards.DEVICE, PING), Record(1_002_500, Towards.HOST, PONG))
REQUIREMENTS = (
    Requirement("REQ-FRM-001", "A device MUST send every frame as `00 COBS(body) 00`."),
    Requirement("REQ-LNK-001", "PING MUST be answered with its token."),
    Requirement("REQ-USE-001", "A device MUST end at its end of service.", "no command empties a battery"),
)


def make_result(case: str, verdict: Verdict = Verdict.PASS, **chosen: Any) -> Result:
    usual: dict[str, Any] = {"requirements": ("REQ-LNK-001",), "summary": "PING is answered.", "seconds": 0.25}
    usual |= {"seed": 11, "exchange": EXCHANGE}
    return Result(case=case, verdict=verdict, **(usual | chosen))


ALL_VERDICTS = (
    make_result("FRM/PING/BV-01"),
    make_result(
        "FRM/PING/BV-02",
        Verdict.FAIL,
        steps=("device.ask(Ping(42))",),
        what="the token comes back",
        expected="Pong(token=42)",
        got="Pong(token=43)",
        expected_bytes=b"\0\0\x2a",
        got_bytes=b"\0\0\x2b\0\0\0",
        repeat="ipg-conformance run --target emulator --only FRM/PING/BV-02 --seed 5",
    ),
    make_result("FRM/PING/LT-01", Verdict.NON_STRICT, what="in 100 ms", repeat="repeat LT-01"),
    make_result("FRM/PING/RT-01", Verdict.INCONCLUSIVE, what="the port went away", repeat="repeat RT-01"),
    make_result("FRM/PING/BI-01", Verdict.NOT_APPLICABLE, predicate="the device has no MRI mode"),
    make_result(
        "FRM/PING/BI-02", Verdict.WAIVED, what="late", waiver=Waiver("mended in 2.1", "2027-01-31"), repeat="repeat BI-02"
    ),
    make_result(
        "FRM/PING/BO-01", Verdict.ERROR, what="KeyError: 5", traceback="Traceback ...\nKeyError: 5", repeat="repeat BO-01"
    ),
)


def make_run(*results: Result, **chosen: Any) -> Run:
    usual: dict[str, Any] = {
        "target": "emulator",
        "profile": "full",
        "seed": 5,
        "started": "2026-11-23T06:00:00Z",
        "seconds": 12.5,
        "command": "ipg-conformance run --target emulator --seed 5",
        "conclusion": "NOT CONFORMANT core 1.0: 1 pass, 1 fail",
        "exit_code": 1,
        "selected": len(results or ALL_VERDICTS),
        "suite_version": "0.1.0",
        "protocol_version": "1.0",
        "device": Identity(model="scs-rechargeable", serial="VIPG-1", firmware="1.0.0", protocol="1.0"),
        "requirements": REQUIREMENTS,
        "results": results or ALL_VERDICTS,
    }
    return Run(**(usual | chosen))


HOSTILE = "</td></script><script>alert('x')</script><img src=x onerror=y>&amp;]]>\x00\x1b[31m\udc80\n--> `<b>`"


def with_every_text(run: Run, text: str) -> Run:
    """A run in which each text that may come from outside is another."""
    result = msgspec.structs.replace(
        make_result("FRM/PING/BV-01", Verdict.FAIL),
        summary=text, steps=(text,), what=text, expected=text, got=text, predicate=text, waiver=Waiver(text, text),
        traceback=text, repeat=text,
    )  # fmt: skip
    return msgspec.structs.replace(
        run,
        target=text, command=text, conclusion=text, ended_early=text, declaration=text, notes=(text,), results=(result,),
        device=Identity(model=text, serial=text, firmware=text, protocol=text),
        requirements=tuple(Requirement(known.id, text, text) for known in REQUIREMENTS),
    )  # fmt: skip


# The report as JSON


def shipped_schema() -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(files("ipg_conformance.report").joinpath("report.schema.json").read_text()))


def test_the_shipped_schema_is_what_the_declaration_makes() -> None:
    assert shipped_schema() == json.loads(schema_text())


def test_a_report_with_every_verdict_fits_the_shipped_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(shipped_schema())
    jsonschema.validate(json.loads(report_json(make_run())), shipped_schema())


def _a_verdict_of_its_own(report: Any) -> None:
    report["run"]["results"][0]["verdict"] = "GOOD"


def _a_key_more(report: Any) -> None:
    report["run"]["results"][0]["mood"] = "fine"


def _a_key_less(report: Any) -> None:
    del report["run"]["seed"]


def _half_a_byte(report: Any) -> None:
    report["run"]["results"][1]["got_bytes"] = "0"


def _an_id_without_a_kind(report: Any) -> None:
    report["run"]["results"][0]["case"] = "FRM/PING/01"


@pytest.mark.parametrize("damage", [_a_verdict_of_its_own, _a_key_more, _a_key_less, _half_a_byte, _an_id_without_a_kind])
def test_the_schema_refuses(damage: Callable[[Any], None]) -> None:
    report = json.loads(report_json(make_run()))
    damage(report)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, shipped_schema())


def test_a_report_is_read_back_as_it_was_but_for_the_exchange_of_what_passed(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(report_json(make_run()))
    read = read_report(tmp_path / "report.json").run
    kept = [result if result.verdict in NOT_PASSED else msgspec.structs.replace(result, exchange=()) for result in ALL_VERDICTS]
    assert read == make_run(*kept)


def test_totals_and_coverage_stand_in_the_report() -> None:
    report = json.loads(report_json(make_run()))
    assert report["totals"] == dict.fromkeys(Verdict, 1)
    assert report["coverage"] == {"REQ-FRM-001": "NOT-TESTED", "REQ-LNK-001": "FAIL", "REQ-USE-001": "NOT-TESTED"}


def without_times(value: Any) -> Any:
    match value:
        case dict():
            found = cast("dict[str, Any]", value)
            return {key: without_times(inner) for key, inner in found.items() if key not in TIMES}
        case list():
            return [without_times(inner) for inner in cast("list[Any]", value)]
        case _:
            return value


def test_runs_with_one_seed_give_the_same_report_but_for_times(tmp_path: Path) -> None:
    target = "ipg://scs-rechargeable?seed=1&defect=response-before-commit"
    reports: list[Any] = []
    for _ in range(2):
        assert main(["run", "--target", target, "--allow", "destructive", "--only", "PRG/READ", "--out", str(tmp_path)]) == 1
        reports.append(without_times(json.loads((tmp_path / "report.json").read_text())))
    assert reports[0] == reports[1]
    assert any(result["exchange"] for result in reports[0]["run"]["results"])


def test_how_the_port_cut_what_was_read_does_not_show_in_the_report() -> None:
    cut = (EXCHANGE[0], *(Record(1_002_500, Towards.HOST, PONG[place : place + 1]) for place in range(len(PONG))))
    failed = [make_result("FRM/PING/BV-02", Verdict.FAIL, exchange=exchange) for exchange in (EXCHANGE, cut)]
    assert report_json(make_run(failed[0])) == report_json(make_run(failed[1]))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"schema_version": 9}', b'{"schema_version": 1, "run": 3}'])
def test_what_is_no_report_is_refused_in_one_line(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ReportError, match=r"a\.json: it is no report") as raised:
        read_report(tmp_path / "a.json")
    assert len(str(raised.value).splitlines()) == 1


# JUnit XML, as junitparser reads it


def read_junit(run: Run) -> Any:
    """The one suite of a run's JUnit XML; the library's types say little of its own."""
    (suite,) = JUnitXml.fromstring(junit_xml(run))
    return suite


def test_junit_has_each_case_with_its_requirement_and_what_became_of_it() -> None:
    suite = read_junit(make_run())
    kinds: dict[str, list[object]] = {test.name: [type(found) for found in test.result] for test in suite}
    assert kinds == {
        "FRM/PING/BV-01": [],
        "FRM/PING/BV-02": [Failure],
        "FRM/PING/LT-01": [],
        "FRM/PING/RT-01": [Error],
        "FRM/PING/BI-01": [Skipped],
        "FRM/PING/BI-02": [Skipped],
        "FRM/PING/BO-01": [Error],
    }
    assert (suite.tests, suite.failures, suite.errors, suite.skipped, suite.time) == (7, 1, 2, 2, 12.5)
    assert {found.value for test in suite for found in test.properties() if found.name == "requirement"} == {"REQ-LNK-001"}


def test_a_failure_in_junit_says_requirement_expected_got_and_how_to_repeat_it() -> None:
    suite = read_junit(make_run())
    (failure,) = next(test for test in suite if test.name == "FRM/PING/BV-02").result
    assert failure.message == "REQ-LNK-001: the token comes back: expected Pong(token=42), got Pong(token=43)"
    assert "repeat: ipg-conformance run --target emulator --only FRM/PING/BV-02 --seed 5" in failure.text
    assert f"< {PONG.hex(' ')}  RESPONSE 7 PING OK token=43" in failure.text


@pytest.mark.parametrize(
    ("expected", "got", "message"),
    [
        ("a=0 " * 99 + "b=1 c=2", "a=0 " * 99 + "b=3 c=2", f"expected … {'a=0 ' * 10}b=1 c=2, got … {'a=0 ' * 10}b=3 c=2"),
        ("a=0 " + "b=1 " * 99, "a=0 c=1", f"expected a=0 {'b=1 ' * 29}…, got a=0 c=1"),
        ("none", "b" * 500, f"expected none, got {'b' * 120} …"),
        ("it is so", "no", "it is so: got no"),
    ],
)
def test_of_long_texts_a_failure_in_junit_says_where_they_differ(expected: str, got: str, message: str) -> None:
    result = make_result("FRM/PING/BV-02", Verdict.FAIL, what="it is so", expected=expected, got=got)
    (failure,) = next(iter(read_junit(make_run(result)))).result
    assert failure.message.endswith(message)


def test_junit_is_read_whatever_the_texts_hold() -> None:
    suite = read_junit(with_every_text(make_run(), HOSTILE))
    (failure,) = next(iter(suite)).result
    assert r"<img src=x onerror=y>&amp;]]>\x00\x1b[31m\udc80" in failure.text


# The page


class Page(HTMLParser):
    """The elements of a page, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.elements.append(found)
        if tag not in ("meta", "br", "input"):
            self._open.append(found)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, texts in self._open:
            texts.append(data)

    def texts(self, tag: str, class_: str = "") -> list[str]:
        wanted = set(class_.split())
        found = (entry for entry in self.elements if entry[0] == tag and wanted <= set(entry[1].get("class", "").split()))
        return ["".join(texts) for _, _, texts in found]


def page_of(run: Run) -> Page:
    return Page(report_html(run, "ab" * 32))


def test_the_page_shows_a_failure_whole() -> None:
    page = page_of(make_run(ALL_VERDICTS[1]))
    assert page.texts("dl", "proved") == ["REQ-LNK-001PING MUST be answered with its token."]
    assert page.texts("ol", "steps") == ["device.ask(Ping(42))"]
    assert page.texts("p", "what") == ["the token comes back"]
    assert page.texts("div", "compared") == ["expectedPong(token=42)gotPong(token=43)"]
    assert page.texts("div", "command")[1].startswith("ipg-conformance run --target emulator --only FRM/PING/BV-02 --seed 5")
    assert page.texts("tr", "in wrong") == [f"2.5←{PONG.hex(' ')} RESPONSE 7 PING OK token=43"]


def test_the_page_marks_the_first_wrong_byte_on_the_wire_and_the_words_that_differ() -> None:
    page = page_of(make_run(ALL_VERDICTS[1]))
    marked = page.texts("mark")
    assert marked[:2] == ["42", "43"], "the words"
    assert marked[2:4] == ["2a", "2b"], "the payloads"
    assert marked[-1] == "2b", "the wire"


def test_the_page_tells_the_zeros_that_cobs_replaced_from_other_bytes() -> None:
    page = page_of(make_run(msgspec.structs.replace(ALL_VERDICTS[1], exchange=EXCHANGE[:1])))
    assert PING.hex(" ").startswith("00 04 11 04 01 02 07 01 01 02 2a 01 01 05")
    assert " ".join(page.texts("u")[1:]) == "02 01 01 02 01 01 05"


@pytest.mark.parametrize(
    ("wrong_line", "shown"), [(0, "Lines 1 to 120 of 1000"), (400, "Lines 341 to 460"), (999, "Lines 881 to 1000")]
)
def test_of_a_flood_the_page_shows_what_stands_around_the_wrong_byte(wrong_line: int, shown: str) -> None:
    good = encode_frame(Frame(Kind.RESPONSE, COMMAND_OF[Ping].opcode, 8, b"\0\0\x2a\0\0\0"))
    flood = [Record(number, Towards.HOST, PONG if number == wrong_line else good) for number in range(1000)]
    page = page_of(make_run(msgspec.structs.replace(ALL_VERDICTS[1], exchange=tuple(flood))))
    assert page.texts("p", "cut")[0].startswith(shown)
    assert len(page.texts("tr", "wrong")) == 1
    assert len(page.texts("tr", "in")) == 120


@pytest.mark.parametrize("result", ALL_VERDICTS, ids=lambda result: result.verdict)
def test_the_page_has_a_row_for_a_case_of_each_verdict(result: Result) -> None:
    page = page_of(make_run(result))
    (row,) = [attributes for tag, attributes, _ in page.elements if tag == "details"]
    assert (row["id"], row["data-name"]) == (result.case, result.verdict.value)
    assert ("open" in row) == (result.verdict in NOT_PASSED)


def test_the_page_says_why_a_case_does_not_apply_or_is_waived() -> None:
    assert page_of(make_run()).texts("p", "reason") == [
        "Not applicable: the device has no MRI mode.",
        "Waived until 2027-01-31: mended in 2.1",
    ]


def test_the_page_shows_every_requirement_with_its_counts() -> None:
    rows = page_of(make_run()).texts("table", "matrix")[0]
    assert "REQ-LNK-001PING MUST be answered with its token.✗FAIL1111111" in rows
    assert "Why no more cases: no command empties a batteryNOT-TESTED" in rows


def test_texts_from_outside_stay_texts_on_the_page() -> None:
    sound, hostile = page_of(make_run(ALL_VERDICTS[1])), page_of(with_every_text(make_run(), HOSTILE))
    assert len(hostile.texts("script")) == len(sound.texts("script")) == 1
    assert not [tag for tag, attributes, _ in hostile.elements if tag in ("img", "alert") or "onerror" in attributes]
    assert r"\x00\x1b[31m\udc80" in hostile.texts("p", "what")[0]


def test_the_page_needs_nothing_but_itself() -> None:
    text = report_html(make_run(), "ab" * 32)
    page = Page(text)
    policies = [attributes for _, attributes, _ in page.elements if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policies[0]["content"].startswith("default-src 'none'")
    linked = [attributes[name] for _, attributes, _ in page.elements for name in ("href", "src") if name in attributes]
    assert linked
    assert all(link.startswith("#") for link in linked)
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp", text)


def test_every_link_of_the_page_leads_to_a_case_on_it() -> None:
    page = page_of(make_run())
    ids = {attributes["id"] for _, attributes, _ in page.elements if "id" in attributes}
    links = [attributes["href"].removeprefix("#") for _, attributes, _ in page.elements if "href" in attributes]
    assert len(links) == len(NOT_PASSED)
    assert set(links) <= ids


def test_a_run_in_which_all_passed_says_so() -> None:
    assert "Nothing: all 1 cases that apply passed." in page_of(make_run(ALL_VERDICTS[0])).texts("p")


# What went over the wire


@pytest.mark.parametrize(
    ("expected", "got", "place"),
    [
        (b"\1\2", b"\1\2", None),
        (b"\1\2", b"\1\2\3", None),
        (b"\1\2", b"\1\3", 1),
        (b"\1\2", b"\1", 1),
        (b"\1", b"", 0),
        (b"", b"\5", None),
    ],
)
def test_first_wrong_byte(expected: bytes, got: bytes, place: int | None) -> None:
    assert first_wrong_byte(expected, got) == place


def test_the_wrong_byte_is_found_in_the_last_answer_that_holds_it() -> None:
    lines = lines_of((*EXCHANGE, *EXCHANGE))
    assert wrong_byte_on_the_wire(lines, b"\0\0\x2a", b"\0\0\x2b\0\0\0") == (3, PONG.index(b"\x2b"))


def test_a_wrong_byte_outside_of_a_payload_is_found_on_the_wire() -> None:
    assert wrong_byte_on_the_wire(lines_of(EXCHANGE), b"\0" + PONG[1:-2] + b"\x77", PONG[:-1]) == (1, len(PONG) - 2)


def test_no_byte_is_wrong_where_the_answer_is_not_among_the_lines() -> None:
    assert wrong_byte_on_the_wire(lines_of(EXCHANGE[:1]), b"\1", b"\0\0\x2b") is None


@pytest.mark.parametrize("cut", range(1, len(PONG)))
def test_an_answer_is_one_line_however_it_was_read(cut: int) -> None:
    parts = (Record(0, Towards.HOST, PONG[:cut]), Record(9, Towards.HOST, PONG[cut:]))
    assert [(line.data, line.says) for line in lines_of(parts)] == [(PONG, "RESPONSE 7 PING OK token=43")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (PING, "REQUEST 7 PING token=42"),
        (PING + PING, "REQUEST 7 PING token=42; REQUEST 7 PING token=42"),
        (b"\0\0", "delimiters"),
        (PING[:5], "part of a frame"),
        (PING[:-2] + b"\1\0", "no frame: the CRC is wrong"),
    ],
)
def test_a_write_stands_there_as_it_was_sent(data: bytes, says: str) -> None:
    (line,) = lines_of([Record(0, Towards.DEVICE, data)])
    assert (line.data, line.says) == (data, says)


def test_an_answer_that_was_cut_short_is_told() -> None:
    (line,) = lines_of([Record(3, Towards.HOST, PONG[:6])])
    assert (line.at_us, line.data, line.says) == (3, PONG[1:6], "no frame: its end is missing")


def test_the_capture_has_every_frame_and_names_each_case_once(tmp_path: Path) -> None:
    write_reports(make_run(*ALL_VERDICTS[:2]), tmp_path)
    data = (tmp_path / "trace.pcapng").read_bytes()
    assert [(record.to, record.data.strip(b"\0")) for record in read_capture(data)] == [
        (record.to, record.data.strip(b"\0")) for record in EXCHANGE * 2
    ]
    untyped: Any = pcapng
    blocks = [block for block in untyped.FileScanner(BytesIO(data)) if isinstance(block, untyped.blocks.EnhancedPacket)]
    comments = [str(block.options["opt_comment"]) for block in blocks if "opt_comment" in block.options]
    assert comments == ["FRM/PING/BV-01 PASS", "FRM/PING/BV-02 FAIL"]


def test_time_goes_on_in_the_capture_where_a_second_device_begins_at_0(tmp_path: Path) -> None:
    write_reports(make_run(*ALL_VERDICTS[:2]), tmp_path)
    times = [record.at_us for record in EXCHANGE]
    later = [times[-1] - times[0] + at_us for at_us in times]
    assert [record.at_us for record in read_capture((tmp_path / "trace.pcapng").read_bytes())] == times + later


# Coverage and commands


def test_coverage_has_a_line_for_each_requirement_and_case() -> None:
    both = make_result("FRM/PING/BV-01", requirements=("REQ-FRM-001", "REQ-LNK-001"))
    rows = list(csv.reader(StringIO(coverage_csv(make_run(both, ALL_VERDICTS[1])))))
    assert rows == [
        ["requirement", "test", "verdict"],
        ["REQ-FRM-001", "FRM/PING/BV-01", "PASS"],
        ["REQ-LNK-001", "FRM/PING/BV-01", "PASS"],
        ["REQ-LNK-001", "FRM/PING/BV-02", "FAIL"],
        ["REQ-USE-001", "", "NOT-TESTED"],
    ]


@pytest.mark.parametrize(
    ("verdicts", "stands"),
    [
        ((Verdict.PASS, Verdict.FAIL, Verdict.ERROR), Verdict.FAIL),
        ((Verdict.PASS, Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
        ((Verdict.NOT_APPLICABLE, Verdict.PASS), Verdict.PASS),
        ((Verdict.NOT_APPLICABLE,), Verdict.NOT_APPLICABLE),
        ((), None),
    ],
)
def test_the_verdict_of_a_requirement(verdicts: tuple[Verdict, ...], stands: Verdict | None) -> None:
    results = [make_result(f"FRM/PING/BV-0{number}", verdict) for number, verdict in enumerate(verdicts)]
    assert coverage_of(make_run(results=tuple(results)))[1].verdict is stands


def test_the_commands_repeat_all_that_did_not_pass() -> None:
    commands = [line for line in repro_text(make_run()).splitlines() if not line.startswith("#")]
    assert commands == [make_run().command, *(result.repeat for result in ALL_VERDICTS if result.verdict in NOT_PASSED)]


def test_a_text_of_several_lines_does_not_become_a_command() -> None:
    failed = make_result("FRM/PING/BV-02", Verdict.FAIL, what="a\nrm -r x\x85rm\u2028rm\rrm", repeat="again")
    lines = repro_text(make_run(failed)).split("\n")
    assert [line for line in lines if line and not line.startswith("#")] == [make_run().command, "again"]


# The folder


def test_a_run_is_written_whole(tmp_path: Path) -> None:
    assert write_reports(make_run(), tmp_path / "new" / "folder") == []
    written = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert written == ["coverage.csv", "junit.xml", "report.html", "report.json", "repro.txt", "trace.pcapng"]


def test_texts_from_outside_do_not_keep_a_report_from_being_written(tmp_path: Path) -> None:
    with_text = with_every_text(make_run(), HOSTILE.replace("\udc80", ""))
    assert write_reports(with_text, tmp_path) == []
    assert read_report(tmp_path / "report.json").run.target == with_text.target


def test_the_page_states_the_digest_of_the_report_beside_it(tmp_path: Path) -> None:
    import hashlib

    write_reports(make_run(), tmp_path)
    digest = hashlib.sha256((tmp_path / "report.json").read_bytes()).hexdigest()
    assert digest in (tmp_path / "report.html").read_text()


def test_without_python_pcapng_all_else_is_written_and_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Any:
        raise NoCaptures("pcapng files need the extra pcapng")

    monkeypatch.setattr(captures, "_pcapng", missing)
    assert write_reports(make_run(), tmp_path) == ["trace.pcapng was not written: pcapng files need the extra pcapng"]
    assert len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_is_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(CannotWrite, match=r"^cannot write .*taken: a file has that name$"):
        prepare_folder(tmp_path / "taken")


def test_a_folder_that_takes_no_file_is_found_before_the_run() -> None:
    with pytest.raises(CannotWrite, match=r"^cannot write /proc/self: "):
        prepare_folder(Path("/proc/self"))


def test_a_full_disk_leaves_the_report_before_it_and_no_half_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    write_file(tmp_path / "report.json", b"before")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CannotWrite, match=r"^cannot write .*report\.json: No space left on device$"):
        write_file(tmp_path / "report.json", b"after")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("report.json", b"before")]


# What changed


def report_of(tmp_path: Path, *results: Result, **chosen: Any) -> Any:
    path = tmp_path / "report.json"
    path.write_bytes(report_json(make_run(results=results, **chosen)))
    return read_report(path)


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        (Verdict.PASS, Verdict.FAIL, True),
        (Verdict.PASS, Verdict.NOT_APPLICABLE, True),
        (Verdict.PASS, None, True),
        (None, Verdict.FAIL, True),
        (Verdict.NON_STRICT, Verdict.FAIL, True),
        (Verdict.FAIL, Verdict.ERROR, False),
        (Verdict.FAIL, Verdict.PASS, False),
        (Verdict.FAIL, Verdict.WAIVED, False),
        (None, Verdict.PASS, False),
    ],
)
def test_a_changed_case(before: Verdict | None, after: Verdict | None, is_worse: bool, tmp_path: Path) -> None:
    reports = [
        report_of(tmp_path, *([make_result("FRM/PING/BV-01", verdict)] if verdict else [])) for verdict in (before, after)
    ]
    difference = compare(*reports)
    assert [change.case for change in difference.changes] == ["FRM/PING/BV-01"]
    assert difference.is_worse is is_worse


def test_two_reports_that_differ_in_times_only_do_not_differ(tmp_path: Path) -> None:
    first = report_of(tmp_path, make_result("FRM/PING/BV-01"))
    second = report_of(tmp_path, make_result("FRM/PING/BV-01", seconds=9.0), started="2027-01-01T00:00:00Z", seconds=99.0)
    assert str(compare(first, second)) == "0 cases differ, 0 of them for the worse"


def test_another_reason_for_the_same_failure_is_told_and_is_not_worse(tmp_path: Path) -> None:
    before = report_of(tmp_path, make_result("FRM/PING/BV-02", Verdict.FAIL, what="the token"))
    after = report_of(tmp_path, make_result("FRM/PING/BV-02", Verdict.FAIL, what="an answer within 1 s"))
    difference = compare(before, after)
    assert str(difference.changes[0]) == "same    FRM/PING/BV-02: FAIL -> FAIL  (an answer within 1 s)"
    assert not difference.is_worse


def test_another_firmware_and_a_failure_are_told(tmp_path: Path) -> None:
    other = Identity(model="scs-rechargeable", serial="VIPG-1", firmware="1.1.0", protocol="1.0")
    before = report_of(tmp_path, make_result("FRM/PING/BV-02"))
    after = report_of(tmp_path, ALL_VERDICTS[1], device=other)
    assert str(compare(before, after)).splitlines() == [
        "firmware: 1.0.0 -> 1.1.0",
        "worse   FRM/PING/BV-02: PASS -> FAIL  (the token comes back)",
        "1 cases differ, 1 of them for the worse",
    ]
