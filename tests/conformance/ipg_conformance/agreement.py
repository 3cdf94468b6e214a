"""A device that agrees to everything is not tested any further: what it accepts shows nothing."""

from __future__ import annotations

from contextlib import suppress

from ipg_protocol import COMMAND_OF, Status
from ipg_protocol.commands.link import Ping

from ipg_conformance.device import Device
from ipg_conformance.expect import Failure

PING = COMMAND_OF[Ping].opcode
WRONG = ((PING, bytes(5)), (0x7E7E, b""))
"""Opcode and payload of what every device must refuse: a PING of one byte too many, and a command that there is not."""


def expect_refusals(device: Device) -> None:
    """Go on only with a device that has refused something, or left it unanswered.

    Raises:
        Failure: it accepts all that is wrong.
    """
    if not device.refuses and all(_is_accepted(device, opcode, payload) for opcode, payload in WRONG):
        raise Failure("the device refuses what is wrong", expected="a refusal", got="OK to everything")
    device.refuses = True


def _is_accepted(device: Device, opcode: int, payload: bytes) -> bool:
    number = device.tester.send(opcode, payload)
    with suppress(Failure):
        return device.tester.response_to(opcode, number).payload[:1] == bytes([Status.OK])
    return False
