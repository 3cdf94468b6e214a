"""Therapy: ramps, limits, and what stops it."""

from __future__ import annotations

import msgspec
import pytest
from ipg_emulator.model import load
from ipg_protocol import Role, State, Status
from ipg_protocol.commands.link import Alert, GetStatus, Reset
from ipg_protocol.commands.log import LogCode, ReadCounters, ReadLog
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.programs import CASE_CONTACT, ReadProgram, SelectProgram
from ipg_protocol.commands.therapy import (
    AmplitudeChanged,
    ReadTherapy,
    SetAmplitude,
    SetPulseWidth,
    SetRate,
    StartTherapy,
    StepAmplitude,
    StopMode,
    StopTherapy,
    TherapyCause,
    TherapyFlag,
    TherapyStateChanged,
    WriteLimits,
)
from ipg_protocol.refusal import CircuitDetail, RangeDetail, RevisionDetail


def delivered(bench, area=0):
    return bench.ask(ReadTherapy(area)).delivered_microamps


def programmed(bench, area=0):
    return bench.ask(ReadTherapy(area)).programmed_microamps


def start(bench):
    return bench.ask(StartTherapy(bench.transaction()))


def settle(bench):
    """Start, and wait until the amplitude is reached."""
    start(bench)
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def test_start_ramps_from_zero_to_the_amplitude_in_a_straight_line(bench):
    ramp_ms = start(bench).ramp_ms
    assert ramp_ms > 0
    assert delivered(bench) == 0
    bench.advance(ramp_ms / 2000)
    assert delivered(bench) == pytest.approx(programmed(bench) / 2, abs=1)
    bench.advance(ramp_ms / 2000)
    assert delivered(bench) == programmed(bench)
    assert bench.device.state is State.THERAPY


def test_start_while_running_changes_nothing(bench):
    settle(bench)
    assert start(bench).state is State.THERAPY
    assert delivered(bench) == programmed(bench)


def test_stop_ramps_down_within_the_stop_ramp(bench):
    settle(bench)
    full = delivered(bench)
    stop_ramp = bench.model.timing.stop_ramp_ms / 1000
    assert bench.ask(StopTherapy(StopMode.RAMP)).state is State.RAMPING
    bench.advance(stop_ramp / 2)
    assert 0 < delivered(bench) < full
    bench.advance(stop_ramp / 2)
    assert delivered(bench) == 0
    assert bench.device.state is State.IDLE


def test_a_second_stop_does_not_lengthen_the_ramp(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(bench.model.timing.stop_ramp_ms / 2000)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(bench.model.timing.stop_ramp_ms / 2000)
    assert bench.device.state is State.IDLE


def test_immediate_stop_delivers_nothing_from_the_same_moment(bench):
    settle(bench)
    assert bench.ask(StopTherapy(StopMode.IMMEDIATE)).state is State.IDLE
    assert delivered(bench) == 0


def test_stop_needs_no_session(make_bench):
    bench = make_bench()
    assert bench.reply(StopTherapy(StopMode.RAMP)).status is Status.OK


def test_start_during_the_stop_ramp_turns_back_up_from_the_present_level(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(bench.model.timing.stop_ramp_ms / 2000)
    level = delivered(bench)
    start(bench)
    assert delivered(bench) == level > 0


def test_start_of_another_program_during_the_stop_ramp_begins_at_zero(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.ask(SelectProgram(bench.transaction(), 1))
    start(bench)
    assert delivered(bench) == 0


def test_select_while_running_ramps_down_switches_and_ramps_up(bench):
    settle(bench)
    bench.ask(SelectProgram(bench.transaction(), 1))
    assert bench.device.state is State.RAMPING
    bench.advance(bench.model.timing.stop_ramp_ms / 1000)
    assert delivered(bench) == 0
    bench.advance(20)
    assert bench.device.state is State.THERAPY
    settings = bench.ask(ReadProgram(1, 0)).settings
    assert programmed(bench) == settings.amplitude_microamps


def test_a_change_of_amplitude_ramps(bench):
    settle(bench)
    before = delivered(bench)
    step = bench.model.ranges.amplitude_microamps.step_at(before)
    bench.ask(SetAmplitude(bench.transaction(), 0, before + step))
    assert bench.device.state is State.RAMPING
    assert delivered(bench) == before
    bench.advance(20)
    assert delivered(bench) == before + step
    assert [e.amplitude_microamps for e in bench.happened(AmplitudeChanged)] == [before + step]


def test_changes_are_stored_in_the_active_program(bench):
    value = bench.model.ranges.rate_millihertz.nearest(60_000)
    revision = bench.ask(SetRate(bench.transaction(), 0, value)).revision
    area = bench.ask(ReadProgram(0, 0))
    assert (area.settings.rate_millihertz, area.revision) == (value, revision)


def test_a_patient_stays_within_the_patient_range(make_bench):
    bench = make_bench()
    bench.open(Role.PATIENT)
    settings = bench.ask(ReadProgram(0, 0)).settings
    over = bench.amplitude_from(settings.patient_maximum_microamps, 1)
    status, detail = bench.refused(SetAmplitude(bench.transaction(), 0, over))
    assert status is Status.OUT_OF_RANGE
    assert isinstance(detail, RangeDetail)
    low, high = settings.patient_minimum_microamps, settings.patient_maximum_microamps
    assert (detail.field, detail.minimum, detail.maximum, detail.nearest) == (2, low, high, high)


def test_an_amplitude_between_grid_points_is_off_the_grid(bench):
    step = bench.model.ranges.amplitude_microamps.step_at(1000)
    status, detail = bench.refused(SetAmplitude(bench.transaction(), 0, 1000 + step // 2))
    assert status is Status.OFF_GRID
    assert detail.step == step
    assert detail.nearest in (1000, 1000 + step)


def test_step_moves_by_grid_steps_and_demands_the_revision(bench):
    revision = bench.ask(GetStatus()).revision
    before = programmed(bench)
    changed = bench.ask(StepAmplitude(bench.transaction(), 0, 2, revision))
    assert changed.amplitude_microamps == bench.amplitude_from(before, 2)
    refusal = bench.refused(StepAmplitude(bench.transaction(), 0, 1, revision))
    assert refusal == (Status.CONFLICT, RevisionDetail(changed.revision))


def test_a_step_past_the_end_says_how_many_steps_are_left(bench):
    grid = bench.model.ranges.amplitude_microamps
    lowest = grid.minimum
    revision = bench.ask(SetAmplitude(bench.transaction(), 0, lowest)).revision
    status, detail = bench.refused(StepAmplitude(bench.transaction(), 0, -1, revision))
    assert status is Status.OUT_OF_RANGE
    assert (detail.field, detail.minimum) == (2, 0)


def test_a_limit_holds_for_every_role(bench):
    limits = bench.device.configuration.limits
    used = max(
        max(area.amplitude_microamps, area.patient_maximum_microamps)
        for program in bench.device.configuration.programs
        if program
        for area in program.areas
    )
    bench.ask(
        WriteLimits(
            bench.transaction(), used, limits.pulse_width_us, limits.rate_millihertz, limits.charge_per_phase_nanocoulombs
        )
    )
    over = bench.amplitude_from(used, 1)
    status, detail = bench.refused(SetAmplitude(bench.transaction(), 0, over))
    assert status is Status.OUT_OF_RANGE
    assert detail.maximum == used


def test_a_limit_cannot_go_below_what_a_program_uses(bench):
    limits = bench.device.configuration.limits
    status, detail = bench.refused(
        WriteLimits(bench.transaction(), 0, limits.pulse_width_us, limits.rate_millihertz, limits.charge_per_phase_nanocoulombs)
    )
    assert status is Status.OUT_OF_RANGE
    assert detail.minimum > 0


def test_start_with_a_contact_measured_open_is_refused(make_bench):
    bench = make_bench()
    contact = next(s.contact for s in bench.device.active_program.areas[0].contacts if s.contact != CASE_CONTACT)
    bench = make_bench(lead_faults={contact: "open"})
    bench.open()
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(10)
    assert bench.refused(StartTherapy(bench.transaction())) == (
        Status.OPEN_CIRCUIT,
        CircuitDetail(contact, bench.model.impedance.open_reads_ohms),
    )


def test_an_open_contact_limits_delivery_is_flagged_and_logged(make_bench):
    probe = make_bench()
    contact = next(s.contact for s in probe.device.active_program.areas[0].contacts if s.permille < 0)
    bench = make_bench(lead_faults={contact: "open"})
    bench.open()
    settle(bench)
    report = bench.ask(ReadTherapy(0))
    assert report.delivered_microamps <= report.deliverable_microamps < report.programmed_microamps
    assert report.flags & TherapyFlag.COMPLIANCE_LIMITED
    assert bench.ask(GetStatus()).alerts & Alert.COMPLIANCE_LIMITED
    assert LogCode.COMPLIANCE_REACHED in {entry.code for entry in bench.ask(ReadLog(0)).rows}


def test_every_change_of_state_is_an_event(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.advance(0)
    changes = [(e.previous, e.state, e.cause) for e in bench.happened(TherapyStateChanged)]
    assert changes[-3:] == [
        (State.IDLE, State.RAMPING, TherapyCause.COMMAND),
        (State.RAMPING, State.THERAPY, TherapyCause.RAMP_FINISHED),
        (State.THERAPY, State.IDLE, TherapyCause.COMMAND),
    ]


def test_a_cycling_program_is_off_in_the_off_part_of_its_cycle(bench):
    programs = bench.device.configuration.programs
    number = next(n for n, p in enumerate(programs) if p and any(a.cycle_on_seconds for a in p.areas))
    area = next(a for a in programs[number].areas if a.cycle_on_seconds)
    bench.ask(SelectProgram(bench.transaction(), number))
    start(bench)
    bench.advance(area.cycle_on_seconds + area.cycle_off_seconds / 2)
    bench.open(nonce=2)
    report = bench.ask(ReadTherapy(area.area))
    assert report.flags & TherapyFlag.CYCLE_OFF
    assert report.delivered_microamps == 0
    bench.advance(area.cycle_off_seconds / 2 + 1)
    bench.open(nonce=3)
    assert delivered(bench, area.area) > 0


@pytest.mark.parametrize("amplitude", [0, 5000])
def test_a_change_that_ends_the_ramp_at_once_leaves_no_ramp_behind(bench, amplitude):
    start(bench)
    bench.ask(SetAmplitude(bench.transaction(), 0, 0))
    bench.ask(SetAmplitude(bench.transaction(), 0, amplitude))
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def test_a_wider_pulse_is_not_given_at_the_amplitude_of_the_narrow_one(bench):
    bench.ask(SetPulseWidth(bench.transaction(), 0, 100))
    bench.ask(SetAmplitude(bench.transaction(), 0, 8000))
    settle(bench)
    bench.ask(SetAmplitude(bench.transaction(), 0, 1000))
    bench.ask(SetPulseWidth(bench.transaction(), 0, 700))
    assert delivered(bench) == 1000


def test_turning_back_up_never_begins_above_the_amplitude(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.ask(SetAmplitude(bench.transaction(), 0, 1000))
    start(bench)
    assert delivered(bench) == 1000


def test_charge_and_on_time_go_on_over_a_measurement(bench):
    settle(bench)
    before = bench.ask(ReadTherapy(0))
    bench.ask(MeasureImpedance(0, CASE_CONTACT))
    bench.advance(5)
    after = bench.ask(ReadTherapy(0))
    assert after.charge_microcoulombs > before.charge_microcoulombs > 0
    assert after.on_time_seconds > before.on_time_seconds > 0


def test_a_reset_in_therapy_is_accounted_for(bench):
    settle(bench)
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    bench.open(nonce=2)
    codes = [entry.code for entry in bench.ask(ReadLog(0)).rows]
    assert codes.index(LogCode.THERAPY_STOPPED) < len(codes) - codes[::-1].index(LogCode.BOOT) - 1
    assert bench.ask(ReadCounters()).therapy_seconds == 20


def test_charge_and_on_time_begin_at_zero_after_a_reset(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    bench.ask(Reset(bench.transaction()))
    bench.advance(1)
    bench.open(nonce=2)
    report = bench.ask(ReadTherapy(0))
    assert (report.charge_microcoulombs, report.on_time_seconds) == (0, 0)


# What is reported


def test_pulses_energy_and_residual_charge_are_those_of_what_is_delivered(bench):
    settle(bench)
    before, area = bench.ask(ReadTherapy(0)), bench.ask(ReadProgram(0, 0)).settings
    bench.advance(10)
    after = bench.ask(ReadTherapy(0))
    assert after.pulses - before.pulses == pytest.approx(10 * area.rate_millihertz / 1000, abs=1)
    charge = area.amplitude_microamps * area.pulse_width_us / 1000
    assert after.charge_microcoulombs - before.charge_microcoulombs == pytest.approx(charge * 500 / 1000, abs=1)
    ohms = bench.device.board.electrodes.load(area.contacts, bench.now).ohms
    joules = (area.amplitude_microamps / 1e6) ** 2 * ohms * area.pulse_width_us / 1e6 * 500
    assert after.energy_microjoules - before.energy_microjoules == pytest.approx(joules * 1e6, rel=1e-3)
    assert after.residual_nanocoulombs == round(charge * bench.model.output.active_mismatch_permille / 1000)


def test_nothing_is_left_behind_and_nothing_more_counted_while_therapy_is_off(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    before = bench.ask(ReadTherapy(0))
    bench.advance(10)
    after = bench.ask(ReadTherapy(0))
    assert after.residual_nanocoulombs == 0
    assert after == before


def test_areas_take_turns_on_the_one_current_source(bench):
    settle(bench)
    offsets = {drive.settings.area: drive.offset_us for drive, _ in bench.device.board.output._running}
    width = bench.ask(ReadProgram(0, 0)).settings.pulse_width_us
    assert offsets[0] == 0
    assert offsets[1] > 2 * width


# Adjusting pulse by pulse, and doses


def adjust(bench, microamps, area=0):
    bench.device.delivery.therapy.adjust(area, microamps, bench.now)


def test_an_adjusted_amplitude_holds_at_once_and_leaves_the_program_as_it_is(bench):
    settle(bench)
    stored, other = bench.ask(ReadProgram(0, 0)), delivered(bench, 1)
    adjust(bench, 3217)
    report = bench.ask(ReadTherapy(0))
    assert (report.delivered_microamps, report.programmed_microamps) == (3217, 3217)
    assert TherapyFlag.CLOSED_LOOP in report.flags
    assert TherapyFlag.RAMPING not in report.flags
    assert bench.ask(ReadProgram(0, 0)) == stored
    assert delivered(bench, 1) == other
    assert TherapyFlag.CLOSED_LOOP not in bench.ask(ReadTherapy(1)).flags


def test_an_adjusted_amplitude_stays_within_the_patient_maximum_and_compliance(make_bench):
    bench = make_bench()
    bench.open()
    settle(bench)
    adjust(bench, 2**31)
    assert delivered(bench) == bench.ask(ReadProgram(0, 0)).settings.patient_maximum_microamps
    contact = bench.ask(ReadProgram(0, 0)).settings.contacts[0].contact
    broken = make_bench(lead_faults={contact: "open"})
    broken.open()
    settle(broken)
    adjust(broken, 8000)
    report = broken.ask(ReadTherapy(0))
    assert report.delivered_microamps == report.deliverable_microamps < 8000
    assert TherapyFlag.COMPLIANCE_LIMITED in report.flags


def test_a_change_of_the_program_ends_adjusting_from_where_it_was(bench):
    settle(bench)
    adjust(bench, 1000)
    bench.ask(SetAmplitude(bench.transaction(), 0, 6000))
    assert delivered(bench) == 1000
    bench.advance(20)
    report = bench.ask(ReadTherapy(0))
    assert report.delivered_microamps == report.programmed_microamps == 6000
    assert TherapyFlag.CLOSED_LOOP not in report.flags


def test_what_ramps_down_is_not_adjusted_up_again(bench):
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    adjust(bench, 5000)
    bench.advance(bench.model.timing.stop_ramp_ms / 1000)
    assert delivered(bench) == 0
    adjust(bench, 5000)
    assert delivered(bench) == 0


def test_the_end_of_a_dose_ramps_its_area_down_and_leaves_the_others(bench):
    settle(bench)
    full, other = delivered(bench), delivered(bench, 1)
    bench.device.delivery.therapy.end_dose(0, bench.now)
    bench.advance(bench.model.timing.stop_ramp_ms / 2000)
    assert delivered(bench) == pytest.approx(full / 2, abs=1)
    bench.device.delivery.therapy.end_dose(0, bench.now)
    bench.advance(bench.model.timing.stop_ramp_ms / 2000)
    report = bench.ask(ReadTherapy(0))
    assert report.delivered_microamps == 0
    assert TherapyFlag.DOSE_OVER in report.flags
    assert delivered(bench, 1) == other


def test_an_area_that_has_had_its_dose_stays_off_whatever_is_changed_until_the_next_start(bench):
    settle(bench)
    bench.device.delivery.therapy.end_dose(0, bench.now)
    bench.advance(2)
    bench.ask(SetAmplitude(bench.transaction(), 0, 6000))
    bench.ask(SetRate(bench.transaction(), 1, 40_000))
    adjust(bench, 5000)
    bench.advance(20)
    assert delivered(bench) == 0
    bench.ask(StopTherapy(StopMode.IMMEDIATE))
    settle(bench)
    assert delivered(bench) == 6000
    assert TherapyFlag.DOSE_OVER not in bench.ask(ReadTherapy(0)).flags


def test_another_load_is_noticed_when_the_board_says_so(bench):
    settle(bench)
    load = bench.device.board.electrodes.load
    electrodes = bench.device.board.output._electrodes

    class Worse:
        def load(self, contacts, now):
            return msgspec.structs.replace(load(contacts, now), ohms=50_000.0)

    bench.device.board.output._electrodes = Worse()
    bench.firmware.board_changed(bench.now)
    report = bench.ask(ReadTherapy(0))
    assert report.delivered_microamps == report.deliverable_microamps < 200
    assert LogCode.COMPLIANCE_REACHED in {entry.code for entry in bench.ask(ReadLog(0)).rows}
    bench.device.board.output._electrodes = electrodes
    bench.firmware.board_changed(bench.now)
    assert delivered(bench) == programmed(bench)


def test_tissue_that_grows_round_the_contacts_limits_therapy_by_itself(make_bench):
    model = load("scs-rechargeable")
    electrode = msgspec.structs.replace(model.electrode, ageing_permille=20_000, ageing_days=1)
    bench = make_bench(msgspec.structs.replace(model, electrode=electrode))
    bench.open()
    settle(bench)
    assert bench.ask(ReadTherapy(0)).flags == TherapyFlag.RUNNING
    bench.advance(5 * 86_400)
    bench.open(nonce=2)
    report = bench.ask(ReadTherapy(0))
    assert TherapyFlag.COMPLIANCE_LIMITED in report.flags
    assert report.delivered_microamps == report.deliverable_microamps < report.programmed_microamps
    assert LogCode.COMPLIANCE_REACHED in [entry.code for entry in bench.device.memory.log_entries()]


def test_between_two_looks_at_the_load_what_is_deliverable_is_what_holds(make_bench):
    model = load("scs-rechargeable")
    electrode = msgspec.structs.replace(model.electrode, ageing_permille=20_000, ageing_days=1)
    bench = make_bench(msgspec.structs.replace(model, electrode=electrode))
    bench.open()
    settle(bench)
    bench.advance(2 * 86_400)
    bench.open(nonce=2)
    for _ in range(120):
        bench.advance(25)
        report = bench.ask(ReadTherapy(0))
        assert report.delivered_microamps == report.deliverable_microamps < report.programmed_microamps


def test_an_area_at_amplitude_zero_counts_no_pulses_in_its_ramps(bench):
    bench.ask(SetAmplitude(bench.transaction(), 0, 0))
    settle(bench)
    bench.ask(StopTherapy(StopMode.RAMP))
    bench.advance(2)
    report = bench.ask(ReadTherapy(0))
    assert (report.pulses, report.on_time_seconds, report.charge_microcoulombs) == (0, 0, 0)
    assert bench.ask(ReadTherapy(1)).pulses > 0


def test_the_supply_comes_down_with_the_amplitudes(make_bench):
    """An amplitude costs the same however it was come to: the supply tracks what is needed now."""

    def drain(highest: int) -> float:
        bench = make_bench()
        bench.open()
        for amplitude in (highest, 1000):
            for area in (0, 1):
                bench.ask(SetAmplitude(bench.transaction(), area, amplitude))
            start(bench)
            bench.advance(15)
        assert delivered(bench) == 1000
        return bench.device.supply.expected_microamps(bench.now)

    assert drain(8000) == pytest.approx(drain(1000))
