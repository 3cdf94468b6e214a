"""The conformance suite: whether a device on a serial port keeps the numbered requirements of the protocol's SPEC.md."""

from ipg_conformance.case import CASES, Case, Need, Profile
from ipg_conformance.conditions import Conditions
from ipg_conformance.port import Port, Unreachable, open_port
from ipg_conformance.report.run import Result, Verdict
from ipg_conformance.runner import run_cases
from ipg_conformance.tester import Tester

__all__ = [
    "CASES",
    "Case",
    "Conditions",
    "Need",
    "Port",
    "Profile",
    "Result",
    "Tester",
    "Unreachable",
    "Verdict",
    "open_port",
    "run_cases",
]
