"""Conversations, held by the blocking client with a scripted device."""

from __future__ import annotations

import hashlib
import random

import pytest
from ipg_host import Client, procedures
from ipg_host.client import this_host
from ipg_host.conversation import pause
from ipg_host.errors import Conflict, LinkLost, MeasurementInterrupted, OutOfRange, SessionLost
from ipg_host.programs import Program
from ipg_protocol import Reply, ResponseFlag, Role, State, Status, crc32c, encode
from ipg_protocol.commands.link import (
    Alert,
    Capability,
    CapabilityPage,
    CapabilityRow,
    DeviceStatus,
    GetCapabilities,
    GetStatus,
    Revision,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogCode, LogEntry, LogExtent, LogInfo, LogPage, ReadLog
from ipg_protocol.commands.measurement import (
    Impedance,
    ImpedancePage,
    ImpedanceVerdict,
    MeasureImpedance,
    MeasurementStarted,
    ReadImpedance,
)
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.programs import (
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    ContactShare,
    ListPrograms,
    ProgramArea,
    ProgramPage,
    ProgramSummary,
    ReadProgram,
    Waveform,
    WriteProgramBlock,
)
from ipg_protocol.commands.session import OpenSession, Session
from ipg_protocol.commands.therapy import Amplitude, Limits, ReadLimits, SetAmplitude, StepAmplitude, WriteLimits
from ipg_protocol.refusal import BootDetail, Done, RangeDetail, RevisionDetail
from ipg_protocol.vocabulary import BatteryTier


def status_in(state: State, revision: int = 9) -> DeviceStatus:
    return DeviceStatus(state, 0, BatteryTier.OK, 0, Alert(0), revision, 1, 5)


def area(number: int) -> AreaSettings:
    shares = (ContactShare(0, -1000), ContactShare(1, 1000))
    return AreaSettings(number, Waveform.TONIC_ACTIVE_RECHARGE, 2, 300, 5000, 50_000, 1, 0, 0, 0, 0, 0, 8000, shares)


def refused(status: Status, detail) -> Reply:
    return Reply(status, ResponseFlag(0), detail)


@pytest.fixture
def client(scripted) -> Client:
    scripted.script[OpenSession] = lambda request: Session(request.role, 1, 30_000, 0, 0)
    return Client(scripted, host_id=1, rng=random.Random(1))


def test_a_session_is_opened_in_the_role_asked_for(client):
    assert client.open_session(Role.CLINICIAN).role is Role.CLINICIAN
    assert client.session is not None


def test_capabilities_are_read_to_the_last_page(client, scripted):
    rows = (
        CapabilityRow(Capability.CONTACT, 0, 1, 2, 1270),
        CapabilityRow(Capability.CONTACT, 255, 0, 0, 100),
        CapabilityRow(Capability.RATE_MILLIHERTZ, 0, 2000, 200_000, 1000),
        CapabilityRow(Capability.RATE_MILLIHERTZ, 1, 210_000, 1_200_000, 10_000),
        CapabilityRow(Capability.STOP_RAMP_MS, 0, 0, 1000, 1),
    )
    scripted.script[GetCapabilities] = lambda request: CapabilityPage(len(rows), rows[request.first : request.first + 2])
    able = client.run(procedures.capabilities())
    assert able.contacts[0].area_square_millimetres == 12.7
    assert [segment.maximum for segment in able.rate_millihertz] == [200_000, 1_200_000]
    assert (able.has_case, able.stop_ramp_ms, len(scripted.requests)) == (True, 1000, 3)


def test_a_program_is_read_whole(client, scripted):
    scripted.script[ReadProgram] = lambda request: ProgramArea(request.program, 2, 4, area(request.area))
    scripted.script[ListPrograms] = lambda request: ProgramPage(8, 0, (ProgramSummary(request.first, 2, 4, "Walking"),))
    assert client.run(procedures.read_program(3)) == Program("Walking", (area(0), area(1)))


def test_a_program_is_written_block_by_block_and_committed_with_its_checksum(client, scripted):
    scripted.script |= {
        BeginProgramWrite: lambda _: Done(),
        WriteProgramBlock: lambda _: Done(),
        CommitProgram: lambda _: Revision(5),
    }
    written = Program("Walking", (area(0), area(1)))
    assert client.run(procedures.write_program(3, written)).revision == 5
    checksum = crc32c(encode(area(0)) + encode(area(1)))
    assert scripted.requests == [
        BeginProgramWrite(3, 2, "Walking"),
        WriteProgramBlock(3, area(0)),
        WriteProgramBlock(3, area(1)),
        CommitProgram(1, 3, checksum),
    ]


def test_a_step_carries_the_revision_that_was_read(client, scripted):
    scripted.script[GetStatus] = lambda _: status_in(State.THERAPY, revision=9)
    scripted.script[StepAmplitude] = lambda request: Amplitude(request.area, 5100, 10)
    client.run(procedures.step_amplitude(0, +1))
    assert scripted.requests[-1] == StepAmplitude(1, 0, 1, 9)


def test_a_step_from_an_old_revision_is_a_conflict(client, scripted):
    scripted.script[GetStatus] = lambda _: status_in(State.THERAPY)
    scripted.script[StepAmplitude] = lambda _: refused(Status.CONFLICT, RevisionDetail(12))
    with pytest.raises(Conflict, match="stands at revision 12") as caught:
        client.run(procedures.step_amplitude(0, +1))
    assert caught.value.detail.revision == 12


def test_a_range_refusal_says_what_would_be_taken(client, scripted):
    scripted.script[SetAmplitude] = lambda _: refused(Status.OUT_OF_RANGE, RangeDetail(2, 0, 8000, 100, 8000))
    with pytest.raises(OutOfRange) as caught:
        client.run(procedures.set_amplitude(0, 9900))
    assert str(caught.value) == (
        "SET_AMPLITUDE refused (OUT_OF_RANGE): amplitude 9.9 mA; "
        "allowed are 0 mA to 8 mA in steps of 0.1 mA, the nearest is 8 mA"
    )


def test_a_refusal_inside_a_conversation_ends_it(client, scripted):
    scripted.script[ReadLimits] = lambda _: refused(Status.NO_SESSION, BootDetail(2))
    with pytest.raises(SessionLost):
        client.run(procedures.write_limits(rate_millihertz=1))
    assert len(scripted.requests) == 1


def test_limits_left_out_stay_as_they_are(client, scripted):
    scripted.script[ReadLimits] = lambda _: Limits(25_500, 1000, 1_200_000, 6100, 3)
    scripted.script[WriteLimits] = lambda request: Limits(request.amplitude_microamps, 1000, 1_200_000, 6100, 4)
    client.run(procedures.write_limits(amplitude_microamps=0))
    assert scripted.requests[-1] == WriteLimits(1, 0, 1000, 1_200_000, 6100)


def test_waiting_for_a_ramp_takes_the_devices_time(client, scripted):
    scripted.script[GetStatus] = lambda _: status_in(State.RAMPING if scripted.monotonic() < 3 else State.THERAPY)
    assert client.run(procedures.ramp_finished()).state is State.THERAPY
    assert 3 <= scripted.monotonic() < 3.5


def test_a_pause_lasts_as_long_as_it_says(client, scripted):
    client.run(pause(1250))
    assert scripted.monotonic() == pytest.approx(1.25)


def measuring(scripted, state: State, available: int) -> None:
    rows = tuple(Impedance(contact, 255, ImpedanceVerdict.OK, 500) for contact in range(available))
    scripted.script |= {
        MeasureImpedance: lambda _: MeasurementStarted(1, 3, 300),
        GetStatus: lambda _: status_in(state),
        ReadImpedance: lambda request: ImpedancePage(1, 3, available, rows[request.first : request.first + 1]),
    }


def test_impedance_is_read_until_all_pairs_are_there(client, scripted):
    measuring(scripted, State.MEASURING, available=3)
    steps: list[tuple[int, int]] = []
    pairs = client.run(procedures.measure_impedance(progress=lambda *step: steps.append(step)))
    assert [pair.cathode for pair in pairs] == [0, 1, 2]
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_measurement_that_was_stopped_is_told(client, scripted):
    measuring(scripted, State.IDLE, available=2)
    with pytest.raises(MeasurementInterrupted, match="after 2 of 3 pairs"):
        client.run(procedures.measure_impedance())


def test_the_last_entries_of_the_log_are_read_by_cursor(client, scripted):
    entries = tuple(LogEntry(number, 1, number * 1000, LogCode.BOOT, 0) for number in range(5, 31))

    def page(request: ReadLog) -> LogPage:
        rows = tuple(entry for entry in entries if entry.number >= request.cursor)[:3]
        return LogPage(rows[-1].number + 1 if rows else request.cursor, rows)

    scripted.script |= {ReadLog: page, LogInfo: lambda _: LogExtent(5, 30, 512, 4)}
    assert [entry.number for entry in client.run(procedures.read_log(4))] == [27, 28, 29, 30]
    assert len(client.run(procedures.read_log())) == 26


def test_the_log_has_no_negative_number_of_entries(client):
    with pytest.raises(ValueError, match="0 or more, got -5"):
        client.run(procedures.read_log(-5))


def test_the_outcome_of_a_change_can_be_asked_for(client, scripted):
    report = TransactionReport(TransactionOutcome.NOT_SEEN, 0, b"")
    scripted.script[TransactionStatus] = lambda _: report
    assert client.run(procedures.transaction_status(42)) == report
    assert scripted.requests == [TransactionStatus(42)]


def test_a_client_used_after_it_was_closed_says_so(client, scripted):
    client.close()
    with pytest.raises(LinkLost, match="the port was closed"):
        client.run(procedures.battery())
    assert client.lost
    assert scripted.frames == []


def test_a_conversation_that_is_interrupted_is_ended_and_its_request_not_sent_again(client, scripted):
    ended: list[str] = []

    def conversation():
        try:
            yield from procedures.battery()
        finally:
            ended.append("conversation")

    def interrupt(_):
        raise KeyboardInterrupt

    scripted.script[GetBattery] = interrupt
    held = conversation()
    with pytest.raises(KeyboardInterrupt):
        client.run(held)
    assert ended == ["conversation"]
    client.run(pause(10_000))
    assert scripted.requests == [GetBattery()]


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 4711"), OSError("No username set")])
def test_a_user_without_a_name_is_known_by_number(monkeypatch, error):
    def nameless() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 4711)
    monkeypatch.setattr("platform.node", lambda: "container")
    expected = hashlib.blake2b(b"4711@container", digest_size=8).digest()
    assert this_host() == int.from_bytes(expected)
