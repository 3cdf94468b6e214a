"""Puts a device together: model, patient, board, firmware, and the one seed that all its randomness comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ipg_protocol.commands.programs import WriteProgramBlock

from ipg_emulator.board import Flash
from ipg_emulator.board.assembly import build_board
from ipg_emulator.board.output import Record
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.configuration import Configuration, factory_configuration
from ipg_emulator.firmware.core import Alteration
from ipg_emulator.firmware.layout import most_bytes
from ipg_emulator.firmware.refusal import Refused
from ipg_emulator.firmware.rules import check_areas, check_block
from ipg_emulator.firmware.store import capacity_bytes
from ipg_emulator.model import DeviceModel, ModelError
from ipg_emulator.patient import Patient

SERIAL_PREFIX = "VIPG-"


def alterations(names: Sequence[str]) -> list[Alteration]:
    """What puts defects on a device, by their names; their module is not imported for a device that has none.

    Raises:
        FaultError: there is none of such a name.
    """
    if not names:
        return []
    from ipg_emulator.faults.defects import defects

    return defects(names)


def build_device(
    model: DeviceModel,
    *,
    seed: int = 0,
    patient: Patient | None = None,
    lead_faults: Mapping[int, str] | None = None,
    record: Record | None = None,
    charge_permille: int = 1000,
    flash: Flash | None = None,
    altered_by: Iterable[Alteration] = (),
) -> Firmware:
    """A device that has just finished booting; its clock starts at `boot_finished_at(model)` microseconds.

    Args:
        model: What to build.
        seed: The same seed gives the same device, and the same bytes for the same input at the same times.
        patient: Whom the leads are in; drawn from the seed if not given.
        lead_faults: Contact number to a word of `faults.lead.LEAD_FAULTS`.
        record: Called with every stretch of output once it is over or replaced.
        flash: What the device stores its data in; a new one if not given, which then is large enough.
        altered_by: What makes its firmware other than it was written, such as a defect.

    Raises:
        ModelError: it may not deliver what it leaves the factory with, or its flash does not take all that it can store.
        LeadFaultError: there is no such fault, or no such contact.
    """
    check_programs(model, factory_configuration(model, revision=1))
    board = build_board(
        model, seed=seed, patient=patient, lead_faults=lead_faults, record=record, charge_permille=charge_permille, flash=flash
    )
    if flash is None:
        check_storage(model, board.flash)
    firmware = Firmware(model, board, serial=serial_of(seed), altered_by=altered_by)
    firmware.wake(boot_finished_at(model))
    return firmware


def serial_of(seed: int) -> str:
    """The serial number of the device of a seed."""
    return f"{SERIAL_PREFIX}{seed & 0xFFFFFFFF:08X}"


def seed_of(serial: str) -> int:
    """The seed of the device of a serial number, as far as it tells: the lower 32 bits."""
    return int(serial.removeprefix(SERIAL_PREFIX), 16)


def boot_finished_at(model: DeviceModel) -> int:
    """When a device powered on at 0 has booted, in microseconds."""
    return model.timing.boot_ms * 1000


def check_storage(model: DeviceModel, flash: Flash) -> None:
    """See that a flash takes all that a device can come to store.

    Raises:
        ModelError: it does not.
    """
    needed, there = most_bytes(model), capacity_bytes(flash)
    if needed > there:
        raise ModelError(
            f"{model.name}: its memory can come to {needed} bytes, and its flash takes {there}: "
            "let it have fewer of log_entries, program_slots or schedule_rows"
        )


def check_programs(model: DeviceModel, configuration: Configuration) -> None:
    """See that a device can deliver what it has stored.

    Raises:
        ModelError: names the first program that it cannot deliver.
    """
    stored = [(number, program) for number, program in enumerate(configuration.programs) if program is not None]
    for number, program in stored:
        try:
            for area in program.areas:
                check_block(model, configuration.limits, WriteProgramBlock(number, area), area)
            check_areas(model, program.areas)
        except Refused as refused:
            raise ModelError(f"{model.name}: programs[{number}] {program.name!r} cannot be delivered: {refused}") from None
