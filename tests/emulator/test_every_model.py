"""Every model of the catalogue lives a day: it boots, says what it can, takes its program, delivers it, and is still sound."""

from __future__ import annotations

import pytest
from ipg_emulator.factory import build_device
from ipg_emulator.model import Supply, load, names
from ipg_emulator.record import OutputRecord
from ipg_emulator.simulation import Simulation
from ipg_protocol import State
from ipg_protocol.commands.link import Capability, GetCapabilities, GetStatus, SelfTest
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.therapy import StartTherapy, StopMode, StopTherapy

HOUR_SECONDS = 3600
RESUMING = {
    "dbs-primary",
    "dbs-rechargeable",
    "drg-primary",
    "motor-cortex",
    "opennerve",
    "scs-10khz",
    "scs-burst",
    "scs-closed-loop",
    "scs-rechargeable",
    "vns-implanted",
}


def capabilities(simulation: Simulation) -> set[Capability]:
    rows: list[Capability] = []
    while True:
        page = simulation.ask(GetCapabilities(len(rows)))
        rows += [row.capability for row in page.rows]
        if len(rows) == page.total:
            return set(rows)


@pytest.mark.parametrize("name", names())
def test_a_model_lives_a_day(name: str) -> None:
    model = load(name)
    record = OutputRecord(model)
    simulation = Simulation(build_device(model, seed=1, record=record))
    device = simulation.firmware.device
    assert simulation.ask(GetStatus()).state is State.IDLE
    assert capabilities(simulation) == set(Capability)

    simulation.open_session()
    program = model.programs[0]
    areas = tuple(area.settings(number) for number, area in enumerate(program.areas))
    simulation.write_program(model.program_slots - 1, program.name, areas)
    simulation.ask(StartTherapy(0))
    began = simulation.now
    for _ in range(24):
        simulation.stay(HOUR_SECONDS)

    delivered = device.board.output.total(0, simulation.now)
    assert delivered.on_time_us > 0
    dose_seconds = min(area.dose_seconds for area in areas)
    assert (device.state is State.IDLE) == bool(dose_seconds), "therapy goes on unless it is a dose"
    simulation.ask(StopTherapy(StopMode.IMMEDIATE))
    assert simulation.ask(SelfTest()).failed == 0
    assert device.board.power.depth_permille(simulation.now) > 0 or model.battery.supply is Supply.MAINS
    assert LogCode.FAULT_RAISED not in [entry.code for entry in device.memory.log_entries()]
    assert {segment.drive.settings for segment in record.segments(began, simulation.now)} == set(areas)


@pytest.mark.parametrize("name", names())
def test_implants_with_a_cell_of_their_own_resume_therapy_after_a_reset_and_say_so(name: str) -> None:
    device = build_device(load(name)).device
    (row,) = [row for row in device.capabilities if row.capability is Capability.THERAPY_AFTER_RESET]
    assert row.maximum == (name in RESUMING)
