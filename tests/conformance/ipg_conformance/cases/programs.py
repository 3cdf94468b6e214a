"""REQ-PRG: stored programs: listing, reading, the shadow copy, commit, select, erase."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Capability, DeviceStatus, GetStatus
from ipg_protocol.commands.modes import EnterMriMode
from ipg_protocol.commands.programs import (
    NO_PROGRAM,
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ListPrograms,
    ProgramSelected,
    ReadProgram,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.checkpoints import RUNNING
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.expect import NotApplicable, expect, expect_ok, expect_refusal, expect_that
from ipg_conformance.safety import broken_rules, overlap
from ipg_conformance.states import bring_to, find_leads_sound
from ipg_conformance.together import ask_together

WHOLE_PROGRAM = 0xFF


def slots(device: Device) -> int:
    return device.capabilities.limit(Capability.PROGRAM_SLOTS)


def empty_slot(device: Device) -> int:
    """Erase the case's own slot and return it."""
    device.ask(EraseProgram(NEXT, device.program))
    return device.program


@case("PRG/LIST/BV-01", "REQ-PRG-001")
def list_covers_every_slot(device: Device) -> None:
    """LIST_PROGRAMS goes over all slots in order, with the same total from whichever slot it begins."""
    empty_slot(device)
    rows = device.programs()
    expect("the slots", [row.program for row in rows], list(range(slots(device))))
    expect("the areas of the erased slot", rows[device.program].area_count, 0)
    for first in range(slots(device) + 2):
        page = device.ask(ListPrograms(first))
        expect(
            f"total and rows from {first} on", (page.total, list(page.rows)), (len(rows), rows[first : first + len(page.rows)])
        )
        expect_that("a page within the table has rows", bool(page.rows) == (first < len(rows)), page)


@case("PRG/READ/BV-01", "REQ-PRG-002", "REQ-PRG-003")
def program_reads_as_written(device: Device) -> None:
    """READ_PROGRAM returns every area as it was committed, with count, the revision of that time, and the name in the list."""
    most = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    slowest = device.capabilities.range(Capability.RATE_MILLIHERTZ).minimum
    areas = [device.typical(area=area, rate_millihertz=slowest) for area in range(most)]
    while overlap(areas, device.capabilities):
        areas.pop()
    most = len(areas)
    revision = device.write_program(*areas, select=False)
    device.ask(SelectProgram(NEXT, device.program))  # which raises the revision of the configuration, and not of the program
    for area, settings in enumerate(areas):
        stored = device.ask(ReadProgram(device.program, area))
        expect(f"area {area}", (stored.settings, stored.area_count, stored.revision), (settings, most, revision))
    listed = device.programs()[device.program]
    expect("the list's row", (listed.area_count, listed.name, listed.revision), (most, "conformance", revision))


@case("PRG/READ/BI-01", "REQ-PRG-002", "REQ-CMD-007")
def program_that_is_not_there(device: Device) -> None:
    """READ_PROGRAM beyond the slots is refused with their range, of an empty slot with the nearest that is not."""
    count = slots(device)
    for number in (count, 0xFF):
        reply = device.request(ReadProgram(number, 0))
        expect_refusal(f"slot {number}", reply, Status.OUT_OF_RANGE, field=0, minimum=0, maximum=count - 1)
    if count == 1:
        return
    reply = device.request(ReadProgram(empty_slot(device), 0))
    nearest = getattr(expect_refusal("an empty slot", reply, Status.OUT_OF_RANGE, field=0), "nearest", None)
    filled = [row.program for row in device.programs() if row.area_count]
    expect_that("the nearest slot is one with a program", nearest in filled, nearest)


@case("PRG/READ/BI-02", "REQ-PRG-002", "REQ-CMD-007")
def area_that_is_not_there(device: Device) -> None:
    """READ_PROGRAM of an area beyond the program's is refused with the range of those there are."""
    device.write_program(device.typical(), select=False)
    for area in (1, 0xFF):
        reply = device.request(ReadProgram(device.program, area))
        detail = {"field": 1, "minimum": 0, "maximum": 0, "nearest": 0}
        expect_refusal(f"area {area}", reply, Status.OUT_OF_RANGE, **detail)


@case("PRG/BEGIN/LT-01", "REQ-CMD-007", "REQ-PRG-003")
def begin_at_the_boundaries(device: Device) -> None:
    """BEGIN_PROGRAM_WRITE takes every slot and area count there is, and refuses those beside them."""
    count, most = slots(device), device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    for program, areas in ((0, 1), (count - 1, most)):
        device.ask(BeginProgramWrite(program, areas, "conformance"))
    for areas in (0, most + 1, 0xFF):
        reply = device.request(BeginProgramWrite(0, areas, "conformance"))
        expect_refusal(f"{areas} areas", reply, Status.OUT_OF_RANGE, field=1, minimum=1, maximum=most)
    for program in (count, 0xFF):
        reply = device.request(BeginProgramWrite(program, 1, "conformance"))
        expect_refusal(f"slot {program}", reply, Status.OUT_OF_RANGE, field=0, minimum=0, maximum=count - 1)


@case("PRG/SHADOW/BV-01", "REQ-PRG-003")
def nothing_changes_before_commit(device: Device) -> None:
    """BEGIN_PROGRAM_WRITE and WRITE_PROGRAM_BLOCK leave the stored program as it is; COMMIT_PROGRAM swaps it."""
    device.write_program(device.typical())
    before = device.snapshot()
    device.ask(BeginProgramWrite(device.program, 1, "other"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    expect("programs, limits, therapy and revision", device.snapshot(), before)
    device.ask(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect("the stored area", device.ask(ReadProgram(device.program, 0)).settings, device.smallest())


@case("PRG/SHADOW/BO-01", "REQ-PRG-003")
def write_without_begin(device: Device) -> None:
    """WRITE_PROGRAM_BLOCK and COMMIT_PROGRAM of a program that no BEGIN named are refused CONFLICT with the revision."""
    device.write_program(device.typical(), select=False)
    before = device.snapshot()
    revision = device.status().revision
    reply = device.request(WriteProgramBlock(device.program, device.typical()))
    expect_refusal("WRITE without BEGIN", reply, Status.CONFLICT, revision=revision)
    device.ask(BeginProgramWrite(device.other_program, 1, "other"))
    reply = device.request(WriteProgramBlock(device.program, device.typical()))
    expect_refusal("WRITE to another program", reply, Status.CONFLICT, revision=revision)
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.typical())))
    expect_refusal("COMMIT of another program", reply, Status.CONFLICT, revision=revision)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/SHADOW/BO-02", "REQ-PRG-003", "REQ-PRG-004")
def second_begin_drops_the_first(device: Device) -> None:
    """A second BEGIN_PROGRAM_WRITE drops the blocks of the first."""
    device.ask(BeginProgramWrite(device.program, 1, "first"))
    device.ask(WriteProgramBlock(device.program, device.typical()))
    device.ask(BeginProgramWrite(device.program, 1, "second"))
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.typical())))
    expect_refusal("COMMIT", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.BLOCKS_MISSING, value=0, limit=1)


@case("PRG/COMMIT/BI-01", "REQ-PRG-004")
def commit_with_a_block_missing(device: Device) -> None:
    """COMMIT_PROGRAM with a block missing is refused with how many there are and how many are needed."""
    if device.capabilities.limit(Capability.AREAS_PER_PROGRAM) < 2:
        raise NotApplicable("a program of this device has one area")
    before = device.snapshot()
    device.ask(BeginProgramWrite(device.program, 2, "conformance"))
    second = device.typical(area=1)
    device.ask(WriteProgramBlock(device.program, second))
    reply = device.request(CommitProgram(NEXT, device.program, checksum(second)))
    detail = {"rule": SafetyRule.BLOCKS_MISSING, "area": WHOLE_PROGRAM, "value": 1, "limit": 2}
    expect_refusal("COMMIT", reply, Status.UNSAFE_COMBINATION, **detail)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/COMMIT/BI-02", "REQ-PRG-004")
def commit_with_a_wrong_checksum(device: Device) -> None:
    """COMMIT_PROGRAM with a wrong checksum is refused with both; with the right one, the shadow is still there."""
    area = device.typical()
    right = checksum(area)
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    device.ask(WriteProgramBlock(device.program, area))
    for wrong in (right ^ 1, right ^ 0x8000_0000, 0):
        reply = device.request(CommitProgram(NEXT, device.program, wrong))
        detail = {"rule": SafetyRule.BLOCKS_CHECKSUM, "value": right, "limit": wrong}
        expect_refusal(f"checksum {wrong:#010x}", reply, Status.UNSAFE_COMBINATION, **detail)
    device.ask(CommitProgram(NEXT, device.program, right))


@case("PRG/COMMIT/BI-03", "REQ-PRG-007")
def commit_beyond_the_sum_of_rates(device: Device) -> None:
    """Areas whose rates add up to more than the limit are refused at COMMIT_PROGRAM; just as many as it allows are taken."""
    limit = device.capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ)
    count = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    rate = device.capabilities.range(Capability.RATE_MILLIHERTZ).above(limit // count)
    if not limit or rate is None:
        raise NotApplicable("all areas at the highest rate stay within the sum of rates")
    areas = [device.smallest(area=area, rate_millihertz=rate) for area in range(count)]
    if overlap(areas, device.capabilities) or broken_rules(areas[0], device.capabilities):
        raise NotApplicable("areas at such a rate overlap, or are not safe by themselves")
    device.ask(BeginProgramWrite(device.program, count, "conformance"))
    for area in areas:
        device.ask(WriteProgramBlock(device.program, area))
    reply = device.request(CommitProgram(NEXT, device.program, checksum(*areas)))
    detail = {"rule": SafetyRule.SUM_OF_RATES_MILLIHERTZ, "area": WHOLE_PROGRAM, "value": count * rate, "limit": limit}
    expect_refusal(f"{count} areas at {rate} mHz", reply, Status.UNSAFE_COMBINATION, **detail)
    if count > 1 and (count - 1) * rate <= limit:
        device.write_program(*areas[:-1], select=False)


@case("PRG/SELECT/BV-01", "REQ-PRG-009")
def select_makes_active(device: Device) -> None:
    """SELECT_PROGRAM makes a program the active one, in the status and in the list."""
    device.write_program(device.typical(), program=device.other_program, select=False)
    device.write_program(device.typical(), select=False)
    for number in (device.other_program, device.program):
        answer = device.ask(SelectProgram(NEXT, number))
        expect("the answer", (answer.program, answer.state), (number, State.IDLE))
        expect("the status", device.status().active_program, number)
        expect("the list", device.ask(ListPrograms(0)).active_program, number)


@case("PRG/SELECT/BI-01", "REQ-PRG-009", "REQ-CMD-006", "REQ-CMD-007")
def select_of_nothing(device: Device) -> None:
    """SELECT_PROGRAM of an empty slot, or of none, is refused OUT_OF_RANGE on field 1."""
    empty = empty_slot(device)
    before = device.snapshot()
    for number in (empty, slots(device), NO_PROGRAM):
        expect_refusal(f"slot {number}", device.request(SelectProgram(NEXT, number)), Status.OUT_OF_RANGE, field=1)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/SELECT/BV-02", "REQ-PRG-009", "REQ-STA-001", profile=Profile.FULL)
def select_while_therapy_runs(device: Device) -> None:
    """SELECT_PROGRAM in THERAPY ramps down, switches, and ramps up to THERAPY again."""
    device.write_program(device.typical(), program=device.other_program, select=False)
    device.run_therapy()
    selected, status = ask_together(device, SelectProgram(NEXT, device.other_program), GetStatus())
    expect_ok(selected, ProgramSelected, "SELECT_PROGRAM is accepted")
    ramp_seconds = device.typical().ramp_seconds
    if ramp_seconds or device.capabilities.limit(Capability.STOP_RAMP_MS):
        expect("the state", expect_ok(status, DeviceStatus).state, State.RAMPING)
    device.wait_for_state(lambda state: state is State.THERAPY, ramp_seconds + 4)
    expect("the active program", device.status().active_program, device.other_program)


@case("PRG/ACTIVE/BO-01", "REQ-PRG-010", "REQ-CMD-006", each=RUNNING)
def running_program_cannot_be_replaced(device: Device, state: State) -> None:
    """COMMIT_PROGRAM and ERASE_PROGRAM of the program that therapy runs with are refused WRONG_STATE."""
    bring_to(device, state)
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    before = device.snapshot()
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect_refusal("COMMIT", reply, Status.WRONG_STATE, state=state)
    expect_refusal("ERASE", device.request(EraseProgram(NEXT, device.program)), Status.WRONG_STATE, state=state)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/ACTIVE/BO-02", "REQ-PRG-010", "REQ-CMD-006", profile=Profile.FULL)
def suspended_program_cannot_be_replaced(device: Device) -> None:
    """COMMIT_PROGRAM and ERASE_PROGRAM of the program that will run on after MRI mode are refused WRONG_STATE."""
    find_leads_sound(device)
    device.run_therapy()
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    device.ask(EnterMriMode(NEXT, minutes=1))
    before = device.snapshot()
    reply = device.request(CommitProgram(NEXT, device.program, checksum(device.smallest())))
    expect_refusal("COMMIT", reply, Status.WRONG_STATE, state=State.SUSPENDED)
    reply = device.request(EraseProgram(NEXT, device.program))
    expect_refusal("ERASE", reply, Status.WRONG_STATE, state=State.SUSPENDED)
    expect("programs, limits, therapy and revision", device.snapshot(), before)


@case("PRG/ACTIVE/BV-01", "REQ-PRG-010")
def other_program_can_be_replaced(device: Device) -> None:
    """While therapy runs, another program can be written and erased."""
    device.run_therapy()
    device.write_program(device.smallest(), program=device.other_program, select=False)
    device.ask(EraseProgram(NEXT, device.other_program))
    expect("the state", device.status().state, State.THERAPY)


@case("PRG/ERASE/BV-01", "REQ-PRG-010", "REQ-THR-003")
def erased_selection_is_none(device: Device) -> None:
    """ERASE_PROGRAM of the selected program leaves none selected, and nothing to start."""
    device.write_program(device.typical())
    empty_slot(device)
    expect("the active program", device.status().active_program, NO_PROGRAM)
    reply = device.request(StartTherapy(NEXT))
    expect_refusal("START", reply, Status.UNSAFE_COMBINATION, rule=SafetyRule.BLOCKS_MISSING)


@case("PRG/ERASE/BI-01", "REQ-CMD-007")
def erase_beyond_the_slots(device: Device) -> None:
    """ERASE_PROGRAM of a slot that is not there is refused with the range of those there are."""
    count = slots(device)
    for number in (count, 0xFF):
        reply = device.request(EraseProgram(NEXT, number))
        expect_refusal(f"slot {number}", reply, Status.OUT_OF_RANGE, field=1, minimum=0, maximum=count - 1)
