"""Each command of `ipg-host` against virtual devices in the same process: what it prints for people and for programs."""

from __future__ import annotations

import itertools
import json

import pytest
from ipg_host.cli.verbs import VERBS
from ipg_protocol import Role, State, encode_frame, event_frame
from ipg_protocol.commands.link import Alert, DeviceStatus, GetStatus, ResetCause, ResetHappened
from ipg_protocol.commands.sensing import StartEcapStream
from ipg_protocol.commands.session import CloseSession, OpenSession, Session
from ipg_protocol.commands.therapy import TherapyCause, TherapyStateChanged
from ipg_protocol.refusal import Done
from ipg_protocol.vocabulary import BatteryTier

HEALTHY = "ipg://scs-rechargeable?seed=1"
SENSING = "ipg://scs-closed-loop?seed=1"

EVERY_COMMAND = {
    "status": "status",
    "capabilities": "capabilities",
    "battery": "battery",
    "charging": "charging",
    "longevity": "longevity",
    "temperature": "temperature",
    "self-test": "self-test",
    "transaction": "program select 1; transaction 1",
    "modes": "modes",
    "mri enter": "impedance; mri enter --minutes 20",
    "mri leave": "impedance; mri enter --minutes 20; mri leave",
    "programs": "programs",
    "program show": "program show 0",
    "program select": "program select 1",
    "program write": "program write 3 {program}",
    "program transfer": f"program transfer 0 --to {HEALTHY} --slot 5",
    "checkpoint save": "checkpoint save 0",
    "checkpoint restore": "checkpoint save 0; checkpoint restore 0",
    "program erase": "program erase 1",
    "start": "start --wait",
    "stop": "stop --immediate",
    "amplitude get": "amplitude get",
    "amplitude set": "amplitude set 2.5mA",
    "amplitude step": "amplitude step +1",
    "limits": "limits",
    "limits set": "limits set --amplitude 9mA",
    "schedule show": "schedule show",
    "schedule write": "schedule write {schedule}",
    "schedule clear": "schedule clear",
    "impedance": "impedance --cathode 0 --anode 1",
    "ecap record": "start --wait; ecap record",
    "ecap stream": "start --wait; ecap stream --seconds 1 --every 5",
    "feedback show": "feedback show",
    "feedback set": "feedback set --target 30uV --gain 50% --maximum 6mA",
    "feedback off": "feedback off",
    "feedback status": "feedback status",
    "log": "log --last 2",
    "counters": "counters",
    "faults": "faults",
    "faults clear": "faults clear short-circuit",
}

SCHEDULE = """
[[rows]]
time = "07:30"
duration = "45 min"
program = 0
"""


@pytest.fixture
def files(run, tmp_path) -> dict[str, str]:
    """A program file and a schedule file, by the names that commands have for them here."""
    names = {"program": tmp_path / "program.toml", "schedule": tmp_path / "schedule.toml"}
    names["program"].write_text(run("program show 0")[1])
    names["schedule"].write_text(SCHEDULE)
    return {name: str(path) for name, path in names.items()}


@pytest.fixture
def on(shell, monkeypatch):
    """Run lines on one device."""

    def run_on(device: str, *lines: str) -> tuple[int, str, str]:
        monkeypatch.setenv("IPG_PORT", device)
        return shell(*lines)

    return run_on


def last_json(out: str) -> dict[str, object]:
    return json.loads(out[("\n" + out).rindex("\n{") :])


def test_every_command_is_tried_here():
    assert {" ".join(verb.path) for verb in VERBS} == set(EVERY_COMMAND)


@pytest.mark.parametrize("commands", EVERY_COMMAND.values())
def test_a_command_prints_for_people_and_for_programs(on, files, commands):
    device = SENSING if "ecap" in commands or "feedback" in commands else HEALTHY
    *before, line = commands.format(**files).split("; ")
    code, out, err = on(device, *before, line)
    assert (code, err) == (0, "")
    assert out.strip()
    for with_option in (f"--json {line}", f"{line} --json"):
        code, out, _ = on(device, *before, with_option)
        assert code == 0
        assert isinstance(last_json(out), dict)


def test_json_has_units_in_its_keys_and_names_for_codes(run):
    battery = json.loads(run("--json battery")[1])
    assert battery["tier"] == "OK"
    assert set(battery) == {"millivolts", "charge_permille", "tier", "temperature_millicelsius", "drain_microamps"}


def test_impedance_names_open_and_short(run):
    _, out, _ = run("--json impedance")
    verdicts = {pair["cathode"]: pair["verdict"] for pair in json.loads(out)["pairs"]}
    assert {contact: verdict for contact, verdict in verdicts.items() if verdict != "OK"} == {3: "OPEN", 12: "SHORT"}


def test_a_program_that_is_shown_can_be_written(shell, run, tmp_path):
    file = tmp_path / "program.toml"
    file.write_text(run("program show 0")[1])
    _, out, err = shell(f"program write 5 {file}", "program show 5")
    assert err == ""
    assert out.endswith(file.read_text())


def test_each_command_takes_the_lowest_role_that_may():
    roles = {" ".join(verb.path): verb.role for verb in VERBS}
    assert roles["status"] is None
    assert roles["stop"] is None
    assert roles["programs"] is Role.OBSERVER
    assert roles["start"] is Role.PATIENT
    assert roles["program write"] is Role.CLINICIAN


def test_a_stream_prints_a_line_for_each_sample(on):
    _, out, _ = on(SENSING, "start --wait", "ecap stream --seconds 1 --every 5 --json")
    samples = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [sample["sample"] for sample in samples] == list(range(8))
    assert {later["uptime_ms"] - sooner["uptime_ms"] for sooner, later in itertools.pairwise(samples)} == {125}
    assert {sample["amplitude_microamps"] for sample in samples} == {5500}
    assert set(samples[0]) == {"area", "sample", "uptime_ms", "microvolts", "amplitude_microamps"}


def test_a_stream_outlasts_the_time_that_a_silent_session_has(on):
    code, out, err = on(SENSING, "start --wait", "ecap stream --seconds 60 --every 40 --json")
    assert (code, err) == (0, "")
    assert sum(line.startswith("{") for line in out.splitlines()) == 60


@pytest.mark.parametrize(
    "end",
    [TherapyStateChanged(State.RAMPING, State.IDLE, TherapyCause.DOSE_OVER), ResetHappened(ResetCause.WATCHDOG, 2)],
    ids=["therapy", "the boot"],
)
def test_a_stream_ends_with_therapy_and_with_the_boot(run, scripted, monkeypatch, end):
    def begin(_) -> Done:
        scripted.say(encode_frame(event_frame(ResetHappened(ResetCause.POWER_ON, 1), 1)))
        scripted.say(encode_frame(event_frame(end, 2)))
        return Done()

    monkeypatch.setattr("ipg_host.client.open_port", lambda _: scripted)
    scripted.script = {
        OpenSession: lambda request: Session(request.role, 1, 30_000, 0, 0),
        GetStatus: lambda _: DeviceStatus(State.THERAPY, 0, BatteryTier.OK, 0, Alert(0), 1, 1, 5),
        StartEcapStream: begin,
        CloseSession: lambda _: Done(),
    }
    assert run("ecap stream") == (0, "", "")
    assert [type(request) for request in scripted.requests][:3] == [OpenSession, GetStatus, StartEcapStream]


def test_feedback_holds_the_ecap_at_its_target(on):
    setting = "feedback set --target 30uV --gain 50% --maximum 6mA --rate-limit 10mA/s --lost-updates 50"
    _, out, err = on(SENSING, "start --wait", setting, "ecap stream --seconds 30 --every 40 --json", "feedback status")
    assert err == ""
    held = [json.loads(line)["microvolts"] for line in out.splitlines() if line.startswith("{")][-20:]
    assert 27 <= sum(held) / len(held) <= 33
    assert "mode          FOLLOWING" in out


def test_feedback_is_switched_off_and_its_setting_kept(on):
    _, out, _ = on(SENSING, "feedback set --target 30uV", "feedback off", "feedback show", "feedback status")
    assert "enabled            no\ntarget             30 uV" in out
    assert "area          none" in out


def test_a_schedule_that_is_shown_can_be_written(on, files):
    _, out, err = on(HEALTHY, f"schedule write {files['schedule']}", "schedule show", "schedule clear")
    assert err == ""
    assert out == SCHEDULE.lstrip() * 2 + "rows = []\n"


def test_mri_mode_is_entered_once_contacts_are_measured_and_left(on):
    code, out, err = on(HEALTHY, "mri enter --minutes 20", "impedance", "start --wait", "mri enter --minutes 20", "mri leave")
    assert code == 1
    assert "contact 0 has not been measured since the device started; `ipg-host impedance` measures all of them" in err
    assert "mri seconds left        1200\ntherapy restored after  yes" in out
    assert out.endswith("therapy restored after  no\n")


def test_a_suspended_device_says_where_to_look(on):
    _, out, err = on(HEALTHY, "impedance", "mri enter --minutes 20", "amplitude set 2mA", "modes", "status")
    assert "not in the state SUSPENDED; `ipg-host modes` shows what holds therapy off" in err
    assert "MRI_MODE" in out


def test_a_command_that_the_model_lacks_is_refused_by_name(on):
    code, _, err = on("ipg://drg-primary?seed=1", "charging")
    assert (code, err) == (1, "GET_CHARGING refused (NOT_SUPPORTED): this model has no GET_CHARGING\n")


def test_a_magnetic_device_speaks_of_its_maximum_output(on):
    _, out, err = on("ipg://tms?seed=1", "amplitude set 45%", "amplitude get", "limits", "capabilities", "amplitude get --json")
    assert err == ""
    for line in ("amplitude  45 %", "programmed   45 %", "amplitude             0 % to 100 % in steps of 1 %"):
        assert line in out
    assert last_json(out)["amplitude_unit"] == "PERMILLE_OF_MAXIMUM"
    assert last_json(out)["programmed_microamps"] == 450


@pytest.mark.parametrize(
    ("device", "line", "code", "message"),
    [
        ("tms", "amplitude set 0.5mA", 2, "this device takes amplitudes in % of its maximum output, got '0.5mA'"),
        ("scs-rechargeable", "limits set --amplitude 50%", 2, "this device takes amplitudes in uA or mA, got '50%'"),
        ("tms", "amplitude set 99.5%", 1, "amplitude 99.5 %; allowed are 0 % to 80 %"),
    ],
)
def test_a_current_is_never_taken_for_a_part_of_the_maximum(on, device, line, code, message):
    found, _, err = on(f"ipg://{device}?seed=1", line)
    assert found == code
    assert message in err


def test_what_has_no_number_is_told_in_words(on):
    _, out, _ = on(HEALTHY, "charging")
    assert "minutes left  unknown" in out
    _, out, _ = on(HEALTHY, "charging --json")
    assert last_json(out)["minutes_left"] == 0xFFFF


def test_all_programs_are_transferred(on):
    code, out, _ = on(
        "ipg://scs-trial?seed=1", f"program transfer --all --to {HEALTHY}", f"program transfer --json 0 --to {HEALTHY}"
    )
    assert code == 0
    assert out.startswith("programs  0 1")
    assert last_json(out)["programs"] == [0]


def test_a_program_that_does_not_fit_is_told_value_by_value(on):
    code, _, err = on(HEALTHY, "program transfer 0 --to ipg://drg-primary?seed=1")
    assert code == 1
    assert err.startswith("on ipg://drg-primary?seed=1: nothing was written, because some values do not fit:\n")
    assert "  program 0: area 0: waveform TONIC_ACTIVE_RECHARGE; the device has TONIC_PASSIVE_RECHARGE\n" in err


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("program transfer --to ipg://drg-primary", 2, "give the number of a program, or --all"),
        ("program transfer 0 --all --to ipg://drg-primary", 2, "give the number of a program, or --all"),
        ("program transfer --all --slot 1 --to ipg://drg-primary", 2, "--slot goes with one program"),
        ("program transfer 0 --to ipg://no-such-model", 3, "on ipg://no-such-model: cannot open"),
        ("program transfer 7 --to ipg://drg-primary", 1, "READ_PROGRAM refused (OUT_OF_RANGE)"),
    ],
)
def test_a_transfer_that_cannot_begin_has_its_exit_code(on, line, code, message):
    found, _, err = on(HEALTHY, line)
    assert found == code
    assert message in err


def test_a_checkpoint_puts_back_what_was_there_when_it_was_saved(on):
    changes = ("amplitude set 2mA", "checkpoint save 1", "amplitude set 3mA", "program erase 1")
    code, out, err = on(HEALTHY, *changes, "checkpoint restore 1", "program show 1", "--json amplitude get")
    assert (code, err) == (0, "")
    assert last_json(out)["programmed_microamps"] == 2000


def test_a_place_where_nothing_is_kept_is_told(on):
    code, out, err = on(HEALTHY, "checkpoint restore 1")
    assert (code, out) == (1, "")
    assert "RESTORE_CHECKPOINT refused (OUT_OF_RANGE)" in err


def test_a_transaction_is_told_with_the_answer_it_got(on):
    _, out, _ = on(HEALTHY, "amplitude set 2mA", "transaction 1", "transaction 2")
    assert "outcome      COMMITTED\ncommand      SET_AMPLITUDE\narea       0\namplitude  2 mA" in out
    assert out.endswith("transaction  2\noutcome      NOT_SEEN\n")


def test_a_self_test_waits_for_its_answer(on):
    code, out, err = on(HEALTHY, "self-test")
    assert (code, err) == (0, "")
    assert "failed  none" in out
