"""MRI mode, and what holds therapy off."""

from __future__ import annotations

from ipg_protocol.commands import modes as messages
from ipg_protocol.commands.measurement import Impedance, ImpedanceVerdict
from ipg_protocol.commands.modes import EnterMriMode, LeaveMriMode, Mode, ReadModes
from ipg_protocol.refusal import BatteryDetail, CircuitDetail, SafetyRule, StateDetail
from ipg_protocol.vocabulary import BatteryTier, Status

from ipg_emulator.firmware.device import Device
from ipg_emulator.firmware.dispatch import Context, handles
from ipg_emulator.firmware.refusal import Refused, out_of_range, unsafe
from ipg_emulator.firmware.rules import WHOLE_PROGRAM
from ipg_emulator.model import MriMode

_U16_MAXIMUM = 0xFFFF


@handles(EnterMriMode)
def enter_mri_mode(request: EnterMriMode, context: Context) -> messages.Modes:
    device, now = context.device, context.now
    mri = device.model.mri
    assert mri is not None, "the gate lets nobody here on a model without MRI mode"
    if not 1 <= request.minutes <= mri.maximum_minutes:
        raise out_of_range(request, "minutes", 1, mri.maximum_minutes, value=request.minutes)
    for contact in range(len(device.model.contacts)):
        _check_sound(contact, device.delivery.measurements.of_contact.get(contact), mri)
    _check_battery(device, now)
    device.modes.enter_mri(request.minutes, now)
    return _modes(device, now)


def _check_sound(contact: int, known: Impedance | None, mri: MriMode) -> None:
    """Refuse a contact that was not measured, as a cathode, or that an examination could heat or miss."""
    if known is None:
        raise unsafe(SafetyRule.IMPEDANCE_NOT_MEASURED, area=WHOLE_PROGRAM, value=contact, limit=0)
    if known.verdict is ImpedanceVerdict.SHORT or known.ohms < mri.lowest_ohms:
        raise Refused(Status.SHORT_CIRCUIT, CircuitDetail(contact, known.ohms))
    if known.verdict is not ImpedanceVerdict.OK or known.ohms > mri.highest_ohms:
        raise Refused(Status.OPEN_CIRCUIT, CircuitDetail(contact, known.ohms))


def _check_battery(device: Device, now: int) -> None:
    tier = device.supply.tier
    if tier is not BatteryTier.OK:
        millivolts = device.supply.read(now).millivolts
        raise Refused(Status.BATTERY_TOO_LOW, BatteryDetail(tier, millivolts, device.model.battery.low_millivolts))


@handles(LeaveMriMode)
def leave_mri_mode(_: LeaveMriMode, context: Context) -> messages.Modes:
    device, now = context.device, context.now
    if not device.modes.holds(Mode.MRI):
        raise Refused(Status.WRONG_STATE, StateDetail(device.state))
    device.modes.leave_mri(now)
    return _modes(device, now)


@handles(ReadModes)
def read_modes(_: ReadModes, context: Context) -> messages.Modes:
    return _modes(context.device, context.now)


def _modes(device: Device, now: int) -> messages.Modes:
    modes = device.modes
    return messages.Modes(
        mode=modes.mode,
        magnet_present=int(modes.magnet_present),
        mri_seconds_left=min(modes.mri_seconds_left(now), _U16_MAXIMUM),
        therapy_restored_after=int(modes.mode is not Mode.NONE and device.delivery.will_resume),
    )
