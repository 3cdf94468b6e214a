"""The ECAP's deviation from its target over a patient's postures, in closed and in open loop: the published example."""

from __future__ import annotations

from ipg_emulator.model import load
from ipg_emulator.posture_trial import run
from result import Result

SOURCE = "Evoke trial, PMC11041592, Fig. 1"
RATIO_SOURCE = "Evoke trial, PMC8742908, Fig. 4"


def table() -> tuple[str, list[Result]]:
    """A device that senses, in a patient who goes through the postures twice."""
    model = load("scs-closed-loop")
    closed, opened = run(model, closed=True), run(model, closed=False)
    deviations = closed.mean_deviation_microvolts, opened.mean_deviation_microvolts
    charges = min(closed.microcoulombs), max(closed.microcoulombs)
    return "Closed loop on scs-closed-loop: mean |ECAP - 50 uV| over 150 s of postures", [
        Result("closed loop", "uV", "3", deviations[0], None, 5, SOURCE, 3),
        Result("open loop at 1.1 uC", "uV", "68", deviations[1], 40, 100, SOURCE, 68),
        Result("open loop over closed loop", "", "22.1", deviations[1] / deviations[0], 10, None, RATIO_SOURCE, 22.1),
        Result("least charge of the closed loop", "uC", "0.5", charges[0], 0.4, None, SOURCE, 0.5),
        Result("most charge of the closed loop", "uC", "1.4", charges[1], None, 1.5, SOURCE, 1.4),
    ]
