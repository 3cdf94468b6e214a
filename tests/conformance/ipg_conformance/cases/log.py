"""REQ-LOG: reading the log by cursor, and what stands in it."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol import Role
from ipg_protocol.commands.link import EnterShelfMode, FactoryReset, GetTime, SetTime
from ipg_protocol.commands.log import LogCode, LogEntry, LogInfo, ReadCounters, ReadLog
from ipg_protocol.commands.measurement import MeasureImpedance
from ipg_protocol.commands.programs import EraseProgram, RestoreCheckpoint, SaveCheckpoint
from ipg_protocol.commands.therapy import SetAmplitude, SetPulseWidth, SetRate, StopMode, StopTherapy

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.adjusting import limits_of
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import expect, expect_that
from ipg_conformance.leads import measure

UPTIME_TOLERANCE_MS = 50
UP_SECONDS = 0.15


def entries_from(device: Device, cursor: int) -> list[LogEntry]:
    """All entries numbered `cursor` and above."""
    entries: list[LogEntry] = []
    while True:
        page = device.ask(ReadLog(cursor))
        entries += page.rows
        expect("the cursor behind a page", page.next_cursor, page.rows[-1].number + 1 if page.rows else cursor)
        if not page.rows:
            return entries
        cursor = page.next_cursor


@case("LOG/CURSOR/BV-01", "REQ-LOG-001")
def log_pages_through(device: Device) -> None:
    """From 0 on, the pages hold every entry that LOG_INFO says is kept, numbers rising by one."""
    extent = device.ask(LogInfo())
    numbers = [entry.number for entry in entries_from(device, 0) if entry.number <= extent.newest]
    expect("the numbers", numbers, list(range(extent.oldest, extent.newest + 1)))
    expect_that("no more are kept than fit", len(numbers) <= extent.capacity, extent)
    expect("how many are kept no more", extent.dropped, extent.oldest - 1)


@case("LOG/CURSOR/LT-01", "REQ-LOG-001")
def log_cursor_at_the_ends(device: Device) -> None:
    """The newest entry can be asked for alone; beyond it there is nothing, and the cursor stays."""
    newest = device.ask(LogInfo()).newest
    page = device.ask(ReadLog(newest))
    expect("the newest alone", ([entry.number for entry in page.rows], page.next_cursor), ([newest], newest + 1))
    for beyond in (newest + 1, 0xFFFF_FFFF):
        page = device.ask(ReadLog(beyond))
        expect(f"from {beyond} on", (page.rows, page.next_cursor), ((), beyond))


Doing = Callable[[Device], int]


def _therapy(device: Device) -> int:
    device.begin_therapy()
    return device.program


def _stop(device: Device) -> int:
    device.begin_therapy()
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    return 0


def _session(device: Device) -> int:
    return device.open_session(Role.CLINICIAN).role


def _session_closed(device: Device) -> int:
    device.open_session(Role.CLINICIAN)
    device.open_session(Role.SERVICE)
    return Role.CLINICIAN


def _written(device: Device) -> int:
    device.write_program(device.typical())
    return device.program


def _erased(device: Device) -> int:
    device.ask(EraseProgram(NEXT, device.program))
    return device.program


def _amplitude(device: Device) -> int:
    device.write_program(device.typical())
    return device.ask(SetAmplitude(NEXT, 0, device.smallest().amplitude_microamps)).amplitude_microamps


def _pulse_width(device: Device) -> int:
    device.write_program(device.typical())
    return device.ask(SetPulseWidth(NEXT, 0, device.smallest().pulse_width_us)).pulse_width_us


def _rate(device: Device) -> int:
    device.write_program(device.typical())
    return device.ask(SetRate(NEXT, 0, device.smallest().rate_millihertz)).rate_millihertz


def _limits(device: Device) -> int:
    return device.ask(limits_of(device)).revision


def _measured(device: Device) -> int:
    measure(device, device.sound_contacts[0], device.return_contact)
    return 1


def _shelf(device: Device) -> int:
    device.ask(EnterShelfMode(NEXT))
    return 0


def _factory(device: Device) -> int:
    return device.ask(FactoryReset(NEXT)).revision


def _clock(device: Device) -> int:
    device.ask(SetTime(NEXT, 2**63 // 1000))
    return 2**31 - 1


def _checkpoint_saved(device: Device) -> int:
    device.ask(SaveCheckpoint(NEXT, checkpoint=0))
    return 0


def _checkpoint_restored(device: Device) -> int:
    device.ask(SaveCheckpoint(NEXT, checkpoint=0))
    device.ask(RestoreCheckpoint(NEXT, checkpoint=0))
    return 0


def _boot(device: Device) -> int:
    device.restart()
    return 1


DOINGS: dict[LogCode, Doing] = {
    LogCode.BOOT: _boot,
    LogCode.SESSION_OPENED: _session,
    LogCode.SESSION_CLOSED: _session_closed,
    LogCode.THERAPY_STARTED: _therapy,
    LogCode.THERAPY_STOPPED: _stop,
    LogCode.PROGRAM_SELECTED: _written,
    LogCode.PROGRAM_WRITTEN: _written,
    LogCode.PROGRAM_ERASED: _erased,
    LogCode.AMPLITUDE_SET: _amplitude,
    LogCode.PULSE_WIDTH_SET: _pulse_width,
    LogCode.RATE_SET: _rate,
    LogCode.LIMITS_WRITTEN: _limits,
    LogCode.IMPEDANCE_MEASURED: _measured,
    LogCode.SHELF_ENTERED: _shelf,
    LogCode.FACTORY_RESET: _factory,
    LogCode.CLOCK_SET: _clock,
    LogCode.CHECKPOINT_SAVED: _checkpoint_saved,
    LogCode.CHECKPOINT_RESTORED: _checkpoint_restored,
}
"""What to do that must be logged under a code; each returns the argument that the entry must hold."""


@case("LOG/ENTRY/BV-01", "REQ-LOG-002", each=[(code.name, code) for code in DOINGS])
def occurrence_is_logged(device: Device, code: LogCode) -> None:
    """What happens is logged under its code, with its argument."""
    newest = device.ask(LogInfo()).newest
    argument = DOINGS[code](device)
    found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is code]
    expect_that(f"an entry {code.name} with argument {argument}", argument in found, found)


@case("LOG/ENTRY/BV-02", "REQ-LOG-001", "REQ-LOG-002", profile=Profile.FULL)
def entries_bear_boot_and_uptime(device: Device) -> None:
    """Entries bear the boot counter and the uptime that GET_TIME tells; within a boot it does not go back."""
    newest = device.ask(LogInfo()).newest
    session = device.restart()
    device.tester.listen(UP_SECONDS)
    began = device.tester.clock()
    device.write_program(device.typical())
    uptime_ms = device.ask(GetTime()).uptime_milliseconds
    passed_ms = 1000 * (device.tester.clock() - began) + UPTIME_TOLERANCE_MS
    entries = [entry for entry in entries_from(device, newest + 1) if entry.boot_counter == session.boot_counter]
    uptimes = [entry.uptime_ms for entry in entries]
    expect_that("the new boot has entries", len(uptimes) >= 3, entries)
    expect("the uptimes, sorted", uptimes, sorted(uptimes))
    since_ms = uptime_ms - uptimes[-1]
    expect_that(f"the last of them was 0 to {passed_ms:.0f} ms before", 0 <= since_ms <= passed_ms, since_ms)


@case("LOG/COUNTERS/BV-01", "REQ-LOG-002", "REQ-RST-007")
def counters_count(device: Device) -> None:
    """Sessions, starts, measurements, changes and boots are counted one by one, and the counts go on over a RESET."""
    before = device.ask(ReadCounters())
    device.begin_therapy()
    device.ask(StopTherapy(StopMode.IMMEDIATE))
    measures = device.capabilities.supports(MeasureImpedance)
    if measures:
        measure(device, device.sound_contacts[0], device.return_contact)
    device.restart()
    after = device.ask(ReadCounters())
    rises = {"boots": 1, "sessions": 1, "therapy_starts": 1, "measurements": int(measures), "changes_committed": 4}
    for name, times in rises.items():
        expect(name, getattr(after, name), getattr(before, name) + times)
