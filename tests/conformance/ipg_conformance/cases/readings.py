"""Reports that take no argument to be wrong in: refused as whole requests, and repeated from store, they stay true."""

from __future__ import annotations

from typing import Any, NamedTuple

from ipg_protocol import COMMAND_OF, Request, Status, encode
from ipg_protocol.commands.link import GetCapabilities, Identify, Ping
from ipg_protocol.commands.log import LogInfo
from ipg_protocol.commands.measurement import ReadTemperature
from ipg_protocol.commands.modes import ReadModes
from ipg_protocol.commands.power import GetBattery, GetCharging, GetLongevity
from ipg_protocol.commands.session import CloseSession
from ipg_protocol.refusal import WHOLE_MESSAGE

from ipg_conformance.case import case
from ipg_conformance.cases.numbering import replayed
from ipg_conformance.device import Device
from ipg_conformance.expect import expect, expect_ok, expect_refusal

SURPLUS = (1, 8, 200)


class Reading(NamedTuple):
    """A report: the case that probes it, what it must keep to, and how it is asked for."""

    case_id: str
    requirement: str
    request: Request[Any]


READINGS = (
    Reading("IDN/PING/BI-01", "REQ-IDN-001", Ping(0x5EED_0001)),
    Reading("IDN/IDENTIFY/BI-01", "REQ-IDN-002", Identify()),
    Reading("CAP/PAGES/BI-01", "REQ-CAP-001", GetCapabilities(first=0)),
    Reading("BAT/READ/BI-01", "REQ-BAT-001", GetBattery()),
    Reading("CHG/READ/BI-01", "REQ-CHG-001", GetCharging()),
    Reading("LON/READ/BI-01", "REQ-LON-001", GetLongevity()),
    Reading("TMP/READ/BI-01", "REQ-TMP-001", ReadTemperature()),
    Reading("MRI/READ/BI-01", "REQ-MRI-003", ReadModes()),
    Reading("LOG/INFO/BI-01", "REQ-LOG-001", LogInfo()),
)


def probe(device: Device, reading: Reading) -> None:
    """Refused with surplus bytes and, where it takes a session, without one; between that it is answered, and repeated."""
    command = COMMAND_OF[type(reading.request)]
    device.need(command.request)
    payload = encode(reading.request)
    for surplus in SURPLUS:
        reply = device.tester.request_bytes(command.opcode, payload + bytes(surplus))
        detail = {"field": WHOLE_MESSAGE, "expected_size": len(payload), "received_size": len(payload) + surplus}
        expect_refusal(f"{command.name} with {surplus} bytes too many", reply, Status.MALFORMED, **detail)
    number = device.tester.take_request_id()
    first = device.tester.request(reading.request, number)
    expect_ok(first, command.response, command.name)
    again = device.tester.request(reading.request, number)
    if command.role is None:
        expect("the flags of a command that is executed each time", again.flags, first.flags)
        return
    expect("the answer to the repeat", again, replayed(first))
    boot_counter = device.status().boot_counter
    device.ask(CloseSession())
    reply = device.tester.request(reading.request)
    expect_refusal(f"{command.name} without a session", reply, Status.NO_SESSION, boot_counter=boot_counter)


def _declare(reading: Reading) -> None:
    def refused_as_a_whole(device: Device) -> None:
        """The report is refused with surplus bytes and without the session that it takes, and is repeated from store."""
        probe(device, reading)

    case(reading.case_id, reading.requirement, "REQ-CMD-002")(refused_as_a_whole)


for _reading in READINGS:
    _declare(_reading)
