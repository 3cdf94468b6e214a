"""How long an hour on the charger lasts, against what the Eterna's manual says of its nominal program."""

from __future__ import annotations

from ipg_emulator.published import ETERNA_SOURCE, eterna_days_on_one_charge
from result import Result

DAYS = 21


def table() -> tuple[str, list[Result]]:
    """A device that is charged for an hour while it stimulates, and goes on until it has used that up."""
    days = eterna_days_on_one_charge()
    held = Result("nominal program on 1 h of charging", "days", f">= {DAYS}", days, DAYS, 2 * DAYS, ETERNA_SOURCE)
    return "Recharging of scs-burst, a whole device in virtual time", [held]
