"""Faults of the board and what is near it: battery, charger, heat, magnet, flash, clock. The firmware senses each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from ipg_protocol.commands.link import ResetCause
from ipg_protocol.vocabulary import BatteryTier

from ipg_emulator.board.assembly import VirtualBoard
from ipg_emulator.board.charger import InductiveCharger
from ipg_emulator.faults.fault import Chance, Condition, Count, FaultError, Probability, Undo, fault
from ipg_emulator.faults.flash import WornFlash
from ipg_emulator.faults.leads import board_of, sensed
from ipg_emulator.model import Supply

if TYPE_CHECKING:
    from ipg_emulator.firmware import Firmware
    from ipg_emulator.virtual import VirtualIpg

FULL_PERMILLE = 1000
Permille = Annotated[int, msgspec.Meta(ge=0, le=FULL_PERMILLE)]


@fault
class BatterySag(Condition, frozen=True, kw_only=True, tag="battery-sag"):
    """Voltage is lost between the cell and the electronics, as at a bad weld: the cell reads lower than it is."""

    millivolts: Count

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware = ipg.firmware
        sensed(firmware, partial(_lose, board_of(firmware), self.millivolts), now)
        return partial(sensed, firmware, partial(_lose, board_of(firmware), -self.millivolts))


def _lose(board: VirtualBoard, millivolts: int, _now: int) -> None:
    board.power.drop_millivolts += millivolts


@fault
class BatteryLevel(Condition, frozen=True, kw_only=True, tag="battery-level"):
    """The cell is at another level at once, and goes on from there. The device finds out when it next checks its battery."""

    permille: Permille | None = None
    """Of what it holds when full."""
    tier: Literal["LOW", "ERI", "EOS"] | None = None
    """Instead: the level at which its voltage, under the load of the moment, has just come down to this tier's."""

    def __post_init__(self) -> None:
        """See that there is one level.

        Raises:
            FaultError: there is none, or there are two.
        """
        if (self.permille is None) is (self.tier is None):
            raise FaultError('a level is either permille = 300 or tier = "ERI"')

    def check(self, ipg: VirtualIpg, /) -> None:
        if ipg.firmware.model.battery.supply is Supply.MAINS:
            raise FaultError(f"{ipg.firmware.model.name} has no battery: it lives on mains")

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> None:
        sensed(ipg.firmware, partial(self._jump, ipg.firmware), now)

    def _jump(self, firmware: Firmware, now: int) -> None:
        board = board_of(firmware)
        if self.permille is not None:
            depth = float(FULL_PERMILLE - self.permille)
        else:
            assert self.tier is not None, "there is one level"
            depth = board.power.depth_at(firmware.model.battery.threshold_millivolts[BatteryTier[self.tier]], now)
        board.discharge_to(depth, now)


@fault
class ChargerMisaligned(Condition, frozen=True, kw_only=True, tag="charger-misaligned"):
    """The coils couple no better than so, wherever the charger is laid. Without a charger there, it waits for one."""

    coupling_permille: Permille = 300
    """Of perfect alignment."""

    def check(self, ipg: VirtualIpg, /) -> None:
        _charger_of(ipg.firmware)

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        charger = _charger_of(ipg.firmware)
        sensed(ipg.firmware, partial(charger.misalign, self.coupling_permille), now)
        return partial(sensed, ipg.firmware, partial(charger.realign, self.coupling_permille))


def _charger_of(firmware: Firmware) -> InductiveCharger:
    charger = board_of(firmware).charger
    if charger is None:
        raise FaultError(f"{firmware.model.name} has no charger")
    return charger


@fault
class OverTemperature(Condition, frozen=True, kw_only=True, tag="over-temperature"):
    """The case is warmed from outside, as by diathermy, until it is so warm; charging then warms it further.

    The device finds out when it next looks: at its battery check or, where it has a charger, at once.
    """

    millicelsius: Annotated[int, msgspec.Meta(ge=20_000, le=80_000)] = 50_000

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware, board = ipg.firmware, board_of(ipg.firmware)
        more = self.millicelsius - board.temperature_millicelsius(now)
        sensed(firmware, partial(_warm, board, more), now)
        return partial(sensed, firmware, partial(_warm, board, -more))


def _warm(board: VirtualBoard, millikelvin: int, _now: int) -> None:
    board.patient.temperature_millicelsius += millikelvin


@fault
class MagnetHeld(Condition, frozen=True, kw_only=True, tag="magnet-held"):
    """A magnet is held over the device."""

    def check(self, ipg: VirtualIpg, /) -> None:
        if ipg.firmware.model.magnet is None:
            raise FaultError(f"{ipg.firmware.model.name} does not sense magnets")

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware = ipg.firmware
        sensed(firmware, partial(_hold_magnets, board_of(firmware), 1), now)
        return partial(sensed, firmware, partial(_hold_magnets, board_of(firmware), -1))


def _hold_magnets(board: VirtualBoard, more: int, _now: int) -> None:
    board.magnets_held += more


@fault
class FlashWorn(Condition, frozen=True, kw_only=True, tag="flash-worn"):
    """The flash is near its end, or beyond. What was written badly shows when the device restarts and reads it.

    Beyond its end, every change that a host asks for is refused STORAGE_FAILED and not made. What the device does by itself, or
    because it is stopped, is forgotten at its restart: what was stopped may go on, and the number of the boot comes again.
    """

    weak: Probability = 0.1
    """How likely in a write, of which a change takes one, some bits do not hold."""
    bits: Count = 2
    """How many at most, in such a write. The device mends one, or finds that the change is lost."""
    dead: bool = False
    """Whether nothing can be written any more."""

    def begin(self, ipg: VirtualIpg, _now: int, chance: Chance, /) -> Undo:
        firmware, board = ipg.firmware, board_of(ipg.firmware)
        worn = WornFlash(board.flash, chance, weak=self.weak, bits=self.bits, dead=self.dead)
        board.flash = worn
        firmware.memory.move_to(board.flash)
        return partial(_renew, firmware, worn)


def _renew(firmware: Firmware, worn: WornFlash, _now: int) -> None:
    board = board_of(firmware)
    board.flash = worn.taken_off(board.flash)
    firmware.memory.move_to(board.flash)


@fault
class ClockDrift(Condition, frozen=True, kw_only=True, tag="clock-drift"):
    """The crystal of the real-time clock is out of tune. What the clock has gained or lost by then it keeps.

    The time of day and the schedule go by that clock; all else has one of its own.
    """

    ppm: Annotated[int, msgspec.Meta(ge=-500_000, le=500_000)]
    """How many parts in a million it is fast; negative: slow."""

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> Undo:
        firmware, clock = ipg.firmware, board_of(ipg.firmware).clock
        sensed(firmware, partial(clock.detune, self.ppm), now)
        return partial(sensed, firmware, partial(clock.detune, -self.ppm))


@fault
class BrownOut(Condition, frozen=True, kw_only=True, tag="brown-out"):
    """The supply dips for a moment: the device dies on the spot and boots on what it has stored."""

    def begin(self, ipg: VirtualIpg, now: int, _: Chance, /) -> None:
        ipg.firmware.wake(now)
        ipg.firmware.fail(ResetCause.BROWN_OUT, now)
