"""The power supply as the firmware sees it: battery checks by the clock, the tier, the charger, and too much heat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipg_protocol.commands.link import ResetCause
from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.power import BatteryTierChanged, ChargingChanged, ChargingState
from ipg_protocol.commands.therapy import TherapyCause
from ipg_protocol.refusal import WHOLE_MESSAGE
from ipg_protocol.vocabulary import AWAKE, BatteryTier, FaultCode, State

from ipg_emulator.board import BatteryReading, Charger, ChargingReading
from ipg_emulator.firmware.battery_monitor import BatteryMonitor
from ipg_emulator.firmware.states import Trigger
from ipg_emulator.firmware.timers import Timer, Timers

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

_POWER_WAS_GONE = frozenset({ResetCause.POWER_ON, ResetCause.POWER_RESTORED})


class PowerSupply:
    """Watches battery, charger and temperature over one boot."""

    def __init__(self, device: Device, timers: Timers, now: int) -> None:
        self._device = device
        self._timers = timers
        self._monitor = BatteryMonitor(device.model.battery, device.memory.condition.battery_tier)
        charger = device.board.charger
        self._charging: ChargingState = ChargingState.ABSENT if charger is None else charger.read(now).state
        """What was last reported; a charger that is there at the boot was reported before."""
        electrode = device.model.electrode
        self.is_exhausted = False
        """Whether the cell was found to give nothing any more: the core then takes the power away."""
        self._load_drifts = bool(electrode.daily_permille or electrode.ageing_permille)
        timers.on(Timer.BATTERY_CHECK, self._check)
        timers.on(Timer.CHARGING, self._look_at_charger)

    @property
    def tier(self) -> BatteryTier:
        return self._monitor.tier

    @property
    def is_charging(self) -> bool:
        """Whether an external charger is at work, or would be if the cell were not full or the case too warm."""
        return self._charging is not ChargingState.ABSENT

    def begin(self, now: int) -> None:
        """Begin to watch, when the boot is over."""
        reading = self.read(now)
        if self._device.boot_cause in _POWER_WAS_GONE and self._monitor.power_came(reading.millivolts):
            self._tier_changed(reading, now)
        self._await_check(now)
        self._look_at_charger(now)

    def end(self) -> None:
        """Check no more, in shelf mode."""
        self._timers.cancel(Timer.BATTERY_CHECK)

    def board_changed(self, now: int) -> None:
        """Look whether a charger has come, moved or gone."""
        self._look_at_charger(now)

    def read(self, now: int) -> BatteryReading:
        return self._device.board.power.read(now)

    def expected_microamps(self, now: int) -> float:
        """The mean drain of the coming day."""
        return self._device.board.power.expected_microamps(now)

    def days_to(self, millivolts: int, now: int) -> float:
        """How long the cell will last until its voltage has fallen so far, at the mean drain of the coming day."""
        drain_microamps = self.expected_microamps(now)
        if drain_microamps <= 0:
            return float("inf")
        return self._device.board.power.milliamp_hours_to(millivolts, drain_microamps, now) * 1000 / drain_microamps / 24

    # Battery

    def _await_check(self, now: int) -> None:
        self._timers.set(Timer.BATTERY_CHECK, now + self._device.model.timing.battery_check_ms * 1000)

    def _check(self, now: int) -> None:
        self._await_check(now)
        reading = self.read(now)
        self._device.memory.note(charge_permille=reading.charge_permille)
        self.is_exhausted = not reading.charge_permille and not self.is_charging
        if self._monitor.take(reading.millivolts):
            self._tier_changed(reading, now)
            if self.tier is BatteryTier.EOS:
                self._device.delivery.abandon(TherapyCause.BATTERY, now)
        if self._load_drifts:
            self._device.delivery.load_changed(now)
        self._check_heat(now)

    def _tier_changed(self, reading: BatteryReading, now: int) -> None:
        device = self._device
        device.memory.note(battery_tier=self.tier)
        device.log(LogCode.BATTERY_TIER, self.tier, now)
        device.notify(BatteryTierChanged(self.tier, reading.millivolts), now)

    # Heat

    def is_too_hot(self, now: int) -> bool:
        return self._device.board.temperature_millicelsius(now) > self._device.model.safety.over_temperature_millicelsius

    def _check_heat(self, now: int) -> None:
        device = self._device
        if self.is_too_hot(now) and FaultCode.OVER_TEMPERATURE not in device.memory.latched_faults:
            millicelsius = device.board.temperature_millicelsius(now)
            device.latch(FaultCode.OVER_TEMPERATURE, WHOLE_MESSAGE, millicelsius, now)
            device.delivery.abandon(TherapyCause.FAULT, now)

    # Charger

    def _look_at_charger(self, now: int) -> None:
        charger = self._device.board.charger
        if charger is None:
            return
        reading = charger.read(now)
        if reading.state is not self._charging:
            self._charging_changed(reading, now)
        self._recover(reading, now)
        if self._device.state in AWAKE:
            self._check_heat(now)
        self._await(charger)

    def _await(self, charger: Charger) -> None:
        at = charger.wake_at()
        if at is None:
            self._timers.cancel(Timer.CHARGING)
        else:
            self._timers.set(Timer.CHARGING, at)

    def _charging_changed(self, reading: ChargingReading, now: int) -> None:
        device = self._device
        if not self.is_charging:
            device.memory.count("chargings")
        self._charging = reading.state
        device.log(LogCode.CHARGING, reading.state, now)
        device.notify(ChargingChanged(reading.state, self.read(now).charge_permille), now)

    def _recover(self, charging: ChargingReading, now: int) -> None:
        """Leave EOS once the cell holds enough again."""
        figures = self._device.model.charging
        if self.tier is not BatteryTier.EOS or not charging.current_microamps or figures is None:
            return
        reading = self.read(now)
        if reading.charge_permille >= figures.restart_permille:
            self._monitor.recover(reading.millivolts)
            self._tier_changed(reading, now)
            if self._device.state is State.EOS:
                self._device.settle(Trigger.BATTERY_RECOVERED, TherapyCause.BATTERY, now)
