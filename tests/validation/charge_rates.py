"""Charge a second of tonic, 10 kHz and burst stimulation, and a burst's charge and its voltage on the coupling capacitor."""

from __future__ import annotations

from bedside import run
from ipg_protocol.commands.programs import Waveform
from result import Result, within

SOURCE = "amplitude, width and rate multiplied"
BURST_SOURCE = "Eterna 32400 clinician manual, App. C, multiplied"
CAPACITOR_SOURCE = "3 uC on 2.2 uF"
TOLERANCE = 0.005
BURST: dict[str, int] = {
    "waveform": Waveform.BURST_PASSIVE_RECHARGE,
    "amplitude_microamps": 600,
    "pulse_width_us": 1000,
    "rate_millihertz": 40_000,
    "burst_pulses": 5,
    "intra_burst_millihertz": 500_000,
}


def table() -> tuple[str, list[Result]]:
    """Charge as READ_THERAPY counts it over ten minutes of therapy."""
    tonic = run("scs-rechargeable", 500, 600, amplitude_microamps=6000, pulse_width_us=300, rate_millihertz=50_000)
    fast = run("scs-10khz", 500, 600, amplitude_microamps=3000, pulse_width_us=30, rate_millihertz=10_000_000)
    burst = run("scs-burst", 525, 600, **BURST)
    dosed = run("scs-burst", 525, 600, **BURST, cycle_on_seconds=30, cycle_off_seconds=90)
    a_burst = burst.microcoulombs / burst.bursts
    return "Charge delivered, from ten minutes of therapy of whole devices", [
        within(
            "tonic 6 mA, 300 us, 50 Hz", "uC/s", 90, tonic.microcoulombs / tonic.seconds, tolerance=TOLERANCE, source=SOURCE
        ),
        within("10 kHz, 3 mA, 30 us", "uC/s", 900, fast.microcoulombs / fast.seconds, tolerance=TOLERANCE, source=SOURCE),
        within("burst", "uC/s", 120, burst.microcoulombs / burst.seconds, tolerance=TOLERANCE, source=BURST_SOURCE),
        within(
            "burst, 30 s on and 90 s off",
            "uC/s",
            30,
            dosed.microcoulombs / dosed.seconds,
            tolerance=TOLERANCE,
            source=BURST_SOURCE,
        ),
        within("one burst", "uC", 3, a_burst, tolerance=TOLERANCE, source=BURST_SOURCE),
        within(
            "coupling capacitor after a burst", "V", 1.36, burst.coupling_volts, tolerance=TOLERANCE, source=CAPACITOR_SOURCE
        ),
    ]
