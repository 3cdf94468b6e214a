"""The published example of closed loop (Mekhail et al, PMC11041592, Fig. 1): 150 s of postures, in open and in closed loop.

It runs on the emulated device itself, by its own commands: program, feedback, therapy, and the stream of ECAPs.
"""

from __future__ import annotations

from typing import NamedTuple

from ipg_protocol.commands.programs import AreaSettings, ContactShare, Waveform
from ipg_protocol.commands.sensing import (
    EcapSamples,
    Feedback,
    FeedbackStatus,
    GetFeedbackStatus,
    StartEcapStream,
    StopEcapStream,
    WriteFeedback,
)
from ipg_protocol.commands.session import KeepAlive
from ipg_protocol.commands.therapy import StartTherapy
from ipg_protocol.wire import Message

from ipg_emulator.factory import build_device
from ipg_emulator.model import DeviceModel
from ipg_emulator.simulation import Simulation
from ipg_emulator.surroundings import Surroundings

SECOND_US = 1_000_000
TARGET_MICROVOLTS = 50
PULSE_WIDTH_US = 200
OPEN_LOOP_MICROAMPS = 5_500
"""The published 1.1 uC at this pulse width."""
RATE_MILLIHERTZ = 40_000
LENGTH_SECONDS = 150
COUGH = "cough"

SCRIPT: tuple[tuple[int, str], ...] = (
    (0, "standing"),
    (6, COUGH),
    (12, "walking"),
    (24, "sitting"),
    (34, COUGH),
    (40, "supine"),
    (65, COUGH),
    (85, "side"),
    (108, "prone"),
    (115, COUGH),
    (122, "sitting"),
    (138, "standing"),
)
"""What the patient does, by the second. The published figure names its postures; how long each lasts is our own."""


class Trace(NamedTuple):
    """The ECAP and the charge of every pulse, and what the device itself counted."""

    seconds: list[float]
    microvolts: list[int]
    microcoulombs: list[float]
    status: FeedbackStatus

    @property
    def mean_deviation_microvolts(self) -> float:
        """The mean of |ECAP - target| over all pulses."""
        return sum(abs(microvolts - TARGET_MICROVOLTS) for microvolts in self.microvolts) / len(self.microvolts)


def run(model: DeviceModel, *, closed: bool, seed: int = 0, gain_permille: int = 200) -> Trace:
    """Let the patient of a model that senses go through the script, with the loop closed or at a fixed amplitude."""
    simulation = Simulation(build_device(model, seed=seed))
    batches: list[EcapSamples] = []

    def keep(event: Message, _: int) -> None:
        if isinstance(event, EcapSamples):
            batches.append(event)

    simulation.firmware.device.stream_listeners.append(keep)
    simulation.open_session()
    simulation.write_program(0, "Postures", (_area(model),))
    simulation.ask(WriteFeedback(0, _feedback(closed=closed, gain_permille=gain_permille)))
    simulation.ask(StartTherapy(0))
    simulation.advance(1)
    simulation.ask(StartEcapStream(0, 1))
    _act(simulation)
    simulation.ask(StopEcapStream())
    return _trace(batches, simulation.ask(GetFeedbackStatus()))


def _area(model: DeviceModel) -> AreaSettings:
    """A cathode where the nerve is nearest, between two anodes."""
    cathode = round(model.nerve.target_contact) if model.nerve else 1
    return AreaSettings(
        area=0,
        waveform=Waveform[model.waveforms[0].name],
        ramp_seconds=0,
        pulse_width_us=PULSE_WIDTH_US,
        amplitude_microamps=OPEN_LOOP_MICROAMPS,
        rate_millihertz=RATE_MILLIHERTZ,
        burst_pulses=1,
        intra_burst_millihertz=0,
        cycle_on_seconds=0,
        cycle_off_seconds=0,
        dose_seconds=0,
        patient_minimum_microamps=0,
        patient_maximum_microamps=8_000,
        contacts=(ContactShare(cathode, -1000), ContactShare(cathode - 1, 500), ContactShare(cathode + 1, 500)),
    )


def _feedback(*, closed: bool, gain_permille: int) -> Feedback:
    return Feedback(
        area=0,
        enabled=int(closed),
        target_microvolts=TARGET_MICROVOLTS,
        gain_permille=gain_permille,
        minimum_microamps=1_000,
        maximum_microamps=8_000,
        rate_limit_microamps_per_second=50_000,
        pulses_per_update=1,
        lost_below_microvolts=5,
        lost_updates=RATE_MILLIHERTZ // 1000,
    )


def _act(simulation: Simulation) -> None:
    """Go through the script to its end, keeping the session alive."""
    began, surroundings = simulation.now, Surroundings(simulation.firmware)
    acts = dict(SCRIPT)
    for second in range(LENGTH_SECONDS):
        simulation.advance_to(began + second * SECOND_US)
        simulation.ask(KeepAlive())
        act = acts.get(second)
        if act == COUGH:
            surroundings.cough(simulation.now)
        elif act is not None:
            surroundings.take_posture(act, simulation.now)
    simulation.advance_to(began + LENGTH_SECONDS * SECOND_US)


def _trace(batches: list[EcapSamples], status: FeedbackStatus) -> Trace:
    first_ms = batches[0].uptime_ms
    samples = [(batch.uptime_ms - first_ms + row.after_ms, row) for batch in batches for row in batch.rows]
    return Trace(
        [ms / 1000 for ms, _ in samples],
        [row.microvolts for _, row in samples],
        [row.amplitude_microamps * PULSE_WIDTH_US / 1e6 for _, row in samples],
        status,
    )
