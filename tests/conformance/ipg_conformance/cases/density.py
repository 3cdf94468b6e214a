"""REQ-WAV-006: the densest program that a device takes, and warns of."""

from __future__ import annotations

from math import inf

from ipg_protocol.commands.link import Alert, Capability
from ipg_protocol.commands.log import LogCode, LogInfo
from ipg_protocol.commands.programs import AreaSettings, ContactShare, SelectProgram

from ipg_conformance.areas import largest_safe
from ipg_conformance.case import case
from ipg_conformance.cases.log import entries_from
from ipg_conformance.device import NEXT, Device
from ipg_conformance.expect import NotApplicable, expect
from ipg_conformance.safety import WITHOUT_CHARGE_RULES, broken_rules

PARTS = 8
"""How many widths are tried, from the shortest to the widest."""


def densest(device: Device) -> AreaSettings:
    """The area of the most charge per phase that is safe, all of it through one contact, and not the largest."""
    areas = device.capabilities.areas_square_millimetres
    contacts = sorted(device.sound_contacts, key=lambda contact: areas.get(contact, inf))[:2]
    if len(contacts) < 2:
        raise NotApplicable("it takes two sound contacts")
    shares = tuple(ContactShare(contact, share) for contact, share in zip(contacts, (-1000, 1000), strict=True))
    widths = device.capabilities.range(Capability.PULSE_WIDTH_US)
    most = device.capabilities.range(Capability.AMPLITUDE_MICROAMPS).maximum
    found: list[AreaSettings] = []
    for part in range(PARTS + 1):
        width = widths.below(widths.minimum + (widths.maximum - widths.minimum) * part // PARTS)
        area = device.smallest(pulse_width_us=width, contacts=shares)
        if not broken_rules(area, device.capabilities):
            found.append(largest_safe(area, "amplitude_microamps", Capability.AMPLITUDE_MICROAMPS, most, device.capabilities))
    if not found or found[0].waveform in WITHOUT_CHARGE_RULES:
        raise NotApplicable("the device has no waveform whose charge counts")
    return max(found, key=lambda area: area.amplitude_microamps * area.pulse_width_us)


@case("WAV/DENSITY/BV-02", "REQ-WAV-006", "REQ-LOG-002")
def dense_program_is_warned_of(device: Device) -> None:
    """A program above the warning level is taken and logged with its area; the alert is up while it is selected."""
    newest = device.ask(LogInfo()).newest
    device.write_program(device.smallest(), program=device.other_program, select=False)
    device.write_program(densest(device), select=False)
    logged = [entry.argument for entry in entries_from(device, newest + 1) if entry.code is LogCode.CHARGE_DENSITY_WARNED]
    if not logged:
        raise NotApplicable("no program that is safe on this device is above its warning level")
    expect("the areas that are logged", logged, [0])
    expect("the alert before it is selected", _is_warned(device), False)
    device.ask(SelectProgram(NEXT, device.program))
    expect("the alert while it is selected", _is_warned(device), True)
    device.ask(SelectProgram(NEXT, device.other_program))
    expect("the alert when another is", _is_warned(device), False)


def _is_warned(device: Device) -> bool:
    return bool(device.status().alerts & Alert.CHARGE_DENSITY_HIGH)
