"""Stored programs: written through a shadow copy, swapped in whole, and never unsafe."""

from __future__ import annotations

import msgspec
import pytest
from ipg_protocol import Status, crc32c, encode
from ipg_protocol.commands.link import Alert, Capability, FactoryReset, GetStatus, Reset, SetTime
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.programs import (
    NO_PROGRAM,
    AreaSettings,
    BeginProgramWrite,
    CommitProgram,
    ContactShare,
    EraseProgram,
    ListPrograms,
    ReadProgram,
    RestoreCheckpoint,
    SaveCheckpoint,
    SelectProgram,
    WriteProgramBlock,
)
from ipg_protocol.commands.therapy import (
    ScheduleRow,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    WriteLimits,
    WriteSchedule,
)
from ipg_protocol.refusal import RevisionDetail, SafetyRule, StateDetail
from ipg_protocol.vocabulary import State as DeviceState

replace = msgspec.structs.replace


@pytest.fixture
def area(bench) -> AreaSettings:
    return bench.device.active_program.areas[0]


def checksum(*areas: AreaSettings) -> int:
    return crc32c(b"".join(encode(area) for area in areas))


def write(bench, number: int, *areas: AreaSettings, name: str = "new") -> int:
    bench.ask(BeginProgramWrite(number, len(areas), name))
    for area in areas:
        bench.ask(WriteProgramBlock(number, area))
    return bench.ask(CommitProgram(bench.transaction(), number, checksum(*areas))).revision


def free_slot(bench) -> int:
    return next(row.program for row in bench.ask(ListPrograms(0)).rows if row.area_count == 0)


def test_what_is_committed_is_read_back(bench, area):
    slot = free_slot(bench)
    areas = (area, replace(area, area=1))
    revision = write(bench, slot, *areas)
    for number, written in enumerate(areas):
        stored = bench.ask(ReadProgram(slot, number))
        assert (stored.settings, stored.area_count, stored.revision) == (written, 2, revision)
    assert bench.ask(ListPrograms(slot)).rows[0].name == "new"


def test_nothing_changes_before_the_commit(bench, area):
    before = bench.device.configuration
    bench.ask(BeginProgramWrite(0, 1, "other"))
    bench.ask(WriteProgramBlock(0, replace(area, amplitude_microamps=0)))
    assert bench.device.configuration is before


def test_a_commit_without_all_blocks_is_refused(bench, area):
    bench.ask(BeginProgramWrite(0, 2, "x"))
    bench.ask(WriteProgramBlock(0, area))
    status, detail = bench.refused(CommitProgram(bench.transaction(), 0, checksum(area)))
    assert (status, detail.rule, detail.value, detail.limit) == (Status.UNSAFE_COMBINATION, SafetyRule.BLOCKS_MISSING, 1, 2)


def test_a_commit_with_another_checksum_is_refused_and_can_be_repeated(bench, area):
    bench.ask(BeginProgramWrite(0, 1, "x"))
    bench.ask(WriteProgramBlock(0, area))
    status, detail = bench.refused(CommitProgram(bench.transaction(), 0, 1))
    assert (status, detail.rule, detail.value) == (Status.UNSAFE_COMBINATION, SafetyRule.BLOCKS_CHECKSUM, checksum(area))
    bench.ask(CommitProgram(bench.transaction(), 0, checksum(area)))


def test_without_a_begin_there_is_nothing_to_write_or_commit(bench, area):
    conflict = (Status.CONFLICT, RevisionDetail(bench.device.configuration.revision))
    assert bench.refused(WriteProgramBlock(0, area)) == conflict
    assert bench.refused(CommitProgram(bench.transaction(), 0, 0)) == conflict


@pytest.mark.parametrize(
    ("shares", "rule", "value"),
    [
        (((0, -900), (1, 1000)), SafetyRule.CATHODES_PERMILLE, 900),
        (((0, -1000), (1, 400), (2, 500)), SafetyRule.ANODES_PERMILLE, 900),
        (((0, -500), (0, -500), (1, 1000)), SafetyRule.CONTACT_REPEATED, 0),
        ((), SafetyRule.CATHODES_PERMILLE, 0),
    ],
)
def test_contact_shares_must_balance(bench, area, shares, rule, value):
    contacts = tuple(ContactShare(*share) for share in shares)
    bench.ask(BeginProgramWrite(0, 1, "x"))
    status, detail = bench.refused(WriteProgramBlock(0, replace(area, contacts=contacts)))
    assert (status, detail.rule, detail.value) == (Status.UNSAFE_COMBINATION, rule, value)


def test_a_contact_that_is_not_there_is_out_of_range(bench, area):
    bench.ask(BeginProgramWrite(0, 1, "x"))
    contacts = (ContactShare(99, -1000), ContactShare(1, 1000))
    status, detail = bench.refused(WriteProgramBlock(0, replace(area, contacts=contacts)))
    assert (status, detail.field, detail.maximum) == (Status.OUT_OF_RANGE, 14, len(bench.model.contacts) - 1)


def test_the_charge_of_a_phase_is_limited(bench, area):
    width, amplitude = bench.model.ranges.pulse_width_us.maximum, bench.model.ranges.amplitude_microamps.maximum
    unsafe = replace(
        area,
        pulse_width_us=width,
        rate_millihertz=bench.model.ranges.rate_millihertz.minimum,
        amplitude_microamps=amplitude,
        patient_maximum_microamps=amplitude,
    )
    bench.ask(BeginProgramWrite(0, 1, "x"))
    status, detail = bench.refused(WriteProgramBlock(0, unsafe))
    assert (status, detail.rule) == (Status.UNSAFE_COMBINATION, SafetyRule.CHARGE_PER_PHASE_NANOCOULOMBS)
    assert detail.value == amplitude * width // 1000
    assert detail.limit == bench.model.limits.charge_per_phase_nanocoulombs.value


def test_the_running_program_is_neither_replaced_nor_erased(bench, area):
    bench.ask(StartTherapy(bench.transaction()))
    bench.ask(BeginProgramWrite(0, 1, "x"))
    bench.ask(WriteProgramBlock(0, area))
    in_use = (Status.WRONG_STATE, StateDetail(DeviceState.RAMPING))
    assert bench.refused(CommitProgram(bench.transaction(), 0, checksum(area))) == in_use
    assert bench.refused(EraseProgram(bench.transaction(), 0)) == in_use


def test_erasing_the_selected_program_leaves_none_selected_and_nothing_to_start(bench):
    bench.ask(EraseProgram(bench.transaction(), 0))
    assert bench.ask(ListPrograms(0)).active_program == NO_PROGRAM
    status, detail = bench.refused(StartTherapy(bench.transaction()))
    assert (status, detail.rule) == (Status.UNSAFE_COMBINATION, SafetyRule.BLOCKS_MISSING)


def test_an_empty_slot_cannot_be_selected_and_the_nearest_filled_one_is_named(bench):
    empty = free_slot(bench)
    status, detail = bench.refused(SelectProgram(bench.transaction(), empty))
    assert (status, detail.field, detail.nearest) == (Status.OUT_OF_RANGE, 1, empty - 1)


def test_every_change_raises_the_revision_by_one_and_a_refusal_does_not(bench, area):
    before = bench.device.configuration.revision
    assert write(bench, 0, area) == before + 1
    bench.ask(SelectProgram(bench.transaction(), 1))
    bench.refused(SelectProgram(bench.transaction(), 200))
    assert bench.device.configuration.revision == before + 2


def test_factory_reset_brings_back_what_the_model_says(bench, area):
    bench.ask(EraseProgram(bench.transaction(), 0))
    bench.ask(FactoryReset(bench.transaction()))
    assert bench.ask(ReadProgram(0, 0)).settings == area
    assert bench.ask(ListPrograms(0)).active_program == 0


def test_areas_that_cannot_be_interleaved_are_refused_at_the_commit_and_at_a_change(bench, area):
    wide = replace(area, pulse_width_us=740, rate_millihertz=200_000, amplitude_microamps=1000, patient_maximum_microamps=1000)
    areas = [replace(wide, area=number) for number in range(3)]
    slot = free_slot(bench)
    write(bench, slot, *areas)
    bench.ask(SelectProgram(bench.transaction(), slot))
    status, detail = bench.refused(SetPulseWidth(bench.transaction(), 0, 1000))
    assert (status, detail.rule, detail.area) == (Status.UNSAFE_COMBINATION, SafetyRule.AREAS_OVERLAP_US, 255)
    assert detail.value > detail.limit == 5000
    status, detail = bench.refused(SetRate(bench.transaction(), 1, 190_000))
    assert (status, detail.rule) == (Status.UNSAFE_COMBINATION, SafetyRule.AREAS_OVERLAP_US)
    wider = [replace(each, pulse_width_us=1000) for each in areas]
    bench.ask(BeginProgramWrite(slot, 3, "wide"))
    for each in wider:
        bench.ask(WriteProgramBlock(slot, each))
    status, detail = bench.refused(CommitProgram(bench.transaction(), slot, checksum(*wider)))
    assert (status, detail.rule) == (Status.UNSAFE_COMBINATION, SafetyRule.AREAS_OVERLAP_US)


def test_a_charge_density_above_the_warning_level_is_accepted_logged_and_shown_while_it_is_active(bench, area):
    dense = replace(
        area,
        amplitude_microamps=10_000,
        patient_maximum_microamps=10_000,
        contacts=(ContactShare(0, -1000), ContactShare(1, 1000)),
    )
    slot = free_slot(bench)
    write(bench, slot, dense)
    warnings = [entry for entry in bench.device.memory.log_entries() if entry.code is LogCode.CHARGE_DENSITY_WARNED]
    assert [entry.argument for entry in warnings] == [0]
    assert not bench.ask(GetStatus()).alerts & Alert.CHARGE_DENSITY_HIGH
    bench.ask(SelectProgram(bench.transaction(), slot))
    assert bench.ask(GetStatus()).alerts & Alert.CHARGE_DENSITY_HIGH
    bench.ask(SelectProgram(bench.transaction(), 0))
    assert not bench.ask(GetStatus()).alerts & Alert.CHARGE_DENSITY_HIGH


def test_a_change_that_goes_above_the_warning_level_is_logged_once(bench, area):
    contacts = (ContactShare(0, -1000), ContactShare(1, 1000))
    slot = free_slot(bench)
    write(bench, slot, replace(area, amplitude_microamps=9000, patient_maximum_microamps=9000, contacts=contacts))
    bench.ask(SelectProgram(bench.transaction(), slot))
    for microamps in (10_000, 10_500, 9_000):
        bench.ask(SetAmplitude(bench.transaction(), 0, microamps))
    codes = [entry.code for entry in bench.device.memory.log_entries()]
    assert codes.count(LogCode.CHARGE_DENSITY_WARNED) == 1


def test_a_checkpoint_brings_back_programs_limits_selection_and_schedule_in_one_revision(bench, area):
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(600, 30, 0),)))
    kept = bench.device.configuration
    assert bench.ask(SaveCheckpoint(bench.transaction(), 1)).revision == kept.revision
    assert bench.device.configuration == kept
    write(bench, 0, replace(area, amplitude_microamps=1000))
    bench.ask(WriteLimits(bench.transaction(), 20_000, 1000, 1_000_000, 6_000))
    bench.ask(EraseProgram(bench.transaction(), 2))
    bench.ask(SelectProgram(bench.transaction(), 1))
    bench.ask(WriteSchedule(bench.transaction(), ()))
    revision = bench.device.configuration.revision
    assert bench.ask(RestoreCheckpoint(bench.transaction(), 1)).revision == revision + 1
    assert bench.device.configuration == replace(kept, revision=revision + 1)


def test_a_checkpoint_that_is_restored_runs_its_schedule(bench):
    bench.ask(SetTime(bench.transaction(), 0))
    bench.ask(WriteSchedule(bench.transaction(), (ScheduleRow(1, 30, 0),)))
    bench.ask(SaveCheckpoint(bench.transaction(), 0))
    bench.ask(WriteSchedule(bench.transaction(), ()))
    bench.ask(RestoreCheckpoint(bench.transaction(), 0))
    bench.advance(63)
    assert bench.ask(GetStatus()).state is DeviceState.THERAPY


def test_what_was_never_kept_is_refused_with_the_nearest_that_was(bench):
    status, detail = bench.refused(RestoreCheckpoint(bench.transaction(), 0))
    assert (status, detail.field, detail.minimum, detail.maximum, detail.nearest) == (Status.OUT_OF_RANGE, 1, 0, 1, 0)
    bench.ask(SaveCheckpoint(bench.transaction(), 1))
    for number in (0, 2, 255):
        status, detail = bench.refused(RestoreCheckpoint(bench.transaction(), number))
        assert (status, detail.maximum, detail.nearest) == (Status.OUT_OF_RANGE, 1, 1)


def test_there_are_as_many_checkpoints_as_the_capabilities_say(bench):
    (row,) = [row for row in bench.device.capabilities if row.capability is Capability.CHECKPOINTS]
    status, detail = bench.refused(SaveCheckpoint(bench.transaction(), row.maximum))
    assert (status, detail.maximum) == (Status.OUT_OF_RANGE, row.maximum - 1)
    bench.ask(SaveCheckpoint(bench.transaction(), row.maximum - 1))


def test_restoring_drops_a_program_that_was_being_written(bench, area):
    bench.ask(SaveCheckpoint(bench.transaction(), 0))
    bench.ask(BeginProgramWrite(0, 1, "half"))
    bench.ask(RestoreCheckpoint(bench.transaction(), 0))
    assert bench.refused(WriteProgramBlock(0, area))[0] is Status.CONFLICT


def test_checkpoints_outlive_a_factory_reset_and_a_restart(bench, area):
    changed = replace(area, amplitude_microamps=1000)
    write(bench, 0, changed)
    bench.ask(SaveCheckpoint(bench.transaction(), 0))
    bench.ask(FactoryReset(bench.transaction()))
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    bench.open(nonce=2)
    bench.ask(RestoreCheckpoint(bench.transaction(), 0))
    assert bench.ask(ReadProgram(0, 0)).settings == changed


def test_both_are_logged_with_the_number(bench):
    bench.ask(SaveCheckpoint(bench.transaction(), 1))
    bench.ask(RestoreCheckpoint(bench.transaction(), 1))
    entries = [(entry.code, entry.argument) for entry in bench.device.memory.log_entries()]
    assert entries[-2:] == [(LogCode.CHECKPOINT_SAVED, 1), (LogCode.CHECKPOINT_RESTORED, 1)]
