"""A device that runs one published program on a test resistor, and what it says it has delivered in a given time."""

from __future__ import annotations

from typing import NamedTuple

from ipg_emulator.board.output import CurrentOutput
from ipg_emulator.factory import build_device
from ipg_emulator.model import load
from ipg_emulator.published import area_of, patient_with
from ipg_emulator.simulation import Simulation
from ipg_protocol.commands.power import GetBattery
from ipg_protocol.commands.programs import AreaSettings
from ipg_protocol.commands.therapy import ReadTherapy, StartTherapy


class Run(NamedTuple):
    """What READ_THERAPY counted over `seconds`; the battery's drain, and the voltage on a capacitor after a burst."""

    seconds: int
    microcoulombs: int
    bursts: int
    """Or single pulses."""
    microjoules: int
    battery_microwatts: float
    coupling_volts: float


def run(model_name: str, ohms: int, seconds: int, **settings: object) -> Run:
    """Start a program of one area, let its ramp pass, and count for so long."""
    model = load(model_name)
    area = area_of(model, **settings)
    simulation = Simulation(build_device(model, patient=patient_with(model, [ohms], as_measured=False)))
    simulation.open_session()
    simulation.write_program(0, "published", (area,))
    simulation.ask(StartTherapy(0))
    simulation.stay(area.cycle_on_seconds + area.cycle_off_seconds or area.ramp_seconds)
    before = simulation.ask(ReadTherapy(0))
    simulation.stay(seconds)
    after = simulation.ask(ReadTherapy(0))
    battery = simulation.ask(GetBattery())
    return Run(
        seconds,
        after.charge_microcoulombs - before.charge_microcoulombs,
        after.pulses - before.pulses,
        after.energy_microjoules - before.energy_microjoules,
        battery.drain_microamps * battery.millivolts / 1000,
        _coupling_volts(simulation, area),
    )


def _coupling_volts(simulation: Simulation, area: AreaSettings) -> float:
    output = simulation.firmware.board.output
    assert isinstance(output, CurrentOutput)
    return output.coupling_millivolts(area, area.amplitude_microamps) / 1000
