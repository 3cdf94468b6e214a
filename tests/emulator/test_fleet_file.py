"""`ipg-emulator run --fleet FILE`: each device as its table says, and a line that says what is wrong with one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import pytest
import serial
from ipg_emulator.factory import boot_finished_at, build_device
from ipg_emulator.faults.line import Drop
from ipg_emulator.fleet_file import FleetError, read_fleet
from ipg_emulator.launch import LIVE_TRACE, NewDevice, Wanted
from ipg_emulator.model import load
from ipg_emulator.snapshot import take
from ipg_emulator.virtual import VirtualIpg
from ipg_protocol import FrameReader, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import Identify

RUN = [sys.executable, "-m", "ipg_emulator", "run"]
PLAN = 'seed = 9\n[[faults]]\nfault = "drop"\nprobability = 0.5\n'


@pytest.fixture
def fleet(tmp_path) -> Callable[[str], list[Wanted]]:
    def read(text: str) -> list[Wanted]:
        (tmp_path / "fleet.toml").write_text(text)
        return read_fleet(str(tmp_path / "fleet.toml"))

    return read


def one(wanted: list[Wanted]) -> Wanted:
    (only,) = wanted
    return only


def test_a_table_needs_no_more_than_a_model(fleet):
    assert one(fleet('[[devices]]\nmodel = "drg-primary"')) == Wanted(device=NewDevice(model=load("drg-primary")))


def test_devices_come_in_the_order_of_their_tables(fleet):
    found = fleet('[[devices]]\nmodel = "tens"\ncount = 2\n[[devices]]\nmodel = "tms"\n[[devices]]\nmodel = "tdcs"')
    assert [wanted.device.model.name for wanted in found] == ["tens", "tens", "tms", "tdcs"]


def test_the_devices_of_a_count_get_seeds_ports_and_files_of_their_own(fleet, tmp_path):
    found = fleet('[[devices]]\nmodel = "tens"\ncount = 2\nseed = 5\ntcp = 5000\nnvm = "{}.nvm"\nrecord = "what"\ntrace = "t"')
    assert [(wanted.device.seed, wanted.tcp, wanted.device.nvm, wanted.record, wanted.trace) for wanted in found] == [
        (5, 5000, f"{tmp_path}/0.nvm", f"{tmp_path}/what0", f"{tmp_path}/t0"),
        (6, 5001, f"{tmp_path}/1.nvm", f"{tmp_path}/what1", f"{tmp_path}/t1"),
    ]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("tcp = 0", "tcp", 0),
        ("rfc2217 = 5000", "rfc2217", 5000),
        ("pace = 9600", "pace", 9600),
        ("speed = 60", "speed", 60.0),
        ("speed = 0.5", "speed", 0.5),
        ('speed = "max"', "speed", inf),
        ('speed = "manual"', "speed", 0.0),
        ("trace = true", "trace", LIVE_TRACE),
        ("trace = false", "trace", None),
    ],
)
def test_a_table_says_what_an_option_would(fleet, line, field, value):
    assert getattr(one(fleet(f'[[devices]]\nmodel = "tens"\n{line}')), field) == value


def test_broken_leads_are_named_by_their_contacts(fleet):
    broken = one(fleet('[[devices]]\nmodel = "drg-primary"\nlead_faults = {0 = "open", 3 = "short"}'))
    assert broken.device.lead_faults == {0: "open", 3: "short"}


@pytest.mark.parametrize("faults", ['faults = "plan.toml"', 'faults = [{fault = "drop", probability = 0.5}]'])
def test_faults_are_the_path_of_a_plan_or_its_tables(fleet, tmp_path, faults):
    (tmp_path / "plan.toml").write_text(PLAN)
    plan = one(fleet(f'[[devices]]\nmodel = "tens"\n{faults}')).faults
    assert plan.faults == (Drop(probability=0.5),)
    assert plan.seed == (9 if "plan" in faults else 0)


def test_paths_are_relative_to_the_folder_of_the_file(fleet, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    source = Path(load.__code__.co_filename).parents[1] / "models" / "tens.toml"
    (tmp_path / "mine.toml").write_text(source.read_text())
    found = one(fleet('[[devices]]\nmodel = "mine.toml"\nlink = "ipg0"'))
    assert (found.device.model.name, found.link) == ("tens", f"{tmp_path}/ipg0")


def test_a_device_goes_on_from_a_snapshot(fleet, tmp_path):
    model = load("drg-primary")
    kept = take(VirtualIpg(build_device(model, seed=7)), boot_finished_at(model))
    kept.write(str(tmp_path / "kept"))
    assert one(fleet('[[devices]]\nsnapshot = "kept"')).device.serial == "VIPG-00000007"


TENS = '[[devices]]\nmodel = "tens"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("devices = ", "it is not TOML: "),
        ("", r"it has no table under \[\[devices\]\]"),
        ("[devices]", r"it has no table under \[\[devices\]\]"),
        ("device = 1", "unknown field 'device'; known: devices"),
        ("devices = [1]", "device 1: expected a table, got 1"),
        ("[[devices]]\nseed = 1", "device 1: model: give it, or in its place the snapshot"),
        (f'{TENS}snapshot = "x"', "device 1: model: give it, or in its place the snapshot"),
        (f'{TENS}[[devices]]\nmodel = "tons"', "device 2: model: unknown model 'tons'; known: dbs-primary"),
        (f"{TENS}spede = 2", "device 1: unknown field 'spede'; known: model, snapshot, seed"),
        (f'{TENS}seed = "x"', "device 1: seed: expected `int`, got `str`"),
        (f"{TENS}tcp = 70000", "device 1: tcp: expected `int` <= 65535"),
        (f"{TENS}count = 0", "device 1: count: expected `int` >= 1"),
        (f"{TENS}speed = 0", "device 1: speed: expected `float` >= 0.001"),
        (f'{TENS}speed = "fast"', "device 1: speed: invalid enum value 'fast'; allowed: a number, max, manual"),
        (f'{TENS}link = ""', "device 1: link: expected `str` of length >= 1"),
        (f'{TENS}tcp = 1\nlink = "x"', "device 1: tcp: it has link already; give one of link, tcp, rfc2217"),
        (f'{TENS}lead_faults = {{3 = "ajar"}}', "device 1: lead_faults: lead fault 'ajar' of contact 3 is none of open"),
        (f'{TENS}lead_faults = {{x = "open"}}', "device 1: lead_faults: expected `int`, got `str`"),
        (f'{TENS}link = "a\\u0000"', "device 1: link: expected `str` matching regex"),
        (f'{TENS}record = "a"\n{TENS}record = "./b/../a"', "device 2: record: device 1 has .*/a already; each needs its own"),
        (f'{TENS}lead_faults = {{99 = "open"}}', "device 1: lead_faults: lead fault of contact 99: tens has contacts 0 to"),
        (f'{TENS}faults = [{{fault = "dorp"}}]', "device 1: faults: fault 1: there is no fault 'dorp'; did you mean drop"),
        (f'{TENS}faults = "none.toml"', "device 1: faults: .*none.toml: No such file"),
        (f"{TENS}count = 3\ntcp = 65534", "device 1: count: from port 65534 on there are 2 ports"),
        (f'{TENS}nvm = "a"\n{TENS}record = "a"', "device 2: record: device 1 has .*/a already; each needs its own"),
        (f"{TENS}tcp = 5000\n{TENS}rfc2217 = 5000", "device 2: rfc2217: device 1 has 5000 already"),
        ('[[devices]]\nsnapshot = "x"\nseed = 3', "device 1: seed: the snapshot says that"),
        ('[[devices]]\nsnapshot = "x"', "device 1: snapshot: .*/x: No such file"),
    ],
)
def test_what_is_wrong_is_told_with_the_file_the_device_and_the_field(fleet, tmp_path, text, words):
    with pytest.raises(FleetError, match=f"^{tmp_path}/fleet.toml: {words}"):
        fleet(text)


def test_several_devices_may_take_any_free_port(fleet):
    assert [wanted.tcp for wanted in fleet(f"{TENS}tcp = 0\n{TENS}tcp = 0\ncount = 2")] == [0, 0, 0]


def test_the_fleet_of_the_docs_is_one(fleet, tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "time.md").read_text()
    found = fleet(text.partition("```toml\n")[2].partition("```")[0])
    assert [(wanted.device.seed, wanted.tcp, wanted.record) for wanted in found] == [
        (7, None, None),
        *[(20 + number, 5000 + number, f"{tmp_path}/trial-{number}.jsonl") for number in range(3)],
    ]


# Run


@pytest.fixture
def run(tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(text: str) -> subprocess.Popen[str]:
        (tmp_path / "fleet.toml").write_text(text)
        command = [*RUN, "--fleet", str(tmp_path / "fleet.toml")]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def identity(address: str) -> Any:
    with serial.serial_for_url(address, timeout=5) as port:
        port.write(encode_frame(request_frame(Identify(), 1)))
        reader = FrameReader()
        while True:
            for frame in reader.feed(port.read(1), 0):
                return decode_reply(frame).body


FLEET = """
[[devices]]
model = "scs-rechargeable"
seed = 3
link = "implant"

[[devices]]
model = "tens"
seed = 40
tcp = 0
trace = "tens.jsonl"
count = 2
"""


def test_each_device_of_a_file_is_run_at_its_port_and_leaves_nothing_but_its_files(run, tmp_path):
    process = run(FLEET)
    ready = [process.stdout.readline().split() for _ in range(3)]
    assert [words[:2] for words in ready] == [["READY", "pty"], ["READY", "tcp"], ["READY", "tcp"]]
    assert ready[0][2] == f"{tmp_path}/implant"
    found = [identity(words[2]) for words in ready]
    assert [(each.model, each.serial) for each in found] == [
        ("scs-rechargeable", "VIPG-00000003"),
        ("tens", "VIPG-00000028"),
        ("tens", "VIPG-00000029"),
    ]
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fleet.toml", "tens.jsonl0", "tens.jsonl1"]
    heads = [json.loads((tmp_path / f"tens.jsonl{number}").read_text().splitlines()[0]) for number in (0, 1)]
    assert [head["serial"] for head in heads] == ["VIPG-00000028", "VIPG-00000029"]


def test_a_file_that_cannot_be_used_ends_in_one_line(run, tmp_path):
    process = run("[[devices]]\nmodel = 'tons'")
    _, error = process.communicate(timeout=20)
    assert process.returncode == 2
    assert error.startswith(f"ipg-emulator: {tmp_path}/fleet.toml: device 1: model: unknown model 'tons'; known:")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--fleet", "x", "--seed", "3"), "--seed: the file of --fleet says that for its devices"),
        (("--fleet", "x", "--tcp", "0"), "--tcp: the file of --fleet says that"),
        (("--fleet", "x", "--devices", "2"), "--devices: the file of --fleet says that"),
        (("--snapshot", "x", "--lead-fault", "3=open"), "--lead-fault: the file of --snapshot says that"),
        (("--snapshot", "x"), "x: No such file or directory"),
        (("--fleet", "x", "--model", "tens"), "not allowed with argument"),
        ((), "one of the arguments --model --snapshot --fleet is required"),
    ],
)
def test_options_that_say_two_things_about_one_are_refused(options, words):
    told = subprocess.run([*RUN, *options], capture_output=True, text=True, check=False, timeout=20)
    assert told.returncode == 2
    assert words in told.stderr


def test_a_process_goes_on_from_a_snapshot(tmp_path):
    model = load("drg-primary")
    take(VirtualIpg(build_device(model, seed=7)), boot_finished_at(model)).write(str(tmp_path / "kept"))
    command = [*RUN, "--snapshot", str(tmp_path / "kept"), "--tcp", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        found = identity(process.stdout.readline().split()[2])
        process.send_signal(signal.SIGTERM)
    assert (found.model, found.serial) == ("drg-primary", "VIPG-00000007")
