"""Defects: what a firmware team would ship, each by its name, for host developers to meet and for judging a test suite.

A device is born with its defects, and they outlive every restart.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from ipg_emulator.faults.defects import (
    features,
    framing,
    gates,
    identity,
    limits,
    measuring,
    programs,
    ramps,
    records,
    resets,
    sensing,
    sessions,
    therapy,
    transactions,
)
from ipg_emulator.faults.defects.defect import DECLARED, Defect
from ipg_emulator.faults.fault import FaultError
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.core import Alteration

__all__ = ["DEFECTS", "MODULES", "Defect", "defects", "listing"]

MODULES = (
    framing,
    gates,
    identity,
    sessions,
    transactions,
    programs,
    therapy,
    ramps,
    limits,
    measuring,
    records,
    resets,
    features,
    sensing,
)
"""Where defects are declared, in the order in which they are told."""

DEFECTS: dict[str, Defect] = {
    name: defect for module in MODULES for name, defect in DECLARED.items() if defect.module == module.__name__
}
"""Every defect by its name."""


def defects(names: Iterable[str]) -> list[Alteration]:
    """What puts defects on a device that is being built, for `build_device(altered_by=...)`.

    Raises:
        FaultError: there is none of such a name.
    """
    chosen = list(names)
    for name in chosen:
        _check(name)
    return [*(DEFECTS[name].put_on for name in chosen), *([_restart_by_watchdog] if chosen else [])]


def _check(name: str) -> None:
    if name not in DEFECTS:
        near = get_close_matches(name, DEFECTS)
        does_it_mean = f"did you mean {' or '.join(near)}?" if near else "`ipg-emulator defects` lists them"
        raise FaultError(f"there is no defect {name!r}; {does_it_mean}")


def _restart_by_watchdog(firmware: Firmware) -> None:
    """Firmware that a defect leads astray is reset by its watchdog."""
    firmware.survives = (Exception,)


def listing(name: str | None = None) -> str:
    """Every defect, or one, for a terminal.

    Raises:
        FaultError: there is none of that name.
    """
    if name is not None:
        _check(name)
    chosen = [defect for defect in DEFECTS.values() if name in (None, defect.name)]
    return "\n".join(f"{defect.name}\n    {defect.doc}" for defect in chosen)
