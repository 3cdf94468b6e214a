"""Modes in which therapy is held off: by a magnet, and for an MRI examination (a design of our own).

The magnet beats the protocol: while it is there, no request brings therapy back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ipg_protocol.commands.log import LogCode
from ipg_protocol.commands.modes import MagnetChanged, Mode, ModeChanged
from ipg_protocol.commands.therapy import StopMode, TherapyCause
from ipg_protocol.vocabulary import State

from ipg_emulator.firmware.start import may_start
from ipg_emulator.firmware.states import Trigger
from ipg_emulator.firmware.timers import Timer, Timers
from ipg_emulator.model import MagnetAction

if TYPE_CHECKING:
    from ipg_emulator.firmware.device import Device

CAUSE_OF = {Mode.MAGNET: TherapyCause.MAGNET, Mode.MRI: TherapyCause.MRI_MODE}
"""What holds therapy off, and the cause that it stands for; a magnet before an examination."""


class Modes:
    """What holds therapy off over one boot, and what a magnet does."""

    def __init__(self, device: Device, timers: Timers, now: int) -> None:
        self._device = device
        self._timers = timers
        self._holds: set[Mode] = set()
        self.magnet_present = self._senses_magnet()
        self._magnet_since = now
        self._actions: dict[MagnetAction, Callable[[int], None]] = {
            MagnetAction.STOP: self._stop,
            MagnetAction.TOGGLE: self._toggle,
            MagnetAction.BOOST: self._boost,
            MagnetAction.WAKE: self._wake,
            MagnetAction.RESET: self._reset,
        }
        timers.on(Timer.MRI_MODE, self.leave_mri)

    @property
    def mode(self) -> Mode:
        """What holds therapy off; the magnet, if both do."""
        return next((mode for mode in CAUSE_OF if mode in self._holds), Mode.NONE)

    def holds(self, mode: Mode) -> bool:
        return mode in self._holds

    def begin(self, now: int) -> None:
        """At the end of the boot: what held therapy off before may still do so."""
        if self.magnet_present and self._stops_while_held():
            self._hold(Mode.MAGNET, now)
        until = self._device.memory.condition.mri_until
        if until is not None:
            self._timers.set(Timer.MRI_MODE, max(until, now))
            self._hold(Mode.MRI, now)

    def _hold(self, mode: Mode, now: int) -> None:
        before = self.mode
        self._holds.add(mode)
        self._report(before, now)
        if Trigger.SUSPENDED in self._device.transitions[self._device.state]:
            self._device.delivery.suspend(CAUSE_OF[mode], now)

    def hold_again(self, now: int) -> None:
        """The device has come to rest, from its boot or a fault, while something still holds therapy off."""
        if self._holds:
            self._device.delivery.suspend(CAUSE_OF[self.mode], now)

    def _release(self, mode: Mode, now: int) -> None:
        before = self.mode
        self._holds.discard(mode)
        self._report(before, now)
        if not self._holds and self._device.state is State.SUSPENDED:
            self._device.delivery.resume(CAUSE_OF[mode], now)

    def _report(self, before: Mode, now: int) -> None:
        if self.mode is not before:
            self._device.notify(ModeChanged(self.mode), now)

    # MRI mode

    def mri_seconds_left(self, now: int) -> int:
        """How long MRI mode goes on, rounded up; 0 without."""
        until = self._device.memory.condition.mri_until
        return 0 if until is None else -((now - until) // 1_000_000)

    def enter_mri(self, minutes: int, now: int) -> None:
        """Hold therapy off for an examination; a restart does not end it."""
        until = now + minutes * 60_000_000
        self._device.memory.note(mri_until=until)
        self._timers.set(Timer.MRI_MODE, until)
        self._device.log(LogCode.MRI_MODE, 1, now)
        self._hold(Mode.MRI, now)

    def leave_mri(self, now: int) -> None:
        """End the examination: therapy that ran goes on, unless a magnet holds it off."""
        self._device.memory.note(mri_until=None)
        self._timers.cancel(Timer.MRI_MODE)
        self._device.log(LogCode.MRI_MODE, 0, now)
        self._release(Mode.MRI, now)

    # Magnet

    def _senses_magnet(self) -> bool:
        return self._device.model.magnet is not None and self._device.board.magnet_present

    def _stops_while_held(self) -> bool:
        magnet = self._device.model.magnet
        return magnet is not None and magnet.while_held is MagnetAction.STOP

    def board_changed(self, now: int) -> None:
        """Look whether a magnet has come or gone."""
        present = self._senses_magnet()
        if present is self.magnet_present:
            return
        self.magnet_present = present
        self._device.log(LogCode.MAGNET, int(present), now)
        self._device.notify(MagnetChanged(int(present)), now)
        if present:
            self._magnet_came(now)
        else:
            self._magnet_went(now)

    def _magnet_came(self, now: int) -> None:
        self._magnet_since = now
        self._device.memory.count("magnet_uses")
        magnet = self._device.model.magnet
        assert magnet is not None, "a model without one senses no magnet"
        if magnet.while_held is MagnetAction.STOP:
            self._hold(Mode.MAGNET, now)
        else:
            self._act(magnet.while_held, now)

    def _magnet_went(self, now: int) -> None:
        magnet = self._device.model.magnet
        assert magnet is not None, "a model without one senses no magnet"
        if Mode.MAGNET in self._holds:
            self._release(Mode.MAGNET, now)
        held_ms = (now - self._magnet_since) // 1000
        for gesture in magnet.gestures:
            if gesture.minimum_ms <= held_ms < gesture.maximum_ms:
                self._act(gesture.action, now)

    def _act(self, action: MagnetAction, now: int) -> None:
        """Do what a magnet is for, but not in MRI mode: there the scanner is the magnet."""
        if action is not MagnetAction.NONE and Mode.MRI not in self._holds:
            self._actions[action](now)

    def _stop(self, now: int) -> None:
        self._device.delivery.stop(StopMode.RAMP, now, TherapyCause.MAGNET)

    def _toggle(self, now: int) -> None:
        device = self._device
        if device.delivery.is_using_active_program:
            self._stop(now)
        elif may_start(device, device.configuration.active_program, now):
            device.delivery.start(now, TherapyCause.MAGNET)

    def _boost(self, now: int) -> None:
        device = self._device
        number = device.model.magnet.boost_program if device.model.magnet else 0
        program = device.configuration.stored(number)
        ends = program is not None and all(area.dose_seconds for area in program.areas)
        if program is not None and ends and device.delivery.doses.allow(program, now) and may_start(device, number, now):
            device.delivery.boost(number, now)

    def _wake(self, now: int) -> None:  # noqa: ARG002 - the restart comes as soon as this is done
        if self._device.state is State.SHELF:
            self._device.restart_requested = True

    def _reset(self, now: int) -> None:  # noqa: ARG002 - as above
        self._device.restart_requested = True
