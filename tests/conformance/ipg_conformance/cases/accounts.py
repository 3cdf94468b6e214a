"""What the device tells of itself agrees with what was done to it: counts, clocks, names, log entries and reports."""

from __future__ import annotations

import msgspec
from ipg_protocol import State, Status
from ipg_protocol.commands.link import (
    Alert,
    Capability,
    FactoryReset,
    GetLinkStatistics,
    GetTime,
    SetTime,
    TransactionOutcome,
    TransactionStatus,
)
from ipg_protocol.commands.log import Latch, LogCode, LogInfo, ReadCounters, ReadFaults
from ipg_protocol.commands.measurement import ALL_CONTACTS, ImpedanceVerdict, MeasureImpedance, ReadImpedance
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import RecordEcap
from ipg_protocol.commands.therapy import ReadTherapy, SetAmplitude, StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import SafetyRule
from ipg_protocol.vocabulary import FaultCode

from ipg_conformance.case import Need, Profile, case
from ipg_conformance.cases.adjusting import SETTINGS
from ipg_conformance.cases.checkpoints import configuration
from ipg_conformance.cases.feedback import follow
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.safe_limits import steps_over
from ipg_conformance.cases.sensing import evoking_area
from ipg_conformance.device import HOST_ID, NEXT, Device, checksum
from ipg_conformance.elapsed import timed
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.leads import measure_all
from ipg_conformance.samples import UNIX_MILLISECONDS
from ipg_conformance.states import bring_to

FULL_NAME = "ABCDEFGHIJKLMNOP"
REFUSED_OPCODE = 0x7E7E
SESSIONS = 3
FIRST_HOST_ID = HOST_ID + 0x300
HOSTS_KEPT = 8
LOGGED = 100
HALF_WAY_ATTEMPTS = 5
CLOCK_SECONDS = 1.2
TOLERANCE_SECONDS = 0.3


@case("FRM/COUNT/BV-01", "REQ-FRM-010", "REQ-CMD-001", profile=Profile.FULL)
def requests_are_counted_by_outcome(device: Device) -> None:
    """A refused request counts as refused, one that is served as executed, and neither as the other."""
    before = device.ask(GetLinkStatistics())
    for _ in range(3):
        device.tester.request_bytes(REFUSED_OPCODE, b"")
    after = device.ask(GetLinkStatistics())
    expect("refused", after.requests_refused - before.requests_refused, 3)
    expect_that("at most two were executed", after.requests_executed - before.requests_executed <= 2, after)
    again = device.ask(GetLinkStatistics())
    expect("refused when one more was served", again.requests_refused, after.requests_refused)
    expect("executed when one more was served", again.requests_executed, after.requests_executed + 1)


@case("TIM/UPTIME/BV-01", "REQ-TIM-001", profile=Profile.FULL)
def uptimes_agree(device: Device) -> None:
    """GET_STATUS tells in seconds the uptime that GET_TIME tells in milliseconds, of a device that has been up for a second."""
    device.tester.listen(CLOCK_SECONDS)
    first = device.ask(GetTime()).uptime_milliseconds
    seconds = device.status().uptime_seconds
    last = device.ask(GetTime()).uptime_milliseconds
    expect_that(f"the uptime is from {first} to {last} ms", first // 1000 <= seconds <= last // 1000 + 1, seconds)


@case("TIM/SET/BV-03", "REQ-TIM-001", "REQ-RST-007", profile=Profile.FULL)
def clock_outlasts_a_reset(device: Device) -> None:
    """The clock goes on by the second, over a RESET too, which does not bring CLOCK_NOT_SET back."""
    started = timed(device, SetTime(NEXT, UNIX_MILLISECONDS))
    for resets in (False, True):
        if resets:
            device.restart()
        device.tester.listen(CLOCK_SECONDS)
        now = timed(device, GetTime())
        told = (now.answer.unix_milliseconds - UNIX_MILLISECONDS) / 1000
        now.since(started).expect("what has passed by the clock", told, TOLERANCE_SECONDS)
    expect("the alert CLOCK_NOT_SET", bool(device.status().alerts & Alert.CLOCK_NOT_SET), False)


@case("LOG/COUNTERS/BV-02", "REQ-LOG-002", "REQ-SES-001")
def each_counter_counts_its_own(device: Device) -> None:
    """Sessions count as sessions and refusals as refusals; neither counts as a boot, a start or a change."""
    before = device.ask(ReadCounters())
    for _ in range(SESSIONS):
        device.open_session()
    for area in (200, 201):
        expect_refusal("SET_AMPLITUDE", device.request(SetAmplitude(NEXT, area, 0)), Status.OUT_OF_RANGE)
    expected = msgspec.structs.replace(
        before, sessions=before.sessions + SESSIONS, requests_refused=before.requests_refused + 2
    )
    expect("the counters", device.ask(ReadCounters()), expected)


@case("LOG/COUNTERS/BV-03", "REQ-LOG-002", "REQ-RST-007")
def starts_are_counted_one_by_one(device: Device) -> None:
    """Three starts count as three, and a START_THERAPY while therapy runs counts as none."""
    device.write_program(device.typical())
    before = device.ask(ReadCounters()).therapy_starts
    for started in range(1, 4):
        device.ask(StartTherapy(NEXT))
        device.ask(StartTherapy(NEXT))
        device.ask(StopTherapy(StopMode.IMMEDIATE))
        expect(f"the starts counted after {started}", device.ask(ReadCounters()).therapy_starts, before + started)


@case("LOG/KEPT/LT-01", "REQ-LOG-001", "REQ-CAP-002")
def log_keeps_what_it_says(device: Device) -> None:
    """LOG_INFO tells the capacity of the capabilities, and of the last entries so many, or the first 100, are kept."""
    capacity = device.capabilities.limit(Capability.LOG_ENTRIES)
    for _ in range(LOGGED):
        device.ask(SetTime(NEXT, UNIX_MILLISECONDS))
    extent = device.ask(LogInfo())
    expect("the capacity", extent.capacity, capacity)
    kept = [entry.number for entry in entries_from(device, extent.oldest)]
    least = min(capacity, LOGGED)
    expect("the last numbers", kept[-least:], list(range(extent.newest - least + 1, extent.newest + 1)))


@case("LOG/ENTRY/BV-03", "REQ-LOG-002")
def settings_are_logged_in_full(device: Device) -> None:
    """Amplitude, pulse width and rate are logged to the unit, at values that no other unit would tell alike."""
    area = device.typical()
    device.write_program(area)
    for code, setting in zip((LogCode.AMPLITUDE_SET, LogCode.PULSE_WIDTH_SET, LogCode.RATE_SET), SETTINGS, strict=True):
        newest = device.ask(LogInfo()).newest
        lower = device.capabilities.range(setting.capability).below(getattr(area, setting.field) - 1)
        if device.request(setting.request(NEXT, 0, lower)).status is Status.OK:
            found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is code]
            expect(f"the entries {code.name}", found, [lower])


@case("PRG/LIST/BV-02", "REQ-PRG-001", "REQ-PRG-002")
def names_are_told_in_full(device: Device) -> None:
    """A name of 16 letters, of as many bytes of other letters, and none at all, are listed as they were written."""
    area = device.smallest()
    for name in (FULL_NAME, "äöü€", ""):
        device.ask(BeginProgramWrite(device.program, 1, name))
        device.ask(WriteProgramBlock(device.program, area))
        device.ask(CommitProgram(NEXT, device.program, checksum(area)))
        expect("the name", device.programs()[device.program].name, name)


@case("PRG/SAFETY/LT-03", "REQ-PRG-008", "REQ-PRG-007")
def charge_of_the_patient_maximum(device: Device) -> None:
    """Charge is reckoned with the patient's maximum where that is the larger: within the limit taken, beyond it refused."""
    longest = device.capabilities.range(Capability.PULSE_WIDTH_US).maximum
    rule = SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS
    within, beyond = steps_over(device, rule, pulse_width_us=longest)
    lowest = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).minimum
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    for area, status in ((within, Status.OK), (beyond, Status.UNSAFE_COMBINATION)):
        most = area.amplitude_microamps
        patient = msgspec.structs.replace(area, amplitude_microamps=lowest, patient_maximum_microamps=most)
        reply = device.request(WriteProgramBlock(device.program, patient))
        expect(f"a patient maximum of {most} uA for {longest} us", reply.status, status)
        if status is not Status.OK:
            expect("the rule", getattr(reply.body, "rule", None), rule)


@case("PRG/RESTORE/BV-04", "REQ-PRG-012")
def checkpoint_is_restored_again(device: Device) -> None:
    """What is kept under a number can be put back time after time."""
    device.write_program(device.typical())
    device.ask(SaveCheckpoint(NEXT, 0))
    kept = configuration(device)
    for _ in range(3):
        device.write_program(device.smallest())
        device.ask(RestoreCheckpoint(NEXT, 0))
        expect("the configuration", configuration(device), kept)


@case("RST/FACTORY/BV-02", "REQ-RST-004")
def factory_reset_restores_the_selection(device: Device) -> None:
    """FACTORY_RESET selects the same program whichever was selected before."""
    found: list[int] = []
    for program in (device.other_program, device.program):
        device.write_program(device.smallest(), program=program, select=False)
        device.ask(SelectProgram(NEXT, program))
        device.ask(FactoryReset(NEXT))
        found.append(device.status().active_program)
    expect("the selection after each FACTORY_RESET", len(set(found)), 1)


@case("IMP/ALL/BV-03", "REQ-IMP-001")
def results_are_told_one_by_one(device: Device) -> None:
    """While a measurement of all contacts is under way, some of its rows are told before the others."""
    device.need(MeasureImpedance)
    if len(device.capabilities.contacts) < 4:
        raise NotApplicable("the device has fewer than four contacts")
    for _ in range(HALF_WAY_ATTEMPTS):
        started = device.ask(MeasureImpedance(ALL_CONTACTS, device.return_contact))
        device.tester.listen(started.duration_ms / 2000)
        page = device.ask(ReadImpedance(0))
        if device.status().state is State.MEASURING:
            break
    else:
        raise NotApplicable("the measurement is over before it can be asked about")
    expect_that("half way some rows are there, and some are not", 0 < page.measured < page.planned, page)
    expect("the rows on the first page", len(page.rows) > 0, True)


@case("ECP/RECORD/BV-03", "REQ-ECP-001")
def ecap_while_ramping(device: Device) -> None:
    """During a ramp RECORD_ECAP tells the amplitude that the pulse had, which lies between those delivered before and after."""
    device.need(RecordEcap)
    bring_to(device, State.RAMPING)
    device.tester.listen(0.1)
    for _ in range(3):
        before = device.ask(ReadTherapy(0)).delivered_microamps
        told = device.ask(RecordEcap(0)).amplitude_microamps
        after = device.ask(ReadTherapy(0)).delivered_microamps
        expect_that(f"the amplitude lies from {before} to {after} uA", before <= told <= after, told)
        device.tester.listen(0.05)


@case("ECP/LOOP/LT-02", "REQ-ECP-003", profile=Profile.FULL)
def loop_keeps_below_its_maximum(device: Device) -> None:
    """A target that cannot be reached drives the amplitude to the feedback's maximum, below the patient's, and no further."""
    area, _ = evoking_area(device)
    allowed = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS)
    lower, most = allowed.below(area.amplitude_microamps // 2), allowed.below(area.amplitude_microamps * 3 // 4)
    device.ask(SetAmplitude(NEXT, 0, lower))
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + 1)
    follow(
        device,
        target_microvolts=device.capabilities.limit(Capability.FEEDBACK_TARGET_MICROVOLTS),
        gain_permille=device.capabilities.limit(Capability.FEEDBACK_GAIN_PERMILLE),
        maximum_microamps=most,
        rate_limit_microamps_per_second=area.amplitude_microamps,
    )
    amplitudes: list[int] = []
    for _ in range(20):
        device.tester.listen(0.15)
        amplitudes.append(device.ask(ReadTherapy(0)).delivered_microamps)
    expect_that(f"no amplitude is above {most} uA", max(amplitudes) <= most, amplitudes)
    expect_that("the amplitude rises", amplitudes[-1] > lower, amplitudes)


@case("IMP/VERDICT/BV-02", "REQ-IMP-002", profile=Profile.FULL)
def verdicts_agree_with_thresholds(device: Device) -> None:
    """Of every contact the verdict is OPEN exactly above the one threshold, and SHORT exactly below the other."""
    device.need(MeasureImpedance)
    limits = device.capabilities.limit(Capability.SHORT_BELOW_OHMS), device.capabilities.limit(Capability.OPEN_ABOVE_OHMS)
    for row in measure_all(device):
        if row.verdict is not ImpedanceVerdict.COMPLIANCE:
            right = {(True, False): ImpedanceVerdict.SHORT, (False, True): ImpedanceVerdict.OPEN}
            found = right.get((row.ohms < limits[0], row.ohms > limits[1]), ImpedanceVerdict.OK)
            expect(f"the verdict of {row.ohms} ohms at contact {row.cathode}", row.verdict, found)


@case("FLT/LATCH/BV-02", "REQ-FLT-001", need=Need.SHORTED_CONTACT)
def cleared_fault_is_still_listed(device: Device) -> None:
    """A fault that was cleared stands in READ_FAULTS as CLEARED, with its contact and how often it was raised."""
    bring_to(device, State.FAULT)
    raised = {record.fault: record for record in device.ask(ReadFaults()).rows}[FaultCode.SHORT_CIRCUIT]
    device.settle()
    listed = {record.fault: record for record in device.ask(ReadFaults()).rows}
    expect("the record", listed.get(FaultCode.SHORT_CIRCUIT), msgspec.structs.replace(raised, latch=Latch.CLEARED))


@case("TXN/HOST/LT-01", "REQ-TXN-002")
def transactions_of_eight_hosts(device: Device) -> None:
    """A device keeps the transactions of at least the last 8 hosts, each with its own numbers."""
    committed: dict[int, int] = {}
    for host in range(FIRST_HOST_ID, FIRST_HOST_ID + HOSTS_KEPT):
        committed[host] = device.open_session(host_id=host).last_transaction + 1
        device.ask(SetTime(committed[host], UNIX_MILLISECONDS))
    for host, transaction in committed.items():
        expect(f"the last transaction of host {host:#x}", device.open_session(host_id=host).last_transaction, transaction)
        outcome = device.ask(TransactionStatus(transaction)).outcome
        expect(f"its outcome for host {host:#x}", outcome, TransactionOutcome.COMMITTED)
