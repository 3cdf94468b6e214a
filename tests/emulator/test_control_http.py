"""The control channel over HTTP: who shows the token can do what the operations say, as the OpenAPI document says it."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import msgspec
import pytest
import serial
from ipg_emulator.control import OPERATIONS, OperationError
from ipg_emulator.control.client import ControlUnreachable, RemoteControl
from ipg_emulator.control.fields import is_get
from ipg_emulator.control.http import MOST_WAITING
from ipg_emulator.control.operations import Describe, Events
from ipg_emulator.faults.fault import FAULTS, When
from ipg_emulator.handle import Handle
from ipg_protocol import FrameReader, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import Ping, Pong
from openapi_spec_validator import OpenAPIV31SpecValidator

DOCS = Path(__file__).parents[2] / "docs"
RUN = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable"]
CONTROL_LINE = re.compile(r"CONTROL http://127\.0\.0\.1:(\d+) token (/.+)\n")
STREAM = "/v1/devices/0/events/stream"
WAIT_FOR = "/v1/devices/0/wait-for"


class Running:
    """A process with devices whose time stands still, and its control channel."""

    def __init__(self, *options: str) -> None:
        arguments = [*RUN, "--speed", "manual", "--control", "0", *options]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = [self.process.stdout.readline()]
        while self.ready[-1].startswith("READY"):
            self.ready.append(self.process.stdout.readline())
        told = CONTROL_LINE.fullmatch(self.ready[-1])
        assert told, self.ready
        self.port, self.token_file = int(told[1]), Path(told[2])
        self.token = self.token_file.read_text().strip()
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def therapy_address(self) -> str:
        return self.ready[0].split()[-1]

    def handle(self, device: int = 0) -> Handle:
        return Handle(RemoteControl(self.url, self.token, device).ask)

    @contextmanager
    def asked(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Iterator[HTTPResponse]:
        """The response to a request that shows the token, unless the headers say otherwise."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Authorization": f"Bearer {self.token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            yield connection.getresponse()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a response."""
        with self.asked(method, path, body, **headers) as response:
            data = response.read()
            return response.status, json.loads(data) if data else None

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


@contextmanager
def running(*options: str) -> Iterator[Running]:
    device = Running(*options)
    try:
        yield device
    finally:
        device.process.terminate()
        device.process.communicate()


@pytest.fixture(scope="module")
def device() -> Iterator[Running]:
    """Two devices, shared by the tests of this module."""
    with running("--tcp", "0", "--devices", "2") as device:
        yield device


@pytest.fixture(scope="module")
def document(device: Running) -> dict[str, Any]:
    status, document = device.ask("GET", "/openapi.json")
    assert status == 200
    return document


def refused(*options: str) -> tuple[int, str]:
    """Exit code and message of a start that must fail."""
    result = subprocess.run([*RUN, *options], capture_output=True, text=True, timeout=20, check=False)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.returncode, result.stderr


def test_the_token_is_in_a_file_that_its_owner_alone_can_read(device: Running) -> None:
    assert [line.split()[0] for line in device.ready] == ["READY", "READY", "CONTROL"]
    assert stat.S_IMODE(device.token_file.stat().st_mode) == 0o600
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", device.token)


WITHOUT_THE_TOKEN = {
    "no header": "",
    "another token": "Bearer " + "x" * 43,
    "another scheme": "Basic {token}",
    "no scheme": "{token}",
    "a part of it": "Bearer {token:.42}",
    "more than it": "Bearer {token}x",
    "nothing": "Bearer ",
    "letters that are none": "Bearer é",
}


@pytest.mark.parametrize("shown", WITHOUT_THE_TOKEN)
def test_without_the_token_everything_is_refused(device: Running, document: dict[str, Any], shown: str) -> None:
    header = WITHOUT_THE_TOKEN[shown].format(token=device.token)
    known = [(method.upper(), path) for path, item in document["paths"].items() for method in item if method != "parameters"]
    assert len(known) == len(OPERATIONS) + 3
    for method, path in [*known, ("GET", "/"), ("GET", "/v1/devices/9/state"), ("DELETE", "/nothing"), ("OPTIONS", "*")]:
        with device.asked(method, path.format(device=0), b"{}", Authorization=header) as response:
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer"), path
            assert json.load(response)["title"] == "Unauthorized"


def test_what_is_refused_without_the_token_is_not_done(device: Running) -> None:
    handle = device.handle()
    began = handle.now
    for name, body in {"advance": b'{"seconds": 100}', "magnet": b'{"present": true}', "cut-power": b"{}"}.items():
        assert device.ask("POST", f"/v1/devices/0/{name}", body, Authorization="")[0] == 401
    state = handle.state()
    assert (handle.now, state.surroundings.magnet_present, state.has_power) == (began, False, True)


FOREIGN = ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "127.0.0.2"]


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_stands_for_another_machine_is_refused(device: Running, host: str) -> None:
    status, told = device.ask("GET", "/v1/devices", Host=host.format(port=device.port))
    assert (status, told["title"]) == (421, "Misdirected Request")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "localhost", "LOCALHOST", "[::1]:{port}"])
def test_the_names_of_the_loopback_are_taken(device: Running, host: str) -> None:
    assert device.ask("GET", "/v1/devices", Host=host.format(port=device.port))[0] == 200


def test_only_the_loopback_is_listened_on(device: Running) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", device.port), timeout=5)


def test_the_therapy_port_takes_no_http(device: Running) -> None:
    request = f"GET /v1/devices HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {device.token}\r\n\r\n"
    with serial.serial_for_url(device.therapy_address, timeout=5) as port:
        port.write(request.encode() + encode_frame(request_frame(Ping(77), 1)))
        answered, reader = b"", FrameReader()
        while not (frames := reader.feed(data := port.read(1), 0)):
            assert data, "no answer"
            answered += data
    assert decode_reply(frames[0]).body == Pong(77)
    assert b"HTTP" not in answered


def test_the_devices_and_their_ports_are_listed(device: Running) -> None:
    status, listed = device.ask("GET", "/v1/devices")
    assert status == 200
    assert [(each["device"], each["model"], each["serial"]) for each in listed] == [
        (0, "scs-rechargeable", "VIPG-00000000"),
        (1, "scs-rechargeable", "VIPG-00000001"),
    ]
    assert [f"READY tcp {each['port']}\n" for each in listed] == device.ready[:2]


def test_each_device_is_asked_by_its_number(device: Running) -> None:
    assert [device.handle(number).describe().seed for number in (0, 1)] == [0, 1]
    device.handle(1).posture("prone")
    assert [device.handle(number).state().surroundings.posture for number in (0, 1)] == ["standing", "prone"]


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_a_path_of_the_document(document: dict[str, Any], name: str) -> None:
    item = document["paths"][f"/v1/devices/{{device}}/{name}"]
    method = "get" if is_get(OPERATIONS[name]) else "post"
    assert item.keys() == {"parameters", method}
    said = item[method]
    assert said["operationId"] == name
    assert said["summary"]
    told = {"200" if "200" in said["responses"] else "204", "400", "401", "404", "409", "421", "503"}
    told |= {"413"} if method == "post" else set()
    assert said["responses"].keys() == told
    fields = set(OPERATIONS[name].__struct_fields__)
    if method == "get":
        assert {parameter["name"] for parameter in said["parameters"]} == fields
    else:
        reference = said["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        component = document["components"]["schemas"][reference.rpartition("/")[2]]
        assert set(component["properties"]) == fields
        assert component["additionalProperties"] is False


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_in_the_page(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "control.md").read_text()


REFUSED = [
    ("GET", "/v1/devices/0/nothing", None, 404, "there is no GET /v1/devices/0/nothing; /openapi.json lists what there is"),
    ("GET", "/v1/devices/2/state", None, 404, "there is no device 2; there are 2, numbered from 0"),
    ("GET", "/v1/devices/00/state", None, 404, "there is no device 00"),
    ("GET", "/v1/devices/-1/state", None, 404, "there is no device -1"),
    ("POST", "/v1/devices/0/state", b"{}", 405, "there is no POST /v1/devices/0/state"),
    ("GET", "/v1/devices/0/advance", None, 405, "there is no GET /v1/devices/0/advance"),
    ("POST", "/v1/devices/0/advance", b"seconds=3", 400, "JSON is malformed"),
    ("POST", "/v1/devices/0/advance", b"", 400, "Object missing required field `seconds`"),
    ("POST", "/v1/devices/0/advance", b'{"seconds": "3"}', 400, "Expected `float`, got `str` - at `$.seconds`"),
    ("POST", "/v1/devices/0/advance", b'{"seconds": -1}', 400, "Expected `float` >= 0.0 - at `$.seconds`"),
    ("POST", "/v1/devices/0/advance", b'{"seconds": 1, "s": 1}', 400, "Object contains unknown field `s`"),
    ("POST", "/v1/devices/0/break-lead", b'{"contact": 1.5}', 400, "Expected `int`, got `float` - at `$.contact`"),
    ("POST", "/v1/devices/0/posture", b'{"name": "flying"}', 400, "prone"),
    ("POST", "/v1/devices/0/inject", b'{"fault": {"fault": "dorp"}}', 400, "drop"),
    ("POST", "/v1/devices/0/break-lead", b'{"contact": 99}', 409, "scs-rechargeable has contacts 0 to 15"),
    ("POST", "/v1/devices/0/restore", b'{"name": "unknown"}', 409, "there is no snapshot 'unknown'"),
    ("POST", "/v1/devices/0/worn-disc", b'{"present": false}', 409, "scs-rechargeable"),
    ("POST", "/v1/devices/0/posture", b'{"name": "\xff"}', 400, "'utf-8' codec can't decode byte 0xff"),
    ("POST", "/v1/devices/0/posture", b"[" * 50_000, 400, "maximum recursion depth exceeded"),
    ("POST", "/v1/devices/0/posture", b" " * 65_537, 413, "a body is at most 65536 bytes long"),
    ("GET", "/v1/devices/0/events?after=x", None, 400, "Expected `int`, got `str` - at `$.after`"),
    ("GET", "/v1/devices/0/events?after=null", None, 400, "Expected `int`, got `str` - at `$.after`"),
    ("GET", "/v1/devices/0/events?after=-1", None, 400, "Expected `int` >= 0 - at `$.after`"),
    ("GET", "/v1/devices/0/events?aftre=1", None, 400, "Object contains unknown field `aftre`"),
    ("GET", "/v1/devices/0/events?after=1&after=2", None, 400, "a parameter is given twice"),
    ("GET", f"{STREAM}?after=-1", None, 400, "Expected `int` >= 0 - at `$.after`"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: " ".join(str(part)[:50] for part in case[:3]))
def test_a_refusal_says_what_was_wrong(device: Running, case: tuple[str, str, bytes | None, int, str]) -> None:
    method, path, body, status, detail = case
    with device.asked(method, path, body) as response:
        told = json.load(response)
    assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert told.keys() == {"title", "status", "detail"}
    assert told["status"] == status
    assert detail in told["detail"]
    assert (response.headers["Allow"] is not None) == (status == 405)


def test_what_needs_no_values_needs_no_body(device: Running) -> None:
    assert device.ask("POST", "/v1/devices/0/cough")[0] == 200


def test_a_whole_number_may_be_written_with_a_point(device: Running) -> None:
    assert device.ask("POST", "/v1/devices/0/break-lead", b'{"contact": 3.0}')[0] == 200
    assert device.handle().state().surroundings.lead_faults == {3: "open"}


def test_a_device_is_driven_from_another_process(device: Running) -> None:
    handle = device.handle()
    began = handle.now
    assert handle.advance(100.0) == pytest.approx(began + 100.0)
    handle.snapshot("here")
    wanted = FAULTS["reply-lost"](when=When(command="STEP_AMPLITUDE"), times=1)
    number = handle.inject(wanted)
    (planned,) = handle.faults()
    assert (planned.number, planned.fault, planned.struck) == (number, wanted, 0)
    handle.clear_faults()
    assert handle.faults() == []
    handle.advance(50.0)
    assert handle.restore("here").at_seconds == pytest.approx(began + 100.0)


def test_a_client_is_told_why_something_cannot_be_done(device: Running) -> None:
    with pytest.raises(OperationError, match="there is no snapshot 'unknown'"):
        device.handle().restore("unknown")
    with pytest.raises(ControlUnreachable, match="its token is not the one in the token file"):
        RemoteControl(device.url, "x").ask(Describe())
    with pytest.raises(ControlUnreachable, match="there is no device 5; there are 2"):
        RemoteControl(device.url, device.token, 5).ask(Describe())
    with pytest.raises(ControlUnreachable, match=r"http://127\.0\.0\.1:1 does not answer: .*refused"):
        RemoteControl("http://127.0.0.1:1", device.token).ask(Describe())


def events_of(response: HTTPResponse, count: int) -> list[dict[str, str]]:
    """The next events of a stream, as the fields that each has."""
    events: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    while len(events) < count:
        line = response.readline().decode().rstrip("\n")
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif "data" in fields:
            events.append(fields)
        if not line:
            fields = {}
    return events


def test_a_listener_is_told_each_event_as_it_happens() -> None:
    with running("--tcp", "0") as device, device.asked("GET", STREAM) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.readline() == b": listening\n"
        for present in (True, False):
            device.handle().magnet(present=present)
        seen = RemoteControl(device.url, device.token).ask(Events())
        told = events_of(response, len(seen))
    assert [name for event in told if (name := event["event"]) == "MAGNET_CHANGED"] == ["MAGNET_CHANGED"] * 2
    assert [(int(event["id"]), event["event"]) for event in told] == [(event.number, event.name) for event in seen]
    assert [json.loads(event["data"]) for event in told] == msgspec.to_builtins(seen)


@pytest.mark.parametrize(("path", "headers"), [(f"{STREAM}?after=1", {}), (STREAM, {"Last_Event_ID": "1"})])
def test_a_listener_that_returns_goes_on_where_it_was(path: str, headers: dict[str, str]) -> None:
    with running("--tcp", "0") as device:
        for present in (True, False, True):
            device.handle().magnet(present=present)
        with device.asked("GET", path, **headers) as response:
            assert [event["id"] for event in events_of(response, 2)] == ["2", "3"]


def test_a_listener_that_returns_with_a_number_out_of_reach_begins_anew(device: Running) -> None:
    with device.asked("GET", STREAM, Last_Event_ID="9" * 5000) as response:
        assert response.status == 200


def test_those_who_wait_for_events_keep_nobody_else_waiting() -> None:
    body = b'{"event": "MAGNET_CHANGED", "within_seconds": 3600, "after": 0}'
    with running("--speed", "1") as device, ExitStack() as ending:
        waiting = [HTTPConnection("127.0.0.1", device.port, timeout=20) for _ in range(MOST_WAITING)]
        for connection in waiting:
            ending.callback(connection.close)
            connection.request("POST", WAIT_FOR, body, {"Authorization": f"Bearer {device.token}"})
        assert device.ask("GET", "/v1/devices/0/state")[0] == 200
        device.handle().magnet()
        told = [json.loads(connection.getresponse().read()) for connection in waiting]
        assert [each["event"]["name"] for each in told] == ["MAGNET_CHANGED"] * MOST_WAITING


@pytest.mark.parametrize("sent", [b"\0\1\2\r\n\r\n", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"])
def test_what_is_no_request_is_refused_and_not_printed(sent: bytes) -> None:
    with running() as device:
        with socket.create_connection(("127.0.0.1", device.port), 20) as connection:
            connection.sendall(sent)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 4")
        device.end()
        assert device.process.stderr is not None
        assert device.process.stderr.read() == ""


def test_it_ends_at_once_though_somebody_listens_and_leaves_no_file(tmp_path: Path) -> None:
    link = tmp_path / "ipg"
    with running("--link", str(link)) as device, device.asked("GET", STREAM) as response:
        assert response.readline() == b": listening\n"
        assert {path.name for path in tmp_path.iterdir()} == {"ipg", ".ipg.lock", "ipg.token", "ipg.control"}
        assert stat.S_IMODE((tmp_path / "ipg.control").stat().st_mode) == 0o600
        assert device.end() == 0
        assert device.process.stderr is not None
        assert "Traceback" not in device.process.stderr.read()
    assert list(tmp_path.iterdir()) == []


def test_without_a_link_the_token_is_a_temporary_file_that_goes_with_the_device() -> None:
    with running("--tcp", "0") as device:
        folder = device.token_file.parent
        assert folder.stat().st_mode & 0o077 == 0
        device.end(signal.SIGINT)
        assert not folder.exists()


def test_a_token_left_behind_is_replaced_and_another_file_is_not(tmp_path: Path) -> None:
    token, note = tmp_path / "token", tmp_path / "note"
    with running("--tcp", "0", "--control-token", str(token)) as device:
        left = device.token
        device.end(signal.SIGKILL)
    with running("--tcp", "0", "--control-token", str(token)) as device:
        assert device.token != left
    note.write_text("mine\n")
    code, told = refused("--tcp", "0", "--control", "0", "--control-token", str(note))
    assert (code, note.read_text(), told.count("\n")) == (3, "mine\n", 1)
    assert "there is a file of that name that holds no token" in told


def test_a_file_that_is_where_the_address_goes_is_kept(tmp_path: Path) -> None:
    note = tmp_path / "ipg.control"
    note.write_text("mine\n")
    code, told = refused("--link", str(tmp_path / "ipg"), "--control", "0")
    assert (code, told.count("\n"), note.read_text()) == (3, 1, "mine\n")
    assert f"{note}: there is a file of that name that holds something else; give another --link" in told
    assert list(tmp_path.iterdir()) == [note]


def test_a_port_that_is_taken_is_told_in_a_line(device: Running) -> None:
    code, told = refused("--tcp", "0", "--control", str(device.port))
    assert (code, told.count("\n")) == (3, 1)
    assert f"--control {device.port}: Address already in use; give a port that is free, or 0 for any" in told


def test_a_token_file_without_a_control_channel_is_wrong_usage(tmp_path: Path) -> None:
    code, told = refused("--tcp", "0", "--control-token", str(tmp_path / "token"))
    assert (code, told) == (2, "ipg-emulator: --control-token goes with --control PORT; give both, or none\n")


def test_without_the_libraries_it_is_told_what_to_install() -> None:
    program = "import sys; sys.modules['uvicorn'] = None; from ipg_emulator.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["run", "--model", "scs-rechargeable", "--tcp", "0", "--control", "0"]
    result = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=20, check=False)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == "ipg-emulator: --control needs starlette and uvicorn: pip install 'virtual-ipg[control]'\n"


def test_without_the_option_nothing_of_it_is_loaded() -> None:
    program = f"import sys; sys.argv = {['ipg-emulator', *RUN[3:], '--tcp', '0']}; from ipg_emulator.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("READY")
    process.terminate()
    imported = process.communicate(timeout=10)[1]
    assert "ipg_emulator.running" in imported
    assert not re.findall(r"\b(?:starlette|uvicorn|anyio|urllib|ipg_emulator\.control)\S*", imported)


FUZZED = {
    "reads": [name for name, operation in OPERATIONS.items() if is_get(operation)],
    "changes": [name for name, operation in OPERATIONS.items() if not is_get(operation) and name != "inject"],
    "faults": ["inject"],
}
PHASES = {"reads": "coverage,fuzzing", "changes": "coverage,fuzzing", "faults": "fuzzing"}
"""Thousands of requests would cover every field of every fault."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("group", FUZZED)
def test_schemathesis_finds_nothing(group: str, tmp_path: Path) -> None:
    """The stream of events, which ends when its listener goes, has its own tests."""
    with running("--model", "drg-primary", "--tcp", "0") as device:
        words = ["run", f"{device.url}/openapi.json", "--seed", "1", "--max-examples", "5", "--phases", PHASES[group]]
        words += ["--include-path-regex", f"/({'|'.join(FUZZED[group])})$", "--header", f"Authorization: Bearer {device.token}"]
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", *words, "--no-color"]
        found = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, cwd=tmp_path)
        assert found.returncode == 0, found.stdout
        assert device.ask("GET", "/v1/devices")[0] == 200
    assert "No issues found" in found.stdout
