"""Log, counters and events: what is kept of what has happened, and who is told."""

from __future__ import annotations

from typing import Any

from ipg_protocol.commands.link import ResetHappened
from ipg_protocol.commands.log import ClearFault, Counters, LogCode, LogExtent, LogInfo, LogPage, ReadCounters, ReadLog
from ipg_protocol.commands.therapy import AmplitudeChanged
from ipg_protocol.vocabulary import FaultCode
from ipg_protocol.wire import Message
from msgspec.structs import replace

from ipg_emulator.faults.defects.defect import Usual, answering, booting, going_by, inside, part, put, serving
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context
from ipg_emulator.firmware.events import EventQueue, Sending
from ipg_emulator.firmware.layout import EVENTS_KEPT
from ipg_emulator.firmware.memory import Memory
from ipg_emulator.model import DeviceModel


@answering(ReadLog)
def log_newest_first(page: LogPage, _: Context) -> LogPage:
    """READ_LOG tells the entries of a page from the newest to the oldest."""
    return replace(page, rows=page.rows[::-1])


@answering(ReadLog)
def log_cursor_one_short(page: LogPage, _: Context) -> LogPage:
    """The cursor that READ_LOG answers is the number of the last entry, and not the one after it."""
    return replace(page, next_cursor=page.next_cursor - 1) if len(page.rows) > 1 else page


@answering(ReadLog)
def log_cursor_begins_again(page: LogPage, _: Context) -> LogPage:
    """Behind the last entry the cursor that READ_LOG answers is 0."""
    return page if page.rows else replace(page, next_cursor=0)


@answering(LogInfo)
def newest_entry_untold(extent: LogExtent, _: Context) -> LogExtent:
    """LOG_INFO tells the newest entry but one as the newest."""
    return replace(extent, newest=extent.newest - 1)


@going_by
def log_wraps_early(model: DeviceModel) -> DeviceModel:
    """The log keeps 16 entries, however many it should."""
    return replace(model, log_entries=16)


@booting
def log_begins_anew(firmware: Firmware) -> None:
    """The log begins anew with each boot."""
    put(firmware.memory, _log=[])


@part("device", "log")
def stop_not_logged(usual: Usual[None], _: Device, code: LogCode, argument: int, now: int) -> None:
    """The end of therapy is not logged."""
    if code is not LogCode.THERAPY_STOPPED:
        usual(code, argument, now)


@part("device", "log")
def limits_not_logged(usual: Usual[None], _: Device, code: LogCode, argument: int, now: int) -> None:
    """A change of the limits is not logged."""
    if code is not LogCode.LIMITS_WRITTEN:
        usual(code, argument, now)


@part("device", "log")
def session_logged_without_role(usual: Usual[None], _: Device, code: LogCode, argument: int, now: int) -> None:
    """The log does not tell the role of a session."""
    usual(code, 0 if code is LogCode.SESSION_OPENED else argument, now)


@part("device", "log")
def amplitude_logged_in_milliamps(usual: Usual[None], _: Device, code: LogCode, argument: int, now: int) -> None:
    """The log tells amplitudes in whole milliamperes."""
    usual(code, argument // 1000 if code is LogCode.AMPLITUDE_SET else argument, now)


@part("memory", "count")
def starts_counted_in_one_bit(usual: Usual[None], memory: Memory, counter: str, by: int = 1) -> None:
    """The counter of therapy starts wraps early."""
    usual(counter, by)
    memory.counters = replace(memory.counters, therapy_starts=memory.counters.therapy_starts % 2)


@part("memory", "count")
def refusals_not_counted(usual: Usual[None], _: Memory, counter: str, by: int = 1) -> None:
    """READ_COUNTERS does not count refused requests."""
    if counter != "requests_refused":
        usual(counter, by)


@booting
def counters_begin_anew(firmware: Firmware) -> None:
    """All counters begin anew with each boot."""
    firmware.memory.counters = Counters(*[0] * len(Counters.__struct_fields__))


@answering(ReadCounters)
def sessions_counted_as_boots(counters: Counters, _: Context) -> Counters:
    """READ_COUNTERS tells boots and sessions in each other's place."""
    return replace(counters, boots=counters.sessions, sessions=counters.boots)


# Events


@booting
def events_lost_in_reset(firmware: Firmware) -> None:
    """Events that were not acknowledged do not outlive a reset."""
    firmware.memory.acknowledged_event = firmware.memory.last_event
    firmware.memory.events = {}


@booting
def events_numbered_by_boot(firmware: Firmware) -> None:
    """Events are numbered from 1 in each boot."""
    firmware.memory.acknowledged_event = 0
    firmware.memory.events = {}


@part("link.events", "acknowledge")
def acknowledgement_unheard(_: Usual[None], __: EventQueue, ___: int) -> None:
    """EVENT_ACK has no effect."""


@part("link.events", "acknowledge")
def acknowledges_one_event_only(usual: Usual[None], queue: EventQueue, number: int) -> None:
    """EVENT_ACK acknowledges the event of its number, if it is the oldest, and not all up to it."""
    oldest = min(inside(queue, "_memory").events, default=number)
    if number >= oldest:
        usual(oldest)


@part("link.events", "take_due")
def event_sent_once(usual: Usual[list[bytes]], queue: EventQueue, now: int) -> list[bytes]:
    """An event that is not acknowledged is not sent again."""
    frames = usual(now)
    for sending in inside(queue, "_sending").values():
        sending.left = min(sending.left, 0) if sending.at > now else sending.left
    return frames


@part("link.events", "take_due")
def event_sent_without_end(usual: Usual[list[bytes]], queue: EventQueue, now: int) -> list[bytes]:
    """An event that is not acknowledged is sent again each second without end."""
    frames = usual(now)
    for sending in inside(queue, "_sending").values():
        sending.left = max(sending.left, 1)
    return frames


@part("link.events", "take_due")
def events_newest_first(usual: Usual[list[bytes]], _: EventQueue, now: int) -> list[bytes]:
    """Events that wait are sent from the newest to the oldest."""
    frames = usual(now)
    return frames[::-1]


@part("link.events", "revive")
def events_not_sent_afresh(_: Usual[None], queue: EventQueue, now: int) -> None:
    """OPEN_SESSION does not send the events again that an earlier session has not acknowledged."""
    put(queue, _sending={number: Sending(now, 0) for number in inside(queue, "_memory").events})


@part("memory", "add_event")
def event_queue_too_short(usual: Usual[None], memory: Any, number: int, frame: bytes) -> None:
    """8 events are kept until they are acknowledged, and not 32."""
    usual(number, frame)
    for old in list(memory.events)[:-8]:
        del memory.events[old]


@part("device", "notify")
def amplitude_change_untold(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """No event tells that an amplitude was changed."""
    if not isinstance(event, AmplitudeChanged):
        usual(event, now)


@part("device", "notify")
def reset_untold(usual: Usual[None], _: Device, event: Message, now: int) -> None:
    """No event tells of a reset."""
    if not isinstance(event, ResetHappened):
        usual(event, now)


@part("memory", "add_event")
def full_queue_drops_the_newest(usual: Usual[None], memory: Memory, number: int, frame: bytes) -> None:
    """An event that finds the queue full is dropped, and not the oldest there."""
    if len(memory.events) < EVENTS_KEPT:
        usual(number, frame)


@part("memory", "log")
def log_in_seconds(usual: Usual[None], _: Memory, code: LogCode, argument: int, *, uptime_us: int) -> None:
    """Entries of the log bear the uptime in seconds."""
    usual(code, argument, uptime_us=uptime_us // 1000)


@part("memory", "raise_fault")
def faults_counted_once(usual: Usual[None], memory: Memory, fault: FaultCode, **told: Any) -> None:
    """READ_FAULTS tells each fault as raised once, however often it was."""
    usual(fault, **told)
    memory.faults = {**memory.faults, fault: replace(memory.faults[fault], times=1)}


@part("device", "log")
def fault_logged_as_contact(usual: Usual[None], device: Device, code: LogCode, argument: int, now: int) -> None:
    """FAULT_RAISED is logged with the contact, and not with the fault."""
    is_fault = code is LogCode.FAULT_RAISED
    usual(code, device.memory.faults[FaultCode(argument)].contact if is_fault else argument, now)


@serving(ClearFault)
def any_clearing_clears_all(usual: Usual[Message], request: ClearFault, context: Context) -> Message:
    """CLEAR_FAULT clears every fault that can be cleared, whichever it names."""
    device = context.device
    for fault in device.memory.latched_faults:
        usual(replace(request, fault=fault), context)
    return usual(request, context)
