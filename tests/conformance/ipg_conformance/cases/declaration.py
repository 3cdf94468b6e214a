"""REQ-IDN-002 and REQ-CAP-001: what the maker declares of the device (ICS) is what the device says of itself."""

from __future__ import annotations

from ipg_protocol.commands.link import Identify

from ipg_conformance.case import case
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure, OutOfReach, expect
from ipg_conformance.ics import Statement, feature_name, key_of
from ipg_conformance.wording import shown

SHOWN = 5


def statement(device: Device) -> Statement:
    if device.statement is None:
        raise OutOfReach("nothing is declared: --ics FILE")
    return device.statement


@case("ICS/IDENTITY/BV-01", "REQ-IDN-002", bare=True)
def identity_is_as_declared(device: Device) -> None:
    """IDENTIFY reports the model, the firmware and the protocol that the ICS declares."""
    declared = statement(device).device
    identity = device.ask(Identify())
    reported = {
        "model": (declared.model, identity.model),
        "firmware": (declared.firmware, identity.firmware_version),
        "protocol": (declared.protocol, f"{identity.protocol_major}.{identity.protocol_minor}"),
    }
    for name, (said, found) in reported.items():
        if said is not None:
            expect(f"the {name}", found, said)


@case("ICS/CAPABILITIES/BV-01", "REQ-CAP-001", "REQ-CAP-002", bare=True)
def capabilities_are_as_declared(device: Device) -> None:
    """Each row that the ICS declares is reported by GET_CAPABILITIES, with the same figures."""
    declared = statement(device).rows
    reported = {key_of(row): row for row in device.capabilities.rows}
    wrong = [(said, reported.get(key)) for key, said in declared.items() if reported.get(key) != said]
    if wrong:
        more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise Failure(
            f"{len(wrong)} of {len(declared)} rows are not as declared: "
            + ", ".join(f"{feature_name(said)} {said.index}" for said, _ in wrong[:SHOWN])
            + more,
            expected=[said for said, _ in wrong[:SHOWN]],
            got="; ".join(shown(found) if found else "no such row" for _, found in wrong[:SHOWN]),
        )
