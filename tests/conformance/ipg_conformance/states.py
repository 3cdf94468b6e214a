"""How to bring a device from IDLE to each state that the protocol can bring it to."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol import State
from ipg_protocol.commands.link import Capability, EnterShelfMode, Reset
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance

from ipg_conformance.case import NotApplicable
from ipg_conformance.device import NEXT, Device


def _boot(device: Device) -> None:
    device.ask(Reset(NEXT))


def _shelf(device: Device) -> None:
    device.ask(EnterShelfMode(NEXT))


def _idle(device: Device) -> None:
    device.wait_for_state(lambda state: state is State.IDLE)


def _ramping(device: Device) -> None:
    slowest = device.capabilities.range(Capability.RAMP_SECONDS).maximum
    device.begin_therapy(device.typical(ramp_seconds=slowest))


def _therapy(device: Device) -> None:
    device.run_therapy()


def _measuring(device: Device) -> None:
    device.ask(MeasureImpedance(cathode=ALL_CONTACTS, anode=device.return_contact))


def _fault(device: Device) -> None:
    if not device.shorted_contacts:
        raise NotApplicable("the device reports no short, so no fault can be latched")
    short = device.shorted_contacts[0]
    device.ask(MeasureImpedance(short.cathode, short.anode))
    device.wait_for_state(lambda state: state is State.FAULT)


ROUTES: dict[State, Callable[[Device], None]] = {
    State.BOOT: _boot,
    State.SHELF: _shelf,
    State.IDLE: _idle,
    State.RAMPING: _ramping,
    State.THERAPY: _therapy,
    State.MEASURING: _measuring,
    State.FAULT: _fault,
}
"""EOS is missing: no command empties a battery."""


def bring_to(device: Device, state: State) -> None:
    """Bring a settled device to a state. What comes after MEASURING and BOOT comes by itself, and soon."""
    ROUTES[state](device)
