"""Modes in which therapy is held off: magnet and MRI."""

from __future__ import annotations

from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Modes, ReadModes

from ipg_host.conversation import Procedure, ask
from ipg_host.session import UNNUMBERED


def read_modes() -> Procedure[Modes]:
    """Read what holds therapy off."""
    return ask(ReadModes())


def enter_mri_mode(minutes: int) -> Procedure[Modes]:
    """Hold therapy off for an examination of at most `minutes`; all contacts must have been measured, and be sound."""
    return ask(EnterMriMode(transaction=UNNUMBERED, minutes=minutes))


def leave_mri_mode() -> Procedure[Modes]:
    """End MRI mode; therapy that ran is restored with its ramp."""
    return ask(LeaveMriMode(transaction=UNNUMBERED))
