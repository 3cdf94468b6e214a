"""REQ-PRG, WAV, SCH, MRI, LOG: what stands in the configuration, the log and the modes when a request was refused."""

from __future__ import annotations

from typing import Any

import msgspec
from ipg_protocol import Message, Request, State, Status
from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Mode, ModeChanged, ReadModes
from ipg_protocol.commands.programs import (
    BeginProgramWrite,
    CommitProgram,
    EraseProgram,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.sensing import ReadFeedback, StartEcapStream, WriteFeedback
from ipg_protocol.commands.therapy import ReadTherapy, ScheduleRow, SetAmplitude, StepAmplitude, WriteSchedule
from ipg_protocol.refusal import SafetyRule

from ipg_conformance.capabilities import Range
from ipg_conformance.case import Profile, case
from ipg_conformance.cases.adjusting import EACH_SETTING, Setting, limits_of, only_program, stored
from ipg_conformance.cases.checkpoints import checkpoints, configuration
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.modes import TIME_LEFT_TOLERANCE_SECONDS
from ipg_conformance.cases.parameters import PARAMETERS, Parameter, expect_block_refused, expect_in_range, probing_area
from ipg_conformance.cases.programs import slots
from ipg_conformance.cases.schedule import rows, set_clock_before, with_program
from ipg_conformance.cases.waveforms import densest
from ipg_conformance.device import NEXT, Device, checksum
from ipg_conformance.elapsed import timed
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.payloads import flat_fields
from ipg_conformance.safety import broken_rules, overlap
from ipg_conformance.samples import feedback, rows_of
from ipg_conformance.states import bring_to, find_leads_sound
from ipg_conformance.wording import shown

BITS = {"B": 8, "H": 16, "I": 32}
"""How wide an unsigned type of the wire is, by its struct code."""
MINUTES_IN_A_DAY = 1440
ABSENT = 200


def far_beyond(message: type[Message], name: str, allowed: Range) -> list[int]:
    """Values far outside a range that fit the field: what wraps round in a narrower type, or when it is scaled."""
    (field,) = (field for field in flat_fields(message) if field.name == name)
    largest = 2 ** BITS[field.code] - 1
    wrapping = {allowed.minimum + 2**bits for bits in (8, 16, 31)} | {largest // 10 + 1, largest // 1000 + 1, largest}
    return sorted(value for value in wrapping if allowed.maximum < value <= largest)


@case(
    "PRG/PARAMETER/BI-01",
    "REQ-PRG-008",
    "REQ-CMD-007",
    "REQ-WAV-001",
    "REQ-WAV-002",
    each=[(p.field.upper(), p) for p in PARAMETERS],
)
def parameter_far_beyond_its_range(device: Device, parameter: Parameter) -> None:
    """Values that would wrap round in a narrower type, or when they are scaled, are refused OUT_OF_RANGE all the same."""
    allowed = device.capabilities.range(parameter.capability)
    values = far_beyond(WriteProgramBlock, parameter.field, allowed)
    if not values:
        raise NotApplicable("the range fills its type")
    device.ask(BeginProgramWrite(device.program, 1, "conformance"))
    for value in values:
        request = WriteProgramBlock(device.program, probing_area(device, parameter, value))
        expect_in_range(request, parameter.field, value, allowed, device.request(request))


@case("THR/SET/BI-02", "REQ-THR-004", "REQ-THR-008", "REQ-THR-012", "REQ-CMD-007", each=EACH_SETTING)
def setting_far_beyond_its_range(device: Device, setting: Setting) -> None:
    """Values that would wrap round in a narrower type, or when they are scaled, are refused, and none of them is stored."""
    allowed = device.capabilities.range(setting.capability)
    device.write_program(device.smallest())
    before = stored(device)
    for value in far_beyond(type(setting.request(NEXT, 0, 0)), setting.field, allowed):
        request = device.numbered(setting.request(NEXT, 0, value))
        expect_in_range(request, setting.field, value, allowed, device.request(request))
    expect("the stored area", stored(device), before)


@case("THR/SET/BV-03", "REQ-THR-007", "REQ-THR-012", each=EACH_SETTING[:2])
def setting_of_each_area(device: Device, setting: Setting) -> None:
    """Each area of the active program is set by its number, the last one too, and the others stay."""
    count = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    areas = [device.typical(area=area) for area in range(count)]
    while overlap(areas, device.capabilities) or sum(area.rate_millihertz for area in areas) > sum_of_rates(device):
        areas.pop()
    device.write_program(*areas)
    lower = device.capabilities.range(setting.capability).below(getattr(areas[0], setting.field) - 1)
    for number in reversed(range(len(areas))):
        areas[number] = msgspec.structs.replace(areas[number], **{setting.field: lower})
        if broken_rules(areas[number], device.capabilities):
            raise NotApplicable(f"a {setting.field} of {lower} is not safe here")
        device.ask(setting.request(NEXT, number, lower))
        found = [device.ask(ReadProgram(device.program, area)).settings for area in range(len(areas))]
        expect(f"the areas after setting area {number}", found, areas)


def sum_of_rates(device: Device) -> int:
    return device.capabilities.limit(Capability.SUM_OF_RATES_MILLIHERTZ) or 2**31


@case("PRG/COMMIT/BV-01", "REQ-PRG-004", "REQ-PRG-003")
def blocks_in_any_order(device: Device) -> None:
    """Blocks written from the last to the first are committed with the checksum over area 0, 1, and on."""
    count = device.capabilities.limit(Capability.AREAS_PER_PROGRAM)
    areas = [device.smallest(area=area) for area in range(count)]
    while overlap(areas, device.capabilities):
        areas.pop()
    device.ask(BeginProgramWrite(device.program, len(areas), "conformance"))
    for area in reversed(areas):
        device.ask(WriteProgramBlock(device.program, area))
    device.ask(CommitProgram(NEXT, device.program, checksum(*areas)))
    found = [device.ask(ReadProgram(device.program, area)).settings for area in range(len(areas))]
    expect("the areas", found, areas)


@case("PRG/LIST/BO-01", "REQ-PRG-001", "REQ-PRG-003")
def list_shows_no_shadow_copy(device: Device) -> None:
    """LIST_PROGRAMS while a program is being written shows it as it was: its name, its areas and its revision."""
    device.write_program(device.typical(), select=False)
    device.ask(EraseProgram(NEXT, device.program))
    before = device.programs()
    device.ask(BeginProgramWrite(device.program, 1, "shadow"))
    expect("the slots after BEGIN", device.programs(), before)
    device.ask(WriteProgramBlock(device.program, device.smallest()))
    expect("the slots after WRITE", device.programs(), before)


@case("PRG/SAVE/BI-01", "REQ-PRG-011", "REQ-CMD-006")
def refused_saving_keeps_what_is_kept(device: Device) -> None:
    """SAVE_CHECKPOINT that is refused leaves what is kept under every number as it was."""
    device.write_program(device.typical())
    device.ask(SaveCheckpoint(NEXT, 0))
    kept = configuration(device)
    device.write_program(device.smallest())
    for wrong in (SaveCheckpoint(0, 0), SaveCheckpoint(NEXT, checkpoints(device)), SaveCheckpoint(NEXT, 255)):
        reply = device.tester.request(wrong) if wrong.transaction == 0 else device.request(wrong)
        expect_refusal(shown(wrong), reply, Status.OUT_OF_RANGE)
    device.ask(RestoreCheckpoint(NEXT, 0))
    expect("what was kept", configuration(device), kept)


@case("WAV/PERMILLE/BI-01", "REQ-WAV-005", "REQ-CMD-007")
def more_than_all_of_the_output(device: Device) -> None:
    """Where amplitudes are permille of maximum output, more than 1000 is refused OUT_OF_RANGE with at most 1000."""
    if not device.capabilities.limit(Capability.AMPLITUDE_UNIT):
        raise NotApplicable("amplitudes of this device are in microamperes")
    maximum = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    expect_that("the highest amplitude is at most 1000 permille", maximum <= 1000, maximum)
    for value in (1001, 2_000, 100_000):
        area = device.smallest(amplitude_microamps=value)
        expect_block_refused(device, f"{value} permille", area, Status.OUT_OF_RANGE, maximum=maximum)


@case("WAV/DENSITY/BI-01", "REQ-WAV-006", "REQ-PRG-007")
def refused_density_is_no_warning(device: Device) -> None:
    """A program refused for its charge density is not logged as one above the warning level, and raises no alert."""
    _, beyond = densest(device, SafetyRule.CHARGE_DENSITY_NANOCOULOMBS_PER_SQUARE_MILLIMETRE)
    device.write_program(device.smallest())
    newest = device.ask(LogInfo()).newest
    expect_block_refused(device, "an area too dense", beyond, Status.UNSAFE_COMBINATION)
    warned = [entry for entry in entries_from(device, newest + 1) if entry.code is LogCode.CHARGE_DENSITY_WARNED]
    expect("entries CHARGE_DENSITY_WARNED", warned, [])
    expect("the alert", bool(device.status().alerts & Alert.CHARGE_DENSITY_HIGH), False)


@case("SCH/WRITE/BI-04", "REQ-SCH-001", "REQ-CMD-006")
def refused_schedule_leaves_the_old_one(device: Device) -> None:
    """A schedule of which one row is refused is not taken at all: the rows that stood go on standing."""
    most = with_program(device)
    standing = rows_of(device, 100)
    device.ask(WriteSchedule(NEXT, standing))
    good, wrong = ScheduleRow(700, 5, device.program), ScheduleRow(MINUTES_IN_A_DAY, 5, device.program)
    for schedule in ((wrong,), (good, wrong)[:most], (wrong, good)[:most]):
        expect_refusal(f"{schedule}", device.request(WriteSchedule(NEXT, schedule)), Status.OUT_OF_RANGE)
        expect("the rows", rows(device), standing)


@case("SCH/WRITE/LT-01", "REQ-SCH-002")
def rows_at_their_boundaries(device: Device) -> None:
    """The first and the last minute of the day, a minute and a whole day, are taken and read back."""
    with_program(device)
    for minute, duration in ((0, 1), (0, MINUTES_IN_A_DAY), (1439, 1), (1439, MINUTES_IN_A_DAY)):
        schedule = (ScheduleRow(minute, duration, device.program),)
        device.ask(WriteSchedule(NEXT, schedule))
        expect("the rows", rows(device), schedule)


@case("SCH/RUN/BO-01", "REQ-SCH-003", "REQ-SUS-001", profile=Profile.FULL)
def row_that_falls_into_a_suspension(device: Device) -> None:
    """A row whose minute comes while therapy is held off is passed over, and starts nothing when that is over."""
    find_leads_sound(device)
    with_program(device)
    device.ask(WriteSchedule(NEXT, (ScheduleRow(600, 60, device.program),)))
    device.ask(EnterMriMode(NEXT, 2))
    set_clock_before(device, 600, 1)
    device.rest(2)
    expect("the state in the row", device.status().state, State.SUSPENDED)
    device.ask(LeaveMriMode(NEXT))
    device.rest(1)
    expect("the state when nothing holds therapy off", device.status().state, State.IDLE)


@case("SCH/RUN/BO-02", "REQ-SCH-003", profile=Profile.FULL)
def row_that_is_under_way_already(device: Device) -> None:
    """A row begins at its own minute alone: a clock that is set into its middle starts nothing."""
    with_program(device)
    device.ask(WriteSchedule(NEXT, (ScheduleRow(600, 60, device.program),)))
    set_clock_before(device, 620, 30)
    device.rest(1)
    expect("the state in the middle of the row", device.status().state, State.IDLE)


@case("MRI/SUSPEND/BO-01", "REQ-MRI-002", "REQ-CMD-005", profile=Profile.FULL)
def mode_at_the_wrong_moment(device: Device) -> None:
    """LEAVE_MRI_MODE out of it and ENTER_MRI_MODE in it are refused WRONG_STATE; the time left and the mode stay."""
    find_leads_sound(device)
    reply = device.request(LeaveMriMode(NEXT))
    expect_refusal("LEAVE_MRI_MODE", reply, Status.WRONG_STATE, state=State.IDLE)
    bring_to(device, State.SUSPENDED)
    device.tester.wait_for_event(ModeChanged)
    device.tester.events.clear()
    before = timed(device, ReadModes())
    expect_refusal("ENTER_MRI_MODE", device.request(EnterMriMode(NEXT, 1)), Status.WRONG_STATE, state=State.SUSPENDED)
    after = timed(device, ReadModes())
    expect("the mode", after.answer.mode, Mode.MRI)
    gone = before.answer.mri_seconds_left - after.answer.mri_seconds_left
    after.since(before).expect("what has gone of the time left", gone, TIME_LEFT_TOLERANCE_SECONDS)
    device.catch_up(0.05)
    expect("events", device.tester.events_of(ModeChanged), [])


def refused_changes(device: Device) -> list[Request[Any]]:
    """Changes of every kind that the log has an entry for, each of them wrong."""
    wrong: list[Request[Any]] = [
        SelectProgram(NEXT, slots(device)),
        EraseProgram(NEXT, slots(device)),
        CommitProgram(NEXT, device.program, 0),
        SetAmplitude(NEXT, ABSENT, 0),
        *(setting.request(NEXT, ABSENT, 0) for _, setting in EACH_SETTING),
        limits_of(device, rate_millihertz=2**32 - 1),
        SaveCheckpoint(NEXT, ABSENT),
        RestoreCheckpoint(NEXT, ABSENT),
        WriteSchedule(NEXT, (ScheduleRow(0, 0, device.program),)),
        EnterMriMode(NEXT, 0),
        LeaveMriMode(NEXT),
    ]
    return [request for request in wrong if device.has(type(request))]


@case("LOG/ENTRY/BI-01", "REQ-LOG-002", "REQ-LOG-001", "REQ-CMD-006")
def refused_changes_are_not_logged(device: Device) -> None:
    """What was refused did not happen: the log has nothing of it."""
    device.write_program(device.typical())
    wrong = refused_changes(device)
    newest = device.ask(LogInfo()).newest
    for request in wrong:
        expect_that(f"{shown(type(request))} is refused", device.request(request).status is not Status.OK, request)
    expect("the entries since", entries_from(device, newest + 1), [])


@case("THR/LIMITS/BI-01", "REQ-THR-009", "REQ-CMD-007", "REQ-CMD-006", each=EACH_SETTING)
def limit_between_grid_points(device: Device, setting: Setting) -> None:
    """A limit that lies between two grid points is refused OFF_GRID on its field, and the limits stay."""
    allowed = device.capabilities.range(setting.capability)
    only_program(device, device.smallest())
    last = allowed.segments[-1]
    between = last.maximum - 1
    if allowed.has(between) or between < last.minimum:
        raise NotApplicable("every value is on the grid")
    before = limits_of(device)
    reply = device.request(limits_of(device, **{setting.field: between}))
    field = before.__struct_fields__.index(setting.field)
    expect_refusal(f"{setting.field} = {between}", reply, Status.OFF_GRID, field=field, maximum=allowed.maximum)
    expect("the limits", limits_of(device), before)


@case("PRG/ERASE/BO-01", "REQ-PRG-010", "REQ-CMD-006")
def nothing_is_set_without_a_program(device: Device) -> None:
    """With no program selected, what speaks of an area of the active program is refused, and nothing changes."""
    device.write_program(device.typical())
    device.ask(EraseProgram(NEXT, device.program))
    revision = device.status().revision
    requests: list[Request[Any]] = [
        ReadTherapy(0),
        StepAmplitude(NEXT, 0, -1, revision),
        *(setting.request(NEXT, 0, 0) for _, setting in EACH_SETTING),
        ReadFeedback(0),
        WriteFeedback(NEXT, feedback(device)),
        StartEcapStream(0, 1),
    ]
    before = revision, device.programs()
    for request in requests:
        if device.has(type(request)):
            refused = device.request(request).status
            taken = refused in (Status.UNSAFE_COMBINATION, Status.OUT_OF_RANGE)
            expect_that(f"{shown(type(request))} is refused UNSAFE_COMBINATION or OUT_OF_RANGE", taken, refused.name)
    expect("revision and programs", (device.status().revision, device.programs()), before)
