"""What `ipg-emulator plot` shows: runs a device in virtual time where that is needed, and has the picture drawn."""

from __future__ import annotations

import argparse

import msgspec
from ipg_protocol import COMMAND_OF
from ipg_protocol.commands.measurement import ALL_CONTACTS, Impedance, MeasureImpedance, MeasurementDone, ReadImpedance
from ipg_protocol.commands.programs import CASE_CONTACT, AreaSettings, SelectProgram
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator import posture_trial
from ipg_emulator.board.assembly import seeded_patient
from ipg_emulator.factory import build_device
from ipg_emulator.model import DeviceModel, Supply, load
from ipg_emulator.patient import POSTURES
from ipg_emulator.patient.ecap import nerve_of
from ipg_emulator.plot import PlotError, battery, ecap, impedance, waveform
from ipg_emulator.published import AXIUM_LONGEVITY, AXIUM_SOURCE, HOUR_SECONDS, WEEK_SECONDS, axium_life, run_down
from ipg_emulator.record import OutputRecord
from ipg_emulator.simulation import Simulation

AFTER_RAMP_SECONDS = 3
CYCLES_SHOWN = 1.5
STOP_SECONDS = 2
GROWTH_POINTS = 200
GROWTH_MICROCOULOMBS = 2.0


def plot_waveform(options: argparse.Namespace) -> None:
    """What each contact delivers: from a file of `ipg-emulator run --record`, or from a session with one of the programs."""
    model = load(options.model)
    try:
        record = OutputRecord.read(model, options.record) if options.record else _session(model, options)
    except msgspec.DecodeError as error:
        raise PlotError(f"{options.record}: not a file of `ipg-emulator run --record` with this model: {error}") from error
    waveform.draw(record, model, options.output)


def _session(model: DeviceModel, options: argparse.Namespace) -> OutputRecord:
    """A start, a while of therapy, and a stop."""
    record = OutputRecord(model)
    simulation = Simulation(build_device(model, seed=options.seed, record=record))
    areas = _start(simulation, options.program or 0)
    cycle = max(area.cycle_on_seconds + area.cycle_off_seconds for area in areas)
    ramp = max(area.ramp_seconds for area in areas)
    simulation.stay(options.seconds or round(CYCLES_SHOWN * cycle) or ramp + AFTER_RAMP_SECONDS)
    simulation.ask(StopTherapy(StopMode.RAMP))
    simulation.advance(STOP_SECONDS)
    simulation.firmware.power_off(simulation.now)
    return record


def _start(simulation: Simulation, slot: int) -> tuple[AreaSettings, ...]:
    """Start a program of the model's; its areas."""
    program = dict(enumerate(simulation.firmware.device.configuration.programs)).get(slot)
    if program is None:
        raise PlotError(f"{simulation.firmware.model.name} has no program in slot {slot}")
    simulation.open_session()
    simulation.ask(SelectProgram(0, slot))
    simulation.ask(StartTherapy(0))
    return program.areas


def plot_battery(options: argparse.Namespace) -> None:
    """How the battery runs down; of the model with published lives, each of those programs beside them."""
    model = load(options.model)
    if model.battery.supply in (Supply.MAINS, Supply.WORN):
        raise PlotError(f"{model.name} lives on {model.battery.supply.value} power: its battery does not run down")
    if model.name == "drg-primary" and options.program is None:
        lives = [battery.Life(row.name, axium_life(row), row.years) for row in AXIUM_LONGEVITY]
        battery.draw(model.battery, lives, f"Life of {model.name}, against the {AXIUM_SOURCE}", options.output)
        return
    simulation = Simulation(build_device(model, seed=options.seed))
    _start(simulation, options.program or 0)
    simulation.close_session()
    name = simulation.firmware.device.require_program().name
    is_primary = model.battery.supply is Supply.PRIMARY
    discharge = run_down(simulation, WEEK_SECONDS if is_primary else HOUR_SECONDS)
    if discharge.eos is None:
        raise PlotError(f"{model.name} did not run down to {BatteryTier.EOS.name} in the time that was looked at")
    battery.draw(model.battery, [battery.Life(name, discharge)], f"Discharge of {model.name} with {name!r}", options.output)


def plot_ecap(options: argparse.Namespace) -> None:
    """How the ECAP grows in each posture, and a closed loop beside an open one over a course of postures."""
    model = load(options.model)
    if model.sensing is None:
        raise PlotError(f"{model.name} does not sense")
    traces = {
        "open loop": posture_trial.run(model, closed=False, seed=options.seed),
        "closed loop": posture_trial.run(model, closed=True, seed=options.seed),
    }
    curves = [] if options.loop_only else growth_curves(model, options.seed)
    ecap.draw(curves, traces, _course(), posture_trial.TARGET_MICROVOLTS, options.output)


def growth_curves(model: DeviceModel, seed: int) -> list[ecap.Growth]:
    """The ECAP by charge in every posture of its own distance, without noise."""
    patient = seeded_patient(model, seed)
    nerve = nerve_of(model, patient)
    assert nerve is not None, "a model that senses has a nerve"
    area = model.programs[0].areas[0].settings(0)
    curves: list[ecap.Growth] = []
    for posture in POSTURES.values():
        if posture.sway_permille:
            continue
        patient.posture = posture
        charges = [GROWTH_MICROCOULOMBS * number / GROWTH_POINTS for number in range(GROWTH_POINTS + 1)]
        amplitudes = [round(charge * 1e6 / area.pulse_width_us) for charge in charges]
        curves.append(ecap.Growth(posture.name, charges, [nerve.response_microvolts(area, each, 0) for each in amplitudes]))
    return curves


def _course() -> ecap.Course:
    postures = [(second, act) for second, act in posture_trial.SCRIPT if act != posture_trial.COUGH]
    ends = [*(second for second, _ in postures[1:]), posture_trial.LENGTH_SECONDS]
    stretches = [ecap.Stretch(name, start, end) for (start, name), end in zip(postures, ends, strict=True)]
    return ecap.Course(stretches, [second for second, act in posture_trial.SCRIPT if act == posture_trial.COUGH])


def plot_impedance(options: argparse.Namespace) -> None:
    """The leads with what the device measures at each contact."""
    model = load(options.model)
    simulation = Simulation(build_device(model, seed=options.seed, lead_faults=dict(options.lead_fault)))
    simulation.open_session()
    if COMMAND_OF[MeasureImpedance].opcode not in simulation.firmware.device.supported_commands:
        raise PlotError(f"{model.name} does not measure impedance")
    anode = CASE_CONTACT if model.has_case else 0
    simulation.ask(MeasureImpedance(ALL_CONTACTS, anode))
    while not any(isinstance(event, MeasurementDone) for _, event in simulation.events):
        simulation.advance(1)
    rows: list[Impedance] = []
    while page := simulation.ask(ReadImpedance(len(rows))).rows:
        rows += page
    impedance.draw(model.contacts, rows, f"Impedance of {model.name}", options.output)


SCENES = {"waveform": plot_waveform, "battery": plot_battery, "ecap": plot_ecap, "impedance": plot_impedance}
