"""Leads that fail in a running device: by posture, by migration, and mended again."""

from __future__ import annotations

import pytest
from ipg_emulator.patient.posture import POSTURES
from ipg_emulator.surroundings import Surroundings
from ipg_protocol import State
from ipg_protocol.commands.link import Alert, GetStatus
from ipg_protocol.commands.log import LogCode, ReadCounters, ReadLog
from ipg_protocol.commands.measurement import ImpedanceVerdict, MeasureImpedance, ReadImpedance
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.sensing import RecordEcap
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy, TherapyFlag

CATHODE = 3
OPENING = {"sitting", "supine"}


@pytest.fixture
def running(make_bench):
    """A device that delivers, and whose cathode is about to fail."""
    bench = make_bench("scs-closed-loop", lead_faults={CATHODE: "intermittent"})
    bench.open()
    bench.ask(StartTherapy(1))
    bench.advance(3)
    return bench


@pytest.fixture
def world(running) -> Surroundings:
    return Surroundings(running.firmware)


def measure(bench) -> dict[int, tuple[ImpedanceVerdict, int]]:
    found = {}
    for contact in (2, CATHODE, 4):
        started = bench.ask(MeasureImpedance(contact, CASE_CONTACT))
        bench.advance(started.duration_ms / 1000)
        (row,) = bench.ask(ReadImpedance(0)).rows
        found[contact] = (row.verdict, row.ohms)
    return found


@pytest.mark.parametrize("posture", POSTURES)
def test_an_intermittent_contact_is_open_in_its_postures_only(running, world, posture: str) -> None:
    world.take_posture(posture, running.now)
    therapy = running.ask(ReadTherapy(0))
    is_open = posture in OPENING
    assert (therapy.delivered_microamps == 0) is is_open
    assert (TherapyFlag.COMPLIANCE_LIMITED in therapy.flags) is is_open
    verdicts = {contact: verdict for contact, (verdict, _) in measure(running).items()}
    assert verdicts == {2: ImpedanceVerdict.OK, CATHODE: ImpedanceVerdict(is_open), 4: ImpedanceVerdict.OK}


def test_the_device_says_so_once_each_time_the_contact_opens(running, world) -> None:
    before = running.ask(ReadCounters()).compliance_reached
    for posture in ("sitting", "supine", "standing", "sitting"):
        world.take_posture(posture, running.now)
        running.advance(1)
    assert running.ask(ReadCounters()).compliance_reached == before + 2
    entries = [entry for entry in running.ask(ReadLog(0)).rows if entry.code is LogCode.COMPLIANCE_REACHED]
    assert [entry.argument for entry in entries] == [0, 0]
    assert Alert.COMPLIANCE_LIMITED in running.ask(GetStatus()).alerts
    assert running.device.state is State.THERAPY


def test_standing_up_brings_therapy_back_to_its_amplitude(running, world) -> None:
    programmed = running.ask(ReadTherapy(0)).delivered_microamps
    world.take_posture("sitting", running.now)
    running.advance(5)
    world.take_posture("standing", running.now)
    assert running.ask(ReadTherapy(0)).delivered_microamps == programmed > 0


def test_nothing_counts_as_delivered_while_the_contact_is_open(running, world) -> None:
    world.take_posture("sitting", running.now)
    before = running.ask(ReadTherapy(0)).charge_microcoulombs
    running.advance(20)
    assert running.ask(ReadTherapy(0)).charge_microcoulombs == before


def test_a_contact_can_break_and_be_mended_while_therapy_runs(running, world) -> None:
    world.break_lead(CATHODE, "open", running.now)
    assert running.ask(ReadTherapy(0)).delivered_microamps == 0
    world.mend_lead(CATHODE, running.now)
    world.take_posture("sitting", running.now)
    assert running.ask(ReadTherapy(0)).delivered_microamps > 0


def test_migration_takes_the_ecap_away_and_leaves_impedance_as_it_was(running, world) -> None:
    electrodes, patient = running.firmware.board.electrodes, running.firmware.board.patient
    settings = running.device.delivered_area(0)
    before = running.ask(RecordEcap(0)).microvolts
    load = electrodes.load(settings.contacts, running.now)
    ohms = {contact: ohms for contact, (_, ohms) in measure(running).items()}
    running.advance(5)
    world.migrate_leads(5.0, running.now)
    assert patient.lead_shift_contacts == 5.0
    assert running.ask(RecordEcap(0)).microvolts < before - 25
    assert electrodes.load(settings.contacts, running.now) == load
    assert {contact: ohms for contact, (_, ohms) in measure(running).items()} == pytest.approx(ohms, rel=0.05)
