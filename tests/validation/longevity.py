"""Years from implantation to the end of service, against the five rows of the Axium's manual."""

from __future__ import annotations

from ipg_emulator.published import AXIUM_LONGEVITY, AXIUM_SOURCE, DAYS_PER_YEAR, axium_life
from result import Result, within

TOLERANCE = 0.1


def table() -> tuple[str, list[Result]]:
    """A device of its own for each row, run until it is at EOS."""
    results: list[Result] = []
    for row in AXIUM_LONGEVITY:
        end = axium_life(row).eos
        years = end.day / DAYS_PER_YEAR if end else 0
        results.append(within(row.name, "years", row.years, years, tolerance=TOLERANCE, source=AXIUM_SOURCE))
    return "Longevity of drg-primary, whole devices from implantation to EOS", results
