"""What happens round the device reaches it at once, and by no command of the link."""

from __future__ import annotations

import pytest
import serial
from ipg_emulator.board.assembly import build_board
from ipg_emulator.faults import LeadFaultError
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import Supply, load, names
from ipg_emulator.patient import PostureError
from ipg_emulator.surroundings import Surroundings, SurroundingsError
from ipg_protocol import FrameReader, Kind, State, decode_event, encode_frame, request_frame
from ipg_protocol.commands.link import GetStatus, Ping, ResetCause, ResetHappened
from ipg_protocol.commands.measurement import ImpedanceVerdict, MeasureImpedance
from ipg_protocol.commands.modes import MagnetChanged
from ipg_protocol.commands.power import ChargingState, GetBattery, GetCharging
from ipg_protocol.commands.programs import CASE_CONTACT
from ipg_protocol.commands.session import OpenSession
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy, TherapyStateChanged
from ipg_protocol.vocabulary import BatteryTier, Role


def world(bench):
    return Surroundings(bench.firmware)


def settle(bench):
    bench.ask(StartTherapy(bench.transaction()))
    bench.advance(20)
    assert bench.device.state is State.THERAPY


def delivered(bench):
    return bench.ask(ReadTherapy(0)).delivered_microamps


def test_a_posture_moves_the_cord(bench):
    before = bench.device.board.patient.distance(bench.now)
    world(bench).take_posture("supine", bench.now)
    bench.advance(5)
    assert bench.device.board.patient.distance(bench.now) < 0.8 * before


def test_an_unknown_posture_is_refused(bench):
    with pytest.raises(PostureError, match="supine"):
        world(bench).take_posture("on the head", bench.now)


def test_a_cough_brings_the_cord_nearer_for_a_moment(bench):
    patient = bench.device.board.patient
    at_rest = patient.distance(bench.now + 200_000)
    world(bench).cough(bench.now)
    assert patient.distance(bench.now + 200_000) < 0.9 * at_rest


def test_leads_that_migrate_stay_shifted(bench):
    for _ in range(2):
        world(bench).migrate_leads(0.5, bench.now)
    assert bench.device.board.patient.lead_shift_contacts == 1.0


@pytest.mark.parametrize("contacts", [float("nan"), float("inf")])
def test_a_shift_that_is_no_distance_is_refused(bench, contacts):
    with pytest.raises(SurroundingsError, match="a number of contacts"):
        Surroundings(bench.firmware).migrate_leads(contacts, bench.now)


def test_a_lead_that_breaks_limits_therapy_at_once_and_a_mended_one_no_more(bench):
    settle(bench)
    full = delivered(bench)
    contact = bench.device.active_program.areas[0].contacts[0].contact
    world(bench).break_lead(contact, "open", bench.now)
    assert delivered(bench) < full / 100
    world(bench).mend_lead(contact, bench.now)
    assert delivered(bench) == full


def test_an_intermittent_contact_follows_the_posture(bench):
    world(bench).break_lead(3, "intermittent", bench.now)

    def verdict():
        bench.advance(bench.ask(MeasureImpedance(3, CASE_CONTACT)).duration_ms / 1000)
        return bench.device.delivery.measurements.of_contact[3].verdict

    assert verdict() is ImpedanceVerdict.OK
    world(bench).take_posture("sitting", bench.now)
    assert verdict() is ImpedanceVerdict.OPEN


def test_a_lead_fault_that_does_not_exist_is_refused(bench):
    with pytest.raises(LeadFaultError, match="contacts 0 to 15"):
        world(bench).break_lead(16, "open", bench.now)


def test_a_magnet_is_sensed_at_once(bench):
    settle(bench)
    world(bench).magnet(True, bench.now)
    assert bench.device.state is State.SUSPENDED
    world(bench).magnet(False, bench.now)
    assert bench.device.state is State.RAMPING


def test_what_is_due_before_happens_first(bench):
    bench.ask(StartTherapy(bench.transaction()))
    bench.now += 20_000_000
    world(bench).magnet(True, bench.now)
    assert [event.state for event in bench.happened(TherapyStateChanged)][-2:] == [State.THERAPY, State.SUSPENDED]


def test_a_charger_charges_as_long_as_it_is_there(make_bench):
    bench = make_bench(charge_permille=400)
    world(bench).charger(1000, bench.now)
    assert bench.ask(GetCharging()).state is ChargingState.CONSTANT_CURRENT
    before = bench.ask(GetBattery()).charge_permille
    bench.advance(3600)
    world(bench).charger(0, bench.now)
    assert bench.ask(GetCharging()).state is ChargingState.ABSENT
    assert bench.ask(GetBattery()).charge_permille > before + 100


@pytest.mark.parametrize("model", [name for name in names() if load(name).battery.supply is not Supply.MAINS])
def test_battery_that_is_set_to_ok_is_above_every_threshold_and_not_full(make_bench, model):
    bench = make_bench(model)
    world(bench).battery(BatteryTier.OK, bench.now)
    reading = bench.device.supply.read(bench.now)
    assert reading.millivolts > bench.model.battery.low_millivolts
    assert reading.charge_permille < 1000


@pytest.mark.parametrize("coupling", [-1, 1001])
def test_a_coupling_that_cannot_be_is_refused(bench, coupling):
    with pytest.raises(SurroundingsError, match="0 to 1000"):
        world(bench).charger(coupling, bench.now)


def test_without_its_worn_disc_a_device_is_dead(make_bench):
    bench = make_bench("pns-battery-free")
    bench.open()
    settle(bench)
    world(bench).worn_disc(False, bench.now)
    output = bench.device.board.output
    assert output.delivered_microamps(0, bench.now) == 0
    assert bench.send(request_frame(Ping(1), 1)) == []
    bench.advance(60)
    world(bench).worn_disc(True, bench.now)
    bench.advance(1)
    bench.open(nonce=2)
    assert bench.happened(ResetHappened)[-1] == ResetHappened(ResetCause.POWER_RESTORED, 2)
    assert bench.ask(GetStatus()).state is State.IDLE


def test_a_new_battery_boots_the_device(make_bench):
    bench = make_bench("tens", charge_permille=20)
    world(bench).replace_battery(bench.now)
    bench.advance(1)
    battery = bench.ask(GetBattery())
    assert (battery.charge_permille, battery.tier) == (1000, BatteryTier.OK)
    assert bench.ask(GetStatus()).boot_counter == 2


@pytest.mark.parametrize(
    ("model", "act", "problem"),
    [
        ("drg-primary", lambda it, now: it.charger(500, now), "drg-primary has no charger"),
        ("drg-primary", lambda it, now: it.replace_battery(now), "the supply of drg-primary is primary, not replaceable"),
        ("tens", lambda it, now: it.worn_disc(False, now), "the supply of tens is replaceable, not worn"),
    ],
)
def test_what_cannot_happen_to_a_device_is_refused(make_bench, model, act, problem):
    bench = make_bench(model)
    with pytest.raises(SurroundingsError, match=problem):
        act(world(bench), bench.now)


def test_a_board_that_is_not_virtual_has_no_surroundings():
    model = load("scs-rechargeable")
    real = build_board(model, seed=0)

    class OtherBoard:
        def __getattr__(self, name):
            return getattr(real, name)

    with pytest.raises(TypeError, match="OtherBoard"):
        Surroundings(Firmware(model, OtherBoard(), serial="X"))


@pytest.fixture
def port(monkeypatch):
    monkeypatch.setattr(serial, "protocol_handler_packages", ["ipg_emulator.ports"])
    with serial.serial_for_url("ipg://scs-rechargeable?seed=1", timeout=0) as opened:
        yield opened


def test_a_port_lets_things_happen_at_its_present_time(port):
    port.write(encode_frame(request_frame(OpenSession(Role.SERVICE, 1, 1), 1)))
    port.write(encode_frame(request_frame(StartTherapy(1), 1)))
    port.advance(20)
    port.read(10_000)
    port.surroundings.magnet(True)
    frames = FrameReader().feed(port.read(10_000), 0)
    events = [decode_event(frame) for frame in frames if frame.kind is Kind.EVENT]
    assert MagnetChanged(1) in events
    assert port.firmware.device.state is State.SUSPENDED


def test_a_port_has_every_act_of_the_surroundings(port):
    acts = {name for name in vars(Surroundings) if not name.startswith("_")}
    assert acts == {name for name in vars(type(port.surroundings)) if not name.startswith("_")}
