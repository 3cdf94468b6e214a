"""REQ-MAG: a magnet in each state, in the log, and one that boosts. They take the input `magnet`."""

from __future__ import annotations

from ipg_protocol import State, Status
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.modes import MagnetChanged
from ipg_protocol.commands.programs import AreaSettings, EraseProgram, ReadProgram
from ipg_protocol.commands.therapy import StartTherapy, TherapyCause, TherapyStateChanged

from ipg_conformance.case import Profile, case
from ipg_conformance.cases.inputs import SENSED_SECONDS, magnet, stopping_magnet
from ipg_conformance.cases.log import entries_from
from ipg_conformance.cases.therapy import delivered_microamps, stop_ramp_seconds
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, OutOfReach, expect, expect_that
from ipg_conformance.states import bring_to

HELD_SECONDS = 1.0
"""How long a magnet is laid on for it to be a sign."""
MARGIN_SECONDS = 1.5
FOUND_IN = [(state.name, state) for state in (State.IDLE, State.RAMPING, State.MEASURING)]
DELIVERING = (State.RAMPING, State.THERAPY)


@case("MAG/STATE/BV-01", "REQ-MAG-001", "REQ-STA-001", each=FOUND_IN, profile=Profile.FULL, outputs=True)
def magnet_in_each_state(device: Device, state: State) -> None:
    """A magnet that stops leads to SUSPENDED at once from every state in which something could be put out, and is told."""
    bring_to(device, state)
    with stopping_magnet(device):
        device.catch_up()
        changes = device.tester.events_of(TherapyStateChanged)
        suspended = [change.cause for change in changes if change.state is State.SUSPENDED]
        expect("what led to SUSPENDED", suspended, [TherapyCause.MAGNET])
        expect("what is delivered", delivered_microamps(device), 0)
    device.wait_for_state(lambda found: found is not State.SUSPENDED, SENSED_SECONDS)


@case("MAG/LOG/BV-01", "REQ-LOG-002", "REQ-MAG-001", outputs=True)
def magnet_is_logged(device: Device) -> None:
    """A magnet that comes is logged as 1, one that goes as 0."""
    newest = device.ask(LogInfo()).newest
    with magnet(device):
        device.forget_events()
    device.tester.wait_for_event(MagnetChanged, SENSED_SECONDS)
    found = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.MAGNET]
    expect("the entries MAGNET", found, [1, 0])


def boost(device: Device) -> int:
    """Give the sign for a boost; the program that is boosted.

    Raises:
        NotApplicable: this magnet does not start another program than the one that is selected.
    """
    selected = device.status().active_program
    with magnet(device):
        device.tester.listen(HELD_SECONDS)
    device.catch_up()
    if device.status().state not in DELIVERING:
        raise NotApplicable("a magnet that is laid on for a second starts nothing")
    others = [slot.program for slot in device.programs() if slot.area_count and slot.program != selected]
    boosted = [slot for slot in others if device.request(EraseProgram(NEXT, slot)).status is Status.WRONG_STATE]
    if not boosted:
        raise NotApplicable("a magnet that is laid on for a second starts the program that is selected")
    expect("how many programs cannot be erased", len(boosted), 1)
    return boosted[0]


@case("MAG/BOOST/BO-01", "REQ-MAG-001", "REQ-PRG-010", profile=Profile.FULL, outputs=True, destructive=True)
def start_waits_for_the_boost(device: Device) -> None:
    """What a magnet boosts cannot be erased meanwhile; START_THERAPY then is taken, and begins when the boost is over."""
    selected = device.status().active_program
    boosted = boost(device)
    newest = device.ask(LogInfo()).newest
    dose = max(area.dose_seconds for area in _areas_of(device, boosted))
    if dose > device.patience_seconds:
        raise OutOfReach(f"the boost takes {dose} s")
    device.ask(StartTherapy(NEXT))
    expect_that("the boost goes on", _started(device, newest) == [], _started(device, newest))
    device.rest(dose + stop_ramp_seconds(device) + MARGIN_SECONDS)
    expect("what is started when it is over", _started(device, newest), [selected])
    expect_that("therapy runs", device.status().state in DELIVERING, device.status())


def _areas_of(device: Device, program: int) -> list[AreaSettings]:
    count = next(slot.area_count for slot in device.programs() if slot.program == program)
    return [device.ask(ReadProgram(program, area)).settings for area in range(count)]


def _started(device: Device, since: int) -> list[int]:
    return [entry.argument for entry in entries_from(device, since + 1) if entry.code is LogCode.THERAPY_STARTED]
