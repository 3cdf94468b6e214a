"""REQ-THR-010, REQ-PRG-009, REQ-ECP-001: what is told, and what is given, while a switch of programs or a stop ramps down."""

from __future__ import annotations

from ipg_protocol import State
from ipg_protocol.commands.link import Capability
from ipg_protocol.commands.programs import AreaSettings, SelectProgram
from ipg_protocol.commands.sensing import Ecap, RecordEcap
from ipg_protocol.commands.therapy import AreaTherapy, ReadTherapy, StopMode, StopTherapy

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.therapy import MARGIN_SECONDS, stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, OutOfReach, expect, expect_ok, expect_that
from ipg_conformance.predicate import has_commands, is_not_zero
from ipg_conformance.safety import broken_rules
from ipg_conformance.together import ask_together

RAMPS_DOWN = is_not_zero(Capability.STOP_RAMP_MS)


def _slower(device: Device) -> AreaSettings:
    """A typical area at another rate than usual.

    Raises:
        NotApplicable: there is no other that is safe.
    """
    usual = device.typical()
    area = device.typical(
        rate_millihertz=device.capabilities.range(Capability.RATE_MILLIHERTZ).below(usual.rate_millihertz - 1)
    )
    if area == usual or broken_rules(area, device.capabilities):
        raise NotApplicable("the device has no second rate that is safe")
    return area


@case("THR/READ/BV-05", "REQ-THR-010", "REQ-PRG-009", profile=Profile.FULL, applies=RAMPS_DOWN)
def switch_tells_what_is_put_out(device: Device) -> None:
    """While SELECT_PROGRAM ramps down READ_THERAPY tells the rate that is still put out, and the new one when it is over."""
    usual, slower = device.typical(), _slower(device)
    device.write_program(slower, program=device.other_program, select=False)
    device.run_therapy(usual)
    _, reply = ask_together(device, SelectProgram(NEXT, device.other_program), ReadTherapy(0))
    report = expect_ok(reply, AreaTherapy)
    if not report.delivered_microamps:
        raise OutOfReach("the line is too slow to meet the ramp")
    expect("the rate while it ramps down", report.rate_millihertz, usual.rate_millihertz)
    within = stop_ramp_seconds(device) + slower.ramp_seconds + MARGIN_SECONDS
    device.wait_for_state(lambda state: state is State.THERAPY, within)
    expect("the rate when it is over", device.ask(ReadTherapy(0)).rate_millihertz, slower.rate_millihertz)


@case("ECP/RECORD/BO-01", "REQ-ECP-001", "REQ-THR-010", profile=Profile.FULL, applies=has_commands(RecordEcap))
def ecap_while_a_stop_ramps_down(device: Device) -> None:
    """RECORD_ECAP while STOP_THERAPY ramps down tells a pulse of no more than was delivered before, and refuses nothing."""
    device.run_therapy()
    if not stop_ramp_seconds(device):
        raise NotApplicable("the device stops without a ramp")
    full = device.ask(ReadTherapy(0)).delivered_microamps
    _, recorded, therapy = ask_together(device, StopTherapy(StopMode.RAMP), RecordEcap(0), ReadTherapy(0))
    if not expect_ok(therapy, AreaTherapy).delivered_microamps:
        raise OutOfReach("the line is too slow to meet the ramp")
    recording = expect_ok(recorded, Ecap, "RECORD_ECAP is accepted")
    expect_that("the pulse was of what was delivered, or less", 0 < recording.amplitude_microamps <= full, recording)
