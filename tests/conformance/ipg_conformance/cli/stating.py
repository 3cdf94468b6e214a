"""`ics init`: prints an ICS that declares what a device says of itself."""

from __future__ import annotations

import argparse

from ipg_protocol.commands.link import Identify

from ipg_conformance.cli.target import url_of
from ipg_conformance.device import Device
from ipg_conformance.expect import Failure
from ipg_conformance.ics import statement_text
from ipg_conformance.permission import NOTHING
from ipg_conformance.port import Unreachable, open_port
from ipg_conformance.runner import wait_for_answer
from ipg_conformance.tester import Tester
from ipg_conformance.verdict import ExitCode


def ics_init(options: argparse.Namespace) -> int:
    """Print the ICS.

    Raises:
        Unreachable: the device cannot be asked.
    """
    port = open_port(url_of(options))
    try:
        device = Device(Tester(port, NOTHING))
        wait_for_answer(device.tester)
        print(statement_text(device.ask(Identify()), device.read_capabilities()), end="")
    except Failure as failure:
        raise Unreachable(f"it does not say who it is: {failure}") from None
    finally:
        port.close()
    return ExitCode.CONFORMANT
