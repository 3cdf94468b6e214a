"""REQ-DOS-001 and REQ-HST-001: what counts as time of a dose, and a host that is silent a second time."""

from __future__ import annotations

from ipg_protocol import State
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.therapy import StartTherapy

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.doses import dosed, early_seconds, lasting
from ipg_conformance.cases.therapy import stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, OutOfReach, expect
from ipg_conformance.leads import finish_measurement

MARGIN_SECONDS = 1.5
HELD_SECONDS = 3.0
MOST_MEASUREMENTS = 400


@case("DOS/CYCLE/LT-01", "REQ-DOS-001", profile=Profile.FULL)
def pauses_of_a_cycle_count(device: Device) -> None:
    """The off-part of a cycle counts: an area that cycles ends its dose when one that does not would."""
    on, off = (device.capabilities.range(name) for name in (Capability.CYCLE_ON_SECONDS, Capability.CYCLE_OFF_SECONDS))
    if not on.maximum or not off.maximum:
        raise NotApplicable("the device does not cycle")
    area = dosed(device, cycle_on_seconds=on.from_(1), cycle_off_seconds=off.from_(1))
    early = early_seconds(device)
    device.begin_therapy(area)
    device.rest(area.dose_seconds - early)
    expect(f"the state {early:.0f} s before the end", device.status().state, State.THERAPY)
    device.rest(early + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("the state when the dose is over", device.status().state, State.IDLE)


@case("DOS/HELD/LT-01", "REQ-DOS-001", profile=Profile.FULL)
def measurements_do_not_count(device: Device) -> None:
    """A measurement is no time of a dose: it ends so much later as therapy was held off, and does end."""
    area = dosed(device)
    device.need(MeasureImpedance)
    device.run_therapy(area)
    begun = device.tester.clock()
    held = _measured_seconds(device)
    over = area.dose_seconds - area.ramp_seconds + held
    left = over - held / 2 - (device.tester.clock() - begun)
    if left < area.ramp_seconds:  # after each measurement therapy ramps up again
        raise OutOfReach("the dose is too short to be held off for so long")
    device.rest(left)
    expect("the state when it would be over", device.status().state, State.THERAPY)
    device.rest(held / 2 + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("the state when the dose is over", device.status().state, State.IDLE)


def _measured_seconds(device: Device) -> float:
    """Hold therapy off by one measurement after the other; for how long in all."""
    held = 0.0
    for _ in range(MOST_MEASUREMENTS):
        held += device.ask(MeasureImpedance(ALL_CONTACTS, device.return_contact)).duration_ms / 1000
        finish_measurement(device)
        if held >= HELD_SECONDS:
            return held
    raise OutOfReach("its measurements are too short to tell")


@case("HST/SILENT/LT-02", "REQ-HST-001", profile=Profile.FULL)
def silent_a_second_time(device: Device) -> None:
    """Therapy that is turned back up out of the stop ramp of a silent host stops again when the host is silent again."""
    silence = device.capabilities.limit(Capability.HOST_SILENCE_MS) / 1000
    if not silence or not stop_ramp_seconds(device):
        raise NotApplicable("the device does not mind a silent host, or stops without a ramp")
    area = lasting(device, 3 * silence)
    device.run_therapy(area)
    device.let_pass(silence + stop_ramp_seconds(device) / 4)
    device.open_session()
    if device.status().state is not State.RAMPING:
        raise OutOfReach("the line is too slow to meet the stop ramp")
    device.ask(StartTherapy(NEXT))
    device.wait_for_state(lambda state: state is State.THERAPY, area.ramp_seconds + MARGIN_SECONDS)
    device.let_pass(silence + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("the state after the second silence", device.status().state, State.IDLE)
