"""Identity, status, capabilities, clock, resets, and the fate of transactions."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol.commands.link import (
    Abort,
    Alert,
    CapabilityPage,
    DeviceStatus,
    DeviceTime,
    EnterShelfMode,
    FactoryReset,
    GetCapabilities,
    GetLinkStatistics,
    GetStatus,
    GetTime,
    Identify,
    Identity,
    LinkStatistics,
    Ping,
    Pong,
    Reset,
    Revision,
    SelfTest,
    SetTime,
    TransactionOutcome,
    TransactionReport,
    TransactionStatus,
)
from ipg_protocol.commands.log import LogCode
from ipg_protocol.frame import PROTOCOL_MAJOR, PROTOCOL_MINOR
from ipg_protocol.refusal import Done

from ipg_emulator.firmware.configuration import factory_configuration
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import out_of_range

FIRMWARE_VERSION = "1.0.0"
CAPABILITY_ROWS_PER_PAGE = 15


@handles(Ping)
def ping(request: Ping, _: Context) -> Pong:
    return Pong(request.token)


@handles(Identify)
def identify(_: Identify, context: Context) -> Identity:
    device = context.device
    return Identity(
        protocol_major=PROTOCOL_MAJOR,
        protocol_minor=PROTOCOL_MINOR,
        boot_counter=device.memory.boot_counter,
        model=device.model.name,
        serial=device.serial,
        firmware_version=FIRMWARE_VERSION,
    )


_ALERTS: tuple[tuple[int, Callable[[Context], object]], ...] = (
    (Alert.SESSION_OPEN.value, lambda context: context.link.session),
    (Alert.FAULT_LATCHED.value, lambda context: context.device.memory.latched_faults),
    (Alert.COMPLIANCE_LIMITED.value, lambda context: context.device.delivery.therapy.limited_areas()),
    (Alert.CLOCK_NOT_SET.value, lambda context: context.device.memory.condition.clock_offset_us is None),
    (Alert.CYCLE_OFF.value, lambda context: context.device.delivery.therapy.cycle_off(context.now)),
    (Alert.CHARGE_DENSITY_HIGH.value, lambda context: context.device.is_charge_density_high),
    (Alert.MAGNET_PRESENT.value, lambda context: context.device.modes.magnet_present),
    (Alert.MRI_MODE.value, lambda context: context.device.memory.condition.mri_until is not None),
    (Alert.CHARGING.value, lambda context: context.device.supply.is_charging),
    (Alert.CLOSED_LOOP.value, lambda context: context.device.feedback is not None and context.device.feedback.is_closed),
)


@handles(GetStatus)
def get_status(_: GetStatus, context: Context) -> DeviceStatus:
    device, now = context.device, context.now
    return DeviceStatus(
        state=device.state,
        active_program=device.configuration.active_program,
        battery_tier=device.supply.tier,
        unacknowledged_events=len(context.link.events),
        alerts=Alert(sum([alert for alert, is_up in _ALERTS if is_up(context)])),
        revision=device.configuration.revision,
        boot_counter=device.memory.boot_counter,
        uptime_seconds=device.uptime_us(now) // 1_000_000,
    )


@handles(GetCapabilities)
def get_capabilities(request: GetCapabilities, context: Context) -> CapabilityPage:
    rows = context.device.capabilities
    return CapabilityPage(len(rows), rows[request.first : request.first + CAPABILITY_ROWS_PER_PAGE])


def _time(device: Device, now: int) -> DeviceTime:
    uptime = device.uptime_us(now)
    offset = device.memory.condition.clock_offset_us
    unix_us = uptime if offset is None else device.board.clock.read(now) + offset
    return DeviceTime(unix_us // 1000 % 2**64, uptime // 1000)


@handles(GetTime)
def get_time(_: GetTime, context: Context) -> DeviceTime:
    return _time(context.device, context.now)


@handles(SetTime)
def set_time(request: SetTime, context: Context) -> DeviceTime:
    device, now = context.device, context.now
    before = _time(device, now).unix_milliseconds
    device.memory.note(clock_set=(request.unix_milliseconds, device.board.clock.read(now)))
    device.log(LogCode.CLOCK_SET, (request.unix_milliseconds - before) // 1000, now)
    device.schedule.plan(now)
    return _time(device, now)


@handles(GetLinkStatistics)
def get_link_statistics(_: GetLinkStatistics, context: Context) -> LinkStatistics:
    return context.link.statistics()


@handles(Reset)
def reset(_: Reset, context: Context) -> Done:
    context.device.restart_requested = True
    return Done()


@handles(SelfTest)
def self_test(_: SelfTest, context: Context) -> None:
    context.device.self_test.begin(context.link.answer_awaited, context.now)


@handles(EnterShelfMode)
def enter_shelf_mode(_: EnterShelfMode, context: Context) -> Done:
    context.device.shelve(context.now)
    return Done()


@handles(FactoryReset)
def factory_reset(_: FactoryReset, context: Context) -> Revision:
    device = context.device
    device.shadow = None
    revision = device.memory.commit(factory_configuration(device.model, device.configuration.revision + 1))
    device.log(LogCode.FACTORY_RESET, revision, context.now)
    device.schedule.plan(context.now)
    return Revision(revision)


@handles(TransactionStatus)
def transaction_status(request: TransactionStatus, context: Context) -> TransactionReport:
    session = context.link.session
    assert session is not None, "the gate lets nobody here without a session"
    journal = context.device.memory.journal(session.host_id)
    committed = journal.kept.get(request.transaction)
    if committed is not None:
        return TransactionReport(TransactionOutcome.COMMITTED, committed.opcode, committed.answer)
    is_forgotten = 0 < request.transaction <= journal.forgotten
    return TransactionReport(TransactionOutcome.FORGOTTEN if is_forgotten else TransactionOutcome.NOT_SEEN, 0, b"")


@handles(Abort)
def abort(request: Abort, context: Context) -> Done:
    if not 0 < request.target < context.request_id:
        raise out_of_range(request, "target", 1, context.request_id - 1, value=request.target)
    context.link.abort(request.target)
    return Done()
