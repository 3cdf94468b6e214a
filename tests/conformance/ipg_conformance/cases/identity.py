"""REQ-IDN, REQ-CAP, REQ-TIM, REQ-TST, REQ-RST: who the device is, what it can do, its clock, and its restarts."""

from __future__ import annotations

from ipg_protocol import CATALOGUE, Message, State, Status
from ipg_protocol.commands.link import (
    Capability,
    EnterShelfMode,
    FactoryReset,
    GetCapabilities,
    GetStatus,
    GetTime,
    Identify,
    Ping,
    Pong,
    Reset,
    ResetCause,
    ResetHappened,
    SelfTest,
    SelfTestItem,
    SetTime,
)
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.measurement import MeasureImpedance, ReadImpedance
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode
from ipg_protocol.commands.programs import SelectProgram, Waveform
from ipg_protocol.commands.sensing import (
    GetFeedbackStatus,
    ReadFeedback,
    RecordEcap,
    StartEcapStream,
    StopEcapStream,
    WriteFeedback,
)
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.commands.therapy import ReadLimits, ReadSchedule, WriteLimits, WriteSchedule

from ipg_conformance.case import case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.device import NEXT, Device
from ipg_conformance.elapsed import Seconds, timed
from ipg_conformance.expect import expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.safety import IN_BURSTS
from ipg_conformance.samples import UNIX_MILLISECONDS
from ipg_conformance.states import bring_to
from ipg_conformance.wording import shown

CLOCK_TOLERANCE_SECONDS = 0.15
SENSING = (RecordEcap, ReadFeedback, WriteFeedback, GetFeedbackStatus, StartEcapStream, StopEcapStream)
RANGES = (
    Capability.AMPLITUDE_MICROAMPS,
    Capability.PULSE_WIDTH_US,
    Capability.RATE_MILLIHERTZ,
    Capability.RAMP_SECONDS,
    Capability.CYCLE_ON_SECONDS,
    Capability.CYCLE_OFF_SECONDS,
    Capability.BURST_PULSES,
    Capability.INTRA_BURST_MILLIHERTZ,
    Capability.DOSE_SECONDS,
)
SINGLE = tuple(sorted(set(Capability) - {Capability.CONTACT, Capability.WAVEFORM, Capability.COMMAND, *RANGES}))
PING_STATES = [
    (state.name, state) for state in (State.SUSPENDED, State.IDLE, State.RAMPING, State.MEASURING, State.SHELF, State.BOOT)
]
TOGETHER: tuple[tuple[Capability | None, tuple[type[Message], ...]], ...] = (
    (Capability.SCHEDULE_ROWS, (ReadSchedule, WriteSchedule)),
    (Capability.MRI_MINUTES, (EnterMriMode, LeaveMriMode)),
    (Capability.FEEDBACK_TARGET_MICROVOLTS, SENSING),
    (Capability.FEEDBACK_GAIN_PERMILLE, SENSING),
    (None, (MeasureImpedance, ReadImpedance)),
)
"""Commands that a device has all or none of, and the figure that is above zero exactly then."""


@case("IDN/PING/BV-01", "REQ-IDN-001", each=PING_STATES, slow=("SUSPENDED",))
def ping_in_state(device: Device, state: State) -> None:
    """PING echoes any token, in any state."""
    bring_to(device, state)
    for token in (0, 1, 0x8000_0000, 0xFFFF_FFFF):
        expect("the token", device.ask(Ping(token)), Pong(token))


@case("IDN/PING/BV-02", "REQ-IDN-001")
def ping_without_session(device: Device) -> None:
    """PING needs no session."""
    device.ask(CloseSession())
    expect("the token", device.ask(Ping(7)), Pong(7))


@case("IDN/IDENTIFY/BV-01", "REQ-IDN-002")
def identity_is_complete(device: Device) -> None:
    """IDENTIFY reports protocol 1.0, a model, a serial and a firmware version, and the boot counter of GET_STATUS."""
    identity = device.ask(Identify())
    expect("the protocol version", (identity.protocol_major, identity.protocol_minor), (1, 0))
    expect_that("model, serial and firmware version are not empty", all(identity_texts(identity)), identity)
    expect("the boot counter", identity.boot_counter, device.status().boot_counter)
    expect("the same identity when asked again", device.ask(Identify()), identity)


def identity_texts(identity: object) -> list[str]:
    return [getattr(identity, name) for name in ("model", "serial", "firmware_version")]


@case("CAP/PAGES/BV-01", "REQ-CAP-001")
def capability_pages_agree(device: Device) -> None:
    """From every row on, a page goes on with the same rows and the same total."""
    rows = tuple(device.read_capabilities())
    for first in range(len(rows)):
        page = device.ask(GetCapabilities(first))
        expect(f"total and rows from {first} on", (page.total, page.rows), (len(rows), rows[first : first + len(page.rows)]))
        expect_that("a page within the table has rows", bool(page.rows), page)


@case("CAP/PAGES/LT-01", "REQ-CAP-001")
def capability_page_beyond_the_end(device: Device) -> None:
    """A page that begins at or beyond the end has the total and no rows."""
    total = len(device.read_capabilities())
    for first in (total, total + 1, 0xFFFF):
        page = device.ask(GetCapabilities(first))
        expect(f"total and rows from {first} on", (page.total, page.rows), (total, ()))


@case("CAP/COMPLETE/BV-01", "REQ-CAP-002")
def capabilities_are_complete(device: Device) -> None:
    """The rows name contacts, waveforms, every command that no model may lack, each range, and each single figure once."""
    capabilities = device.capabilities
    always = {opcode for opcode, command in CATALOGUE.items() if not command.optional}
    expect("commands that no row names", sorted(always - capabilities.commands), [])
    expect("commands that do not exist", sorted(capabilities.commands - CATALOGUE.keys()), [])
    expect_that("there are at least two contacts", len(capabilities.contacts) >= 2, capabilities.contacts)
    expect_that("there is a waveform", bool(capabilities.waveforms), capabilities.waveforms)
    for capability in SINGLE:
        expect(f"rows of {capability.name}", len(capabilities.of(capability)), 1)
    for capability in RANGES:
        expect_that(f"{capability.name} has a row", bool(capabilities.of(capability)), [])


@case("CAP/COMPLETE/BV-04", "REQ-CAP-002", "REQ-CMD-010")
def commands_agree_with_figures(device: Device) -> None:
    """The commands of a feature are all named or none, and its figure is above zero exactly when they are."""
    for capability, requests in TOGETHER:
        named = {device.capabilities.supports(request) for request in requests}
        expect(f"how many of {shown(requests)} are named: all or none", len(named), 1)
        if capability is not None:
            expect(f"{capability.name} is above zero", device.capabilities.limit(capability) > 0, True in named)


@case("CAP/WAVEFORM/BV-01", "REQ-CAP-002", "REQ-WAV-005")
def waveforms_agree_with_figures(device: Device) -> None:
    """Each waveform has one row; only MAGNETIC_BIPHASIC is in permille; without waveforms in bursts there are no bursts."""
    capabilities = device.capabilities
    expect("waveforms named twice", len(capabilities.waveforms), len(set(capabilities.waveforms)))
    magnetic = Waveform.MAGNETIC_BIPHASIC in capabilities.waveforms
    expect("AMPLITUDE_UNIT", capabilities.limit(Capability.AMPLITUDE_UNIT), int(magnetic))
    if not IN_BURSTS & set(capabilities.waveforms):
        expect("the most pulses in a burst", capabilities.range(Capability.BURST_PULSES).maximum, 1)


@case("CAP/COMPLETE/BV-02", "REQ-CAP-002", each=[(capability.name, capability) for capability in RANGES])
def ranges_are_grids(device: Device, capability: Capability) -> None:
    """Each segment of a range has whole steps from minimum to maximum, and the next one begins above it."""
    below = -1
    for row in device.capabilities.of(capability):
        expect_that("segments do not overlap", row.minimum > below, row)
        expect_that("step is above zero", row.step > 0, row)
        expect_that("minimum and maximum lie on the grid", (row.maximum - row.minimum) % max(row.step, 1) == 0, row)
        expect_that("minimum is not above maximum", row.minimum <= row.maximum, row)
        below = row.maximum


@case("CAP/COMPLETE/BV-03", "REQ-CAP-002", outputs=True, destructive=True)
def command_rows_are_true(device: Device) -> None:
    """A command that no row names is refused UNKNOWN_COMMAND; one that is named is not."""
    for opcode in sorted(device.capabilities.commands):
        reply = device.tester.request_bytes(opcode, bytes(241))
        expect_that(f"{opcode:#06x} is known", reply.status is not Status.UNKNOWN_COMMAND, reply.status.name)


@case("TIM/SET/BV-01", "REQ-TIM-001")
def clock_is_set_and_runs(device: Device) -> None:
    """SET_TIME sets the clock, GET_TIME goes on from there, and the uptime takes no notice."""
    before = timed(device, GetTime())
    at_once = timed(device, SetTime(NEXT, UNIX_MILLISECONDS))
    device.tester.listen(0.1)
    later = timed(device, GetTime())
    expect_ahead("the clock when set", at_once.answer.unix_milliseconds, Seconds(0, 0))
    expect_ahead("the clock later", later.answer.unix_milliseconds, later.since(at_once))
    passed_ms = later.answer.uptime_milliseconds - before.answer.uptime_milliseconds
    later.since(before).expect("what has passed by the uptime", passed_ms / 1000, CLOCK_TOLERANCE_SECONDS)


def expect_ahead(what: str, unix_milliseconds: int, passed: Seconds, since: int = UNIX_MILLISECONDS) -> None:
    """Fail unless a clock has gone on by so much since it was set."""
    passed.expect(f"{what}, from what it was set to,", (unix_milliseconds - since) / 1000, CLOCK_TOLERANCE_SECONDS)


@case("TIM/SET/BV-02", "REQ-TIM-001")
def clock_is_set_back(device: Device) -> None:
    """The clock can be set back; the uptime does not go back with it."""
    device.ask(SetTime(NEXT, UNIX_MILLISECONDS))
    before = device.ask(GetTime()).uptime_milliseconds
    back = timed(device, SetTime(NEXT, 1))
    now = timed(device, GetTime())
    expect_ahead("the clock", now.answer.unix_milliseconds, now.since(back), since=1)
    expect_that("the uptime does not go back", now.answer.uptime_milliseconds >= before, now.answer)


@case("TST/SELF/BV-01", "REQ-TST-001")
def self_test_reports_every_item(device: Device) -> None:
    """SELF_TEST reports every item as passed or as failed, and none as both."""
    report = device.ask(SelfTest())
    expect("items in either", report.passed | report.failed, SelfTestItem(sum(SelfTestItem)))
    expect("items in both", report.passed & report.failed, SelfTestItem(0))


@case("RST/RESET/BV-01", "REQ-RST-001")
def reset_ends_the_session(device: Device) -> None:
    """RESET is answered; after it the device is in IDLE, the boot counter is one higher, and the session is gone."""
    before = device.status()
    device.ask(Reset(NEXT))
    state = device.wait_for_boot()
    expect("the state after the boot", state, State.IDLE)
    expect("the boot counter", device.status().boot_counter, before.boot_counter + 1)
    reply = device.tester.request(ReadLimits())
    expect_refusal("a session command", reply, Status.NO_SESSION, boot_counter=before.boot_counter + 1)


@case("RST/RESET/BV-02", "REQ-RST-001")
def reset_keeps_the_configuration(device: Device) -> None:
    """RESET keeps programs, limits, selection and revision."""
    device.write_program(device.typical())
    before = device.snapshot()[1:]
    revision = device.status().revision
    device.restart()
    expect("programs and limits", device.snapshot()[1:], before)
    expect("selection and revision", (device.status().active_program, device.status().revision), (device.program, revision))


@case("RST/RESET/BV-03", "REQ-RST-001", "REQ-RST-008", "REQ-EVT-001")
def reset_is_an_event(device: Device) -> None:
    """The boot that RESET brings is told as the event RESET_HAPPENED, once, and logged with its cause."""
    newest = device.ask(LogInfo()).newest
    session = device.restart()
    happened = device.tester.wait_for_event(ResetHappened)
    expect("the event", happened, ResetHappened(ResetCause.COMMAND, session.boot_counter))
    expect("how often", len(device.tester.events_of(ResetHappened)), 1)
    found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.BOOT]
    expect("the entries BOOT", found, [ResetCause.COMMAND])


@case("RST/SHELF/BV-01", "REQ-RST-003")
def shelf_mode_until_reset(device: Device) -> None:
    """ENTER_SHELF_MODE leads to SHELF, the session stays, and RESET leads out."""
    device.ask(EnterShelfMode(NEXT))
    expect("the state", device.status().state, State.SHELF)
    reply = device.request(SelectProgram(NEXT, device.program))
    expect_refusal("SELECT_PROGRAM on the shelf", reply, Status.WRONG_STATE, state=State.SHELF)
    device.restart()
    expect("the state after RESET", device.status().state, State.IDLE)


@case("RST/FACTORY/BV-01", "REQ-RST-004")
def factory_reset_restores(device: Device) -> None:
    """FACTORY_RESET brings back the same programs, limits and selection each time, whatever was changed."""
    device.ask(FactoryReset(NEXT))
    defaults = _configuration(device)
    device.write_program(device.smallest())
    limits = device.ask(ReadLimits())
    lower = max(limits.charge_per_phase_nanocoulombs - 1, 0)
    ranges = (limits.amplitude_microamps, limits.pulse_width_us, limits.rate_millihertz)
    expect_ok(device.request(WriteLimits(NEXT, *ranges, charge_per_phase_nanocoulombs=lower)), type(limits))
    device.ask(FactoryReset(NEXT))
    expect("programs, limits and selection", _configuration(device), defaults)


def _configuration(device: Device) -> tuple[object, ...]:
    """What FACTORY_RESET restores, without the revisions that stand in it."""
    limits = device.ask(ReadLimits())
    slots = [(slot.program, slot.area_count, slot.name) for slot in device.programs()]
    figures = (limits.amplitude_microamps, limits.pulse_width_us, limits.rate_millihertz, limits.charge_per_phase_nanocoulombs)
    return (slots, device.stored_areas(), figures, device.ask(GetStatus()).active_program)
