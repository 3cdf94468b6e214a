"""Years of therapy: what a simulated life costs, and that it costs as much as its changes, not its pulses.

There is no floor to a life but the processor: beside each stands what an empty loop of ten million turns takes on it, and
beside the rendering what it takes to fill as many samples.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from ipg_emulator.factory import build_device
from ipg_emulator.model import load
from ipg_emulator.published import DAY_SECONDS, DAYS_PER_YEAR, area_of
from ipg_emulator.record import OutputRecord
from ipg_emulator.simulation import Simulation
from ipg_protocol import Role, State
from ipg_protocol.commands.link import GetStatus
from ipg_protocol.commands.log import ReadLog
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.sensing import Feedback, GetFeedbackStatus, WriteFeedback
from ipg_protocol.commands.therapy import StartTherapy
from measure import Row

PROFILED_FUNCTIONS = 18
LONG_LIFE = {"amplitude_microamps": 1500, "pulse_width_us": 60, "rate_millihertz": 130_000}
"""A program with which the primary cell of `dbs-primary` lasts about ten years, daily visits included."""
FOLLOWING = Feedback(
    area=0,
    enabled=1,
    target_microvolts=50,
    gain_permille=200,
    minimum_microamps=1000,
    maximum_microamps=8000,
    rate_limit_microamps_per_second=50_000,
    pulses_per_update=1,
    lost_below_microvolts=5,
    lost_updates=50,
)


LOOP = "an empty loop of 10^7 turns"


def empty_loop() -> None:
    """The plainest work there is."""
    for _ in range(10_000_000):
        pass


def seconds(work: Callable[[], object]) -> float:
    """How long one run takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def started(model_name: str, **settings: object) -> Simulation:
    """A device in therapy with a program of its own."""
    model = load(model_name)
    simulation = Simulation(build_device(model, seed=1))
    simulation.open_session()
    simulation.write_program(0, "bench", (area_of(model, **settings),))
    simulation.ask(StartTherapy(0))
    simulation.close_session()
    return simulation


def visit(simulation: Simulation, cursor: int) -> int:
    """One telemetry visit: status, battery, and what is new in the log."""
    simulation.open_session(Role.CLINICIAN)
    simulation.ask(GetStatus())
    simulation.ask(GetBattery())
    while True:
        page = simulation.ask(ReadLog(cursor))
        if page.next_cursor == cursor:
            break
        cursor = page.next_cursor
    simulation.close_session()
    return cursor


def life() -> float:
    """From implantation to EOS with a visit every day; the years that it lasted."""
    simulation = started("dbs-primary", **LONG_LIFE)
    cursor = 0
    began = simulation.now
    while simulation.firmware.device.state is not State.EOS:
        simulation.advance(DAY_SECONDS)
        cursor = visit(simulation, cursor)
    return (simulation.now - began) / 1e6 / DAY_SECONDS / DAYS_PER_YEAR


def life_with_visits() -> Iterable[Row]:
    """The whole life of a primary cell."""
    years = 0.0

    def run() -> None:
        nonlocal years
        years = life()

    taken = seconds(run)
    yield Row(
        f"{years:.1f} years of dbs-primary to EOS, a visit a day", "s", taken, 10, seconds(empty_loop), LOOP, holds_figure=True
    )


def year_of_cycling() -> Iterable[Row]:
    """A year of dosed burst therapy: a quarter of a million cycles, kept charged."""
    cycling = {"cycle_on_seconds": 30, "cycle_off_seconds": 90, **LONG_LIFE}
    simulation = started("dbs-primary", **cycling)
    taken = seconds(lambda: simulation.advance(DAYS_PER_YEAR * DAY_SECONDS))
    yield Row("a year of cycling therapy", "s", taken, 1, seconds(empty_loop), LOOP, holds_figure=True)


def cost_of_pulses() -> Iterable[Row]:
    """Two weeks at 40 Hz, and at 10 kHz: 250 times the pulses."""
    slow = started("scs-10khz", amplitude_microamps=1000, pulse_width_us=30, rate_millihertz=40_000)
    fast = started("scs-10khz", amplitude_microamps=1000, pulse_width_us=30, rate_millihertz=10_000_000)
    times = {"slow": 0.0, "fast": 0.0}
    for _ in range(14):
        times["slow"] += seconds(lambda: slow.advance(DAY_SECONDS))
        times["fast"] += seconds(lambda: fast.advance(DAY_SECONDS))
    yield Row("two weeks at 10 kHz", "s", times["fast"], 1.5, times["slow"], "the same at 40 Hz")


def closed_loop_hour() -> Iterable[Row]:
    """An hour of feedback on each of 50 pulses a second."""
    model = load("scs-closed-loop")
    simulation = Simulation(build_device(model, seed=1))
    area = msgspec.structs.replace(
        model.programs[0].areas[0].settings(0), rate_millihertz=50_000, patient_maximum_microamps=FOLLOWING.maximum_microamps
    )
    simulation.open_session()
    simulation.write_program(0, "bench", (area,))
    simulation.ask(WriteFeedback(0, FOLLOWING))
    simulation.ask(StartTherapy(0))
    taken = seconds(lambda: simulation.stay(3600))
    updates = simulation.ask(GetFeedbackStatus()).updates
    yield Row(f"an hour of closed loop, {updates} updates", "s", taken, 10, seconds(empty_loop), LOOP, holds_figure=True)


def rendering() -> Iterable[Row]:
    """A second of 16 contacts at 1 MHz."""
    model = load("scs-rechargeable")
    record = OutputRecord(model)
    simulation = Simulation(build_device(model, seed=1, record=record))
    simulation.open_session()
    simulation.ask(StartTherapy(0))
    simulation.advance(5)
    simulation.firmware.power_off(simulation.now)
    taken = seconds(lambda: record.all_samples(3_000_000, 4_000_000, 1_000_000))
    filling = seconds(lambda: np.ones((len(record.contacts), 1_000_000), np.float32))
    what = f"rendering 1 s of {len(record.contacts)} contacts at 1 MHz"
    yield Row(what, "s", taken, 1, filling, "filling the samples", holds_figure=True)


def profile() -> None:
    """Print where the time of the long life goes."""
    profiler = cProfile.Profile()
    profiler.runcall(life)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(PROFILED_FUNCTIONS)
