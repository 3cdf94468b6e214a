"""Fault plans: what is taken and what is refused, when faults strike, and what holds for every kind."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import serial
from ipg_emulator import snapshot
from ipg_emulator.cli import main
from ipg_emulator.clock import advance
from ipg_emulator.faults.board import MagnetHeld
from ipg_emulator.faults.fault import FAULTS, FaultError, When
from ipg_emulator.faults.injector import Injector
from ipg_emulator.faults.leads import LeadOpen
from ipg_emulator.faults.line import Corrupt, Drop
from ipg_emulator.faults.plan import FaultPlan, fault_from, load_plan, plan_from
from ipg_emulator.faults.reply import Busy, Refused, ReplyLate, ReplyLost
from ipg_emulator.launch import Wanted, station
from ipg_emulator.snapshot import take
from ipg_protocol import FrameReader, Role, decode_reply, encode_frame, request_frame
from ipg_protocol.commands.link import Ping, Pong
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy

EXAMPLES = runpy.run_path(str(Path(__file__).with_name("fault_examples.py")))["EXAMPLES"]
every_kind = pytest.mark.parametrize("kind", FAULTS)


def live(wire):
    """Some therapy and some talk, with a frame that comes in two parts and one that comes too late to be one."""
    frame = encode_frame(request_frame(Ping(9), 90))
    wire.send(OpenSession(Role.SERVICE, 1, 1), GetBattery())
    wire.advance(0.5)
    wire.send(StartTherapy(1))
    wire.advance(2)
    for pause in (0.15, 0.35):
        wire.write(frame[:7])
        wire.advance(pause)
        wire.write(frame[7:])
    wire.send(MeasureImpedance(5, 0), GetBattery(), Ping(1))
    wire.advance(1)
    wire.send(StopTherapy(StopMode.RAMP), Ping(2))
    wire.advance(2)
    return wire


@every_kind
def test_every_kind_has_an_example_that_strikes(kind, wire):
    assert EXAMPLES[kind].__struct_config__.tag == kind
    (planned,) = live(wire(EXAMPLES[kind])).faults.planned()
    assert planned.struck


@every_kind
def test_with_probability_0_every_byte_comes_as_without_the_fault(kind, wire):
    sound = live(wire())
    faulty = live(wire(msgspec.structs.replace(EXAMPLES[kind], probability=0.0)))
    assert (faulty.heard, faulty.told) == (sound.heard, sound.told)
    assert [planned.struck for planned in faulty.faults.planned()] == [0]


@every_kind
@pytest.mark.parametrize("probability", [0.5, 1.0])
def test_the_same_seeds_give_the_same_bytes_at_the_same_times(kind, probability, wire):
    fault = msgspec.structs.replace(EXAMPLES[kind], probability=probability)
    one, other = (live(wire(fault, seed=3, plan_seed=4)) for _ in range(2))
    assert (one.heard, one.told) == (other.heard, other.told)


@every_kind
def test_a_device_goes_on_from_a_snapshot_with_the_fault_that_it_had(kind, wire):
    original = live(wire(EXAMPLES[kind]))
    original.send(Ping(3), GetBattery())
    copy, now = snapshot.fork(snapshot.take(original.ipg, original.now))
    request = encode_frame(request_frame(Ping(4), 44))
    said = []
    for ipg in (original.ipg, copy):
        ipg.receive(request, now)
        said.append([(now, ipg.take_output(now)), *advance(ipg, now, now + 5_000_000)])
    assert said[0] == said[1]
    assert [each.struck for each in copy.faults.planned()] == [each.struck for each in original.faults.planned()]


@every_kind
def test_every_kind_can_be_written_in_a_plan_and_read_back(kind):
    assert fault_from(msgspec.to_builtins(EXAMPLES[kind])) == EXAMPLES[kind]


@pytest.mark.parametrize("seeds", [{"seed": 1}, {"plan_seed": 1}])
def test_another_seed_strikes_otherwise(seeds, wire):
    corrupt = Corrupt(probability=0.5)
    assert live(wire(corrupt, **seeds)).heard != live(wire(corrupt)).heard
    assert live(wire(Corrupt(probability=0.5, seed=1))).heard != live(wire(corrupt)).heard


# Plans


PLAN = """
seed = 7

[[faults]]
fault = "reply-lost"
when = {command = "SELECT_PROGRAM", nth = 1}

[[faults]]
fault = "corrupt"
towards = "host"
bits = 2
probability = 0.05
"""


def test_a_plan_is_read_from_toml(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    lost, corrupt = (
        ReplyLost(when=When(command="SELECT_PROGRAM", nth=1)),
        Corrupt(towards="host", bits=2, probability=0.05),
    )
    assert load_plan(path) == load_plan(str(path)) == FaultPlan(7, (lost, corrupt))


def test_an_empty_plan_changes_nothing(wire):
    sound, planned = wire(), wire()
    planned.ipg.faults = Injector(planned.ipg, plan_from({}), now=planned.now)
    assert live(planned).heard == live(sound).heard


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"sed": 1}, "there is no field 'sed'; a plan has seed, faults"),
        ({"seed": "x"}, "seed: expected a whole number, got 'x'"),
        ({"faults": {"fault": "drop"}}, r"faults: expected tables, each under \[\[faults\]\]"),
        ({"faults": [{"fault": "drop"}, {"fault": "dorp"}]}, "fault 2: there is no fault 'dorp'; did you mean drop?"),
        ({"faults": ["drop"]}, "fault 1: expected a table with a field `fault`, got 'drop'"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told(data, what):
    with pytest.raises(FaultError, match=what):
        plan_from(data)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ({"fault": "xyzzy"}, "there is no fault 'xyzzy'; known: .*corrupt, truncate"),
        ({}, "the field `fault` must name a kind: .*corrupt"),
        ({"fault": ["drop"]}, "the field `fault` must name a kind: .*corrupt"),
        ({"fault": "delay", "ms": 1}, "there is no field 'ms'; delay has .*milliseconds, jitter"),
        ({"fault": "drop", "when": {"at": 1}}, "when: there is no field 'at'; it has at_ms, frame,"),
        ({"fault": "drop", "when": {"at_ms": -1}}, "when.at_ms: expected `int` >= 0; it takes a whole number from 0"),
        ({"fault": "drop", "when": 3}, "when: expected `object`, got `int`"),
        ({"fault": "drop", "probability": 2}, r"probability: expected `float` <= 1\.0; it takes a number from 0 to 1"),
        ({"fault": "drop", "towards": "up"}, 'towards: .*; it takes a "both" or "device" or "host"'),
        ({"fault": "refused"}, "status: object missing required field `status`"),
        ({"fault": "drop", "when": {"command": "STEP_AMPLITUD"}}, "no command 'STEP_AMPLITUD'; .*STEP_AMPLITUDE"),
        ({"fault": "drop", "when": {"state": "therapy"}}, "there is no state 'therapy'; did you mean THERAPY?"),
        ({"fault": "drop", "when": {"event": "AMPLITUDE"}}, "no event 'AMPLITUDE'; did you mean AMPLITUDE_CHANGED"),
    ],
)
def test_what_is_wrong_with_a_fault_is_told_after_its_number_and_before_it_strikes(fault, what):
    with pytest.raises(FaultError, match=what):
        fault_from(fault)
    with pytest.raises(FaultError, match=rf"^fault 2( \(.*\))?: .*{what}"):
        plan_from({"faults": [{"fault": "drop"}, fault]})


@pytest.mark.parametrize("text", ["seed = ", "faults = 3", '[[faults]]\nfault = "dorp"', None])
def test_a_file_that_is_no_plan_is_named(text, tmp_path):
    path = tmp_path / "plan.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FaultError, match=r"plan\.toml: "):
        load_plan(path)


def test_a_device_is_run_with_a_plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('[[faults]]\nfault = "drop"\ntowards = "device"\nwhen = {nth = 1}\n')
    command = [sys.executable, "-m", "ipg_emulator", "run", "--model", "scs-rechargeable", "--faults", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with serial.Serial(process.stdout.readline().split()[-1], timeout=5) as port:
                port.write(b"".join(encode_frame(request_frame(Ping(token), token)) for token in (1, 2)))
                (frame,) = FrameReader().feed(port.read_until(b"\0") + port.read_until(b"\0"), 0)
        finally:
            process.terminate()
    assert decode_reply(frame).body == Pong(2)


def test_a_device_of_a_url_has_the_faults_of_a_plan(tmp_path, monkeypatch):
    path = tmp_path / "plan.toml"
    path.write_text('[[faults]]\nfault = "reply-late"\nmilliseconds = 700\n')
    monkeypatch.setattr(serial, "protocol_handler_packages", [*serial.protocol_handler_packages, "ipg_emulator.ports"])
    with serial.serial_for_url(f"ipg://scs-rechargeable?faults={path}", timeout=5) as port:
        port.write(encode_frame(request_frame(Ping(1), 1)))
        asked = port.monotonic()
        assert port.read(1)
        assert round(port.monotonic() - asked, 6) == 0.7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--model", "tens", "--faults", "{plan}"], "plan.toml: fault 1: there is no fault 'dorp'; did you mean drop?"),
        (["run", "--model", "tens", "--faults", "{plan}.not"], "plan.toml.not: No such file or directory"),
        (["faults", "dorp"], "there is no fault 'dorp'; did you mean drop?"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong(arguments, words, tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text('[[faults]]\nfault = "dorp"\n')
    assert main([argument.format(plan=path) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ipg-emulator: ")
    assert line.endswith(words)


def test_a_fault_of_a_plan_that_the_device_cannot_have_is_told_by_its_number(wire):
    plan = FaultPlan(0, (Drop(), LeadOpen(contact=99)))
    with pytest.raises(FaultError, match=r"^fault 2 \(lead-open\): contact = 99: scs-rechargeable has contacts 0 to 15$"):
        Injector(wire().ipg, plan, now=0)


def test_a_plan_comes_on_top_of_the_faults_of_a_snapshot(wire):
    device = wire(MagnetHeld(), ReplyLate(milliseconds=700))
    device.send(Ping(1))
    plan = FaultPlan(0, (Drop(when=When(at_ms=5000)),))
    went_on = station(Wanted(device=take(device.ipg, device.now), faults=plan), 0, 1, print).ipg
    assert [(each.number, type(each.fault)) for each in went_on.faults.planned()] == [
        (1, MagnetHeld),
        (2, ReplyLate),
        (3, Drop),
    ]
    went_on.faults.remove(1, device.now)
    assert went_on.firmware.board.magnets_held == 0
    assert went_on.wake_at() is not None
    said = b"".join(output for _, output in advance(went_on, device.now, device.now + 1_000_000))
    assert decode_reply(FrameReader().feed(said, 0)[0]).body == Pong(1)


def test_the_command_lists_a_fault_with_its_parameters(capsys):
    assert main(["faults", "delay"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "delay"
    assert "    milliseconds: whole number from 0 (default 100)" in listed
    assert "cut" not in listed


def test_a_fault_in_python_is_held_to_the_same():
    with pytest.raises(FaultError, match="there is no command 'STEP'"):
        Busy(when=When(command="STEP"))
    with pytest.raises(FaultError, match="the detail of CONFLICT has no field 'value'; it has revision"):
        Refused(status="CONFLICT", detail={"value": 1})
