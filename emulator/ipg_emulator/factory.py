"""Puts a device together: model, patient, board, firmware, and the one seed that all its randomness comes from."""

from __future__ import annotations

from collections.abc import Mapping

from ipg_protocol.commands.programs import WriteProgramBlock

from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.output import Record
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.memory import factory_configuration
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.rules import check_areas, check_block
from ipg_emulator.model import DeviceModel, ModelError
from ipg_emulator.patient import Patient


def build_device(
    model: DeviceModel,
    *,
    seed: int = 0,
    patient: Patient | None = None,
    lead_faults: Mapping[int, str] | None = None,
    record: Record | None = None,
    charge_permille: int = 1000,
) -> Firmware:
    """A device that has just finished booting; its clock starts at `boot_finished_at(model)` microseconds.

    Args:
        model: What to build.
        seed: The same seed gives the same device, and the same bytes for the same input at the same times.
        patient: Whom the leads are in; drawn from the seed if not given.
        lead_faults: Contact number to a word of `faults.lead.LEAD_FAULTS`.
        record: Called with every stretch of output once it is over or replaced.
        charge_permille: How full the cell is.

    Raises:
        ModelError: a program that the model leaves the factory with is not one that it may deliver.
        LeadFaultError: there is no such fault, or no such contact.
    """
    _check_programs(model)
    board = build_board(
        model, seed=seed, patient=patient, lead_faults=lead_faults, record=record, charge_permille=charge_permille
    )
    firmware = Firmware(model, board, serial=f"VIPG-{seed & 0xFFFFFFFF:08X}")
    firmware.wake(boot_finished_at(model))
    return firmware


def boot_finished_at(model: DeviceModel) -> int:
    """When a device powered on at 0 has booted, in microseconds."""
    return model.timing.boot_ms * 1000


def _check_programs(model: DeviceModel) -> None:
    limits = factory_configuration(model, revision=1).limits
    for number, program in enumerate(model.programs):
        areas = tuple(area.settings(place) for place, area in enumerate(program.areas))
        try:
            for area in areas:
                check_block(model, limits, WriteProgramBlock(number, area), area)
            check_areas(model, areas)
        except Refused as refused:
            raise ModelError(f"{model.name}: programs[{number}] {program.name!r} cannot be delivered: {refused}") from None
