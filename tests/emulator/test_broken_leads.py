"""Faults of the leads: what is delivered and measured through them, and that all is well when they are over."""

from __future__ import annotations

import pytest
from ipg_emulator.faults.board import (
    BrownOut,
)
from ipg_emulator.faults.fault import When
from ipg_emulator.faults.leads import ImpedanceDrift, LeadBreach, LeadIntermittent, LeadMigration, LeadOpen, LeadShort
from ipg_emulator.surroundings import Surroundings
from ipg_protocol import Role, State
from ipg_protocol.commands.log import FaultRaised
from ipg_protocol.commands.measurement import ImpedanceVerdict
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.sensing import RecordEcap
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import (
    StartTherapy,
)
from ipg_protocol.vocabulary import FaultCode

HOUR = 3600
CATHODE = 3
"""Of the program that the device leaves the factory with."""


def ohms(bench, cathode, anode=CASE_CONTACT):
    return bench.measured(cathode, anode).ohms


def test_an_open_lead_delivers_nothing_and_measures_open_until_it_is_mended(running):
    programmed = running.delivered()
    mend = running.begin(LeadOpen(contact=CATHODE))
    assert running.delivered() == 0
    assert running.measured(CATHODE).verdict is ImpedanceVerdict.OPEN
    mend()
    assert running.measured(CATHODE).verdict is ImpedanceVerdict.OK
    running.advance(5)
    assert running.delivered() == programmed > 0


def test_a_short_lead_latches_a_fault_when_it_is_measured(running):
    mend = running.begin(LeadShort(contact=CATHODE))
    assert running.measured(CATHODE).verdict is ImpedanceVerdict.SHORT
    assert [(event.fault, event.contact) for event in running.happened(FaultRaised)] == [(FaultCode.SHORT_CIRCUIT, CATHODE)]
    assert running.device.state is State.FAULT
    mend()
    assert running.measured(CATHODE).verdict is ImpedanceVerdict.OK


def test_a_breach_takes_the_impedance_down_to_less_than_its_shunt(bench):
    sound = ohms(bench, CATHODE)
    mend = bench.begin(LeadBreach(contact=CATHODE, ohms=150))
    assert ohms(bench, CATHODE) == pytest.approx(1 / (1 / sound + 1 / 150), rel=0.1)
    mend()
    assert ohms(bench, CATHODE) == pytest.approx(sound, rel=0.1)


def test_an_intermittent_lead_is_open_in_its_postures(running):
    programmed, world = running.delivered(), Surroundings(running.firmware)
    mend = running.begin(LeadIntermittent(contact=CATHODE, postures=("walking",)))
    assert running.delivered() == programmed
    world.take_posture("walking", running.now)
    assert running.delivered() == 0
    mend()
    assert running.delivered() == programmed


def test_drift_makes_a_contact_s_impedance_grow_by_the_hour(bench):
    one, other = ohms(bench, CATHODE), ohms(bench, CATHODE + 1)
    mend = bench.begin(ImpedanceDrift(contact=CATHODE, ohms_per_hour=200))
    bench.later(hours=5)
    assert ohms(bench, CATHODE) == pytest.approx(one + 1000, rel=0.05)
    assert ohms(bench, CATHODE + 1) == pytest.approx(other, rel=0.05)
    mend()
    assert ohms(bench, CATHODE) == pytest.approx(one, rel=0.05)


def test_drift_of_all_contacts_ends_in_the_limit_of_compliance(running):
    programmed, between = running.delivered(), ohms(running, 2, 4)
    running.advance(5)
    running.begin(ImpedanceDrift(ohms_per_hour=500))
    running.later(hours=2)
    assert ohms(running, 2, 4) == pytest.approx(between + 2 * 1000, rel=0.05)
    running.later(hours=8)
    assert running.measured(2, 4).verdict is ImpedanceVerdict.OPEN
    running.advance(5)
    assert 0 < running.delivered() < programmed


def test_migration_takes_the_ecap_away_and_leaves_the_impedance(make_bench):
    bench = make_bench("scs-closed-loop")
    bench.open()
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(5)
    evoked, resistance = bench.ask(RecordEcap(0)).microvolts, ohms(bench, CATHODE)
    bench.advance(5)
    mend = bench.begin(LeadMigration(contacts=5.0))
    assert bench.ask(RecordEcap(0)).microvolts < evoked - 25
    assert ohms(bench, CATHODE) == pytest.approx(resistance, rel=0.05)
    mend()
    bench.advance(5)
    assert bench.ask(RecordEcap(0)).microvolts == pytest.approx(evoked, abs=25)


# As a plan has them


def started(wire, *faults):
    """A device that delivers, with a plan."""
    heard = wire(*faults)
    heard.send(OpenSession(Role.SERVICE, 7, 1), StartTherapy(1))
    heard.advance(5)
    return heard


def test_a_lead_opens_when_therapy_is_reached_and_is_whole_after_the_restart(wire):
    heard = started(wire, LeadOpen(contact=CATHODE, when=When(state="THERAPY")), BrownOut(when=When(at_ms=8000)))
    output = heard.ipg.firmware.board.output
    assert (heard.device.state, output.delivered_microamps(0, heard.now)) == (State.THERAPY, 0)
    heard.advance(10)
    assert (heard.device.state, output.delivered_microamps(0, heard.now) > 0) == (State.THERAPY, True)


def test_a_lead_that_is_broken_over_restarts_stays_so(wire):
    broken = LeadOpen(contact=CATHODE, when=When(state="THERAPY"), survives_restart=True)
    heard = started(wire, broken, BrownOut(when=When(at_ms=8000)))
    heard.advance(10)
    output = heard.ipg.firmware.board.output
    assert (heard.device.state, output.delivered_microamps(0, heard.now)) == (State.THERAPY, 0)
    heard.faults.clear(heard.now)
    assert output.delivered_microamps(0, heard.now) > 0
