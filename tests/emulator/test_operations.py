"""Each operation does what it says to the device it is asked of, and says what was wrong when it cannot."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from ipg_emulator.control import OPERATIONS, Operation, OperationError, perform
from ipg_emulator.control.fields import description_of, fields_of
from ipg_emulator.control.operation import answer_type, misread_error, name_of, only_reads
from ipg_emulator.control.operations import (
    Advance,
    BreakLead,
    ClearFaults,
    Cough,
    CutPower,
    Delivered,
    Describe,
    Events,
    ExportSnapshot,
    GetState,
    GetTime,
    GiveWay,
    HoldMagnet,
    InjectFault,
    ListFaults,
    ListSnapshots,
    MendLead,
    MigrateLeads,
    PlaceCharger,
    ReadCounters,
    ReadLog,
    Refusals,
    RemoveFault,
    ReplaceBattery,
    RestorePower,
    RestoreSnapshot,
    SetBattery,
    Silences,
    TakePosture,
    TakeSnapshot,
    Trace,
    WaitFor,
    WearDisc,
)
from ipg_emulator.control.plain import plain
from ipg_emulator.control.witness import EVENTS_KEPT, RECORDS_KEPT, REFUSALS_KEPT, SEGMENTS_KEPT, witness_of
from ipg_emulator.faults.fault import FAULTS, When
from ipg_protocol import encode_frame, request_frame
from ipg_protocol.command import EVENTS
from ipg_protocol.commands.link import Alert, GetStatus, Ping, ResetCause
from ipg_protocol.commands.measurement import MeasureImpedance, ReadImpedance
from ipg_protocol.commands.session import CloseSession, OpenSession
from ipg_protocol.commands.therapy import SetAmplitude, TherapyStateChanged
from ipg_protocol.vocabulary import Role, State, Status

READS: tuple[Operation[Any], ...] = (
    Describe(),
    GetState(),
    GetTime(),
    ListFaults(),
    ListSnapshots(),
    Delivered(),
    ReadLog(),
    ReadCounters(),
    Events(),
    Refusals(),
    Silences(),
    Trace(),
)


def ask(watched: Any, operation: Operation[Any]) -> Any:
    """An operation's answer, which must survive the way over JSON."""
    answer = perform(operation, watched.device)
    assert msgspec.json.decode(msgspec.json.encode(answer), type=answer_type(type(operation))) == answer
    return answer


def test_the_names_of_operations_are_fixed() -> None:
    """Scripts hold them: a name is added, and never changed."""
    names = """advance battery break-lead brown-out charger clear-faults cough counters cut-power delivered describe events
    export-snapshot faults inject log magnet mend-lead migrate posture refusals remove-fault replace-battery restore
    restore-power silences snapshot snapshots state time trace wait-for worn-disc"""
    assert sorted(OPERATIONS) == names.split()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is_and_what_its_fields_are(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.__doc__
    assert all(description_of(field.type) for field in fields_of(operation).values())
    assert re.fullmatch("[a-z]+(-[a-z]+)*", name)
    assert name_of(operation) == name


def test_reading_changes_no_byte(make_watched: Any) -> None:
    bytes_of = []
    for looks in (False, True):
        watched = make_watched()
        watched.start()
        said = b""
        for _ in range(10):
            watched.handle.advance(3.3)
            for operation in READS if looks else ():
                ask(watched, operation)
            watched.send(GetStatus())
            said += watched.device.read(4096, 0)
        bytes_of.append(said)
    assert bytes_of[0] == bytes_of[1]
    reads = {cls for cls in OPERATIONS.values() if only_reads(cls)}
    assert {type(operation) for operation in READS} == reads - {ExportSnapshot}


# The device and its time


def test_describe_tells_the_seed(make_watched: Any) -> None:
    told = ask(make_watched(seed=77), Describe())
    assert (told.model, told.serial, told.seed) == ("scs-rechargeable", "VIPG-0000004D", 77)


def test_state_shows_programmed_and_delivered_amplitudes(watched: Any) -> None:
    assert [area.delivered_microamps for area in ask(watched, GetState()).areas] == [0, 0]
    watched.start()
    ask(watched, Advance(20.0))
    state = ask(watched, GetState())
    assert (state.state, state.session.role) == ("THERAPY", "SERVICE")
    assert (
        [area.delivered_microamps for area in state.areas]
        == [area.programmed_microamps for area in state.areas]
        == [5000, 4000]
    )
    assert state.areas[0].flags == ["RUNNING"]


def test_state_shows_what_is_round_the_device(watched: Any) -> None:
    for operation in (TakePosture("supine"), MigrateLeads(1.5), BreakLead(3, "short"), HoldMagnet(), PlaceCharger(600)):
        ask(watched, operation)
    round_it = ask(watched, GetState()).surroundings
    assert (round_it.posture, round_it.lead_shift_contacts, round_it.lead_faults) == ("supine", 1.5, {3: "short"})
    assert (round_it.magnet_present, round_it.charger_coupling_permille) == (True, 600)


def test_advance_lets_just_so_much_time_pass(watched: Any) -> None:
    began = ask(watched, GetTime()).at_seconds
    assert ask(watched, Advance(12.345678)).at_seconds == pytest.approx(began + 12.345678, abs=1e-9)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e12])
def test_advance_takes_no_other_time(watched: Any, seconds: float) -> None:
    with pytest.raises(OperationError, match=r"advance: .*seconds"):
        ask(watched, Advance(seconds))


# What is round it


def test_a_magnet_is_sensed_at_once(watched: Any) -> None:
    ask(watched, HoldMagnet())
    assert ask(watched, GetState()).state == "SUSPENDED"
    ask(watched, HoldMagnet(present=False))
    assert ask(watched, GetState()).state == "IDLE"


def test_a_broken_lead_is_measured_and_a_mended_one_too(watched: Any) -> None:
    watched.open()
    for operation, verdict in ((BreakLead(2), "OPEN"), (MendLead(2), "OK")):
        ask(watched, operation)
        watched.reply(MeasureImpedance(2, 3))
        ask(watched, Advance(2.0))
        (row,) = plain(watched.reply(ReadImpedance(0)).body)["rows"]
        assert row["verdict"] == verdict


def test_a_cough_and_a_charger_are_felt(make_watched: Any) -> None:
    watched = make_watched("scs-closed-loop")
    before = watched.device.ipg.firmware.board.patient.distance(watched.device.present() + 200_000)
    ask(watched, Cough())
    assert watched.device.ipg.firmware.board.patient.distance(watched.device.present() + 200_000) < before
    ask(watched, PlaceCharger())
    assert ask(watched, WaitFor("CHARGING_CHANGED", after=0)).event.name == "CHARGING_CHANGED"


@pytest.mark.parametrize("tier", ["LOW", "ERI", "EOS"])
def test_a_battery_that_is_set_to_a_tier_is_found_there(watched: Any, tier: str) -> None:
    ask(watched, SetBattery(tier))
    ask(watched, Advance(4 * 3600.0))
    assert ask(watched, GetState()).battery.tier == tier


def test_without_power_the_device_is_silent_and_boots_when_it_is_back(watched: Any) -> None:
    ask(watched, CutPower())
    watched.send(Ping(1))
    assert watched.frames(1.0) == []
    assert not ask(watched, GetState()).has_power
    ask(watched, RestorePower())
    ask(watched, Advance(1.0))
    assert watched.reply(Ping(2)).status is Status.OK
    assert ask(watched, GetState()).boot_counter == 2


def test_a_supply_that_gives_way_for_a_moment_boots_the_device(watched: Any) -> None:
    ask(watched, GiveWay())
    ask(watched, Advance(1.0))
    report = ask(watched, GetState())
    assert (report.boot_counter, report.has_power) == (2, True)
    assert watched.device.ipg.firmware.device.boot_cause is ResetCause.BROWN_OUT


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (WearDisc(False), "the supply of scs-rechargeable is rechargeable, not worn"),
        (ReplaceBattery(), "the supply of scs-rechargeable is rechargeable, not replaceable"),
        (BreakLead(99), "scs-rechargeable has contacts 0 to 15"),
        (MendLead(99), "scs-rechargeable has contacts 0 to 15"),
        (TakePosture("flying"), "posture: .*; allowed: prone, side, sitting, standing, supine, walking"),
        (BreakLead(1, "bent"), "break-lead: .*; allowed: breach, intermittent, open, short"),
        (PlaceCharger(2000), "charger: .*coupling_permille"),
        (SetBattery("FULL"), "battery: .*; allowed: EOS, ERI, LOW, OK"),
        (RestoreSnapshot("none"), "there is no snapshot 'none'; there are: none"),
        (TakeSnapshot("a/b"), "snapshot: .*name"),
        (RemoveFault(3), "there is no fault 3; there is none"),
        (WaitFor("MAGNET"), "wait-for: .*allowed: AMPLITUDE_CHANGED, BATTERY_TIER_CHANGED"),
        (WaitFor("MAGNET_CHANGED", fields={"here": 1}), "MAGNET_CHANGED has no field here, it has present"),
        (Trace(0), "trace: .*last"),
    ],
    ids=lambda value: name_of(type(value)) if isinstance(value, Operation) else "",
)
def test_what_cannot_be_is_refused_with_the_reason(watched: Any, operation: Operation[Any], why: str) -> None:
    before = ask(watched, GetState())
    with pytest.raises(OperationError, match=why):
        ask(watched, operation)
    assert ask(watched, GetState()) == before


def test_a_model_without_a_charger_says_so(make_watched: Any) -> None:
    with pytest.raises(OperationError, match="drg-primary has no charger"):
        ask(make_watched("drg-primary"), PlaceCharger())


def test_a_model_without_a_battery_says_so(make_watched: Any) -> None:
    with pytest.raises(OperationError, match="tms has no battery: it lives on mains"):
        ask(make_watched("tms"), SetBattery("LOW"))


def test_a_worn_disc_that_is_lifted_takes_the_power_with_it(make_watched: Any) -> None:
    watched = make_watched("pns-battery-free")
    ask(watched, WearDisc(False))
    assert not ask(watched, GetState()).has_power
    ask(watched, WearDisc(True))
    assert ask(watched, GetState()).has_power


def test_a_new_battery_boots_the_device(make_watched: Any) -> None:
    watched = make_watched("tens")
    ask(watched, ReplaceBattery())
    assert ask(watched, GetState()).boot_counter == 2


# What goes wrong


def test_a_fault_as_data_strikes_and_is_listed_with_its_strikes(watched: Any) -> None:
    data = b'{"fault": {"fault": "reply-lost", "when": {"command": "PING"}, "times": 1}}'
    number = ask(watched, msgspec.json.decode(data, type=InjectFault)).number
    watched.send(Ping(5))
    assert watched.frames(1.0) == []
    (planned,) = ask(watched, ListFaults())
    assert (planned.number, planned.struck) == (number, 1)
    assert watched.reply(Ping(6)).status is Status.OK


@pytest.mark.parametrize("ending", [RemoveFault(1), ClearFaults()], ids=["removed", "cleared"])
def test_a_fault_that_is_taken_away_strikes_no_more(watched: Any, ending: Operation[Any]) -> None:
    ask(watched, InjectFault(FAULTS["drop"](when=When(command="PING"))))
    watched.send(Ping(5))
    assert watched.frames(1.0) == []
    ask(watched, ending)
    assert watched.reply(Ping(6)).status is Status.OK
    assert ask(watched, ListFaults()) == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"fault": {"fault": "dorp"}}', "inject: .*; allowed: drop, corrupt, "),
        (b'{"fault": {"fault": "drop", "when": {"command": "SELECT_PROGRM"}}}', "did you mean SELECT_PROGRAM"),
        (b'{"fault": {"fault": "drop", "bytes": 1}}', "unknown field `bytes`"),
    ],
)
def test_a_fault_that_is_none_is_refused_with_what_would_be(data: bytes, why: str) -> None:
    with pytest.raises(msgspec.ValidationError) as raised:
        msgspec.json.decode(data, type=InjectFault)
    assert re.search(why, str(misread_error(InjectFault, raised.value)))


# What has happened


def test_events_are_told_whether_or_not_a_host_was(watched: Any) -> None:
    ask(watched, HoldMagnet())
    assert [event.name for event in ask(watched, Events())][:2] == ["MAGNET_CHANGED", "MODE_CHANGED"]
    assert [event.number for event in ask(watched, Events(after=1))] == [2, 3]


def test_the_end_of_a_session_is_an_event(watched: Any) -> None:
    watched.open()
    ask(watched, Advance(3600.0))
    assert {"reason": "IDLE"} in [event.fields for event in ask(watched, Events()) if event.name == "SESSION_CLOSING"]


def test_a_refusal_is_told_with_its_reason(watched: Any) -> None:
    watched.open()
    watched.reply(SetAmplitude(watched.transaction(), 0, 90_000))
    (refusal,) = ask(watched, Refusals())
    assert (refusal.command, refusal.status, refusal.lost) == ("SET_AMPLITUDE", "OUT_OF_RANGE", "")
    assert refusal.detail["field"] == "amplitude_microamps"
    assert "RESPONSE 1 SET_AMPLITUDE OUT_OF_RANGE field=2(amplitude_microamps) minimum=0" in refusal.words


def test_a_refusal_that_never_reached_the_host_says_why_not(watched: Any) -> None:
    ask(watched, InjectFault(FAULTS["drop"](towards="host")))
    watched.send(CloseSession(), request_id=1)
    assert watched.frames(1.0) == []
    (refusal,) = ask(watched, Refusals())
    assert refusal.status == "NO_SESSION"
    assert refusal.lost.startswith("line: ")


def test_each_silence_is_told_with_its_reason_and_last_bytes(watched: Any) -> None:
    for noise in (b"\0\4\1\2\3\0", b"\0\4\4\5\6\0"):
        watched.device.write(noise)
    (silence,) = ask(watched, Silences())
    assert (silence.count, silence.last_to) == (2, "device")
    assert silence.why.startswith("device: ")
    assert "04040506" in silence.last_hex


def test_the_trace_has_both_directions_in_words(watched: Any) -> None:
    watched.reply(Ping(9))
    there, back = ask(watched, Trace())
    assert (there.to, there.text) == ("device", ["REQUEST 1 PING token=9"])
    assert (back.to, back.text) == ("host", ["RESPONSE 1 PING OK token=9"])
    assert bytes.fromhex(there.hex).startswith(b"\0")
    assert ask(watched, Trace(last=1)) == [back]


def test_the_trace_tells_a_frame_that_comes_byte_by_byte_with_its_last(watched: Any) -> None:
    ask(watched, InjectFault(FAULTS["slow-bytes"](towards="host", baud=1200)))
    watched.send(Ping(9))
    watched.frames(1.0)
    came = [line for line in ask(watched, Trace()) if line.to == "host" and not line.why]
    assert [line.text for line in came if line.text] == [["RESPONSE 1 PING OK token=9"]]
    assert len(came) > 10


def test_the_trace_tells_bytes_whose_end_has_not_come_at_the_last_of_them(watched: Any) -> None:
    watched.device.write(encode_frame(request_frame(Ping(9), 1))[:5])
    (line,) = ask(watched, Trace())
    (text,) = line.text
    assert text.startswith("no frame, its end is missing: ")


def test_log_and_counters_are_the_devices_own(watched: Any) -> None:
    watched.open()
    assert [line.code for line in ask(watched, ReadLog())] == ["BOOT", "SESSION_OPENED"]
    counters = ask(watched, ReadCounters())
    assert (counters["sessions"], counters["frames_received"]) == (1, 1)


def test_what_is_remembered_is_bounded(watched: Any) -> None:
    memories = witness_of(watched.device.ipg).memories
    bounds = [memories.events.maxlen, memories.refusals.maxlen, memories.records.maxlen, memories.segments.maxlen]
    assert bounds == [EVENTS_KEPT, REFUSALS_KEPT, RECORDS_KEPT, SEGMENTS_KEPT]


def test_delivery_that_is_no_longer_remembered_is_not_told(watched: Any) -> None:
    watched.start()
    witness, output = witness_of(watched.device.ipg), watched.device.ipg.firmware.board.output
    for _ in range(SEGMENTS_KEPT + 10):
        ask_at = watched.device.present()
        watched.device.advance(0.001)
        output.flush(ask_at + 1_000)
    assert witness.memories.delivery_known_from > 20_000
    with pytest.raises(OperationError, match="what was delivered is known from"):
        ask(watched, Delivered(from_seconds=0.02))


# Waiting


def test_waiting_lets_time_pass_up_to_the_event_and_no_further(watched: Any) -> None:
    watched.start()
    began = ask(watched, GetTime()).at_seconds
    waited = ask(watched, WaitFor("THERAPY_STATE_CHANGED", 60.0, {"state": "THERAPY"}))
    assert waited.event.fields == {"previous": "RAMPING", "state": "THERAPY", "cause": "RAMP_FINISHED"}
    assert began < waited.event.at_seconds == waited.until_seconds == ask(watched, GetTime()).at_seconds


def test_waiting_in_vain_lets_just_that_time_pass_and_tells_what_came_instead(watched: Any) -> None:
    began = ask(watched, GetTime()).at_seconds
    watched.handle.magnet()
    waited = ask(watched, WaitFor("FAULT_RAISED", 7.0, after=0))
    assert waited.event is None
    assert waited.until_seconds == pytest.approx(began + 7.0)
    assert [event.name for event in waited.instead] == ["MAGNET_CHANGED", "MODE_CHANGED", "THERAPY_STATE_CHANGED"]


def test_every_event_can_be_waited_for(watched: Any) -> None:
    for event in EVENTS.values():
        assert ask(watched, WaitFor(event.name, 0.0)).event is None


# As it was


def test_restoring_forgets_what_has_happened_since(watched: Any) -> None:
    watched.start()
    ask(watched, Advance(60.0))
    ask(watched, TakeSnapshot("running"))
    before = [ask(watched, operation) for operation in READS]
    watched.reply(OpenSession(Role.PATIENT, 9, 9))
    for operation in (HoldMagnet(), Advance(100.0), BreakLead(1)):
        ask(watched, operation)
    assert ask(watched, RestoreSnapshot("running")).at_seconds == ask(watched, GetTime()).at_seconds
    assert [ask(watched, operation) for operation in READS] == before
    assert [kept.name for kept in ask(watched, ListSnapshots())] == ["running"]


def test_what_happens_after_a_restore_is_told_once(watched: Any) -> None:
    ask(watched, TakeSnapshot())
    for _ in range(3):
        ask(watched, RestoreSnapshot())
        ask(watched, HoldMagnet())
        first, *others = [event.number for event in ask(watched, Events())]
        assert others == [first + 1, first + 2]
        watched.reply(Ping(1))
        assert len(ask(watched, Trace())) == 2


def test_a_device_that_is_turned_back_by_other_hands_forgets_too(watched: Any) -> None:
    watched.start()
    watched.handle.advance(1.0)
    kept = watched.device.snapshot()
    looked_at = (Events(), Refusals(), Trace(), Delivered(), GetState())
    before = [ask(watched, operation) for operation in looked_at]
    watched.handle.advance(0.001)
    watched.reply(CloseSession())
    watched.reply(SetAmplitude(watched.transaction(), 0, 1_000))
    watched.handle.magnet()
    watched.handle.advance(60.0)
    watched.device.restore(kept)
    assert [ask(watched, operation) for operation in looked_at] == before


@pytest.mark.parametrize("worn_at_first", [False, True])
def test_a_flash_that_wears_out_or_is_well_again_since_does_not_hinder_a_restore(watched: Any, worn_at_first: bool) -> None:
    worn = InjectFault(FAULTS["flash-worn"](weak=0.0))
    for operation in (worn, TakeSnapshot(), ClearFaults()) if worn_at_first else (TakeSnapshot(), worn):
        ask(watched, operation)
    ask(watched, RestoreSnapshot())
    assert len(ask(watched, ListFaults())) == int(worn_at_first)
    watched.open()
    assert watched.reply(SetAmplitude(watched.transaction(), 0, 1_000)).status is Status.OK


# Plain values


def test_messages_become_plain_values() -> None:
    told = plain(TherapyStateChanged(State.IDLE, State.THERAPY, 0))  # type: ignore[arg-type] # a number of the wire
    assert told == {"previous": "IDLE", "state": "THERAPY", "cause": 0}
    assert plain(Alert.MAGNET_PRESENT | Alert.CHARGING) == ["MAGNET_PRESENT", "CHARGING"]
    assert plain((b"\x01\xff", Alert(0), 3)) == ["01ff", [], 3]
