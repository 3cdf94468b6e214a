"""Impedance: measured by test pulses, judged by the model's thresholds, and therapy waits for it."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Reset
from ipg_protocol.commands.log import ClearFault, FaultRaised, ReadFaults
from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    ImpedanceVerdict,
    MeasureImpedance,
    MeasurementDone,
    ReadImpedance,
)
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy, StopMode, StopTherapy
from ipg_protocol.refusal import FaultDetail, StateDetail
from ipg_protocol.vocabulary import FaultCode


def measure_all(bench):
    started = bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(started.duration_ms / 1000)
    return {row.cathode: row for row in bench.ask(ReadImpedance(0)).rows}


def test_all_contacts_are_measured_one_after_another(bench):
    pair = bench.model.timing.measure_pair_ms / 1000
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    bench.advance(3 * pair)
    page = bench.ask(ReadImpedance(0))
    assert (page.planned, page.measured) == (16, 3)
    assert bench.device.state is State.MEASURING


def test_the_event_gives_the_counts(make_bench):
    bench = make_bench(lead_faults={3: "open"})
    bench.open()
    measure_all(bench)
    assert bench.happened(MeasurementDone) == [MeasurementDone(1, 16, 1, 0)]


def test_an_open_and_a_short_contact_are_told_from_sound_ones(make_bench):
    bench = make_bench(lead_faults={3: "open", 5: "short"})
    bench.open()
    rows = measure_all(bench)
    assert rows[3].verdict is ImpedanceVerdict.OPEN
    assert rows[3].ohms == bench.model.impedance.open_reads_ohms
    assert rows[5].verdict is ImpedanceVerdict.SHORT
    assert {row.verdict for contact, row in rows.items() if contact not in (3, 5)} == {ImpedanceVerdict.OK}


def test_readings_vary_with_the_noise_and_repeat_with_the_seed(make_bench):
    def readings(seed):
        bench = make_bench(seed=seed)
        bench.open()
        return [[row.ohms for row in measure_all(bench).values()] for _ in range(2)]

    first, second = readings(1)
    assert first != second
    assert readings(1) == [first, second]
    assert readings(2)[0] != first


def test_therapy_is_suspended_and_ramps_up_again(bench):
    bench.ask(StartTherapy(1))
    bench.advance(20)
    started = bench.ask(MeasureImpedance(0, CASE_CONTACT))
    assert bench.ask(ReadTherapy(0)).delivered_microamps == 0
    bench.advance(started.duration_ms / 1000)
    assert bench.device.state is State.RAMPING
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def test_a_stop_breaks_the_measurement_off_and_therapy_stays_off(bench):
    bench.ask(StartTherapy(1))
    bench.advance(20)
    bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    assert bench.ask(StopTherapy(StopMode.RAMP)).state is State.IDLE
    bench.advance(5)
    assert bench.device.state is State.IDLE
    assert bench.happened(MeasurementDone) == []


def test_a_second_measurement_is_told_when_to_ask_again(bench):
    started = bench.ask(MeasureImpedance(ALL_CONTACTS, CASE_CONTACT))
    status, detail = bench.refused(MeasureImpedance(0, CASE_CONTACT))
    assert status is Status.BUSY
    assert detail.retry_after_ms - 1 == started.duration_ms
    bench.advance(detail.retry_after_ms / 1000)
    bench.ask(MeasureImpedance(0, CASE_CONTACT))


def test_a_short_latches_a_fault_that_blocks_the_start_until_it_is_gone(make_bench):
    bench = make_bench(lead_faults={5: "short"})
    bench.open()
    ohms = measure_all(bench)[5].ohms
    assert bench.device.state is State.FAULT
    assert bench.happened(FaultRaised) == [FaultRaised(FaultCode.SHORT_CIRCUIT, 5, ohms)]
    assert bench.refused(StartTherapy(1)) == (Status.FAULT_LATCHED, FaultDetail(FaultCode.SHORT_CIRCUIT))
    status, detail = bench.refused(ClearFault(2, FaultCode.SHORT_CIRCUIT))
    assert (status, detail.contact, detail.ohms) == (Status.SHORT_CIRCUIT, 5, ohms)
    assert bench.ask(ReadFaults()).rows[0].contact == 5


def test_clearing_a_fault_that_is_not_there_changes_nothing(bench):
    assert bench.ask(ClearFault(1, FaultCode.SHORT_CIRCUIT)) == StateDetail(State.IDLE)


def test_a_latched_fault_outlives_a_reset(make_bench):
    bench = make_bench(lead_faults={5: "short"})
    bench.open()
    measure_all(bench)
    bench.ask(Reset(1))
    bench.advance(1)
    bench.open(nonce=2)
    assert bench.device.state is State.FAULT
    assert bench.refused(StartTherapy(2))[0] is Status.FAULT_LATCHED


def test_a_fault_is_not_cleared_while_any_contact_was_last_measured_short(make_bench):
    bench = make_bench(lead_faults={3: "short", 5: "short"})
    bench.open()
    measure_all(bench)
    bench.device.board.electrodes.mend(5)
    bench.ask(MeasureImpedance(5, CASE_CONTACT))
    bench.advance(1)
    status, detail = bench.refused(ClearFault(1, FaultCode.SHORT_CIRCUIT))
    assert (status, detail.contact) == (Status.SHORT_CIRCUIT, 3)
    bench.device.board.electrodes.mend(3)
    bench.ask(MeasureImpedance(3, CASE_CONTACT))
    bench.advance(1)
    assert bench.ask(ClearFault(2, FaultCode.SHORT_CIRCUIT)) == StateDetail(State.IDLE)
