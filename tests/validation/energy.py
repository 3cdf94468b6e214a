"""Total electrical energy delivered (TEED) into the load, and beside it what the battery gives: the two are not the same."""

from __future__ import annotations

from bedside import run
from result import Result, within

SOURCE = "I^2 R PW f: 3 mA, 1 kohm, 60 us, 130 Hz"


def table() -> tuple[str, list[Result]]:
    """Energy as READ_THERAPY counts it over ten minutes of therapy."""
    settings = {"amplitude_microamps": 3000, "pulse_width_us": 60, "rate_millihertz": 130_000}
    therapy = run("dbs-rechargeable", 1000, 600, **settings)
    return "Power of a DBS program, from ten minutes of therapy of a whole device", [
        within("TEED", "uW", 70.2, therapy.microjoules / therapy.seconds, tolerance=0.01, source=SOURCE),
        Result(
            "battery drain, idle included", "uW", "-", therapy.battery_microwatts, None, None, "no figure published; not TEED"
        ),
    ]
