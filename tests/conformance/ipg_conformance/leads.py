"""What the device's leads measure, so that cases can use sound contacts, or those at fault."""

from __future__ import annotations

from ipg_protocol import State
from ipg_protocol.commands.measurement import (
    ALL_CONTACTS,
    Impedance,
    ImpedanceVerdict,
    MeasureImpedance,
    ReadImpedance,
)
from ipg_protocol.commands.programs import CASE_CONTACT

from ipg_conformance.device import Device
from ipg_conformance.permission import Permission


def finish_measurement(device: Device, within: float = 10.0) -> None:
    """Wait until no measurement is under way."""
    device.wait_for_state(lambda state: state is not State.MEASURING, within)


def measure(device: Device, cathode: int, anode: int) -> Impedance:
    """Measure one pair and wait for the result."""
    device.ask(MeasureImpedance(cathode, anode))
    finish_measurement(device)
    return device.ask(ReadImpedance(first=0)).rows[0]


def measure_all(device: Device) -> list[Impedance]:
    """Measure every contact against the return contact and wait for the results."""
    started = device.ask(MeasureImpedance(cathode=ALL_CONTACTS, anode=device.return_contact))
    device.measuring_seconds = started.duration_ms / 1000
    finish_measurement(device, device.measuring_seconds + 2)
    return read_impedance(device)


def measure_once_a_boot(device: Device) -> None:
    """Measure every contact as a cathode, unless that was done since the boot."""
    boot_counter = device.status().boot_counter
    if device.measured_in_boot == boot_counter:
        return
    measure_all(device)
    if device.return_contact != CASE_CONTACT:
        measure(device, device.return_contact, device.sound_contacts[0])
    device.measured_in_boot = boot_counter


def read_impedance(device: Device) -> list[Impedance]:
    """All rows of the last measurement, page by page."""
    rows: list[Impedance] = []
    while True:
        page = device.ask(ReadImpedance(first=len(rows)))
        rows += page.rows
        if len(rows) >= page.measured or not page.rows:
            return rows


def inspect_once(device: Device) -> None:
    """Find the contacts that measure open or short, so that cases can use the others; settles the device again.

    Without leave to raise output all contacts are taken for sound.
    """
    is_allowed = Permission.OUTPUT in device.tester.allowed
    if device.leads_inspected or not is_allowed or not device.capabilities.supports(MeasureImpedance, ReadImpedance):
        return
    rows = measure_all(device)
    device.open_contacts = [row for row in rows if row.verdict is ImpedanceVerdict.OPEN]
    device.shorted_contacts = [row for row in rows if row.verdict is ImpedanceVerdict.SHORT]
    if device.return_contact == CASE_CONTACT:
        device.measured_in_boot = device.status().boot_counter
    device.leads_inspected = True
    device.settle()
