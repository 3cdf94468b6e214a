"""REQ-MAG-001, REQ-RST-005 and 007: what a magnet, the supply and the reset line do. They take inputs beside the link."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ipg_protocol import State, Status
from ipg_protocol.commands.link import Alert, ResetCause, ResetHappened
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.modes import EnterMriMode, MagnetChanged, Mode, ReadModes
from ipg_protocol.commands.session import SessionClosing
from ipg_protocol.commands.therapy import ReadLimits, StartTherapy, TherapyCause

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.therapy import delivered_microamps
from ipg_conformance.cell import lose_power
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect, expect_refusal, expect_that
from ipg_conformance.states import find_leads_sound

SENSED_SECONDS = 2.0
LOOK_SECONDS = 0.05


def tells_of_a_magnet(device: Device) -> bool:
    """Whether the alert comes up in the time that a device may take to sense a magnet."""
    deadline = device.tester.clock() + SENSED_SECONDS
    while device.tester.clock() < deadline:
        if device.status().alerts & Alert.MAGNET_PRESENT:
            return True
        device.tester.listen(LOOK_SECONDS)
    return False


@contextmanager
def magnet(device: Device) -> Generator[None]:
    """A magnet that is there meanwhile, and is gone whatever happens.

    Raises:
        NotApplicable: the device takes no notice of it.
    """
    device.forget_events()
    device.inputs.magnet(True)
    try:
        if not tells_of_a_magnet(device):
            raise NotApplicable("the device takes no notice of a magnet")
        expect("what MAGNET_CHANGED says", device.tester.wait_for_event(MagnetChanged, SENSED_SECONDS).present, 1)
        yield
    finally:
        device.inputs.magnet(False)


@contextmanager
def stopping_magnet(device: Device) -> Generator[None]:
    """A magnet over a device that gives therapy, which it holds off.

    Raises:
        NotApplicable: the magnet of this device does something else.
    """
    with magnet(device):
        if device.status().state is not State.SUSPENDED:
            raise NotApplicable("the magnet of this device does not stop")
        yield


@case("MAG/HOLD/BV-01", "REQ-MAG-001", "REQ-SUS-001", outputs=True)
def magnet_holds_therapy_off(device: Device) -> None:
    """A magnet that stops holds therapy off while it is there, is told by events, and lets it come back when it goes."""
    device.run_therapy()
    with stopping_magnet(device):
        expect("what is delivered", delivered_microamps(device), 0)
        device.tester.events.clear()
    expect("what MAGNET_CHANGED says", device.tester.wait_for_event(MagnetChanged, SENSED_SECONDS).present, 0)
    device.wait_for_state(lambda state: state is not State.SUSPENDED, SENSED_SECONDS)


@case("MAG/HOLD/BO-01", "REQ-MAG-001", "REQ-SUS-001", outputs=True)
def start_under_a_magnet(device: Device) -> None:
    """Whatever the host says: START_THERAPY under a magnet that stops is refused WRONG_STATE, and nothing is delivered."""
    device.run_therapy()
    with stopping_magnet(device):
        expect_refusal("START_THERAPY", device.request(StartTherapy(NEXT)), Status.WRONG_STATE, state=State.SUSPENDED)
        expect("what is delivered", delivered_microamps(device), 0)


@case("MAG/MRI/BO-01", "REQ-MAG-001", "REQ-MRI-003", outputs=True, profile=Profile.FULL)
def magnet_in_mri_mode(device: Device) -> None:
    """With MRI mode there too, READ_MODES names the magnet, and MRI mode again when it has gone."""
    find_leads_sound(device)
    device.run_therapy()
    device.ask(EnterMriMode(NEXT, minutes=1))
    with magnet(device):
        modes = device.ask(ReadModes())
        if modes.mode is Mode.MRI:
            raise NotApplicable("the magnet of this device does not stop")
        expect("mode and magnet", (modes.mode, modes.magnet_present), (Mode.MAGNET, 1))
        device.tester.events.clear()
    device.tester.wait_for_event(MagnetChanged, SENSED_SECONDS)
    modes = device.ask(ReadModes())
    expect("mode and magnet", (modes.mode, modes.magnet_present), (Mode.MRI, 0))


@case("RST/POWER/BV-01", "REQ-RST-005", "REQ-RST-008", "REQ-TIM-001", outputs=True)
def power_comes_back(device: Device) -> None:
    """After a loss of power the log has how session and therapy ended and why the device booted; the clock is lost."""
    device.run_therapy()
    newest, boots = device.ask(LogInfo()).newest, device.status().boot_counter
    lose_power(device)
    device.open_session()
    happened = device.tester.wait_for_event(ResetHappened)
    expect("cause and boot counter", (happened.cause, happened.boot_counter), (ResetCause.POWER_RESTORED, boots + 1))
    wanted = {
        LogCode.SESSION_CLOSED: None,
        LogCode.THERAPY_STOPPED: TherapyCause.BATTERY,
        LogCode.BOOT: ResetCause.POWER_RESTORED,
    }
    found = {entry.code: entry.argument for entry in entries_from(device, newest + 1)}
    for code, argument in wanted.items():
        expect_that(f"an entry {code.name}", code in found, found)
        if argument is not None:
            expect(f"the argument of {code.name}", found[code], argument)
    expect_that("CLOCK_NOT_SET stands", bool(device.status().alerts & Alert.CLOCK_NOT_SET), device.status().alerts)


@case("RST/POWER/RT-01", "REQ-RST-005", outputs=True)
def power_goes_unannounced(device: Device) -> None:
    """A loss of power ends the session without SESSION_CLOSING; behind it what needs a session is refused NO_SESSION."""
    device.run_therapy()
    device.forget_events()
    lose_power(device)
    expect("the events SESSION_CLOSING", device.tester.events_of(SessionClosing), [])
    expect_refusal("READ_LIMITS", device.request(ReadLimits()), Status.NO_SESSION)


@case("RST/LINE/RT-01", "REQ-RST-007", "REQ-RST-001")
def reset_line(device: Device) -> None:
    """The reset line restarts the device: the boot counter is one higher, no session is left, and programs are kept."""
    device.write_program(device.typical())
    programs, boots = device.programs(), device.status().boot_counter
    device.inputs.reset()
    device.wait_for_boot()
    expect("the boot counter", device.status().boot_counter, boots + 1)
    expect_refusal("READ_LIMITS", device.request(ReadLimits()), Status.NO_SESSION)
    device.open_session()
    expect("the programs", device.programs(), programs)
