"""Identity, capabilities, clock and self-test: what the device says of itself."""

from __future__ import annotations

from ipg_protocol.command import Reply
from ipg_protocol.commands.link import (
    Alert,
    CapabilityPage,
    DeviceStatus,
    DeviceTime,
    GetCapabilities,
    GetStatus,
    GetTime,
    Identify,
    Identity,
    Ping,
    Pong,
    SelfTest,
    SelfTestItem,
    SelfTestReport,
    SetTime,
)
from ipg_protocol.refusal import BusyDetail
from ipg_protocol.vocabulary import State, Status
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, going_by, inside, part, refusing, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.timers import Timer
from ipg_emulator.model import DeviceModel

FIRST_ITEM = SelfTestItem.PROGRAM_STORAGE


@answering(Ping)
def token_of_16_bits(pong: Pong, _: Context) -> Pong:
    """PING echoes the lower 16 bits of its token."""
    return Pong(pong.token & 0xFFFF)


@answering(Identify)
def identity_of_the_boot_before(identity: Identity, _: Context) -> Identity:
    """IDENTIFY tells the boot counter as it was before it was counted up."""
    return replace(identity, boot_counter=identity.boot_counter - 1)


@answering(Identify)
def protocol_minor_ahead(identity: Identity, _: Context) -> Identity:
    """IDENTIFY tells a minor version of the protocol that is not there yet."""
    return replace(identity, protocol_minor=identity.protocol_minor + 1)


@booting
def last_capability_missing(firmware: Firmware) -> None:
    """The table of capabilities ends one row too early."""
    vars(firmware.device)["capabilities"] = firmware.device.capabilities[:-1]


@answering(GetCapabilities)
def capabilities_end_with_the_page(page: CapabilityPage, _: Context) -> CapabilityPage:
    """GET_CAPABILITIES tells the number of rows on the page as the number of all."""
    return replace(page, total=len(page.rows))


@serving(GetCapabilities)
def capability_pages_overlap(usual: Usual[Message], request: GetCapabilities, context: Context) -> Message:
    """Every page of capabilities but the first begins with the last row of the one before."""
    return usual(replace(request, first=max(request.first - 1, 0)), context)


@serving(GetCapabilities)
def capabilities_begin_again(usual: Usual[Message], request: GetCapabilities, context: Context) -> Message:
    """Beyond the last row, GET_CAPABILITIES begins again from the first."""
    first = request.first if request.first < len(context.device.capabilities) else 0
    return usual(replace(request, first=first), context)


@going_by
def fewer_slots_than_told(model: DeviceModel) -> DeviceModel:
    """The device has one program slot fewer than its capabilities say."""
    return replace(model, program_slots=max(model.program_slots - 1, len(model.programs)))


@answering(GetStatus)
def uptime_in_milliseconds(status: DeviceStatus, _: Context) -> DeviceStatus:
    """GET_STATUS tells its uptime in milliseconds."""
    return replace(status, uptime_seconds=status.uptime_seconds * 1000 % 2**32)


@answering(GetStatus)
def session_alert_missing(status: DeviceStatus, _: Context) -> DeviceStatus:
    """GET_STATUS does not show that a session is open."""
    return replace(status, alerts=status.alerts & ~Alert.SESSION_OPEN)


# Clock


@answering(GetTime)
def time_goes_back(time: DeviceTime, _: Context) -> DeviceTime:
    """The clock's upper half is read before the lower: for half of each second GET_TIME is a second behind."""
    behind = 1000 if time.unix_milliseconds % 1000 < 500 else 0
    return replace(time, unix_milliseconds=max(time.unix_milliseconds - behind, 0))


@answering(GetTime, SetTime)
def uptime_follows_the_clock(time: DeviceTime, _: Context) -> DeviceTime:
    """To set the clock sets the uptime too."""
    return replace(time, uptime_milliseconds=time.unix_milliseconds)


@booting
def clock_lost_in_reset(firmware: Firmware) -> None:
    """A RESET stops the clock."""
    firmware.memory.note(clock_set=None)


@answering(GetTime)
def clock_stands(time: DeviceTime, context: Context) -> DeviceTime:
    """Once set, the clock tells the time at which it was set."""
    if context.device.memory.condition.clock_set is None:
        return time
    return replace(time, unix_milliseconds=context.device.memory.condition.clock_set[0])


# Self-test


@part("link", "answer_awaited")
def self_test_skips_an_item(usual: Usual[None], _: object, report: SelfTestReport | None) -> None:
    """SELF_TEST does not say whether the first item has passed."""
    passed = report and replace(report, passed=report.passed & ~FIRST_ITEM, failed=report.failed & ~FIRST_ITEM)
    usual(passed)


@serving(SelfTest)
def second_self_test_takes_over(usual: Usual[Message | None], request: SelfTest, context: Context) -> Message | None:
    """A SELF_TEST while one is under way begins it anew, and is not refused."""
    inside(context.device.self_test, "_timers").cancel(Timer.SELF_TEST)
    return usual(request, context)


@refusing(Status.BUSY)
def busy_without_time_left(reply: Reply, _: Message | None) -> Reply:
    """BUSY tells 0 as the time left."""
    return replace(reply, body=BusyDetail(0))


@serving(Ping)
def no_ping_while_ramping(usual: Usual[Message], request: Ping, context: Context) -> Message:
    """PING's token is lost while the amplitude ramps."""
    answer = usual(request, context)
    return Pong(0) if context.device.state is State.RAMPING else answer
