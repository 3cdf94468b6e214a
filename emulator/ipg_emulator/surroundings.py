"""What happens to the patient and round the device: postures, a magnet, a charger, broken leads. Never over the link."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from ipg_protocol.commands.link import ResetCause
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.board.assembly import VirtualBoard
from ipg_emulator.firmware import Firmware
from ipg_emulator.model import Supply

if TYPE_CHECKING:
    from ipg_emulator.virtual import Subject

PERFECT_COUPLING_PERMILLE = 1000
OK_DEPTH_PERMILLE = 300
"""The depth of discharge of a cell that is set to OK: every model's is far above its thresholds there, and not full."""


class SurroundingsError(ValueError):
    """Something cannot happen to this device, such as charging one that has no charger."""


class Surroundings:
    """The world of one device. Every act has its time in microseconds, which must not go backwards, and is sensed at once."""

    def __init__(self, firmware: Firmware) -> None:
        """Take hold of the world of a virtual device.

        Raises:
            TypeError: the firmware runs on a board that is not a virtual one.
        """
        if not isinstance(firmware.board, VirtualBoard):
            raise TypeError(f"only a virtual board has surroundings, not a {type(firmware.board).__name__}")
        self._firmware = firmware
        self._board = firmware.board

    # The patient

    def take_posture(self, name: str, now: int) -> None:
        """The patient moves into another posture.

        Raises:
            PostureError: there is no such posture.
        """
        self._firmware.wake(now)
        self._board.patient.take_posture(name, now)
        self._firmware.board_changed(now)

    def cough(self, now: int) -> None:
        """The patient coughs once."""
        self._firmware.wake(now)
        self._board.patient.cough(now)
        self._firmware.board_changed(now)

    # The leads

    def migrate_leads(self, contacts: float, now: int) -> None:
        """The leads shift along the cord by so many contacts.

        Raises:
            SurroundingsError: that is no distance.
        """
        if not math.isfinite(contacts):
            raise SurroundingsError(f"leads shift by a number of contacts, not by {contacts}")
        self._firmware.wake(now)
        self._board.patient.migrate_leads(contacts)
        self._firmware.board_changed(now)

    def break_lead(self, contact: int, fault: str, now: int) -> None:
        """A contact's conductor or insulation breaks.

        Raises:
            LeadFaultError: there is no such fault, or no such contact.
        """
        self._firmware.wake(now)
        self._board.electrodes.break_contacts({contact: fault})
        self._firmware.board_changed(now)

    def mend_lead(self, contact: int, now: int) -> None:
        """A contact is sound again."""
        self._firmware.wake(now)
        self._board.electrodes.mend(contact)
        self._firmware.board_changed(now)

    # What is held near

    def magnet(self, present: bool, now: int) -> None:
        """A magnet comes, or goes."""
        self._firmware.wake(now)
        self._board.magnet_present = present
        self._firmware.board_changed(now)

    def charger(self, coupling_permille: int, now: int) -> None:
        """The external charger is laid over the implant, moved, or (0) taken away; 1000 is perfect alignment.

        Raises:
            SurroundingsError: the device cannot be charged, or the coupling is not from 0 to 1000.
        """
        if self._board.charger is None:
            raise SurroundingsError(f"{self._firmware.model.name} has no charger")
        if not 0 <= coupling_permille <= PERFECT_COUPLING_PERMILLE:
            raise SurroundingsError(f"coupling is 0 to {PERFECT_COUPLING_PERMILLE} permille, got {coupling_permille}")
        self._firmware.wake(now)
        self._board.charger.place(coupling_permille, now)
        self._firmware.board_changed(now)

    # The supply

    def battery(self, tier: BatteryTier, now: int) -> None:
        """The cell is at another level at once, which the device finds out when it next checks its battery.

        LOW, ERI and EOS: where its voltage, under the load of the moment, has just come down to the tier's.

        Raises:
            SurroundingsError: the device has no battery.
        """
        model = self._firmware.model
        if model.battery.supply is Supply.MAINS:
            raise SurroundingsError(f"{model.name} has no battery: it lives on mains")
        self._firmware.wake(now)
        threshold = model.battery.threshold_millivolts.get(tier)
        depth = OK_DEPTH_PERMILLE if threshold is None else self._board.power.depth_at(threshold, now)
        self._board.discharge_to(depth, now)
        self._firmware.board_changed(now)

    def worn_disc(self, present: bool, now: int) -> None:
        """The disc that feeds the device is put on, or lifted: without it the device is dead.

        Raises:
            SurroundingsError: the device does not live on a worn disc.
        """
        self._check_supply(Supply.WORN)
        if present:
            self._firmware.power_restored(now)
        else:
            self._firmware.power_lost(now)

    def brown_out(self, now: int) -> None:
        """The supply gives way for a moment: the device dies on the spot, and boots on what it has stored."""
        self._firmware.wake(now)
        self._firmware.fail(ResetCause.BROWN_OUT, now)

    def cut_power(self, now: int) -> None:
        """The supply is gone, whatever it is: all stops at once."""
        self._firmware.power_lost(now)

    def restore_power(self, now: int) -> None:
        """The supply is back: the device boots."""
        self._firmware.power_restored(now)

    def replace_battery(self, now: int) -> None:
        """A new cell is put in; the device boots on it.

        Raises:
            SurroundingsError: the device's cell cannot be replaced.
        """
        self._check_supply(Supply.REPLACEABLE)
        self._firmware.power_lost(now)
        self._board.power.replace(now)
        self._firmware.power_restored(now)

    def _check_supply(self, supply: Supply) -> None:
        model = self._firmware.model
        if model.battery.supply is not supply:
            raise SurroundingsError(f"the supply of {model.name} is {model.battery.supply.value}, not {supply.value}")


class PresentSurroundings:
    """The same world for those who keep no time: every act happens at the device's present, and what it says is heard."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def _happen(self, act: Callable[..., None], *what: object) -> None:
        with self._subject.exclusively():
            act(self._subject.ipg.surroundings, *what, self._subject.present())
            self._subject.present()

    def take_posture(self, name: str) -> None:
        self._happen(Surroundings.take_posture, name)

    def cough(self) -> None:
        self._happen(Surroundings.cough)

    def migrate_leads(self, contacts: float) -> None:
        self._happen(Surroundings.migrate_leads, contacts)

    def break_lead(self, contact: int, fault: str) -> None:
        self._happen(Surroundings.break_lead, contact, fault)

    def mend_lead(self, contact: int) -> None:
        self._happen(Surroundings.mend_lead, contact)

    def magnet(self, present: bool) -> None:
        self._happen(Surroundings.magnet, present)

    def charger(self, coupling_permille: int) -> None:
        self._happen(Surroundings.charger, coupling_permille)

    def battery(self, tier: BatteryTier) -> None:
        self._happen(Surroundings.battery, tier)

    def worn_disc(self, present: bool) -> None:
        self._happen(Surroundings.worn_disc, present)

    def brown_out(self) -> None:
        self._happen(Surroundings.brown_out)

    def cut_power(self) -> None:
        self._happen(Surroundings.cut_power)

    def restore_power(self) -> None:
        self._happen(Surroundings.restore_power)

    def replace_battery(self) -> None:
        self._happen(Surroundings.replace_battery)
