"""Operations that look at the device, and those that let its time pass."""

from __future__ import annotations

from typing import Annotated

import msgspec
from ipg_protocol.commands.programs import Waveform
from ipg_protocol.commands.therapy import TherapyFlag

from ipg_emulator.control.answers import (
    AreaState,
    BatteryState,
    Description,
    SessionState,
    StateReport,
    SurroundingsState,
    TimeReport,
    seconds,
)
from ipg_emulator.control.operation import Operation, operation
from ipg_emulator.control.plain import plain
from ipg_emulator.control.witness import board_of
from ipg_emulator.factory import seed_of
from ipg_emulator.firmware import Firmware
from ipg_emulator.firmware.handlers.link import FIRMWARE_VERSION
from ipg_emulator.virtual import Subject

LONGEST_ADVANCE_SECONDS = 3_155_760_000
"""A hundred years."""


@operation("describe", reads=True)
class Describe(Operation[Description], frozen=True):
    """Who the device is: model, serial number, seed."""

    def run(self, subject: Subject) -> Description:
        firmware = subject.ipg.firmware
        model = firmware.model
        return Description(
            model=model.name,
            title=model.title,
            serial=firmware.serial,
            seed=seed_of(firmware.serial),
            firmware_version=FIRMWARE_VERSION,
            contacts=len(model.contacts),
            program_slots=model.program_slots,
            has_charger=model.charging is not None,
            has_magnet_sensor=model.magnet is not None,
            supply=model.battery.supply.value,
        )


@operation("state", reads=True)
class GetState(Operation[StateReport], frozen=True):
    """The device at this moment: state, active program, battery, faults, session, and what is round it."""

    def run(self, subject: Subject) -> StateReport:
        now, firmware = subject.present(), subject.ipg.firmware
        device, program = firmware.device, firmware.device.active_program
        return StateReport(
            at_seconds=seconds(now),
            has_power=firmware.has_power,
            state=device.state.name,
            boot_counter=device.memory.boot_counter,
            uptime_seconds=seconds(device.uptime_us(now)),
            active_program=device.configuration.active_program if program else None,
            program_name=program.name if program else None,
            revision=device.configuration.revision,
            areas=_areas(firmware, now),
            battery=_battery(firmware, now),
            latched_faults=[fault.name for fault in device.memory.latched_faults],
            session=_session(firmware),
            unacknowledged_events=len(firmware.link.events),
            surroundings=_surroundings(firmware, now),
        )


def _areas(firmware: Firmware, now: int) -> list[AreaState]:
    program = firmware.device.active_program
    reports = [firmware.device.delivery.therapy.report(area, now) for area in program.areas] if program else []
    return [
        AreaState(
            area=report.area,
            waveform=Waveform(area.waveform).name,
            programmed_microamps=report.programmed_microamps,
            delivered_microamps=report.delivered_microamps,
            deliverable_microamps=report.deliverable_microamps,
            pulse_width_us=report.pulse_width_us,
            rate_millihertz=report.rate_millihertz,
            flags=plain(TherapyFlag(report.flags)),
        )
        for area, report in zip(program.areas if program else (), reports, strict=True)
    ]


def _battery(firmware: Firmware, now: int) -> BatteryState:
    reading, tier = firmware.device.supply.read(now), firmware.device.supply.tier
    return BatteryState(tier.name, reading.millivolts, reading.charge_permille, reading.drain_microamps)


def _session(firmware: Firmware) -> SessionState | None:
    session = firmware.link.session
    return None if session is None else SessionState(session.role.name, session.host_id)


def _surroundings(firmware: Firmware, now: int) -> SurroundingsState:
    board = board_of(firmware)
    return SurroundingsState(
        posture=board.patient.posture.name,
        lead_shift_contacts=board.patient.lead_shift_contacts,
        lead_faults=board.electrodes.broken,
        magnet_present=board.magnet_present,
        charger_coupling_permille=None if board.charger is None else board.charger.read(now).coupling_permille,
        case_millicelsius=board.temperature_millicelsius(now),
    )


@operation("time", reads=True)
class GetTime(Operation[TimeReport], frozen=True):
    """The device's time, and how it passes."""

    def run(self, subject: Subject) -> TimeReport:
        now, firmware = subject.present(), subject.ipg.firmware
        offset, deadline = firmware.memory.condition.clock_offset_us, subject.ipg.wake_at()
        return TimeReport(
            at_seconds=seconds(now),
            uptime_seconds=seconds(firmware.device.uptime_us(now)),
            unix_seconds=None if offset is None else seconds(firmware.board.clock.read(now) + offset),
            next_deadline_seconds=None if deadline is None else seconds(deadline),
            passes_by_itself=subject.passes_by_itself,
        )


@operation("advance")
class Advance(Operation[TimeReport], frozen=True):
    """Let so much of the device's time pass at once, everything that is due in it at its own time."""

    seconds: Annotated[
        float, msgspec.Meta(ge=0, le=LONGEST_ADVANCE_SECONDS, description="how much time passes; to the microsecond")
    ]

    def run(self, subject: Subject) -> TimeReport:
        subject.advance(self.seconds)
        return GetTime().run(subject)
