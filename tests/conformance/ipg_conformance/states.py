"""How to bring a device from IDLE to each state that the protocol can bring it to."""

from __future__ import annotations

from collections.abc import Callable

from ipg_protocol import CATALOGUE, Command, Message, State
from ipg_protocol.commands.link import Capability, EnterShelfMode, Reset
from ipg_protocol.commands.measurement import ALL_CONTACTS, MeasureImpedance
from ipg_protocol.commands.modes import EnterMriMode

from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable
from ipg_conformance.leads import measure_once_a_boot


def _boot(device: Device) -> None:
    device.ask(Reset(NEXT))


def _shelf(device: Device) -> None:
    device.ask(EnterShelfMode(NEXT))


def _idle(device: Device) -> None:
    device.wait_for_state(lambda state: state is State.IDLE)


def slowest_ramp_seconds(device: Device) -> int:
    """The longest ramp there is.

    Raises:
        NotApplicable: the device does not ramp.
    """
    slowest = device.capabilities.range(Capability.RAMP_SECONDS).maximum
    if not slowest:
        raise NotApplicable("the device does not ramp")
    return slowest


def _ramping(device: Device) -> None:
    device.begin_therapy(device.typical(ramp_seconds=slowest_ramp_seconds(device)))


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


def _suspended(device: Device) -> None:
    find_leads_sound(device)
    device.ask(EnterMriMode(NEXT, minutes=device.capabilities.limit(Capability.MRI_MINUTES)))


def find_leads_sound(device: Device) -> None:
    """See to it that every contact was measured since the boot, as MRI mode asks for.

    Raises:
        NotApplicable: the device has no MRI mode, or a contact is open or short.
    """
    device.need(EnterMriMode)
    if device.open_contacts or device.shorted_contacts:
        raise NotApplicable("MRI mode takes leads without an open contact or a short")
    measure_once_a_boot(device)


ROUTES: dict[State, Callable[[Device], None]] = {
    State.BOOT: _boot,
    State.SHELF: _shelf,
    State.IDLE: _idle,
    State.RAMPING: _ramping,
    State.THERAPY: _therapy,
    State.MEASURING: _measuring,
    State.FAULT: _fault,
    State.SUSPENDED: _suspended,
}
"""EOS is missing: no command empties a battery."""


def bring_to(device: Device, state: State) -> None:
    """Bring a settled device to a state. What comes after MEASURING and BOOT comes by itself, and soon."""
    ROUTES[state](device)


ROUTE_FOR: dict[type[Message], Callable[[Device], None]] = {
    **{
        command.request: ROUTES[State.THERAPY if State.THERAPY in command.states else State.SUSPENDED]
        for command in CATALOGUE.values()
        if State.IDLE not in command.states
    },
    EnterMriMode: find_leads_sound,
}
"""How to bring a device from IDLE to take a command, where it would not, or not so soon, take it there."""


def bring_to_one_for(device: Device, command: Command) -> None:
    """Bring a settled device to a state in which it takes a command, and do first what the command asks for."""
    ROUTE_FOR.get(command.request, _idle)(device)
