"""The tables, each with a title and what computes it."""

from __future__ import annotations

from collections.abc import Callable

import charge_rates
import closed_loop
import energy
import longevity
import recharge
from result import Result

TABLES: dict[str, Callable[[], tuple[str, list[Result]]]] = {
    "longevity": longevity.table,
    "recharge": recharge.table,
    "closed-loop": closed_loop.table,
    "charge-rates": charge_rates.table,
    "energy": energy.table,
}
