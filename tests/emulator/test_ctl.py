"""`ipg-emulator ctl`: what the operations declare is what can be typed, and what goes wrong is told in a line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from ipg_emulator.cli import build_parser as emulator_parser
from ipg_emulator.control import OPERATIONS, Operation, ctl
from ipg_emulator.control.flags import assemble, flags_of
from ipg_emulator.control.operations import Advance, HoldMagnet, InjectFault, WaitFor
from ipg_emulator.control.text import lines_of
from ipg_emulator.faults.fault import FAULTS, When
from ipg_protocol.trace import Towards


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The links of two devices of one process, whose time stands still."""
    link = tmp_path_factory.mktemp("ctl") / "ipg"
    words = ["run", "--model", "scs-rechargeable", "--devices", "2", "--speed", "manual", "--control", "0", "--link", str(link)]
    process = subprocess.Popen([sys.executable, "-m", "ipg_emulator", *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert [process.stdout.readline().split()[0] for _ in range(3)] == ["READY", "READY", "CONTROL"]
    yield [f"{link}0", f"{link}1"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


@pytest.fixture
def asked(links: list[str], capsys: pytest.CaptureFixture[str]):
    """The answer of a device, decoded."""

    def ask(*words: str, device: int = 0):
        assert ctl.main([*words, "--json", "--link", links[device]]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def operation_of(*words: str) -> Operation:
    return ctl._operation(ctl.build_parser().parse_args(words))


TYPED = [
    (["advance", "--seconds", "3600"], Advance(seconds=3600.0)),
    (["magnet"], HoldMagnet(present=True)),
    (["magnet", "--present", "false"], HoldMagnet(present=False)),
    (["inject", "--fault", "drop"], InjectFault(fault=FAULTS["drop"]())),
    (
        ["inject", "--fault", "reply-lost", "--fault.times", "1", "--fault.when.command", "STEP_AMPLITUDE"],
        InjectFault(fault=FAULTS["reply-lost"](times=1, when=When(command="STEP_AMPLITUDE"))),
    ),
    (
        ["inject", "--fault", '{"fault": "drop", "probability": 0.5}', "--fault.towards", "host"],
        InjectFault(fault=FAULTS["drop"](probability=0.5, towards=Towards.HOST)),
    ),
    (
        ["wait-for", "--event", "MAGNET_CHANGED", "--fields", '{"present": true}', "--within-seconds", "5"],
        WaitFor(event="MAGNET_CHANGED", fields={"present": True}, within_seconds=5.0),
    ),
]


@pytest.mark.parametrize(("words", "meant"), TYPED, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
def test_words_become_the_operation_that_they_say(words: list[str], meant: Operation) -> None:
    assert operation_of(*words) == meant


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_a_help_that_names_its_fields(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        ctl.main([name, "--help"])
    told = capsys.readouterr().out
    assert f"ipg-emulator ctl [WHERE] {name}" in told
    assert all(f"--{field.replace('_', '-')}" in told for field in OPERATIONS[name].__struct_fields__)


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_can_be_typed_with_each_of_its_fields(kind: str) -> None:
    flags = flags_of(InjectFault)
    for field in FAULTS[kind].__struct_fields__:
        names = [f"when.{inner}" for inner in When.__struct_fields__] if field == "when" else [field]
        assert all(f"--fault.{name.replace('_', '-')}" in flags for name in names)
    assert assemble([(flags["--fault"], flags["--fault"].read(kind))]) == {"fault": {"fault": kind}}


def test_the_list_names_every_operation(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(OPERATIONS)
    assert "advance --seconds" in lines


def test_a_device_does_what_is_typed(asked) -> None:
    began = asked("time")["at_seconds"]
    assert asked("advance", "--seconds", "60")["at_seconds"] == pytest.approx(began + 60)
    number = asked("inject", "--fault", "drop", "--fault.probability", "0.5")["number"]
    (planned,) = asked("faults")
    assert (planned["number"], planned["fault"]["fault"], planned["fault"]["probability"]) == (number, "drop", 0.5)
    asked("clear-faults")
    assert asked("faults") == []


def test_a_link_leads_to_its_own_device(asked) -> None:
    asked("posture", "--name", "prone", device=1)
    assert [asked("state", device=number)["surroundings"]["posture"] for number in (0, 1)] == ["standing", "prone"]
    assert [asked("describe", device=number)["seed"] for number in (0, 1)] == [0, 1]


def test_a_url_a_token_file_and_a_number_lead_to_the_same(links: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(Path(f"{links[0]}.control").read_text())
    words = ["--url", said["url"], "--token", said["token_file"], "--device", "1", "describe", "--json"]
    assert ctl.main(words) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 1


def test_an_answer_is_told_in_words(links: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["--link", links[0], "describe"]) == 0
    assert "model: scs-rechargeable\n" in capsys.readouterr().out


def test_the_emulators_command_passes_every_word_on(links: list[str]) -> None:
    words = ["ctl", "--link", links[0], "describe", "--json"]
    assert emulator_parser().parse_args(words).words == words[1:]
    assert emulator_parser().parse_args(["ctl", "--help"]).words == ["--help"]
    result = subprocess.run([sys.executable, "-m", "ipg_emulator", *words], capture_output=True, check=False, timeout=20)
    assert (result.returncode, result.stderr) == (0, b"")
    assert json.loads(result.stdout)["serial"] == "VIPG-00000000"


ANSWERS = [
    (None, []),
    ([], []),
    (3, ["3"]),
    ({"a": 1, "b": None, "c": [], "d": {}, "e": "text"}, ["a: 1", "b: -", "c: -", "d: -", "e: text"]),
    ({"a": {"b": 1.5, "c": {"d": True}}}, ["a:", "  b: 1.5", "  c:", "    d: true"]),
    ({"a": [{"b": 1, "c": ["x", "y"]}, {"b": 2, "c": None}]}, ["a:", "  b=1  c=x, y", "  b=2  c=-"]),
    ([{"a": {"b": 1}}, {"a": {}}], ['a={"b":1}', "a=-"]),
    (["x", "y"], ["x", "y"]),
]


@pytest.mark.parametrize(("answer", "lines"), ANSWERS)
def test_an_answer_becomes_lines(answer: object, lines: list[str]) -> None:
    assert lines_of(answer) == lines


def told_in_a_line(capsys: pytest.CaptureFixture[str], code: int, words: list[str]) -> str:
    """What is said on standard error by a command that must fail."""
    try:
        ended = ctl.main(words)
    except SystemExit as ending:
        ended = ending.code
    told = capsys.readouterr()
    assert (ended, told.out) == (code, "")
    assert len(told.err.splitlines()) <= 4
    return told.err.splitlines()[-1]


WRONG = [
    (["state", "--bogus", "1"], 2, "unrecognized arguments: --bogus 1"),
    (["advance"], 2, "the following arguments are required: --seconds"),
    (["advance", "--seconds", "soon"], 2, "ctl: --seconds: Expected `float`, got `str`"),
    (["advance", "--seconds", "-1"], 2, "ctl: --seconds: Expected `float` >= 0.0"),
    (["break-lead", "--contact", "3", "--fault", "opn"], 2, "'opn' is not one of "),
    (["inject", "--fault", "dorp"], 2, "'dorp' is not one of drop, "),
    (["inject", "--fault", "{drop"], 2, "JSON is malformed"),
    (["inject", "--fault", "drop", "--fault.milliseconds", "3"], 2, "unknown field `milliseconds`"),
    (["inject", "--fault", "drop", "--fault.probability", "7"], 2, "ctl: --fault.probability: Expected `float` <= 1.0"),
    (["posture"], 2, "ipg-emulator ctl posture: error: the following arguments are required: --name"),
    (["break-lead", "--contact", "99"], 1, "scs-rechargeable has contacts 0 to 15"),
    (["restore", "--name", "unknown"], 1, "there is no snapshot 'unknown'"),
    (["state", "--device", "7"], 2, "say which device: --link PATH, or --url URL"),
]


@pytest.mark.parametrize(("words", "code", "told"), WRONG, ids=lambda each: " ".join(each) if isinstance(each, list) else "")
def test_what_is_wrong_is_told(
    links: list[str], capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    assert told in told_in_a_line(capsys, code, [*words, "--link", links[0]])


def test_a_device_that_is_not_said_is_wrong_usage(links: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for where in ([], ["--url", "http://127.0.0.1:1"], ["--token", "x"], ["--link", links[0], "--url", "x", "--token", "y"]):
        assert "say which device: --link PATH, or --url URL and --token FILE" in told_in_a_line(capsys, 2, ["state", *where])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"two\nlines\n", bytes(50_000)])
def test_a_file_that_holds_no_token_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    told = told_in_a_line(capsys, 2, ["state", "--url", "http://127.0.0.1:1", "--token", str(path)])
    assert told == f"ipg-emulator ctl: {path} holds no token; give the file that `ipg-emulator run --control` names"


def test_a_channel_that_cannot_be_reached_is_told(links: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = msgspec.json.decode(Path(f"{links[0]}.control").read_bytes())
    foreign, stale, empty = tmp_path / "foreign", tmp_path / "stale", tmp_path / "empty"
    foreign.write_text("x" * 43 + "\n")
    Path(f"{stale}.control").write_bytes(msgspec.json.encode(said | {"url": "http://127.0.0.1:1"}))
    Path(f"{empty}.control").write_text("")
    unreachable = {
        "there is no control channel to it": ["--link", str(tmp_path / "none")],
        "start the device with --control": ["--link", str(empty)],
        "http://127.0.0.1:1 does not answer": ["--link", str(stale)],
        "its token is not the one in the token file": ["--url", said["url"], "--token", str(foreign)],
        "No such file or directory": ["--url", said["url"], "--token", str(tmp_path / "none")],
        "nowhere does not answer": ["--url", "nowhere", "--token", str(foreign)],
        "there is no device 7; there are 2": ["--url", said["url"], "--token", said["token_file"], "--device", "7"],
    }
    for told, where in unreachable.items():
        assert told in told_in_a_line(capsys, 3, ["state", *where])
